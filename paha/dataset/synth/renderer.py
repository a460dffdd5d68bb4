"""Draws frames of a character from rig signals, with exact keypoints, face box and background mask."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from paha.dataset.synth.background import draw_background
from paha.dataset.synth.body import ArmPose, limb_matrix, torso_matrix
from paha.dataset.synth.character import Character
from paha.dataset.synth.clothes import draw_torso
from paha.dataset.synth.drawing import Layer, blend, bounds, warp_over
from paha.dataset.synth.face import JAW_DROP, jaw_fall
from paha.dataset.synth.face_drawing import FacePainter
from paha.dataset.synth.hand_drawing import HandPainter
from paha.dataset.synth.head import draw_head
from paha.dataset.synth.head_warp import HeadWarp, rotation
from paha.dataset.synth.keypoints import SIDE, layout_points, layout_scores
from paha.dataset.synth.layout import Layout, LayoutSolver
from paha.dataset.synth.signals import RigSignals
from paha.dataset.synth.sleeves import FOREARM, UPPER_ARM, draw_forearm, draw_upper_arm
from paha.errors import PahaError

SUPERSAMPLING = 2
MIN_SIZE = 32


@dataclass(frozen=True)
class RenderedFrame:
    """One frame and its truth.

    image: (S, S, 3) uint8 RGB. points: (133, 2) float32 COCO-WholeBody keypoints in pixels, pixel centres at +0.5.
    scores: (133,) float32 confidences in [0, 1], 0 out of the frame. face_box: (4,) float32 x0 y0 x1 y1 in pixels.
    background: (S, S) bool, True where only the background is seen.
    """

    image: np.ndarray
    points: np.ndarray
    scores: np.ndarray
    face_box: np.ndarray
    background: np.ndarray


@dataclass(frozen=True)
class Texture:
    """A uint8 RGBA picture, the unit coordinate of its corner and its pixels per unit."""

    picture: np.ndarray
    low: np.ndarray
    scale: float

    @classmethod
    def from_layer(cls, layer: Layer) -> Texture:
        """The part of a layer that is not empty."""
        y0, y1, x0, x1 = bounds(layer.rgba[..., 3] > 0.002)
        return cls(
            np.ascontiguousarray(layer.to_uint8()[y0:y1, x0:x1]),
            layer.origin + np.array([x0, y0]) / layer.scale,
            layer.scale,
        )


def _untouched(alpha: np.ndarray) -> np.ndarray:
    """(S, S) bool from alpha (2S, 2S): pixels that no part of the presenter touches at all."""
    rows = alpha[0::2] | alpha[1::2]
    return (rows[:, 0::2] | rows[:, 1::2]) == 0


class Renderer:
    """Draws one character at `size` x `size` pixels. Frames depend on the character, the rig and t only."""

    def __init__(self, character: Character, size: int = 128) -> None:
        if size < MIN_SIZE:
            raise PahaError(f"size {size}: presenters are drawn at {MIN_SIZE} pixels or more")
        self.character, self.size = character, size
        self.zoom = size * SUPERSAMPLING / SIDE
        self.solver = LayoutSolver(character)
        self._prepare_head()
        self._prepare_body()
        pixels = size * SUPERSAMPLING
        backdrop = draw_background(character.backdrop, pixels=pixels)
        self.background = np.dstack([backdrop, np.zeros((pixels, pixels), dtype=np.uint8)])

    def _prepare_head(self) -> None:
        character = self.character
        height = character.framing.face_height
        scale = height * self.zoom
        textures = draw_head(character, scale=scale)
        front_over_skin = Layer(low=(0, 0), high=(1, 1), scale=1)
        front_over_skin.rgba = np.maximum(textures.skin.rgba, textures.front.rgba)
        y0, y1, x0, x1 = bounds(front_over_skin.rgba[..., 3] > 0.002, margin=4)
        low = textures.skin.origin + np.array([x0, y0]) / scale
        self.head_low, self.head_scale = low, scale
        self.skin = np.ascontiguousarray(textures.skin.to_uint8()[y0:y1, x0:x1])
        self.front = textures.front.to_uint8()[y0:y1, x0:x1]
        self.front_box = bounds(self.front[..., 3])
        self.head_warp = HeadWarp(low=low, size=self.skin.shape[:2], scale=scale, zoom=self.zoom, height=height)
        self.back = Texture.from_layer(textures.back) if textures.back.rgba.any() else None
        self.face_painter = FacePainter(character, scale=scale)
        self._prepare_jaw()

    def _prepare_jaw(self) -> None:
        """Rows of the head's texture that the jaw moves, and by how much at jaw 1."""
        rows = np.arange(len(self.skin), dtype=np.float32)
        y = self.head_low[1] + (rows + 0.5) / self.head_scale
        fall = jaw_fall(y) * JAW_DROP * self.head_scale
        moved = np.flatnonzero(fall > 0)
        self.jaw_rows = slice(int(moved[0]), int(moved[-1]) + 1)
        self.jaw_fall = fall[self.jaw_rows, None]
        shape = (len(self.jaw_fall), self.skin.shape[1])
        self.jaw_x = np.broadcast_to(np.arange(shape[1], dtype=np.float32), shape).copy()
        self.jaw_y = np.broadcast_to(rows[self.jaw_rows, None], shape)

    def _prepare_body(self) -> None:
        character = self.character
        scale = character.shoulder_width * self.zoom
        self.torso = Texture.from_layer(draw_torso(character, scale=scale))
        self.upper_arms = {s: Texture.from_layer(draw_upper_arm(character, scale=scale, side=s)) for s in (-1, 1)}
        self.forearms = {s: Texture.from_layer(draw_forearm(character, scale=scale, side=s)) for s in (-1, 1)}
        self.hand_painter = HandPainter(character)

    def draw(self, rig: RigSignals, t: int) -> RenderedFrame:
        """Frame t of the rig. Speeds, which lower confidences, are taken from frame t - 1 to t."""
        if not 0 <= t < len(rig):
            raise PahaError(f"frame {t}: the rig has frames 0 to {len(rig) - 1}")
        before = self.solver.solve(rig, max(t - 1, 0))
        layout = self.solver.solve(rig, t)
        points = layout_points(layout, frame=self.solver.frame)
        previous = layout_points(before, frame=self.solver.frame)
        scores = layout_scores(layout, points, previous, character=self.character, frame=self.solver.frame)
        image, background = self._paint(layout)
        ratio = self.size / SIDE
        return RenderedFrame(
            image=image,
            points=(points * ratio).astype(np.float32),
            scores=scores.astype(np.float32),
            face_box=self._face_box(layout) * np.float32(ratio),
            background=background,
        )

    def _face_box(self, layout: Layout) -> np.ndarray:
        """Tight box of the face, brows to chin and ear to ear, within the frame."""
        points = np.concatenate([layout.landmarks, layout.ears])
        return np.clip(np.concatenate([points.min(0), points.max(0)]), 0, SIDE).astype(np.float32)

    def _paint(self, layout: Layout) -> tuple[np.ndarray, np.ndarray]:
        frame = self.background.copy()
        self._paint_back_hair(frame, layout)
        frame_of = self.solver.frame
        matrix = torso_matrix(frame_of, low=self.torso.low, scale=self.torso.scale, zoom=self.zoom, lift=layout.lift)
        warp_over(frame, self.torso.picture, matrix)
        self._paint_head(frame, layout)
        front = int(np.argmax([hand.joints[:, 2].mean() for hand in layout.hands]))
        for index in (1 - front, front):
            self._paint_arm(frame, layout.arms[index])
            hand = layout.hands[index]
            if hand.joints[:, 1].min() < SIDE + 2:
                self.hand_painter.draw(frame, hand, zoom=self.zoom)
        small = cv2.resize(frame, (self.size, self.size), interpolation=cv2.INTER_AREA)
        return cv2.cvtColor(small, cv2.COLOR_RGBA2RGB), _untouched(frame[..., 3])

    def _paint_back_hair(self, frame: np.ndarray, layout: Layout) -> None:
        """Hair behind the neck rolls with the head and moves a little against its turn."""
        if self.back is None:
            return
        head, height = layout.head, self.character.framing.face_height
        turn = rotation(head.roll)
        linear = turn * (height * self.zoom / self.back.scale)
        corner = self.back.low - np.array([0.0, 0.5]) - 0.2 * head.turn
        offset = (head.pivot + turn @ corner * height) * self.zoom
        warp_over(frame, self.back.picture, np.concatenate([linear, offset[:, None]], 1))

    def _paint_head(self, frame: np.ndarray, layout: Layout) -> None:
        picture = self.skin.copy()
        if layout.face.jaw > 0.01:
            source = (self.jaw_y - layout.face.jaw * self.jaw_fall).astype(np.float32)
            picture[self.jaw_rows] = cv2.remap(self.skin, self.jaw_x, source, cv2.INTER_LINEAR)
        self.face_painter.draw(picture, layout.face, origin=self.head_low)
        y0, y1, x0, x1 = self.front_box
        blend(picture[y0:y1, x0:x1], self.front[y0:y1, x0:x1])
        turned = self.head_warp.warp(picture, layout.head, side=frame.shape[0])
        if turned is not None:
            patch, (x, y) = turned
            blend(frame[y : y + patch.shape[0], x : x + patch.shape[1]], patch)

    def _paint_arm(self, frame: np.ndarray, arm: ArmPose) -> None:
        joints = self.solver.frame.to_frame(np.stack([arm.shoulder, arm.elbow, arm.wrist])) * self.zoom
        unit = self.solver.frame.unit * self.zoom
        for texture, (start, end), length in (
            (self.upper_arms[arm.side], joints[:2], UPPER_ARM),
            (self.forearms[arm.side], joints[1:], FOREARM),
        ):
            matrix = limb_matrix(start, end, length=length, low=texture.low, scale=texture.scale, unit=unit)
            warp_over(frame, texture.picture, matrix)
