"""Batches for PersonNet and FaceFinder: scenes of one person or more, moved, and changed as photographs are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor

from paha.motion.crops import Square
from paha.motion.keypoint_estimator import FINDER_SIZE, FINDER_STRIDE, PERSON_SIZE
from paha.motion.person_crop import person_square
from paha.training.motion.estimator_examples import Example
from paha.training.motion.face_batches import to_network
from paha.training.motion.photo_changes import change_photo
from paha.training.motion.scenes import Scene, draw_scene, move_boxes, move_points, turned_matrix, warp_picture

_FINDER_CELLS = FINDER_SIZE // FINDER_STRIDE
_MIN_FACE = 0.035
"""Smallest height of a face that FaceFinder must find, as a share of its picture."""


@dataclass(frozen=True)
class PersonBatch:
    """pixels: (N, 4, 160, 160) in [-1, 1]. points: (N, 65, 2) in [0, 1]. scores: (N, 65). mask: (N, 80, 80)."""

    pixels: Tensor
    points: Tensor
    scores: Tensor
    mask: Tensor


@dataclass(frozen=True)
class FinderBatch:
    """pixels: (N, 3, 160, 160) in [-1, 1]. heat: (N, h, w), 1 at a face's middle, falling off, -1 where it does not
    count. boxes: (N, 4, h, w), as FoundFaces has them, where heat is 1."""

    pixels: Tensor
    heat: Tensor
    boxes: Tensor


class Drawer:
    """Draws scenes, those with hands more often than others."""

    def __init__(self, examples: Sequence[Example]) -> None:
        self.examples = examples
        weight = np.array([example.weight for example in examples])
        self.chances = weight / weight.sum()

    def scene(self, rng: np.random.Generator) -> Scene:
        """One scene."""
        chosen = int(rng.choice(len(self.examples), p=self.chances))
        return draw_scene(self.examples[chosen], self.examples, rng)


def draw_people(drawer: Drawer, count: int, *, rng: np.random.Generator) -> PersonBatch:
    """A random batch of person crops."""
    parts = [_person(drawer.scene(rng), rng) for _ in range(count)]
    pixels, points, scores, mask = (np.stack(part) for part in zip(*parts, strict=True))
    truth = (torch.from_numpy(part.astype(np.float32)) for part in (points, scores, mask))
    return PersonBatch(to_network(pixels), *truth)


def _person(scene: Scene, rng: np.random.Generator):
    face = scene.faces[0]
    height = face[3] - face[1]
    jitter = face + np.tile(rng.normal(0, 0.06, 2), 2) * height + rng.normal(0, 0.03, 4) * height
    square = person_square(jitter, scene.image.shape[:2])
    centre = square.corner + square.side / 2 + rng.normal(0, 0.03, 2) * square.side
    square = Square.at(centre, square.side * float(np.exp(rng.normal(0.03, 0.1))))
    matrix = turned_matrix(square, PERSON_SIZE, float(rng.normal(0, 6)))
    image = change_photo(warp_picture(scene.image, matrix, PERSON_SIZE), rng)
    mask = warp_picture(scene.mask, matrix, PERSON_SIZE)
    marked = np.zeros((PERSON_SIZE, PERSON_SIZE, 1), np.uint8)
    box = np.clip(move_boxes(jitter[None], matrix)[0], 0, PERSON_SIZE).astype(int)
    marked[box[1] : box[3], box[0] : box[2]] = 255
    points = move_points(scene.points, matrix) / PERSON_SIZE
    inside = ((points > 0) & (points < 1)).all(1)
    small = cv2.resize(mask, (PERSON_SIZE // 2,) * 2, interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    return np.concatenate([image, marked], 2), points, scene.scores * inside, small


def draw_pictures(drawer: Drawer, count: int, *, rng: np.random.Generator) -> FinderBatch:
    """A random batch of whole pictures: one scene, or two or four beside each other, or much smaller than the frame."""
    parts = [_picture(drawer, rng) for _ in range(count)]
    pixels, heat, boxes = (np.stack(part) for part in zip(*parts, strict=True))
    return FinderBatch(to_network(pixels), torch.from_numpy(heat), torch.from_numpy(boxes))


def _picture(drawer: Drawer, rng: np.random.Generator):
    canvas = np.empty((FINDER_SIZE, FINDER_SIZE, 3), np.uint8)
    canvas[:] = rng.integers(0, 256, 3) if rng.random() < 0.4 else 0
    faces: list[np.ndarray] = []
    layout = rng.choice(4, p=[0.5, 0.2, 0.15, 0.15])
    places = ([(0, 0, 1)], [(0, 0, 0.5), (0.5, 0, 0.5)], [(0, 0, 0.5), (0.5, 0, 0.5), (0, 0.5, 0.5), (0.5, 0.5, 0.5)])
    cells = [(*rng.uniform(0, 0.6, 2), rng.uniform(0.25, 0.7))] if layout == 3 else places[layout]
    for x, y, side in cells:
        _paste_scene(canvas, faces, drawer.scene(rng), np.array([x, y]) * FINDER_SIZE, side * FINDER_SIZE, rng)
    heat, boxes = finder_truth(np.array(faces, np.float32).reshape(-1, 4) / FINDER_STRIDE)
    return change_photo(canvas, rng), heat, boxes


def _paste_scene(canvas, faces: list[np.ndarray], scene: Scene, corner, side: float, rng: np.random.Generator) -> None:
    """A scene into a square of the canvas (corner, side px), moved a little; adds the faces that are seen."""
    square = Square.around_all(scene.image.shape[:2])
    centre = square.corner + square.side / 2 + rng.normal(0, 0.08, 2) * square.side
    square = Square.at(centre, square.side * float(np.exp(rng.normal(0, 0.2))))
    matrix = turned_matrix(square, round(side), float(rng.normal(0, 10)))
    part = warp_picture(scene.image, matrix, round(side))
    x, y = corner.astype(int)
    fits = canvas[y : y + part.shape[0], x : x + part.shape[1]]
    fits[:] = part[: fits.shape[0], : fits.shape[1]]
    for box in move_boxes(scene.faces, matrix):
        middle = (box[:2] + box[2:]) / 2
        if ((middle > 0) & (middle < fits.shape[1::-1])).all():
            faces.append(box + np.tile(corner, 2))


def finder_truth(faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """heat (h, w) and boxes (4, h, w) of face boxes (N, 4) in cells: `FinderBatch`."""
    n = _FINDER_CELLS
    heat, boxes = np.zeros((n, n), np.float32), np.zeros((4, n, n), np.float32)
    rows, columns = np.mgrid[:n, :n] + 0.5
    for box in faces:
        middle, size = (box[:2] + box[2:]) / 2, box[2:] - box[:2]
        spread = max(0.5, 0.12 * float(size.max()))
        blob = np.exp(-((columns - middle[0]) ** 2 + (rows - middle[1]) ** 2) / (2 * spread**2))
        column, row = np.clip(middle.astype(int), 0, n - 1)
        if size[1] < _MIN_FACE * n:
            heat[blob > 0.1] = -1
            continue
        heat = np.maximum(heat, np.where(heat < 0, heat, np.minimum(blob, 0.95)))
        heat[row, column] = 1
        boxes[:, row, column] = [*(middle - [column + 0.5, row + 0.5]), *np.log(size)]
    return heat, boxes
