"""One video measured once: all that the metrics need of it, kept where an interrupted run finds it again.

Legend: T frames, S sampled frames, F width of a region's description, V SyncNet windows.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np

from paha.dataset.manifest import load_annotations
from paha.errors import PahaError
from paha.evaluation.metrics.appearance import aligned_face
from paha.evaluation.metrics.clips import Clip, speech
from paha.evaluation.metrics.instruments import Instruments
from paha.evaluation.metrics.keypoints import MIN_SCORE
from paha.evaluation.metrics.measured import Measured, MeasurementCache, load_measured, save_measured
from paha.evaluation.metrics.parts import mean_lab, mouth_opening
from paha.evaluation.metrics.regions import Boxes, describe, psnr_db, region_boxes, region_errors, region_masks
from paha.evaluation.metrics.sync import crop_boxes, crop_faces, embed_lips, embed_sound, face_track
from paha.extractors.pose import PoseTrack, join_tracks
from paha.extractors.weights import file_sha256
from paha.media.image_io import fit_image
from paha.media.video_io import iter_video
from paha.types import FACE, Keypoints

CHUNK = 64
"""Frames that are in memory at a time."""
NOISE = 20.0
"""Standard deviation, of values 0 to 255, of the noise on the row `noise`."""
COLOUR_SIDE = 192
"""Pixels of the shorter side that are enough for mean colours; of larger pictures every n-th pixel counts."""


def measured(
    clip: Clip,
    instruments: Instruments,
    path: Path,
    *,
    truth: Clip | None = None,
    truth_path: Path | None = None,
    variants: bool = False,
    cache: MeasurementCache | None = None,
) -> Measured:
    """The measurement of a clip, read from `path` if it is there and made of the same things, else made and kept.

    truth: the real clip of the pair, whose measurement lies at `truth_path`; `errors` are against it. variants: measure
    noisy, shuffled and frozen copies too, where they need the picture. cache: where it may lie as another evaluation
    left it, and is kept for the next one. Raises PahaError for a video or sound that cannot be read.
    """
    key = _key(clip, instruments, truth, variants=variants)
    kept = load_measured(path, key=key)
    if kept is not None:
        return kept
    made = None if cache is None else cache.find(key, clip_id=clip.clip_id)
    if made is None:
        true = None if truth_path is None else load_measured(truth_path)
        made = measure(clip, instruments, variants=variants, pair=(truth, true) if truth and true else None)
        if cache is not None:
            cache.keep(key, made)
    save_measured(path, made, key=key)
    return made


def _key(clip: Clip, instruments: Instruments, truth: Clip | None, *, variants: bool) -> str:
    """All that a measurement is made of: the instruments, the clip's picture, sound and exact keypoints, the pair's."""
    files = [clip.video, clip.audio]
    files += [truth.video] if truth else []
    if instruments.pose is None:
        files += [one.annotations for one in (clip, truth) if one is not None and one.annotations is not None]
    hashes = {file: file_sha256(file) for file in files if file.is_file()}  # sound may be the video itself, or missing
    return "/".join([instruments.key(), str(variants), *(hashes.get(file, "none") for file in files)])


def measure(
    clip: Clip, instruments: Instruments, *, variants: bool = False, pair: tuple[Clip, Measured] | None = None
) -> Measured:
    """Measure a video in one pass over its frames (SyncNet takes a second one). pair: the real clip and its
    measurement, which `errors` are against."""
    tracks: list[PoseTrack] = []
    look, reader, change = _Looks(instruments), instruments.pose or _ExactPose(clip), _Change()
    errors = None if pair is None else _Errors(*pair, every=instruments.every)
    window: list[np.ndarray] = []
    wanted, start, height, width = _fvd_frames(instruments), 0, 0, 0
    for frames in chunks(clip.video, side=instruments.size):
        height, width = frames.shape[1:3]
        track = reader.detect(frames)
        tracks.append(track)
        look.at(frames, track, start, variants=variants)
        change.add(frames)
        if errors is not None:
            errors.add(frames)
        if start < wanted:
            window.append(frames[: wanted - start])
        start += len(frames)
    track = join_tracks(tracks)
    lips, sound, no_sync = _sync(clip, track, instruments)
    fvd = _fvd(np.concatenate(window), instruments, variants=variants) if window else {}
    return Measured(
        clip.clip_id,
        height,
        width,
        track.keypoints,
        track.face_box,
        mouth_opening(track.keypoints, track.mouth_open),
        np.array(look.colours).reshape(-1, 2, 3),
        regions={name: np.concatenate(found) for name, found in look.regions.items()},
        region_at={name: np.array(at) for name, at in look.region_at.items()},
        noisy={name: np.concatenate(found) for name, found in look.noisy.items()},
        fvd=fvd,
        errors={} if errors is None else errors.means(),
        looks=look.joined() | ({} if track.expression is None else {"expression": track.expression}),
        flicker=change.mean(),
        lips=lips,
        sound=sound,
        no_sync=no_sync,
    )


class _ExactPose:
    """Hands out a clip's own keypoints instead of reading the frames; the last ones stay for frames beyond them."""

    def __init__(self, clip: Clip) -> None:
        if clip.annotations is None:
            raise PahaError(f"{clip.video} has no exact keypoints; choose an extractor with --pose")
        self._kept, self._video = load_annotations(clip.annotations), clip.video
        self._next = 0
        self._shape: tuple[int, ...] | None = None

    def detect(self, frames: np.ndarray) -> PoseTrack:
        """The keypoints of the next frames."""
        at = np.minimum(np.arange(self._next, self._next + len(frames)), len(self._kept.face_box) - 1)
        self._next += len(frames)
        keypoints, mouth = self._kept.keypoints, self._kept.rig.get("mouth_open")
        scale = np.array([frames.shape[2], frames.shape[1]], np.float32) / self._size()
        found = Keypoints(keypoints.points[at] * scale, keypoints.scores[at])
        return PoseTrack(found, self._kept.face_box[at] * np.tile(scale, 2), None if mouth is None else mouth[at])

    def _size(self) -> np.ndarray:
        if self._shape is None:
            self._shape = next(iter_video(self._video)).shape
        return np.array([self._shape[1], self._shape[0]], np.float32)


