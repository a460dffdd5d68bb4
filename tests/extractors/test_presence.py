"""Whether body parts are in the picture, by DINOv2's features."""

# A value that is None fails the test, which is what it is for.
# pyright: reportOptionalMemberAccess=false, reportOptionalSubscript=false
# pyright: reportOptionalOperand=false, reportOptionalIterable=false

import numpy as np
import pytest
import torch
from transformers import Dinov2Config, Dinov2Model

from paha.cli.prepare import presence_model
from paha.errors import PahaError
from paha.extractors.pose import PoseTrack
from paha.extractors.presence import PARTS, PartFeatures, PresentPose, absent, part_square, without
from paha.types import FACE, LEFT_HAND, Keypoints

SIDE = 96
HAND = list(PARTS).index("left_hand")


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """$PAHA_WEIGHTS with a tiny random DINOv2, saved by transformers."""
    folder = tmp_path_factory.mktemp("weights")
    torch.manual_seed(0)
    config = Dinov2Config(hidden_size=16, num_hidden_layers=2, num_attention_heads=2, image_size=56, patch_size=7)
    Dinov2Model(config).save_pretrained(folder / "dinov2-small")
    return folder


@pytest.fixture
def features(weights, monkeypatch):
    monkeypatch.setenv("PAHA_WEIGHTS", str(weights))
    return PartFeatures.load("dinov2-small")


def clip(count: int = 12) -> tuple[np.ndarray, Keypoints]:
    """A left hand drawn as stripes at one place and a face as a gradient; nothing else is found."""
    frames = np.random.default_rng(0).integers(0, 40, (count, SIDE, SIDE, 3)).astype(np.uint8)
    frames[:, 50:80, 50:80] = np.where(np.arange(30) // 3 % 2, 230, 90)[None, None, :, None]
    frames[:, 10:40, 10:40] = np.linspace(60, 250, 30).astype(np.uint8)[None, :, None, None]
    points, scores = np.zeros((count, 133, 2), np.float32), np.zeros((count, 133), np.float32)
    corners = np.random.default_rng(1).uniform(0, 1, (68, 2)).astype(np.float32)
    points[:, FACE], scores[:, FACE] = 12 + 26 * corners, 0.9
    points[:, LEFT_HAND], scores[:, LEFT_HAND] = 52 + 26 * corners[:21], 0.8
    return frames, Keypoints(points, scores)


class Told:
    """A pose extractor that has been told what to find."""

    def __init__(self, keypoints: Keypoints) -> None:
        self.track = PoseTrack(keypoints, np.zeros((len(keypoints.scores), 4), np.float32), None)

    def detect(self, frames):
        return self.track


def test_features_are_the_mean_patch_token_of_the_part(features):
    frames, keypoints = clip(1)
    found = features.of_frame(frames[0], keypoints.points[0], keypoints.scores[0])
    assert found.shape == (4, 16)
    assert np.isnan(found).all(1).tolist() == [False, False, True, True]
    square = part_square(frames[0], keypoints.points[0, LEFT_HAND], keypoints.scores[0, LEFT_HAND])
    assert square is not None
    x = torch.from_numpy(square).permute(2, 0, 1)[None].double() / 255
    x = torch.nn.functional.interpolate(x, (56, 56), mode="bicubic", antialias=True).clamp(0, 1)
    x = (x - torch.tensor([0.485, 0.456, 0.406])[:, None, None]) / torch.tensor([0.229, 0.224, 0.225])[:, None, None]
    with torch.no_grad():
        tokens = features.model(x.float()).last_hidden_state
    assert tokens.shape == (1, 1 + 8 * 8, 16)
    np.testing.assert_allclose(found[HAND], tokens[0, 1:].mean(0), atol=1e-5)


def test_a_hand_whose_features_jump_is_not_present(features):
    frames, keypoints = clip()
    frames[5:7, 48:82, 48:82] = 20  # the keypoints still claim a hand there
    similar = np.stack(
        [features.of_frame(*one) for one in zip(frames, keypoints.points, keypoints.scores, strict=True)]
    )
    unit = similar[:, HAND] / np.linalg.norm(similar[:, HAND], axis=-1, keepdims=True)
    cosines = unit @ (unit.mean(0) / np.linalg.norm(unit.mean(0)))
    assert cosines[5:7].max() < np.delete(cosines, [5, 6]).min() - 0.1
    limit = float(cosines[5:7].max() + np.delete(cosines, [5, 6]).min()) / 2
    scores = PresentPose(Told(keypoints), features, limit=limit).detect(frames).keypoints.scores
    assert (scores[5:7, LEFT_HAND] == 0).all()
    wanted = keypoints.scores.copy()
    wanted[5:7, LEFT_HAND] = 0
    np.testing.assert_array_equal(scores, wanted)


def test_what_was_not_found_is_neither_absent_nor_counted():
    rng = np.random.default_rng(0)
    one, other = np.eye(2, 8, dtype=np.float32)
    features = np.full((6, len(PARTS), 8), np.nan, np.float32)
    features[:4, 0] = one + 0.01 * rng.normal(size=(4, 8))
    features[4, 0] = other
    found = absent(features, limit=0.5)
    assert np.argwhere(found).tolist() == [[4, 0]]
    assert not absent(features, limit=-1).any()
    scores = np.ones((6, 133), np.float32)
    left = without(scores, found)
    assert (left == 0).sum() == 68
    assert (left[4, FACE] == 0).all()
    assert (scores == 1).all()


def test_squares_stay_inside_and_need_half_of_the_points():
    frame = np.zeros((40, 60, 3), np.uint8)
    points = np.array([[50.0, 5.0], [70.0, 25.0]], np.float32)
    assert part_square(frame, points, np.array([0.9, 0.9])).shape == (24, 12, 3)
    assert part_square(frame, points, np.array([0.9, 0.1])).shape == (2, 2, 3)
    assert part_square(frame, points, np.array([0.1, 0.1])) is None


def test_a_missing_or_damaged_model_is_named(weights, tmp_path, monkeypatch):
    monkeypatch.setenv("PAHA_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with pytest.raises(PahaError, match="hf download facebook/dinov2-base --local-dir"):
        PartFeatures.load("dinov2-base")
    (tmp_path / "dinov2-base").mkdir()
    (tmp_path / "dinov2-base" / "config.json").write_text("{}")
    with pytest.raises(PahaError, match="cannot load Dinov2Model from"):
        PartFeatures.load("dinov2-base")


def test_prepare_checks_presence_where_a_model_is_here_unless_told_otherwise(weights, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PAHA_WEIGHTS", str(weights))
    assert [presence_model(wanted) for wanted in (None, True, False)] == ["dinov2-small", "dinov2-small", ""]
    monkeypatch.setenv("PAHA_WEIGHTS", str(tmp_path))
    assert [presence_model(wanted) for wanted in (None, False)] == ["", ""]
    with pytest.raises(PahaError, match=r"'dinov2-small'.*is nowhere on this machine"):
        presence_model(True)
