"""DWPose through ONNX Runtime: YOLOX finds the people, a SimCC network reads 133 whole-body keypoints of each.

Scores are the smaller of the two maxima of a point's SimCC distributions: not calibrated and not capped, so they are
clamped to [0, 1] here, before any threshold sees them. They fall with blur and occlusion, point by point.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from paha.errors import PahaError
from paha.extractors.mediapipe_points import face_boxes, mouth_gap
from paha.extractors.pose import PoseTrack
from paha.extractors.weights import weight
from paha.runtime.faults import is_want_of_memory
from paha.types import NUM_KEYPOINTS, Keypoints

_MEAN = np.array([123.675, 116.28, 103.53], np.float32)
_STD = np.array([58.395, 57.12, 57.375], np.float32)
_BOX_GROW = 1.25
_PAD_VALUE = 114
_STRIDES = (8, 16, 32)
_PERSON, _PERSON_SCORE, _NMS_OVERLAP = 0, 0.3, 0.45


class DWPose:
    """Pose of photographed people. Use `load`."""

    def __init__(self, detector: Any, pose: Any) -> None:
        self._detector, self._pose = detector, pose

    @classmethod
    def load(cls, *, detector: Path | None = None, pose: Path | None = None, threads: int = 0) -> DWPose:
        """From ONNX files, the registered ones by default (fetched where missing). threads: 0 is all cores.

        Raises PahaError where onnxruntime is missing, or a file is missing, damaged or another network.
        """
        return cls(
            _session(detector or weight("dwpose-detector"), threads, outputs=1),
            _session(pose or weight("dwpose-pose"), threads, outputs=2),
        )

    def detect(self, frames: np.ndarray) -> PoseTrack:
        """Pose of frames (T, H, W, 3) uint8, in their pixels; where several people are seen, of the largest.

        Where nobody is found, points and scores are 0. face_box and mouth_open as MediaPipePose gives them.
        """
        if frames.ndim != 4 or frames.shape[-1] != 3 or frames.dtype != np.uint8 or not frames.size:
            raise ValueError(f"frames must be uint8 (T, H, W, 3), not {frames.dtype} {frames.shape}")
        points = np.zeros((len(frames), NUM_KEYPOINTS, 2), np.float32)
        scores = np.zeros((len(frames), NUM_KEYPOINTS), np.float32)
        for t, frame in enumerate(frames):
            people = self.find_people(frame)
            if len(people):
                areas = (people[:, 2] - people[:, 0]) * (people[:, 3] - people[:, 1])
                points[t], scores[t] = self._read(frame, people[areas.argmax(), :4])
        height, width = frames.shape[1:3]
        scores[(points < 0).any(-1) | (points[..., 0] >= width) | (points[..., 1] >= height)] = 0
        return PoseTrack(Keypoints(points, scores), face_boxes(points, scores), mouth_gap(points, scores))

    def find_people(self, frame: np.ndarray) -> np.ndarray:
        """Boxes of the people in a frame (H, W, 3) uint8: (N, 5) float32, x0 y0 x1 y1 in pixels and score."""
        side = int(self._detector.get_inputs()[0].shape[-1])
        picture, scale = letterbox(frame, side)
        inputs = picture[..., ::-1].transpose(2, 0, 1)[None].astype(np.float32)  # YOLOX wants BGR, not normalised
        raw = _run(self._detector, inputs)[0][0]
        return decode_yolox(raw, side=side, scale=scale)

    def _read(self, frame: np.ndarray, box: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        height, width = (int(n) for n in self._pose.get_inputs()[0].shape[-2:])
        matrix = crop_matrix(box, width=width, height=height)
        import cv2

        crop = cv2.warpAffine(frame, matrix, (width, height), flags=cv2.INTER_LINEAR).astype(np.float32)
        inputs = ((crop - _MEAN) / _STD).transpose(2, 0, 1)[None]
        simcc_x, simcc_y = _run(self._pose, np.ascontiguousarray(inputs))
        places, scores = decode_simcc(simcc_x[0], simcc_y[0])
        # The centre of crop pixel (0, 0) is at 0 for the network; ours is at +0.5.
        points = (places - matrix[:, 2]) @ np.linalg.inv(matrix[:, :2]).T + 0.5
        return points.astype(np.float32), scores


def letterbox(frame: np.ndarray, side: int) -> tuple[np.ndarray, float]:
    """A frame (H, W, 3) uint8 shrunk or grown into the top left of a grey (side, side, 3) square, and the scale."""
    import cv2

    height, width = frame.shape[:2]
    scale = min(side / height, side / width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    picture = np.full((side, side, 3), _PAD_VALUE, np.uint8)
    picture[: size[1], : size[0]] = cv2.resize(frame, size, interpolation=cv2.INTER_LINEAR)
    return picture, scale


def decode_yolox(raw: np.ndarray, *, side: int, scale: float) -> np.ndarray:
    """People (N, 5), x0 y0 x1 y1 px of the frame and score, best first, out of YOLOX's raw output (cells, 5 + classes).

    A row is offset to its cell, logarithm of the size in strides, objectness, class scores. Overlapping boxes of lower
    score are dropped.
    """
    grids, strides = [], []
    for stride in _STRIDES:
        n = side // stride
        y, x = np.mgrid[:n, :n]
        grids.append(np.stack([x, y], -1).reshape(-1, 2))
        strides.append(np.full((n * n, 1), stride))
    grid, stride_of = np.concatenate(grids), np.concatenate(strides)
    centre, size = (raw[:, :2] + grid) * stride_of, np.exp(raw[:, 2:4]) * stride_of
    score = raw[:, 4] * raw[:, 5 + _PERSON]
    boxes = np.concatenate([centre - size / 2, centre + size / 2], axis=1) / scale
    kept = score > _PERSON_SCORE
    people = np.concatenate([boxes, score[:, None]], axis=1)[kept].astype(np.float32)
    return _without_overlaps(people[np.argsort(-people[:, 4], kind="stable")])


def crop_matrix(box: np.ndarray, *, width: int, height: int) -> np.ndarray:
    """(2, 3) affine map from frame pixels to the network's crop: the grown box about its centre, whole."""
    centre, size = (box[:2] + box[2:]) / 2, (box[2:] - box[:2]) * _BOX_GROW
    scale = min(width / max(float(size[0]), 1e-3), height / max(float(size[1]), 1e-3))
    shift = np.array([width / 2, height / 2]) - centre * scale
    return np.array([[scale, 0, shift[0]], [0, scale, shift[1]]], np.float64)


