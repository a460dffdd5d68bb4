"""The filters: pure predicates over a scan. Each says of every frame whether it is at fault, and what was measured.

A fault's name is its reason code, in rejected.jsonl and in the report. The paper (Appendix C) filters out "videos with
significant screen switching, undetected or partially detected faces or bodies, unstable detection results, and poor
audio quality".
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import percentile_filter, uniform_filter1d

from paha.dataset.prepare.config import PrepareConfig
from paha.dataset.prepare.scan import Scan
from paha.types import FACE, FPS, LEFT_HAND, RIGHT_HAND

_WINDOW = 3 * FPS
_SHOULDERS, _ELBOWS = (5, 6), (7, 8)
_SEEN = 0.5
_LOUD_DB = 15.0
_LOUD_SHARE = 0.5
_NOSE_TIP, _RIGHT_EAR, _LEFT_EAR = FACE.start + 30, FACE.start, FACE.start + 16


@dataclass(frozen=True)
class Fault:
    """What a filter says of T frames. is_bad: (T,) bool. value: (T,) what was measured. limit: what it was held to."""

    reason: str
    is_bad: np.ndarray
    value: np.ndarray
    limit: float


def find_faults(scan: Scan, config: PrepareConfig) -> list[Fault]:
    """What every filter says, in the order of FILTERS: the first one that objects to a frame names the reason."""
    return [Fault(reason, *judge(scan, config)) for reason, judge in FILTERS.items()]


def low_fps(scan: Scan, config: PrepareConfig):
    """The file has fewer frames a second than lips need."""
    fps = scan.size[2] / 1000
    return _all(scan, fps < config.min_source_fps), _all(scan, fps), config.min_source_fps


def black(scan: Scan, config: PrepareConfig):
    """Nothing to be seen."""
    return scan.luma < config.max_dark, scan.luma, config.max_dark


def frozen(scan: Scan, config: PrepareConfig):
    """The picture stands still."""
    lengths = run_lengths(scan.motion < config.min_motion) / FPS
    return lengths >= config.max_still_s, lengths, config.max_still_s


def cut(scan: Scan, config: PrepareConfig):
    """A new shot begins: the last frame of the old one and the first of the new one."""
    near = scan.is_cut | np.append(scan.is_cut[1:], False)
    return near, near.astype(np.float32), 0.0


def no_face(scan: Scan, config: PrepareConfig):
    """Nobody's face is seen."""
    score = scan.scores[:, FACE].mean(1)
    return lasting(spread(scan, score < config.min_face_score), config), spread(scan, score), config.min_face_score


def two_people(scan: Scan, config: PrepareConfig):
    """Somebody else's face is seen, nearly as large."""
    value = spread(scan, scan.other_face)
    bad = run_lengths(value > config.max_other_face) > config.max_other_s * FPS
    return bad, value, config.max_other_face


def face_at_edge(scan: Scan, config: PrepareConfig):
    """The face leaves the picture."""
    size = np.array([scan.width, scan.height])
    inside = np.minimum(scan.face_box[:, :2], size - scan.face_box[:, 2:]).min(1) / min(size)
    seen = _has_face(scan, config)
    return spread(scan, seen & (inside < config.edge)), spread(scan, inside), config.edge


def face_small(scan: Scan, config: PrepareConfig):
    """The person is too far away."""
    height = (scan.face_box[:, 3] - scan.face_box[:, 1]) / scan.height
    return spread(scan, _has_face(scan, config) & (height < config.min_face)), spread(scan, height), config.min_face


def turned_away(scan: Scan, config: PrepareConfig):
    """The person does not face the camera."""
    turn = head_turn(scan.points)
    bad = spread(scan, _has_face(scan, config) & (turn > config.max_turn))
    return lasting(bad, config), spread(scan, turn), config.max_turn


def unsteady(scan: Scan, config: PrepareConfig):
    """The face jumps about: the detector slips, or the camera swings."""
    centre = (scan.face_box[:, :2] + scan.face_box[:, 2:]) / 2
    width = np.maximum(1.0, scan.face_box[:, 2] - scan.face_box[:, 0])
    seen = _has_face(scan, config)
    jump = np.zeros(len(centre), np.float32)
    jump[1:] = np.linalg.norm(np.diff(centre, axis=0), axis=1) / np.minimum(width[1:], width[:-1])
    same_shot = np.diff(np.cumsum(scan.is_cut)[scan.at], prepend=-1) == 0
    jump *= same_shot & seen & np.concatenate([[False], seen[:-1]])
    return spread(scan, jump > config.max_jump), spread(scan, jump), config.max_jump


def body_hidden(scan: Scan, config: PrepareConfig):
    """Hands are asked for, but not even both shoulders and an elbow are in the picture."""
    score = np.minimum(scan.scores[:, _SHOULDERS].min(1), scan.scores[:, _ELBOWS].max(1))
    bad = spread(scan, config.hands & _has_face(scan, config) & (score < _SEEN))
    return lasting(bad, config), spread(scan, score), _SEEN


def no_hands(scan: Scan, config: PrepareConfig):
    """Hands are asked for and too rarely seen, over three seconds."""
    hands = np.maximum(scan.scores[:, LEFT_HAND].mean(1), scan.scores[:, RIGHT_HAND].mean(1)) > config.min_hand_score
    share = in_shots(
        scan, spread(scan, hands).astype(np.float32), lambda x: uniform_filter1d(x, _WINDOW, mode="nearest")
    )
    bad = config.hands & spread(scan, _has_face(scan, config)) & (share < config.min_hand_share)
    return bad, share, config.min_hand_share