def chunks(video: Path, *, size: int = CHUNK, side: int | None = None) -> Iterator[np.ndarray]:
    """Frames (n, H, W, 3) of a video, up to `size` at a time. side: pixels of the shorter side; None: as it is."""
    held: list[np.ndarray] = []
    for frame in sized(video, side):
        held.append(frame)
        if len(held) == size:
            yield np.stack(held)
            held = []
    if held:
        yield np.stack(held)


def sized(video: Path, side: int | None) -> Iterator[np.ndarray]:
    """Frames (H, W, 3) of a video, the shorter side brought to `side`."""
    for frame in iter_video(video):
        scale = 1.0 if side is None else side / min(frame.shape[:2])
        width, height = (max(2, round(n * scale)) for n in (frame.shape[1], frame.shape[0]))
        yield fit_image(frame, width=width, height=height)


class _Change:
    """Mean absolute difference of neighbouring frames."""

    def __init__(self) -> None:
        self.total, self.count, self.last = 0.0, 0, np.zeros((0, 1, 1, 3), np.uint8)

    def add(self, frames: np.ndarray) -> None:
        for a, b in pairwise([*self.last, *frames]):
            self.total, self.count = self.total + float(np.mean(cv2.mean(cv2.absdiff(a, b))[:3])), self.count + 1
        self.last = frames[-1:]

    def mean(self) -> float | None:
        """None for a single frame."""
        return self.total / self.count if self.count else None


class _Looks:
    """Descriptions and colours of every n-th frame."""

    def __init__(self, instruments: Instruments) -> None:
        self.every, self.inception, self.arcface = instruments.every, instruments.inception, instruments.arcface
        self.features: dict[str, list[np.ndarray]] = {}
        self.colours: list[np.ndarray] = []
        self.regions: dict[str, list[np.ndarray]] = {}
        self.region_at: dict[str, list[int]] = {}
        self.noisy: dict[str, list[np.ndarray]] = {}

    def at(self, frames: np.ndarray, track: PoseTrack, start: int, *, variants: bool) -> None:
        boxes = region_boxes(track.keypoints, track.face_box, height=frames.shape[1])
        for k in range((-start) % self.every, len(frames), self.every):
            for name, found in describe(frames[k], boxes, k).items():
                self.regions.setdefault(name, []).append(found)
                self.region_at.setdefault(name, []).extend([start + k] * len(found))
            self.colours.append(_mean_colours(frames[k], boxes, k))
            self._features(frames[k : k + 1], track, k, noise_seed=start + k if variants else None)
            if variants:
                for name, found in describe(add_noise(frames[k], seed=start + k), boxes, k).items():
                    self.noisy.setdefault(name, []).append(found)

    def _features(self, frame: np.ndarray, track: PoseTrack, k: int, *, noise_seed: int | None) -> None:
        """Third parties' of one sampled frame (1, H, W, 3), with a noisy copy's where there is a seed."""
        if self.inception is not None:
            self.features.setdefault("inception", []).append(self.inception(frame))
            if noise_seed is not None:
                noisy = self.inception(add_noise(frame, seed=noise_seed))
                self.features.setdefault("inception_noise", []).append(noisy)
        seen = (track.keypoints.scores[k, FACE] >= MIN_SCORE).any()
        if self.arcface is not None and seen:
            face = aligned_face(frame[0], track.keypoints.points[k])
            self.features.setdefault("identity", []).append(self.arcface(face[None]))

    def joined(self) -> dict[str, np.ndarray]:
        """`Measured.looks` without the expression."""
        return {name: np.concatenate(found).astype(np.float32) for name, found in self.features.items()}


