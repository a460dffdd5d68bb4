"""Blinks: when people make them, how lids go, and how they come into sampled motion (a departure from the paper).

A blink takes a sixth of a second and no sound tells of it. UniVDM learns to make them, but a few solver steps, which
end near the mean of all that may come, make none (docs/log.md): they are drawn by chance, as the rig draws them, which
UniVDM was trained on. Off by default (`sample.blinks`); the paper's settings do without.
Letters: T frames, C channels, G cells a side.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor

from paha.motion.easing import minimum_jerk
from paha.motion.motion_codec import CHANNELS, PersonGrid
from paha.types import FPS

BLINK_S, BLINK_SPREAD = 3.5, 0.5
"""Median seconds between blinks and the deviation of their logarithm."""
CLOSING_S, CLOSED_S, OPENING_S = 0.045, 0.04, 0.075
"""A blink's parts. Closed for a frame, so that one frame at least shows it."""
BEFORE_S, AFTER_S = CLOSING_S + CLOSED_S / 2, CLOSED_S / 2 + OPENING_S
"""From where lids are open to the middle of a blink, and from there until they are again."""
_DOUBLE_SHARE = 0.12
_OPEN = 1e-3
_LIDS = CHANNELS.index("lids")


def blink_times(duration_s: float, rng: np.random.Generator) -> np.ndarray:
    """Times at which the lids are closed; the first falls anywhere within an interval, and some blinks are double."""
    times: list[float] = []
    now = -rng.uniform(0, BLINK_S)
    while now < duration_s:
        times.append(now)
        if rng.random() < _DOUBLE_SHARE:
            times.append(now + rng.uniform(0.25, 0.35))
        now = times[-1] + BLINK_S * float(np.exp(rng.normal(0, BLINK_SPREAD)))
    return np.array(times)


def blinks(closed_s: np.ndarray, at_s: np.ndarray) -> np.ndarray:
    """(T,) lids in [0, 1]: quickly closed, for a frame, more slowly opened; closed_s: the middles of the closures."""
    away = at_s[:, None] - closed_s[None]
    closing = minimum_jerk((away + CLOSED_S / 2 + CLOSING_S) / CLOSING_S)
    opening = minimum_jerk((away - CLOSED_S / 2) / OPENING_S)
    return (closing - opening).max(axis=1, initial=0.0)


def drawn_blinks(num_frames: int, *, seed: int, open_at: Iterable[int] = ()) -> np.ndarray:
    """(T,) float32 in [0, 1], 1 closed: a video's blinks by chance. open_at: frames that none touches, where one would
    it comes right after; a segment's first frame is the last of the one before, and knows of no blink."""
    closed_s = blink_times(num_frames / FPS, np.random.default_rng(seed % 2**64))
    for frame in sorted(open_at):
        middle = frame / FPS
        touches = (closed_s > middle - AFTER_S) & (closed_s < middle + BEFORE_S)
        closed_s[touches] = middle + BEFORE_S
    lids = np.zeros(num_frames, np.float32)
    for middle in closed_s:
        first, last = int((middle - BEFORE_S) * FPS), int((middle + AFTER_S) * FPS) + 1
        frames = np.arange(max(first, 0), min(last + 1, num_frames))
        lids[frames] = np.maximum(lids[frames], blinks(np.array([middle]), frames / FPS))
    return np.where(lids > _OPEN, lids, 0)


def with_blinks(z_TCGG: Tensor, lids_T: np.ndarray, grid: PersonGrid) -> Tensor:
    """Scaled latents (T, C, G, G) whose eyes are closed at least as far as `lids_T` (0 open to 1) says: what is open of
    them closes by that share. Frames of no blink, and all but the lids, stay as they are, to the bit."""
    [at] = np.nonzero(lids_T > 0)
    if not len(at):
        return z_TCGG
    state, own = grid.geometry.state.lids[0], grid.read(z_TCGG[at]).lids
    change = lids_T[at, None] * np.maximum(1 - state - own, 0)
    blinking = z_TCGG.clone()
    blinking[at, _LIDS] += torch.from_numpy(grid.scales[_LIDS] * grid.canvases["lids"].paint(change)).to(z_TCGG)
    return blinking
