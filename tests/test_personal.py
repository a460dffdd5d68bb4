import json

import numpy as np
import pytest
from toy import toy_audio, toy_pipeline
from toy_corpus import MOUTH, make_toy_corpus

from benchmarks import personal
from paha.data.audio_io import write_wav
from paha.data.manifest import read_manifest
from paha.errors import PahaError
from paha.extractors.pose import PoseTrack
from paha.training.frames import load_clip
from paha.types import FACE, Keypoints


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = make_toy_corpus(tmp_path_factory.mktemp("personal") / "data", clips=1, num_frames=12)
    write_wav(folder / "clips" / "clip0.wav", *toy_audio(0.48))
    return folder


class DarkLips:
    """Opens the inner lips as far as the close-up shows dark pixels, on a face of constant height."""

    def detect(self, frames):
        points, scores = np.zeros((len(frames), 133, 2), np.float32), np.ones((len(frames), 133), np.float32)
        points[:, FACE.start + 27, 1], points[:, FACE.start + 8, 1] = 1, 2
        points[:, MOUTH.start + 18, 1] = (frames[..., 0] < 120).mean((1, 2))
        return PoseTrack(Keypoints(points, scores), np.zeros((len(frames), 4), np.float32), None)


def test_the_truth_scores_best_and_a_still_image_nothing(data):
    clip = load_clip(data, read_manifest(data)[0])
    still = np.repeat(clip.images[:1], len(clip), 0)
    half = ((clip.images.astype(int) + still) // 2).astype(np.uint8)
    versions = {"truth": clip.images, "half": half, "still": still}
    rows = personal.measure(versions, clip, toy_audio(0.48)[0][:, 0], DarkLips())
    assert rows["truth"]["lip r"] == pytest.approx(1)
    assert rows["truth"]["lag"] == 0
    assert rows["still"]["lip r"] == rows["still"]["lip spread"] == 0
    assert rows["half"]["mouth dB"] == pytest.approx(rows["still"]["mouth dB"] + 6, abs=0.5)
    assert rows["still"]["mouth dB"] < rows["still"]["frame dB"]
    assert list(rows["loudness"]) == ["lip r"]


def test_close_ups_hold_the_face_and_strips_begin_with_the_reference():
    images = np.zeros((9, 40, 40, 3), np.uint8)
    images[:, 4:12, 20:28] = np.arange(9)[:, None, None, None] * 10 + 100
    close = personal.close_ups(images, np.tile([0.5, 0.1, 0.7, 0.3], (9, 1)))
    assert close.shape == (9, 384, 384, 3)
    assert close[3, 192, 192, 0] == 130
    assert (close[3] > 60).mean() == pytest.approx((8 / 12) ** 2, abs=0.06)
    sheet = personal.strip([images, images[::-1]])
    assert sheet.shape == (82, 7 * 42 - 2, 3)
    assert sheet[8, 24, 0] == sheet[42 + 8, 24, 0] == 100
    assert sheet[8, 6 * 42 + 24, 0] == 180
    assert sheet[42 + 8, 6 * 42 + 24, 0] == 100


def test_it_runs_from_folders_and_knows_its_clips(data, tmp_path, monkeypatch, capsys):
    toy_pipeline().save_pretrained(tmp_path / "model")
    monkeypatch.setattr(personal, "pose_extractor", lambda kind: DarkLips())
    options = {"model": tmp_path / "model", "frames": 7, "steps": 1, "seed": 0, "pose": "presenter"}
    personal.personal(data, tmp_path / "out", clip=0, **options)
    assert "| generated |" in capsys.readouterr().out
    written = json.loads((tmp_path / "out" / "personal.json").read_text())
    assert (written["frames"], written["lips read by"]) == (7, "presenter")
    assert list(written["measured"]) == ["truth", "round trip", "generated", "still", "loudness"]
    assert {p.name for p in (tmp_path / "out").iterdir()} == {
        *("personal.json", "strip.png", "faces.png", "generated.mp4")
    }
    with pytest.raises(PahaError, match="has 1 clips, no number 1"):
        personal.personal(data, tmp_path / "out", clip=1, **options)
