"""Sync-C and Sync-D (B.5, [51]): SyncNet's confidence that lips and sound belong together, by its own protocol.

Windows of 5 frames and of 20 cepstra, one a frame; for every shift from -15 to 15 frames the mean distance over the
clip; Sync-D is the least of the 31 means, Sync-C their median less the least.

Legend: T frames, V windows (T - 5), F embedding width.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from paha.evaluation.metrics.keypoints import MIN_SCORE
from paha.evaluation.metrics.mfcc import MFCC_RATE_HZ, mfcc
from paha.evaluation.metrics.regions import cut
from paha.types import FACE, FPS, SAMPLE_RATE_HZ, Keypoints

if TYPE_CHECKING:
    from torch import Tensor

WINDOW_FRAMES = 5
CEPSTRA_PER_FRAME = MFCC_RATE_HZ // FPS
CROP_SIDE = 224
PAD_VALUE = 110.0
_BATCH = 16


@dataclass(frozen=True)
class SyncProtocol:
    """What the scores depend on. max_shift: frames each way. crop_scale: of the square about the face.

    min_track: frames that a face must be seen in a row (100 in the original, which no clip of 4 s at 25 fps exceeds).
    min_face: pixels of the box's longer side; smaller faces give no score (100 in the original; faces are enlarged to
    the network's 224 px in any case). grow_up: the box is made so much higher at the top, as S3FD's boxes hold the
    forehead, and those of our extractors end at the brows.
    """

    max_shift: int = 15
    crop_scale: float = 0.4
    smoothing_frames: int = 13
    min_track: int = 50
    min_face: float = 24.0
    grow_up: float = 0.3


@dataclass(frozen=True)
class SyncScore:
    """confidence: Sync-C. distance: Sync-D. offset: frames by which the picture is late (the best shift)."""

    confidence: float
    distance: float
    offset: int


class Embedder(Protocol):
    """The two encoders, SyncNet or one of its form."""

    def embed_lips(self, frames: Tensor) -> Tensor:
        """(N, 3, 5, 224, 224) to (N, F)."""
        ...

    def embed_sound(self, cepstra: Tensor) -> Tensor:
        """(N, 1, 13, 20) to (N, F)."""
        ...


def sync_score(lips_VF: np.ndarray, sound_VF: np.ndarray, *, max_shift: int = 15) -> SyncScore:
    """Scores of embedded windows; zeros beyond the sound's ends, as in the original. Needs one window each."""
    import torch

    count = min(len(lips_VF), len(sound_VF))
    lips, sound = torch.from_numpy(lips_VF[:count]).float(), torch.from_numpy(sound_VF[:count]).float()
    padded = torch.nn.functional.pad(sound, (0, 0, max_shift, max_shift))
    shifted = [padded[k : k + count] for k in range(2 * max_shift + 1)]
    means = torch.stack([torch.nn.functional.pairwise_distance(lips, other).mean() for other in shifted])
    best = int(means.argmin())
    return SyncScore(float(means.median() - means[best]), float(means[best]), max_shift - best)


def embed_sound(model: Embedder, mono: np.ndarray, num_frames: int) -> np.ndarray:
    """Embeddings (V, F) of a clip's speech (M,) at 16 kHz, of the windows that `num_frames` frames of video have."""
    import torch

    cepstra = torch.from_numpy(mfcc(mono)).float().T[None, None]
    count = min(num_frames, len(mono) * FPS // SAMPLE_RATE_HZ) - WINDOW_FRAMES
    width = WINDOW_FRAMES * CEPSTRA_PER_FRAME
    count = min(count, (cepstra.shape[-1] - width) // CEPSTRA_PER_FRAME + 1)
    windows = [cepstra[..., CEPSTRA_PER_FRAME * k : CEPSTRA_PER_FRAME * k + width] for k in range(max(0, count))]
    return _embed(model.embed_sound, windows)


def embed_lips(model: Embedder, faces: np.ndarray) -> np.ndarray:
    """Embeddings (V, F) of face crops (T, 224, 224, 3) uint8 RGB, V = T - 5."""
    import torch

    # Raw BGR values, as the original reads them with OpenCV.
    x = torch.from_numpy(np.ascontiguousarray(faces[..., ::-1])).permute(3, 0, 1, 2)[None]
    return _embed(model.embed_lips, [x[:, :, k : k + WINDOW_FRAMES] for k in range(len(faces) - WINDOW_FRAMES)])


def _embed(encoder, windows: list[Tensor]) -> np.ndarray:
    import torch

    with torch.no_grad():
        parts = [encoder(torch.cat(windows[i : i + _BATCH]).float()) for i in range(0, len(windows), _BATCH)]
    return torch.cat(parts).cpu().numpy() if parts else np.zeros((0, 1), np.float32)


def face_track(keypoints: Keypoints, face_box: np.ndarray, protocol: SyncProtocol) -> tuple[slice, str]:
    """The longest run of frames with a seen face, or an empty one and the reason why the clip has no score."""
    seen = keypoints.scores[:, FACE].mean(1) >= MIN_SCORE
    edges = np.flatnonzero(np.diff(np.concatenate([[False], seen, [False]]))).reshape(-1, 2)
    if not len(edges):
        return slice(0, 0), "no face was seen"
    start, stop = max(edges.tolist(), key=lambda run: run[1] - run[0])
    if stop - start < protocol.min_track:
        return slice(0, 0), f"no face track of {protocol.min_track} frames (the longest has {stop - start})"
    sides = (face_box[start:stop, 2:] - face_box[start:stop, :2]).max(1)
    if sides.mean() < protocol.min_face:
        return slice(0, 0), f"the face is {sides.mean():.0f} px large, below {protocol.min_face:g}"
    return slice(start, stop), ""


def crop_boxes(face_box: np.ndarray, protocol: SyncProtocol) -> np.ndarray:
    """Squares (T, 4) px that SyncNet sees: from s above the middle to 1.8 s below it, 1.4 s to the sides, s half the
    longer side of the box; all smoothed by a median over 13 frames."""
    from scipy.ndimage import median_filter

    top = face_box[:, 1] - protocol.grow_up * (face_box[:, 3] - face_box[:, 1])
    width, height = face_box[:, 2] - face_box[:, 0], face_box[:, 3] - top
    kernel = min(protocol.smoothing_frames, len(face_box) - 1 + len(face_box) % 2)
    half, x, y = (
        median_filter(values, kernel, mode="constant")
        for values in (np.maximum(width, height) / 2, (face_box[:, 0] + face_box[:, 2]) / 2, (top + face_box[:, 3]) / 2)
    )
    scale = protocol.crop_scale
    return np.stack([x - half * (1 + scale), y - half, x + half * (1 + scale), y + half * (1 + 2 * scale)], 1)


def crop_faces(frames: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """(T, 224, 224, 3) uint8 out of frames (T, H, W, 3); grey 110 beyond the frame."""
    pad = np.float32(PAD_VALUE)
    crops = [cut(frame - pad, box, side=CROP_SIDE) + pad for frame, box in zip(frames, boxes, strict=True)]
    return np.clip(np.rint(np.stack(crops)), 0, 255).astype(np.uint8)


def protocol_record(protocol: SyncProtocol, *, weights: str, extractor: str) -> dict[str, object]:
    """What stands beside the scores. weights: sha256. extractor: whose face boxes were used."""
    fixed = {"window_frames": WINDOW_FRAMES, "cepstra": 13, "cepstra_hz": MFCC_RATE_HZ, "crop_px": CROP_SIDE}
    return {**asdict(protocol), **fixed, "face_boxes": extractor, "weights_sha256": weights}