def add_noise(frames: np.ndarray, *, std: float = NOISE, seed: int = 0) -> np.ndarray:
    """uint8 frames with Gaussian noise of `std` on their values."""
    noise = np.random.default_rng(seed).normal(0, std, frames.shape)
    return np.clip(np.rint(frames + noise), 0, 255).astype(np.uint8)


def _mean_colours(frame: np.ndarray, boxes: Boxes, index: int) -> np.ndarray:
    masks = region_masks(boxes, index, height=frame.shape[0], width=frame.shape[1])
    step = max(1, min(frame.shape[:2]) // COLOUR_SIDE)
    frame, masks = frame[::step, ::step], {name: mask[::step, ::step] for name, mask in masks.items()}
    return np.stack(
        [mean_lab(frame[masks[name]]) if masks[name].any() else np.full(3, np.nan) for name in ("face", "background")]
    )


def _fvd_frames(instruments: Instruments) -> int:
    protocol = instruments.fvd_protocol
    span = (protocol.frames - 1) * protocol.stride + 1
    # All windows of a long video would not fit in memory: ten minutes are enough for anybody.
    return 0 if instruments.i3d is None else span * (protocol.windows_per_clip or 15_000 // span)


def _fvd(frames: np.ndarray, instruments: Instruments, *, variants: bool) -> dict[str, np.ndarray]:
    from paha.evaluation.metrics.fvd import fvd_features

    network, protocol = instruments.i3d, instruments.fvd_protocol
    assert network is not None
    copies = {"plain": frames}
    if variants:
        order = np.random.default_rng(0).permutation(len(frames))
        still = np.broadcast_to(frames[:1], frames.shape)
        copies |= {"shuffled": frames[order], "frozen": still, "noise": add_noise(frames)}
    return {name: fvd_features(network, copy, protocol) for name, copy in copies.items()}


def _sync(clip: Clip, track: PoseTrack, instruments: Instruments) -> tuple[np.ndarray, np.ndarray, str]:
    nothing = np.zeros((0, 1), np.float16)
    if instruments.syncnet is None:
        return nothing, nothing, instruments.absent.get("syncnet", "no SyncNet")
    part, reason = face_track(track.keypoints, track.face_box, instruments.sync_protocol)
    if reason:
        return nothing, nothing, reason
    mono = speech(clip)
    boxes, faces, start = crop_boxes(track.face_box[part], instruments.sync_protocol), [], 0
    for frames in chunks(clip.video, side=instruments.size):
        low, high = max(part.start - start, 0), min(part.stop - start, len(frames))
        if low < high:
            at = slice(start + low - part.start, start + high - part.start)
            faces.append(crop_faces(frames[low:high], boxes[at]))
        start += len(frames)
    sound = embed_sound(instruments.syncnet, mono[part.start * 640 :], part.stop - part.start)
    lips = embed_lips(instruments.syncnet, np.concatenate(faces))
    return lips.astype(np.float16), sound.astype(np.float16), ""


class _Errors:
    """PSNR in dB and SSIM of each region, over every n-th frame of both videos while both last.

    Regions are those of the real video. The generated one is brought to its size.
    """

    def __init__(self, truth: Clip, true: Measured, *, every: int) -> None:
        self.every, self.size, self.count = every, (true.width, true.height), len(true.face_box)
        self.boxes = region_boxes(true.keypoints, true.face_box, height=true.height)
        self.real, self.next = iter_video(truth.video, size=self.size, every=every), 0
        self.square: dict[str, list[float]] = {}
        self.similarity: dict[str, list[float]] = {}

    def add(self, frames: np.ndarray) -> None:
        """The generated video's next frames (n, H, W, 3)."""
        width, height = self.size
        first, self.next = self.next, self.next + len(frames)
        sampled = range(first + -first % self.every, min(self.next, self.count), self.every)
        for k, real in zip(sampled, self.real, strict=False):
            made = frames[k - first]
            masks = region_masks(self.boxes, k, height=height, width=width)
            for name, (error, like) in region_errors(real, fit_image(made, width=width, height=height), masks).items():
                self.square.setdefault(name, []).append(error)
                self.similarity.setdefault(name, []).append(like)

    def means(self) -> dict[str, np.ndarray]:
        """(2,) of each region that was seen."""
        pairs = {
            name: (psnr_db(float(np.mean(self.square[name]))), np.mean(self.similarity[name])) for name in self.square
        }
        return {name: np.array(pair) for name, pair in pairs.items()}