def decode_simcc(simcc_x: np.ndarray, simcc_y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """SimCC (133, 2W) and (133, 2H) to places (133, 2) in crop pixels and scores (133,) in [0, 1].

    The distributions have two bins a pixel. A score is the smaller of the two maxima, clamped.
    """
    places = np.stack([simcc_x.argmax(1), simcc_y.argmax(1)], axis=1) / 2.0
    scores = np.minimum(simcc_x.max(1), simcc_y.max(1))
    return places, np.clip(scores, 0, 1).astype(np.float32)


def _without_overlaps(people: np.ndarray) -> np.ndarray:
    kept: list[np.ndarray] = []
    for person in people:
        if all(_overlap(person, other) < _NMS_OVERLAP for other in kept):
            kept.append(person)
    return np.array(kept, np.float32).reshape(-1, 5)


def _overlap(a: np.ndarray, b: np.ndarray) -> float:
    shared = float(np.prod(np.maximum(np.minimum(a[2:4], b[2:4]) - np.maximum(a[:2], b[:2]), 0)))
    total = float(np.prod(a[2:4] - a[:2]) + np.prod(b[2:4] - b[:2])) - shared
    return shared / total if total > 0 else 0.0


def _session(path: Path, threads: int, *, outputs: int) -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise PahaError(f"onnxruntime is not there ({error}); pip install 'paha[extract]'") from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    providers = [name for name in ("CUDAExecutionProvider",) if name in onnxruntime.get_available_providers()]
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=[*providers, "CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's own types are not public
        if is_want_of_memory(error):
            raise
        raise PahaError(f"cannot load {path}: {str(error).splitlines()[0]}; fetch it again") from error
    if len(session.get_outputs()) != outputs or len(session.get_inputs()) != 1:
        raise PahaError(
            f"{path} is another network: {len(session.get_outputs())} outputs, not {outputs}; fetch it again"
        )
    return session


def _run(session: Any, inputs: np.ndarray) -> Sequence[np.ndarray]:
    return session.run(None, {session.get_inputs()[0].name: inputs})
