"""Pictures of one person or more, put together from labelled ones: other backgrounds, other people beside them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from paha.motion.crops import Square
from paha.training.motion.estimator_examples import MIRRORED_PERSON, Example

_OTHER_BACKGROUND, _OTHER_PERSON, _IN_FRONT = 0.25, 0.3, 0.3


@dataclass(frozen=True)
class Scene:
    """A picture and what is true of it. image: (h, w, 3) uint8. mask: (h, w) uint8 of the first person. faces: (N, 4)
    boxes px, the first person's first. points: (65, 2) px and scores: (65,) of the first person."""

    image: np.ndarray
    mask: np.ndarray
    faces: np.ndarray
    points: np.ndarray
    scores: np.ndarray


def draw_scene(example: Example, others: Sequence[Example], rng: np.random.Generator) -> Scene:
    """The picture of an example, perhaps before another background, perhaps with somebody else beside the person."""
    scene = Scene(example.image, example.mask, example.faces, example.points, example.scores)
    if rng.random() < _OTHER_BACKGROUND:
        scene = _before_background(scene, others[int(rng.integers(len(others)))], rng)
    if rng.random() < _OTHER_PERSON:
        scene = _with_person(scene, others[int(rng.integers(len(others)))], rng)
    return _mirrored(scene) if rng.random() < 0.5 else scene


def _before_background(scene: Scene, other: Example, rng: np.random.Generator) -> Scene:
    """The first person alone before one colour, a gradient, or another picture's upper corner, blurred."""
    height, width = scene.image.shape[:2]
    if rng.random() < 0.5:
        ends = rng.integers(0, 256, (2, 2, 3)).astype(np.float32)
        back = cv2.resize(ends, (width, height), interpolation=cv2.INTER_LINEAR)
    else:
        free = other.image[: max(4, int(other.faces[0, 3])), : max(4, int(other.faces[:, 0].min()))]
        back = cv2.resize(free, (width, height), interpolation=cv2.INTER_LINEAR).astype(np.float32)
    alpha = (scene.mask.astype(np.float32) / 255)[..., None]
    image = (scene.image * alpha + back * (1 - alpha)).astype(np.uint8)
    return Scene(image, scene.mask, scene.faces[:1], scene.points, scene.scores)


def _with_person(scene: Scene, other: Example, rng: np.random.Generator) -> Scene:
    """Another person, cut out, beside the first one: behind or before."""
    height, width = scene.image.shape[:2]
    own_height = scene.faces[0, 3] - scene.faces[0, 1]
    factor = float(own_height / (other.faces[0, 3] - other.faces[0, 1]) * np.exp(rng.normal(-0.15, 0.25)))
    side = rng.choice([-1, 1]) * own_height * rng.uniform(1.3, 3.5)
    target = (scene.faces[0, :2] + scene.faces[0, 2:]) / 2 + np.array([side, own_height * rng.normal(0, 0.4)])
    source = (other.faces[0, :2] + other.faces[0, 2:]) / 2
    matrix = np.array([[factor, 0, target[0] - factor * source[0]], [0, factor, target[1] - factor * source[1]]])
    face = np.concatenate([matrix[:, :2] @ other.faces[0, k : k + 2] + matrix[:, 2] for k in (0, 2)])
    if not (0 < target[0] < width and 0 < target[1] < height):
        return scene
    cut = [cv2.warpAffine(part, matrix, (width, height)) for part in (other.image, other.mask)]
    alpha = cut[1].astype(np.float32) / 255
    in_front = bool(rng.random() < _IN_FRONT) and not _touch(face, scene.faces[0])
    own = scene.mask.astype(np.float32) / 255
    alpha = alpha if in_front else alpha * (1 - own)
    image = (scene.image * (1 - alpha[..., None]) + cut[0] * alpha[..., None]).astype(np.uint8)
    mask = (scene.mask * (1 - alpha)).astype(np.uint8) if in_front else scene.mask
    index = np.clip(scene.points.astype(int), 0, [width - 1, height - 1])
    hidden = alpha[index[:, 1], index[:, 0]] > 0.5
    scores = np.where(hidden & in_front, 0, scene.scores)
    kept = [box for box in scene.faces[1:] if not _touch(box, face)]
    if in_front or not _touch(face, scene.faces[0]):
        kept.append(face)
    return Scene(image, mask, np.stack([scene.faces[0], *kept]).astype(np.float32), scene.points, scores)


def _touch(a: np.ndarray, b: np.ndarray) -> bool:
    return bool((np.minimum(a[2:], b[2:]) > np.maximum(a[:2], b[:2])).all())


def _mirrored(scene: Scene) -> Scene:
    width = scene.image.shape[1]
    points = scene.points[MIRRORED_PERSON] * np.array([-1, 1], np.float32) + np.array([width, 0], np.float32)
    faces = np.stack([width - scene.faces[:, 2], scene.faces[:, 1], width - scene.faces[:, 0], scene.faces[:, 3]], 1)
    image, mask = (np.ascontiguousarray(part[:, ::-1]) for part in (scene.image, scene.mask))
    return Scene(image, mask, faces, points, scene.scores[MIRRORED_PERSON])


def turned_matrix(square: Square, size: int, degrees: float) -> np.ndarray:
    """(2, 3) from coordinates of a picture to those of the square at that size, turned about its middle."""
    factor = size / square.side
    centre = square.corner.astype(np.float64) + square.side / 2
    cos, sin = factor * np.cos(np.radians(degrees)), factor * np.sin(np.radians(degrees))
    linear = np.array([[cos, -sin], [sin, cos]])
    return np.concatenate([linear, (size / 2 - linear @ centre)[:, None]], 1)


def warp_picture(image: np.ndarray, matrix: np.ndarray, size: int) -> np.ndarray:
    """(size, size, ...) uint8 of a picture moved by a map of coordinates; black beyond it."""
    shrink = float(np.sqrt(abs(np.linalg.det(matrix[:, :2]))))
    matrix = matrix.copy()
    if shrink < 0.6:
        small = cv2.resize(image, None, fx=2 * shrink, fy=2 * shrink, interpolation=cv2.INTER_AREA)
        scale = np.array([image.shape[1] / small.shape[1], image.shape[0] / small.shape[0]])
        image, matrix[:, :2] = small, matrix[:, :2] * scale
    # OpenCV's indices are at pixel centres: index = coordinate - 0.5.
    matrix[:, 2] += matrix[:, :2] @ [0.5, 0.5] - 0.5
    return cv2.warpAffine(image, matrix, (size, size), flags=cv2.INTER_LINEAR)


def move_points(points: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Points (P, 2) moved by a map (2, 3)."""
    return points @ matrix[:, :2].T + matrix[:, 2]


def move_boxes(boxes: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Boxes (N, 4) moved and scaled by a map; they stay upright and keep their shape."""
    centre = move_points((boxes[:, :2] + boxes[:, 2:]) / 2, matrix)
    factor = float(np.sqrt(abs(np.linalg.det(matrix[:, :2]))))
    half = (boxes[:, 2:] - boxes[:, :2]) / 2 * factor
    return np.concatenate([centre - half, centre + half], 1)
