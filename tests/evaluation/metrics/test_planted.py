"""Planted corruptions of a *photographed* presenter: each is seen by the measure that is meant for it.

The astronaut of the package's own pictures, moved by the renderer, with the keypoints that the renderer knows.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from people import gentle_motion
from scipy.ndimage import gaussian_filter

import paha
from paha.dataset.manifest import ClipAnnotations, save_annotations, write_manifest
from paha.dataset.synth.photographed import render_still
from paha.evaluation.metrics.clips import find_clips
from paha.evaluation.metrics.evaluate import measure_set, score_generated, score_real
from paha.evaluation.metrics.instruments import Instruments
from paha.evaluation.metrics.keypoints import FORE
from paha.media.audio_io import write_wav
from paha.media.video_io import write_video
from paha.types import ClipRecord, Keypoints

STILL = Path(paha.__file__).parent / "assets/presenter_images/astronaut.png"
FRAMES, LATE, CLIPS = 60, 4, 2
INSTRUMENTS = Instruments(None, "exact", "", None, absent={"i3d": "-", "syncnet": "-"}, replicates=5)


def speaking(number):
    """Motion whose mouth opens with `loudness` below, and hands that stop now and then."""
    motion = gentle_motion(FRAMES, seed=number)
    loud = loudness(number)
    return replace(motion, mouth_open=(0.1 * loud).astype(np.float32)), loud


def loudness(number):
    rng = np.random.default_rng([3, number])
    curve = np.convolve(rng.random(FRAMES + 4), np.ones(5) / 5, "valid")
    return (curve - curve.min()) / np.ptp(curve)


@pytest.fixture(scope="module")
def films():
    """(frames, annotations, sound) of two clips."""
    made = []
    for number in range(CLIPS):
        motion, loud = speaking(number)
        frames, annotations = render_still(STILL, motion, size=256)
        envelope = np.repeat(loud, 640)
        sound = (0.3 * envelope * np.sign(np.sin(np.arange(len(envelope)) * 0.06))).astype(np.float32)
        made.append((frames, annotations, sound))
    return made


def dataset(folder, films):
    records = []
    for number, (frames, annotations, sound) in enumerate(films):
        stem = folder / "clips" / f"clip{number}"
        save_annotations(stem.with_suffix(".safetensors"), annotations)
        write_wav(stem.with_suffix(".wav"), sound, 16_000)
        write_video(stem.with_suffix(".mp4"), frames, crf=12)
        pairs = (("video", "mp4"), ("audio", "wav"), ("annotations", "safetensors"))
        files = {key: f"clips/clip{number}.{ending}" for key, ending in pairs}
        size = {"num_frames": len(frames), "width": frames.shape[2], "height": frames.shape[1]}
        records.append(ClipRecord(clip_id=f"clip{number}", identity="still-astronaut", source="t", **files, **size))
    write_manifest(folder, records)
    return folder


def late(film):
    frames, known, sound = film
    order = np.maximum(np.arange(len(frames)) - LATE, 0)
    points = Keypoints(known.keypoints.points[order], known.keypoints.scores[order])
    return frames[order], ClipAnnotations(points, known.face_box[order]), sound


def picture(change):
    return lambda film: (np.stack([change(frame) for frame in film[0]]), *film[1:])


def trembling(film):
    frames, known, sound = film
    points = known.keypoints.points.copy()
    points[:, FORE] += np.random.default_rng(0).normal(0, 0.01 * frames.shape[1], (len(points), len(FORE), 2))
    scores = known.keypoints.scores.copy()
    return frames, ClipAnnotations(Keypoints(points.astype(np.float32), scores), known.face_box), sound


def held(film):
    frames, known, sound = film
    first = np.zeros(len(frames), int)
    points = Keypoints(known.keypoints.points[first], known.keypoints.scores[first])
    return frames[first], ClipAnnotations(points, known.face_box[first]), sound


PLANTED = {
    "late": late,
    "blur": picture(lambda frame: gaussian_filter(frame, (1.5, 1.5, 0))),
    "tint": picture(lambda frame: np.clip(frame.astype(int) + [12, 0, -12], 0, 255).astype(np.uint8)),
    "trembling": trembling,
    "held": held,
}


@pytest.fixture(scope="module")
def values(films, tmp_path_factory):
    """Metric -> mean, of every planted set and of the films themselves."""
    root = tmp_path_factory.mktemp("planted")
    quiet = {"say": lambda _: None, "workers": 1}
    real = dataset(root / "real", films)
    reals, failed = measure_set(find_clips(real), INSTRUMENTS, root / "m/real", **quiet)
    assert not failed
    whole, _ = score_real(reals, INSTRUMENTS, ceilings=False)
    found = {}
    for name, plant in {"none": lambda film: film, **PLANTED}.items():
        clips = find_clips(dataset(root / name, [plant(film) for film in films]))
        truths = {clip.clip_id: truth for clip, truth in zip(clips, reals.clips, strict=True)}
        made, _ = measure_set(clips, INSTRUMENTS, root / "m" / name, truths=truths, against=reals, **quiet)
        row = score_generated(name, reals, whole, made, INSTRUMENTS)
        found[name] = {key: getattr(value, "mean", value) for key, value in row.values.items()}
    return found


def test_lips_that_are_late_are_seen_by_their_lag_and_correlation(values):
    assert values["none"]["lip_r"] > 0.99
    assert values["none"]["lip_lag"] == 0
    assert values["late"]["lip_lag"] == pytest.approx(LATE, abs=1)
    assert values["late"]["lip_r"] < values["none"]["lip_r"] - 0.3
    assert values["late"]["jerk"] == pytest.approx(values["none"]["jerk"], rel=0.1)  # blind to it


def test_blur_and_tint_are_seen_by_pictures_alone(values):
    for name in ("blur", "tint"):
        assert values[name]["psnr_frame"] < values["none"]["psnr_frame"] - 5
        assert values[name]["frd_face"] > values["none"]["frd_face"] + 1
        assert values[name]["lip_r"] == pytest.approx(values["none"]["lip_r"], abs=1e-3)
    assert values["blur"]["ssim_face"] < values["tint"]["ssim_face"]  # structure, not colour


def test_trembling_hands_are_seen_by_their_jerk_and_not_by_pictures(values):
    assert values["trembling"]["jerk"] > 3 * values["none"]["jerk"]
    assert values["trembling"]["psnr_frame"] == values["none"]["psnr_frame"]


def test_a_held_picture_has_no_motion_and_no_flicker(values):
    assert values["held"]["bas"] == 0
    assert values["held"]["bas_motion"] == "no motion beat"
    assert values["held"]["jerk"] == 0
    assert values["held"]["flicker"] < 0.3 * values["none"]["flicker"]
    assert values["held"]["lip_r"] == 0