def silence(scan: Scan, config: PrepareConfig):
    """Nobody speaks for long."""
    lengths = run_lengths(scan.level_db < config.silence_db) / FPS
    return lengths > config.max_pause_s, lengths, config.max_pause_s


def quiet(scan: Scan, config: PrepareConfig):
    """Speech is too faint."""
    loud = _percentile(scan, 95)
    return loud < config.min_level_db, loud, config.min_level_db


def clipped(scan: Scan, config: PrepareConfig):
    """The recording was too loud for the recorder."""
    share = in_shots(scan, scan.clipped, lambda x: uniform_filter1d(x, FPS, mode="nearest"))
    return share > config.max_clipped, share, config.max_clipped


def noise(scan: Scan, config: PrepareConfig):
    """Noise or music fills the pauses: the loud moments of three seconds are hardly louder than the soft ones."""
    loud = _percentile(scan, 95)
    ratio = loud - _percentile(scan, 5)
    # A window that reaches into clean speech finds pauses there: what is sure is grown to where a second has pauses.
    may_be = loud - _percentile(scan, 10, size=FPS) < config.min_snr_db
    return containing(may_be | (ratio < config.min_snr_db), ratio < config.min_snr_db), ratio, config.min_snr_db


def other_voice(scan: Scan, config: PrepareConfig):
    """Speech is heard, but these lips do not move: somebody else speaks."""
    low, high = (in_shots(scan, spread(scan, scan.mouth), _rolling(p)) for p in (5, 95))
    is_loud = scan.level_db > np.maximum(_percentile(scan, 95) - _LOUD_DB, config.silence_db)
    share = in_shots(scan, is_loud.astype(np.float32), lambda x: uniform_filter1d(x, _WINDOW, mode="nearest"))
    bad = (high - low < config.min_mouth) & (share > _LOUD_SHARE) & spread(scan, _has_face(scan, config))
    return bad, high - low, config.min_mouth


FILTERS: dict[str, Callable] = {
    judge.__name__: judge
    for judge in (
        *(low_fps, black, frozen, cut, no_face, two_people, face_at_edge, face_small, turned_away, unsteady),
        *(body_hidden, no_hands, silence, quiet, clipped, noise, other_voice),
    )
}
"""Reason code -> (scan, config) -> (is_bad (T,), value (T,), limit)."""


def shots(scan: Scan) -> list[slice]:
    """The frames of every shot, in order."""
    edges = [0, *np.flatnonzero(scan.is_cut).tolist(), scan.num_frames]
    return [slice(a, b) for a, b in itertools.pairwise(edges) if b > a]


def in_shots(scan: Scan, values: np.ndarray, function: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """A function of a time series (T,), applied to every shot by itself."""
    return np.concatenate([function(values[shot]) for shot in shots(scan)])


def spread(scan: Scan, values: np.ndarray) -> np.ndarray:
    """(S,) values of the scanned frames to all (T,): each frame takes the nearest one, of its own shot if it can."""
    nearest = np.empty(scan.num_frames, np.int64)
    for shot in shots(scan):
        inside = np.flatnonzero((scan.at >= shot.start) & (scan.at < shot.stop))
        inside = inside if len(inside) else np.arange(len(scan.at))
        frames = np.arange(shot.start, shot.stop)
        after = np.clip(np.searchsorted(scan.at[inside], frames), 0, len(inside) - 1)
        before = np.maximum(after - 1, 0)
        is_before = np.abs(scan.at[inside][before] - frames) <= np.abs(scan.at[inside][after] - frames)
        nearest[shot] = inside[np.where(is_before, before, after)]
    return values[nearest]


def runs(is_on: np.ndarray) -> list[tuple[int, int]]:
    """(start, stop) of every run of True in (T,)."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], is_on.astype(np.int8), [0]])))
    return [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def run_lengths(is_on: np.ndarray) -> np.ndarray:
    """(T,) the length of the run of True that each frame lies in, 0 elsewhere."""
    lengths = np.zeros(len(is_on), np.float32)
    for start, stop in runs(is_on):
        lengths[start:stop] = stop - start
    return lengths


def lasting(is_bad: np.ndarray, config: PrepareConfig) -> np.ndarray:
    """(T,) without the runs that are no longer than `max_gap_s`."""
    return run_lengths(is_bad) > config.max_gap_s * FPS


def containing(is_on: np.ndarray, seeds: np.ndarray) -> np.ndarray:
    """(T,) the runs of `is_on` in which a seed lies."""
    kept = np.zeros(len(is_on), bool)
    for start, stop in runs(is_on):
        kept[start:stop] = seeds[start:stop].any()
    return kept


def head_turn(points: np.ndarray) -> np.ndarray:
    """(S,) how far the nose's tip is off the middle between the ears, in face widths; 0 where there is no face."""
    nose, right, left = (points[:, k, 0] for k in (_NOSE_TIP, _RIGHT_EAR, _LEFT_EAR))
    width = np.abs(left - right)
    return np.where(width > 0, np.abs(nose - (left + right) / 2) / np.maximum(width, 1e-3), 0.0)


def _has_face(scan: Scan, config: PrepareConfig) -> np.ndarray:
    return scan.scores[:, FACE].mean(1) >= config.min_face_score


def _percentile(scan: Scan, percent: float, *, size: int = _WINDOW) -> np.ndarray:
    return in_shots(scan, scan.level_db, _rolling(percent, size=size))


def _rolling(percent: float, *, size: int = _WINDOW) -> Callable[[np.ndarray], np.ndarray]:
    return lambda x: percentile_filter(x, percent, size=min(size, len(x)), mode="nearest")


def _all(scan: Scan, value: float) -> np.ndarray:
    return np.full(scan.num_frames, value)
