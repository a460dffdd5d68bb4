"""Output folders of the paper's baselines, as they come from the authors' own code, as clips that can be measured.

    videos  NAME.mp4 ...                                   any method
    s2g     S2G-MDDiffusion: *_audio.mp4, NAME_audio.mp4 beside NAME.mp4 (the one with sound counts)
    mmd     MM-Diffusion, audio to video: sr/*.mp4, else reconstruct/*.mp4, of the one model folder inside
    sdt     Speech Drives Templates: results/*.npz with `poses_pred_batch` (clips, frames, 2, 121) at 15 fps; no picture

Where the names are not those of the real clips, a file pairs.csv in the folder (columns real,fake) says which belong
together; SDT's rows come in the order of its test list and are taken for the real clips in the manifest's order.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from paha.errors import PahaError
from paha.evaluation.metrics.clips import VIDEOS, Clip, find_clips, pair_clips
from paha.evaluation.metrics.evaluate import MeasuredSet
from paha.evaluation.metrics.keypoints import resample
from paha.evaluation.metrics.measured import Measured, save_measured
from paha.evaluation.metrics.parts import mouth_opening
from paha.types import FACE, FPS, LEFT_HAND, NUM_KEYPOINTS, RIGHT_HAND, Keypoints

KINDS = ("videos", "s2g", "mmd", "sdt")
PAIRS_FILE = "pairs.csv"
SDT_FPS = 15.0
SDT_POINTS = 121
# SDT: 9 body points (right shoulder, elbow, wrist 1-3, left 4-6), 70 of the face, 21 a hand; the nose is the face's.
SDT_BODY = {0: 9 + 30, 5: 4, 6: 1, 7: 5, 8: 2, 9: 6, 10: 3}
"""COCO body point -> its place among SDT's 121."""


def find_method_clips(folder: Path, kind: str) -> list[Clip]:
    """The videos of a method's folder. Raises PahaError for an unknown kind or a folder without videos."""
    if kind == "videos":
        return find_clips(folder)
    if not folder.is_dir():
        raise PahaError(f"{folder} is no folder; give the method's output folder")
    if kind == "s2g":
        paths = sorted(folder.rglob("*_audio.mp4"))
        clips = [Clip(path.stem.removesuffix("_audio"), path, path) for path in paths]
    elif kind == "mmd":
        clips = [Clip(path.stem, path, path) for path in _mmd_videos(folder)]
    else:
        raise PahaError(f"unknown kind of method folder '{kind}'; known: {', '.join(KINDS)}")
    if not clips:
        raise PahaError(f"{folder} holds no output of {kind}; see the table of adapters in docs/metrics.md")
    return clips


def pair_method(reals: Sequence[Clip], fakes: Sequence[Clip], folder: Path) -> dict[str, Clip]:
    """The real clip of each generated one: by FOLDER/pairs.csv, else by name."""
    path = folder / PAIRS_FILE
    return pair_clips(reals, fakes, pairs=path if path.is_file() else None)


def sdt_set(folder: Path, reals: Sequence[Clip], out: Path) -> MeasuredSet:
    """SDT's poses as measurements in `out`: all metrics of keypoints; none that needs a picture.

    Raises PahaError for a folder without results, foreign files, or more clips than real ones.
    """
    poses = [pose for path in _sdt_files(folder) for pose in _sdt_poses(path)]
    if not poses:
        raise PahaError(f"{folder} holds no results of SDT (results/*.npz)")
    if len(poses) > len(reals):
        raise PahaError(f"{folder} holds {len(poses)} clips, the dataset {len(reals)}; they are paired in order")
    clips = []
    for real, pose in zip(reals, poses, strict=False):
        save_measured(out / f"{real.clip_id}.safetensors", sdt_measured(real.clip_id, pose), key="sdt")
        clips.append(replace(real, annotations=None))
    return MeasuredSet(out, clips, {clip.clip_id: real for clip, real in zip(clips, reals, strict=False)})


def sdt_measured(clip_id: str, pose_T2K: np.ndarray) -> Measured:
    """One clip (T, 2, 121) at 15 fps, relative to the neck, as a measurement at 25 fps; unknown points have score 0."""
    source = resample(np.moveaxis(np.asarray(pose_T2K, np.float64), 1, 2), fps=SDT_FPS, to_fps=FPS)
    points = np.zeros((len(source), NUM_KEYPOINTS, 2), np.float32)
    scores = np.zeros((len(source), NUM_KEYPOINTS), np.float32)
    for target, place in SDT_BODY.items():
        points[:, target], scores[:, target] = source[:, place], 1
    for part, start in ((FACE, 9), (LEFT_HAND, 79), (RIGHT_HAND, 100)):
        points[:, part], scores[:, part] = source[:, start : start + part.stop - part.start], 1
    keypoints = Keypoints(points, scores)
    face = points[:, FACE]
    box = np.concatenate([face.min(1), face.max(1)], 1)
    size = int(np.ceil(np.ptp(points, axis=(0, 1)).max()))
    return Measured(clip_id, size, size, keypoints, box, mouth_opening(keypoints), np.zeros((0, 2, 3)))


def _mmd_videos(folder: Path) -> list[Path]:
    for name in ("sr", "reconstruct"):
        found = [path for path in sorted(folder.rglob("*")) if path.parent.name == name and path.suffix in VIDEOS]
        if found:
            return found
    return []


def _sdt_files(folder: Path) -> list[Path]:
    def step(path: Path) -> tuple[int, str]:
        found = re.search(r"step(\d+)", path.stem)
        return (int(found.group(1)) if found else 0, path.name)

    return sorted(folder.rglob("*.npz"), key=step)


def _sdt_poses(path: Path) -> np.ndarray:
    try:
        with np.load(path, allow_pickle=False) as file:
            poses = file["poses_pred_batch"]
    except (OSError, ValueError, KeyError) as error:
        raise PahaError(f"{path} is no result of SDT: {error}") from error
    if poses.ndim != 4 or poses.shape[2:] != (2, SDT_POINTS):
        raise PahaError(f"{path}: poses_pred_batch is {poses.shape}, not (clips, frames, 2, {SDT_POINTS})")
    return poses
