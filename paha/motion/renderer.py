"""A photograph and motion in, frames out: warp the person about a still background, cut lips and lids, paint a mouth.

A frame is a backward map (which pixel of the picture is seen here), found on a coarse grid by a few fixed-point steps of
x = y - u(x), one for each side of what tears: the face; the lower lip with its jaw; the upper lids.
"""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np

from paha.motion import fields
from paha.motion.fields import BROWS, GAZE_SHIFT, LIDS, MAX_OPEN, Eye, Head, Mouth, brow_field
from paha.motion.layers import Layer, find_arms
from paha.motion.mouth import Interior
from paha.motion.person import PRESS_THICKNESS, PersonMotion
from paha.motion.photograph import IRIS, Photograph, inpaint

FIXED_POINT_STEPS = 4
SUPERSAMPLE = 4
"""Of the edges of lips and lids."""


class Renderer:
    """Renders one photograph. All that does not change from frame to frame is computed here, once."""

    def __init__(self, photo: Photograph) -> None:
        self.photo = photo
        self.head = Head.of(photo)
        self.mouth = Mouth.of(photo)
        self.eyes = {side: Eye.of(photo, side, IRIS[side]) for side in LIDS}
        self.brows = {side: brow_field(photo, side) for side in BROWS}
        self.interior = Interior.of(photo, self.mouth)
        self.arms = find_arms(photo)
        self._rows, self._columns = rows, columns = photo.region
        self._background = photo.background[rows, columns].astype(np.float32)
        x, y = np.arange(columns.start, columns.stop) + 0.5, np.arange(rows.start, rows.stop) + 0.5
        nodes = photo.to_nodes(np.stack(np.meshgrid(x, y), -1).astype(np.float32))
        self._node_x, self._node_y = np.ascontiguousarray(nodes[..., 0]), np.ascontiguousarray(nodes[..., 1])
        self._body, self._arm_layers = self._layers()

    def _layers(self) -> tuple[Layer, list[Layer]]:
        """The body without its moving arms, and the arms."""
        photo = self.photo
        picture, alpha = photo.image, photo.alpha
        arms = []
        for arm in self.arms:
            hole = arm.mask > 0.02
            under = inpaint(picture, hole, scale=min(1.0, 128 / photo.unit))
            arms.append(Layer.of(picture, arm.mask, under))
            picture = under
            alpha = inpaint(np.repeat(np.rint(alpha * 255).astype(np.uint8)[..., None], 3, 2), hole)[
                ..., 0
            ] / np.float32(255)
        return Layer.of(picture, alpha, photo.background), arms[::-1]

    def frames(self, motion: PersonMotion) -> Iterator[np.ndarray]:
        """(H, W, 3) uint8 of each frame of motion since the photograph."""
        for t in range(len(motion)):
            yield self.frame(motion, t)

    def frame(self, motion: PersonMotion, t: int) -> np.ndarray:
        """(H, W, 3) uint8."""
        out = self.photo.image.copy()
        whole = self._displacement(motion, t)
        face = whole + self._expression(motion, t)
        upper = face + self._jaw(motion, t, self.mouth.jaw_upper, self.mouth.press_upper)
        lower = face + self._jaw(motion, t, self.mouth.jaw_lower, self.mouth.press_lower)
        window = out[self._rows, self._columns]
        window[:] = self._composite(motion, t, upper)
        self._close_lids(out, motion, t, upper)
        self._open_mouth(out, motion, t, upper, lower)
        return out

    def _displacement(self, motion: PersonMotion, t: int) -> np.ndarray:
        """(h, w, 2) of head and torso as solids."""
        head = self.head.displacement(motion, t, self.photo.unit)
        weight = self.head.weight[..., None]
        torso = fields.torso_displacement(self.photo, motion, t)
        for arm in self.arms:
            torso += arm.body_displacement(self.photo, motion, t)
        return head * weight + torso * (1 - weight)

    def _expression(self, motion: PersonMotion, t: int) -> np.ndarray:
        """(h, w, 2) of the mouth's width, brows and gaze."""
        photo, unit = self.photo, self.photo.unit
        moved = self.mouth.wide[..., None] * (0.5 * unit * motion.mouth_wide[t] * photo.across)
        for index, (side, eye) in enumerate(self.eyes.items()):
            moved += self.brows[side][..., None] * (-unit * motion.brows[t, index] * photo.down)
            look = GAZE_SHIFT * eye.width * (motion.gaze[t, 0] * photo.across + 0.5 * motion.gaze[t, 1] * photo.down)
            moved += eye.look[..., None] * look
        return moved

    def _jaw(self, motion: PersonMotion, t: int, jaw: np.ndarray, press: np.ndarray) -> np.ndarray:
        unit = self.photo.unit
        along = jaw * (unit * self._opening(motion, t))
        along += press * (0.5 * unit * PRESS_THICKNESS * np.clip(motion.lip_press[t], -0.5, 1))
        return along[..., None] * self.photo.down

    def _opening(self, motion: PersonMotion, t: int) -> float:
        """Face heights that the gap changes by: no further than closed, nor than a jaw goes."""
        return float(np.clip(motion.mouth_open[t], -self.interior.gap, max(MAX_OPEN - self.interior.gap, 0.02)))

    def _invert(self, u: np.ndarray) -> np.ndarray:
        """Backward map of a displacement field (h, w, 2): the source pixel of each node."""
        photo = self.photo
        source = photo.grid - u
        for _ in range(FIXED_POINT_STEPS):
            nodes = photo.to_nodes(source)
            at = cv2.remap(u, nodes[..., 0], nodes[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
            source = photo.grid - at
        return source

    def _sample(self, back: np.ndarray, columns: slice, rows: slice) -> np.ndarray:
        """(H', W', 3) uint8: the picture through a backward map, over some columns and rows."""
        x, y = self._full(back, columns, rows)
        return cv2.remap(self.photo.image, x, y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)

    def _full(self, back: np.ndarray, columns: slice, rows: slice) -> tuple[np.ndarray, np.ndarray]:
        """The map at every pixel, as OpenCV counts them (centres at whole numbers)."""
        window = (
            slice(rows.start - self._rows.start, rows.stop - self._rows.start),
            slice(columns.start - self._columns.start, columns.stop - self._columns.start),
        )
        at = cv2.remap(back, self._node_x[window], self._node_y[window], cv2.INTER_LINEAR)
        at -= 0.5
        return np.ascontiguousarray(at[..., 0]), np.ascontiguousarray(at[..., 1])

    def _composite(self, motion: PersonMotion, t: int, body: np.ndarray) -> np.ndarray:
        """(H', W', 3) uint8 of `region`: the layers, each through its own map, over the background."""
        out = self._over(self._body, self._invert(body), self._background)
        for layer, arm in zip(self._arm_layers, self.arms[::-1], strict=True):
            out = self._over(layer, self._invert(arm.displacement(self.photo, motion, t, body)), out)
        return np.clip(np.rint(out), 0, 255).astype(np.uint8)

    def _over(self, layer: Layer, back: np.ndarray, under: np.ndarray) -> np.ndarray:
        x, y = self._full(back, self._columns, self._rows)
        moved = cv2.remap(layer.premultiplied, x, y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
        return moved[..., :3] + (1 - moved[..., 3:]) * under

    def _close_lids(self, out: np.ndarray, motion: PersonMotion, t: int, face: np.ndarray) -> None:
        open_share = np.maximum(1 - self.photo.geometry.state.lids[0], 0.2)
        for index, eye in enumerate(self.eyes.values()):
            closing = float(np.clip(motion.lids[t, index] / open_share[index], 0, 1))
            if closing < 0.02:
                continue
            lid = face + closing * eye.close
            edge = self._moved(eye.upper, lid)
            brow = self._moved(eye.upper, face) - 1.1 * eye.room * self.photo.down
            self._lay(out, self._invert(lid), np.concatenate([edge, brow[::-1]]))

    def _open_mouth(self, out: np.ndarray, motion: PersonMotion, t: int, upper: np.ndarray, lower: np.ndarray) -> None:
        top, bottom = self._moved(self.mouth.upper, upper), self._moved(self.mouth.lower, lower)
        below = np.maximum((bottom - top) @ self.photo.down, 0)
        bottom = (
            top + (bottom - top) @ np.outer(self.photo.across, self.photo.across) + below[:, None] * self.photo.down
        )
        if below.max() > 0.5:
            skull = self._moved(self.mouth.lower, upper)
            self.interior.paint(out, top, bottom, skull)
        chin = bottom + 0.3 * self.photo.unit * self.photo.down
        self._lay(out, self._invert(lower), np.concatenate([bottom, chin[::-1]]))

    def _moved(self, points: np.ndarray, u: np.ndarray) -> np.ndarray:
        """Points (N, 2) of the picture where a displacement field takes them."""
        nodes = self.photo.to_nodes(points)[None]
        return points + cv2.remap(u, nodes[..., 0], nodes[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)[0]

    def _lay(self, out: np.ndarray, back: np.ndarray, polygon: np.ndarray) -> None:
        """Draw the picture through another map inside a polygon."""
        found = cover(polygon, self._columns, self._rows)
        if found is None:
            return
        columns, rows, share = found
        above = self._sample(back, columns, rows)
        under = out[rows, columns]
        out[rows, columns] = np.rint(under + share[..., None] * (above.astype(np.float32) - under)).astype(np.uint8)


def cover(polygon: np.ndarray, columns: slice, rows: slice) -> tuple[slice, slice, np.ndarray] | None:
    """Columns and rows of a polygon's box within bounds, and how much of each pixel it covers; None outside them."""
    low, high = np.floor(polygon.min(0)).astype(int) - 1, np.ceil(polygon.max(0)).astype(int) + 1
    x = slice(max(low[0], columns.start), min(high[0], columns.stop))
    y = slice(max(low[1], rows.start), min(high[1], rows.stop))
    if x.stop <= x.start or y.stop <= y.start:
        return None
    size = (y.stop - y.start, x.stop - x.start)
    large = np.zeros((size[0] * SUPERSAMPLE, size[1] * SUPERSAMPLE), np.uint8)
    corners = (polygon - (x.start, y.start)) * SUPERSAMPLE - 0.5
    cv2.fillPoly(large, [np.rint(corners * 16).astype(np.int32)], 255, lineType=cv2.LINE_AA, shift=4)
    share = cv2.resize(large, size[::-1], interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    return x, y, share
