"""Sync-C and Sync-D."""

import numpy as np
import pytest
import torch
from torch import nn

from paha.errors import PahaError
from paha.evaluation.metrics.mfcc import mfcc
from paha.evaluation.metrics.sync import (
    SyncProtocol,
    crop_boxes,
    crop_faces,
    embed_lips,
    embed_sound,
    face_track,
    sync_score,
)
from paha.evaluation.metrics.syncnet import SyncNet, load_syncnet
from paha.types import FACE, Keypoints

LEVEL = 19.0
"""About the mean log energy, so that vectors lie about zero, as those beyond the sound's ends are."""


class Toy(nn.Module):
    """Both encoders read one number off their window: the picture's brightness, the sound's energy. A network of
    SyncNet's form, in which lips and sound of one moment get one vector.
    """

    def __init__(self):
        super().__init__()
        self.out = nn.Linear(5, 8, bias=False)
        torch.manual_seed(0)
        nn.init.normal_(self.out.weight)

    def embed_lips(self, frames):
        return self.out(frames.float().mean((1, 3, 4)) - LEVEL)

    def embed_sound(self, cepstra):
        # Log energy of the 4 cepstra of each of 5 frames, brought to the scale of the pictures below.
        return self.out(cepstra[:, 0, 0].reshape(-1, 5, 4).mean(-1) - LEVEL)


def planted(offset, frames=80):
    """Pictures as bright as the sound is loud `offset` frames before."""
    rng = np.random.default_rng(0)
    loud = rng.uniform(0.02, 0.5, frames)
    mono = np.repeat(loud, 640) * np.sin(np.arange(frames * 640) * 0.3)
    energy = mfcc(mono)[:, 0]
    energy = np.append(energy, energy[-1:])[: 4 * frames].reshape(frames, 4).mean(1)
    bright = np.roll(energy, offset)
    return np.broadcast_to(bright[:, None, None, None], (frames, 8, 8, 3)).astype(np.float32), mono.astype(np.float32)


@pytest.mark.parametrize("offset", [0, 2, 5, -7])
def test_a_planted_offset_is_found(offset):
    faces, mono = planted(offset)
    model = Toy()
    score = sync_score(embed_lips(model, faces), embed_sound(model, mono, len(faces)))
    assert score.offset == offset  # positive: the picture is late
    assert score.confidence > 3 * score.distance


def test_unrelated_sound_has_little_confidence():
    faces, mono = planted(0)
    other = np.random.default_rng(9).permutation(mono.reshape(80, 640)).reshape(-1)
    model = Toy()
    lips = embed_lips(model, faces)
    right = sync_score(lips, embed_sound(model, mono, 80))
    wrong = sync_score(lips, embed_sound(model, other, 80))
    assert wrong.confidence < 0.5 * right.confidence
    assert wrong.distance > right.distance


def test_score_is_median_less_least():
    lips, sound = np.eye(6, dtype=np.float32), np.eye(6, dtype=np.float32)
    score = sync_score(lips, sound, max_shift=1)
    # Shift 0: the same vectors (up to the 1e-6 of pairwise_distance). Others: distance sqrt 2, but 1 to the zeros
    # beyond the ends.
    far = (5 * np.sqrt(2) + 1) / 6
    assert score.distance == pytest.approx(0, abs=1e-5)
    assert score.confidence == pytest.approx(far, abs=1e-4)
    assert score.offset == 0


def test_as_many_windows_as_the_original_has():
    faces, mono = planted(0, frames=60)
    assert len(embed_lips(Toy(), faces)) == 55
    assert len(embed_sound(Toy(), mono, 60)) == 55
    assert len(embed_sound(Toy(), mono[:1000], 60)) == 0


def test_cepstra_are_those_of_python_speech_features():
    t = np.arange(16_000) / 16_000
    mono = 0.3 * np.sin(2 * np.pi * 440 * t) + 0.1 * np.sin(2 * np.pi * 1800 * t)
    made = mfcc(mono)
    assert made.shape == (99, 13)
    # python_speech_features 0.6, mfcc(np.rint(mono * 32768).astype(int16), 16000)[50, :4]
    np.testing.assert_allclose(made[50, :4], GOLDEN, rtol=1e-6)
    assert np.isfinite(mfcc(np.zeros(1000))).all()


GOLDEN = [20.48488596463622, 10.598905665537217, -14.850592236969632, 1.818483904696341]


def test_equals_python_speech_features_where_it_is_installed():
    reference = pytest.importorskip("python_speech_features", reason="python_speech_features is not installed")
    mono = np.random.default_rng(0).uniform(-0.5, 0.5, 12_345)
    pcm = np.rint(mono * 32768).astype(np.int16)
    np.testing.assert_allclose(mfcc(mono), reference.mfcc(pcm, 16_000), rtol=1e-9)


def test_syncnet_takes_the_published_shapes_and_loads_its_own_weights(tmp_path):
    torch.manual_seed(0)
    model = SyncNet().eval()
    assert model.embed_sound(torch.zeros(2, 1, 13, 20)).shape == (2, 1024)
    assert model.embed_lips(torch.zeros(1, 3, 5, 224, 224)).shape == (1, 1024)
    torch.save(model.state_dict(), tmp_path / "syncnet_v2.model")
    again = load_syncnet(tmp_path / "syncnet_v2.model")
    x = torch.randn(1, 1, 13, 20)
    assert torch.equal(again.embed_sound(x), model.embed_sound(x))
    assert not again.training


def test_foreign_weights_are_one_line(tmp_path):
    torch.save({"netcnnaud.0.weight": torch.zeros(1)}, tmp_path / "bad.model")
    with pytest.raises(PahaError, match="holds no weights of SyncNet"):
        load_syncnet(tmp_path / "bad.model")
    (tmp_path / "worse.model").write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    with pytest.raises(PahaError, match="holds no weights of SyncNet"):
        load_syncnet(tmp_path / "worse.model")


def keypoints(seen):
    scores = np.zeros((len(seen), 133), np.float32)
    scores[:, FACE] = np.asarray(seen, np.float32)[:, None]
    return Keypoints(np.zeros((len(seen), 133, 2), np.float32), scores)


def test_the_longest_run_of_a_face_is_the_track():
    box = np.tile([10.0, 10, 50, 50], (100, 1))
    seen = np.ones(100)
    seen[20] = 0
    part, reason = face_track(keypoints(seen), box, SyncProtocol())
    assert (part.start, part.stop, reason) == (21, 100, "")
    _, reason = face_track(keypoints(np.zeros(100)), box, SyncProtocol())
    assert reason == "no face was seen"
    _, reason = face_track(keypoints(np.arange(100) < 30), box, SyncProtocol())
    assert "the longest has 30" in reason
    _, reason = face_track(keypoints(seen), box / 4, SyncProtocol())
    assert "10 px large" in reason


def test_crops_are_squares_below_the_middle_of_the_face():
    box = np.tile([40.0, 40, 60, 60], (15, 1))
    crop = crop_boxes(box, SyncProtocol(grow_up=0.0))
    np.testing.assert_allclose(crop[0], [50 - 14, 50 - 10, 50 + 14, 50 + 18])
    frames = np.full((15, 100, 100, 3), 200, np.uint8)
    assert crop_faces(frames, crop).shape == (15, 224, 224, 3)
    outside = crop_faces(frames, crop - 1000)
    assert (outside == 110).all()
    assert (crop_faces(frames, crop) == 200).all()
