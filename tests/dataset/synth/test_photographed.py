"""Photographed presenters: a still speaks, and its annotations say where its parts are in every frame."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from paha.dataset.manifest import load_annotations
from paha.dataset.synth.clip import ClipPlan, make_clip
from paha.dataset.synth.corpus import plan_corpus
from paha.dataset.synth.photographed import find_stills, render_still
from paha.errors import PahaError
from paha.media.image_io import save_png
from paha.media.video_io import read_video
from paha.motion.person import PersonMotion


@pytest.fixture
def stills(shared: Path, tmp_path: Path) -> Path:
    """A folder with a picture of nobody and the astronaut."""
    folder = tmp_path / "stills"
    folder.mkdir()
    save_png(folder / "a_nobody.png", np.full((96, 96, 3), 200, np.uint8))
    shutil.copy(shared / "media/stills/astronaut.png", folder / "astronaut.png")
    return folder


def test_a_still_becomes_a_clip_and_one_without_a_person_is_passed_over(stills: Path, tmp_path: Path) -> None:
    plan = ClipPlan(
        seed=3, character_seed=0, size=192, seconds=(0.4, 0.4), languages=("en",), stills=find_stills(stills)
    )
    record = make_clip(plan, tmp_path)
    frames, annotations = read_video(tmp_path / record.video), load_annotations(tmp_path / record.annotations)
    assert record.identity == "still-astronaut"
    assert record.licence == ""
    assert frames.shape == (10, 192, 192, 3)
    assert annotations.keypoints.points.shape == (10, 133, 2)
    assert annotations.rig["parts"].shape == (10, 16)
    face = annotations.keypoints.points[:, 23:91]
    assert (face.min(1) == annotations.face_box[:, :2]).all()


def test_the_annotated_lips_are_where_the_motion_has_them(stills: Path) -> None:
    motion = PersonMotion.rest(3)
    motion.mouth_open[:] = (0.0, 0.05, 0.1)
    frames, annotations = render_still(stills / "astronaut.png", motion, size=192)
    points = annotations.keypoints.points
    gap = np.linalg.norm(points[:, 23 + 62] - points[:, 23 + 66], axis=-1)
    assert gap[0] < gap[1] < gap[2]
    mouth = points[0, 23 + 48 : 23 + 68].round().astype(int)
    (x0, y0), (x1, y1) = mouth.min(0), mouth.max(0) + 4
    changed = np.abs(frames[2].astype(int) - frames[0]).mean(-1)
    assert changed[y0:y1, x0:x1].mean() > 10 * changed[:40, :40].mean() + 1


def test_folders_without_pictures_are_named(tmp_path: Path) -> None:
    with pytest.raises(PahaError, match="no picture"):
        find_stills(tmp_path)
    with pytest.raises(PahaError, match="no folder"):
        plan_corpus(clips=1, stills=tmp_path / "missing")
    with pytest.raises(PahaError, match=r"alignment\.jsonl"):
        plan_corpus(clips=1, speech=tmp_path)
