"""What is kept of a measured video, and where: beside the report, and in a cache for the next evaluation of it.

Legend: T frames, S sampled frames, F width of a region's description, V SyncNet windows.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from paha.errors import PahaError
from paha.extractors.weights import cache_folder
from paha.runtime.atomic import remove_stale, write_bytes
from paha.types import Keypoints

UNUSED_DAYS = 60
"""What nobody asked for in this time is removed from the cache."""
_GROUPS = ("regions", "region_at", "noisy", "fvd", "errors", "looks")


@dataclass(frozen=True)
class Measured:
    """What is kept of a video.

    keypoints, face_box (T, 4) px, mouth (T,). regions: descriptions (n, F) by region, region_at: the sampled frame of
    each. noisy: the same of a noisy copy. colours: (S, 2, 3) CIELAB means of face and background. fvd: I3D features of
    the video and of copies (`plain`, `shuffled`, `frozen`, `noise`). lips, sound: SyncNet embeddings (V, 1024), empty
    with the reason in `no_sync`. errors: (2,) PSNR in dB and SSIM by region, and of the whole frame, against the real
    video of the pair. looks: third parties' descriptions, where they are at hand: `inception` and `inception_noise` of
    sampled frames (n, 2048), `identity` of sampled faces (n, D), `expression` of all frames (T, 52). flicker: mean
    absolute difference of neighbouring frames, values 0 to 255.
    """

    clip_id: str
    height: int
    width: int
    keypoints: Keypoints
    face_box: np.ndarray
    mouth: np.ndarray
    colours: np.ndarray
    regions: dict[str, np.ndarray] = field(default_factory=dict)
    region_at: dict[str, np.ndarray] = field(default_factory=dict)
    noisy: dict[str, np.ndarray] = field(default_factory=dict)
    fvd: dict[str, np.ndarray] = field(default_factory=dict)
    errors: dict[str, np.ndarray] = field(default_factory=dict)
    looks: dict[str, np.ndarray] = field(default_factory=dict)
    flicker: float | None = None
    lips: np.ndarray = field(default_factory=lambda: np.zeros((0, 1), np.float16))
    sound: np.ndarray = field(default_factory=lambda: np.zeros((0, 1), np.float16))
    no_sync: str = ""


def save_measured(path: Path, made: Measured, *, key: str) -> None:
    """Write a measurement, atomically."""
    arrays = {"points": made.keypoints.points, "scores": made.keypoints.scores, "face_box": made.face_box}
    arrays |= {"mouth": made.mouth, "colours": made.colours, "lips": made.lips, "sound": made.sound}
    for group in _GROUPS:
        arrays |= {f"{group}.{name}": value for name, value in getattr(made, group).items()}
    facts: dict[str, Any] = {
        "clip_id": made.clip_id,
        "height": made.height,
        "width": made.width,
        "no_sync": made.no_sync,
    }
    facts["flicker"] = made.flicker
    metadata = {"key": key, "facts": json.dumps(facts)}
    write_bytes(path, save({name: np.ascontiguousarray(a) for name, a in arrays.items()}, metadata=metadata))


def load_measured(path: Path, *, key: str | None = None) -> Measured | None:
    """Read one; None where there is none, it is damaged, or it was made of other things than `key` says."""
    try:
        with safe_open(path, "numpy") as file:
            metadata = file.metadata() or {}
            if key is not None and metadata.get("key") != key:
                return None
            arrays: dict[str, Any] = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (it is no mapping)
        facts = json.loads(metadata["facts"])
    except (OSError, SafetensorError, ValueError, KeyError):
        return None
    groups: dict[str, Any] = {group: {} for group in _GROUPS}
    for name in list(arrays):
        group, dot, rest = name.partition(".")
        if dot:
            groups[group][rest] = arrays.pop(name)
    keypoints = Keypoints(arrays.pop("points"), arrays.pop("scores"))
    return Measured(**facts, keypoints=keypoints, **arrays, **groups)


class MeasurementCache:
    """Measurements by what they were made of (the videos' own bytes and the instruments), whatever their names.

    Other processes may use the folder at the same time: entries appear whole. It is a convenience: where it cannot be
    written, work goes on without it.
    """

    def __init__(self, folder: Path | None = None) -> None:
        """folder: paha/measured in the user's cache ($XDG_CACHE_HOME or ~/.cache) by default."""
        self.folder = folder or cache_folder().with_name("measured")

    def find(self, key: str, *, clip_id: str) -> Measured | None:
        """The measurement made of `key`, as of the clip of that name; None where there is none."""
        made = load_measured(self._path(key), key=key)
        if made is None:
            return None
        with suppress(OSError):
            os.utime(self._path(key))
        return replace(made, clip_id=clip_id)

    def keep(self, key: str, made: Measured) -> None:
        """Keep a measurement."""
        with suppress(PahaError, OSError):
            save_measured(self._path(key), made, key=key)

    def tidy(self) -> None:
        """Remove what was not asked for in 60 days, and what killed processes left."""
        oldest = time.time() - UNUSED_DAYS * 86_400
        with suppress(OSError):
            remove_stale(self.folder)
            for path in self.folder.glob("*.safetensors"):
                if path.stat().st_mtime < oldest:
                    path.unlink(missing_ok=True)

    def _path(self, key: str) -> Path:
        return self.folder / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.safetensors"
