"""A photograph and motion in, frames out: warp the person about a still background, cut lips and lids, paint a mouth.

A frame is a backward map: which place x of the picture is seen at y. With w the head's and body's displacement, on a
coarse lattice, and e the face's own, on a fine one, x + w(x) + e(x) = y. First p + w(p) = y is solved on the coarse
lattice, then x = p + w(p) - w(x) - e(x) on the fine one, each by a few fixed-point steps; where e is nothing, x = p.
What tears has an e for each side: the face; the lower lip with its jaw; the upper lids.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np

from paha.motion import fields
from paha.motion.closed_eyes import ClosedEyes, lash_line, outline, shows
from paha.motion.compositing import Box, Sheet, texture_places
from paha.motion.expression import Expression
from paha.motion.fields import MAX_OPEN, OVERLAP, Eye, Head
from paha.motion.lattice import Lattice, inverse
from paha.motion.layers import Arm, ArmLayer, find_arms, take_apart
from paha.motion.mouth import WIDE_OPEN, Interior
from paha.motion.person import PersonMotion
from paha.motion.photograph import Photograph
from paha.motion.resampling import SCALE, OpenCVResampler, Resampler
from paha.runtime.threads import map_in_order

FIXED_POINT_STEPS = 4
LID_RELAXATION = 0.5
"""Upper lids stretch to two or three times their height: plain steps would not converge."""
SUPERSAMPLE = 4
"""Of the edges of lips and lids."""
STILL = 1 / 128
"""Pixels of displacement that resampling, which counts in 1/64 pixel, rounds away."""


class Renderer:
    """Renders one photograph. All that does not change from frame to frame is computed here, once.

    resampler: reads the picture, on the processor by default. face_alone: only the face's own features move, the head
    and all else stay (a frame of a video, whose person moves already); then a renderer is made in milliseconds.
    """

    def __init__(self, photo: Photograph, *, resampler: Resampler | None = None, face_alone: bool = False) -> None:
        self.photo, self.face_alone = photo, face_alone
        self.resampler = resampler or OpenCVResampler()
        # One for all segments: each new thread would have memory of its own, which the system does not get back.
        self._pool: ThreadPoolExecutor | None = None
        self.expression = Expression.of(photo)
        self.interior = Interior.of(photo, self.expression.mouth)
        self.closed_eyes = ClosedEyes.of(photo, list(self.expression.eyes.values()))
        self._region = Box(photo.region[1], photo.region[0])
        self._places = texture_places(self._region)
        self._lids = self.resampler.texture(self._region.of(self.closed_eyes.picture))
        self.arms: list[Arm] = []
        if face_alone:
            everything = np.ones(photo.image.shape[:2], np.float32)
            self._armless, self._background, self._arm_sheets = photo.image, self._region.of(photo.image), []
            self._body = Sheet.of(self.resampler, self._region, photo.image, everything, photo.image)
            return
        self.arms = find_arms(photo)
        self.head, self.torso = Head.of(photo), fields.Torso.of(photo)
        self._hold = fields.border_hold(photo)
        self._background = np.ascontiguousarray(self._region.of(photo.background))
        self._armless, self._body, self._arm_sheets = self._sheets()

    def _sheets(self) -> tuple[np.ndarray, Sheet, list[tuple[Arm, Sheet]]]:
        """The picture without its moving arms, the body of it, and the arms."""
        photo, make = self.photo, self.resampler
        picture, alpha, layers = take_apart(photo, self.arms)
        boxes = [self._box(layer) for layer in layers]
        if any(box.empty for box in boxes):  # an arm that is not this person's: it stays in the picture
            kept = [layer.arm for layer, box in zip(layers, boxes, strict=True) if not box.empty]
            self.arms = [arm for arm in self.arms if any(arm is other for other in kept)]
            return self._sheets()
        arms = [
            (layer.arm, Sheet.of(make, box, layer.picture, layer.alpha, layer.under))
            for layer, box in zip(layers, boxes, strict=True)
        ]
        return picture, Sheet.of(make, self._region, picture, alpha, photo.background), arms

    def _box(self, layer: ArmLayer) -> Box:
        """Where a layer lies in the region."""
        rows, columns = np.nonzero((layer.alpha > 1 / 512) | (layer.picture != layer.under).any(-1))
        if not len(rows):
            return Box(slice(0, 0), slice(0, 0))
        box = Box.about(np.array([columns.min(), rows.min()]), np.array([columns.max() + 1, rows.max() + 1]))
        return box.grown(3).within(self._region)

    def frames(self, motion: PersonMotion, *, workers: int = 2) -> Iterator[np.ndarray]:
        """(H, W, 3) uint8 of each frame of motion since the photograph, in order, `workers` of them at a time."""
        if self._pool is None and workers > 1:
            self._pool = ThreadPoolExecutor(workers)
        return map_in_order(lambda t: self.frame(motion, t), range(len(motion)), workers=workers, pool=self._pool)

    def frame(self, motion: PersonMotion, t: int) -> np.ndarray:
        """(H, W, 3) uint8."""
        return _Frame(self, motion, t).render()


class _Frame:
    """What one frame's parts share. whole: (h, w, 2) displacement of head and body. face, upper, lower: (h, w, 2) of
    the face's features; with the upper lip; with the jaw."""

    def __init__(self, renderer: Renderer, motion: PersonMotion, t: int) -> None:
        self.renderer, self.motion, self.t = renderer, motion, t
        self.photo, self.expression, self.region = renderer.photo, renderer.expression, renderer._region
        expression, press = self.expression, float(motion.lip_press[t])
        self.whole = self._displacement()
        self.opening = self._opening()
        self.face = expression.upper_face(motion, t)
        self.upper = self.face + expression.upper_lip(self.opening, press)
        self.lower = self.face + expression.lower_lip(self.opening, press)
        lattice = self.photo.lattice
        self.source = inverse(lattice, self.whole, steps=FIXED_POINT_STEPS)

    def render(self) -> np.ndarray:
        """(H, W, 3) uint8."""
        self.out = self.renderer._armless.copy()
        self._lay_body()
        self._lay_arms()
        self._close_lids()
        self._open_mouth()
        return self.out

    def _displacement(self) -> np.ndarray:
        """(h, w, 2) of head and torso as solids."""
        renderer, motion, t = self.renderer, self.motion, self.t
        if renderer.face_alone:
            return np.zeros((*self.photo.lattice.shape, 2), np.float32)
        head = renderer.head.displacement(motion, t, self.photo.unit)
        torso = renderer.torso.displacement(motion, t, self.photo.unit)
        for arm in renderer.arms:
            torso = arm.carry(torso, self.photo.grid, motion, t)
        return renderer._hold[..., None] * (torso + renderer.head.weight[..., None] * (head - torso))

    def _opening(self) -> float:
        """Face heights that the gap changes by: no further than closed, nor than a jaw goes."""
        gap = self.renderer.interior.gap
        asked = self.expression.mouth.gain * self.motion.mouth_open[self.t]
        return float(np.clip(asked, -gap - OVERLAP, max(MAX_OPEN - gap, 0.02)))

    def _at(self, lattice: Lattice, source: np.ndarray, box: Box, origin: Box) -> np.ndarray:
        """(h, w, 2): places of a box's pixels in a texture over `origin`. source: (h', w', 2) positions at nodes."""
        shift = self.region.corner - origin.corner
        moved = np.float32(SCALE) * (source - lattice.nodes + shift)
        return cv2.add(lattice.to_pixels(moved, box.columns, box.rows), box.of(self.renderer._places, self.region))

    def _lay_body(self) -> None:
        """The body with the face, over the background, where it moves."""
        lattice, body = self.photo.lattice, self.renderer._body
        face = self._face_box()
        box = moving(lattice, self.source).within(self.region)
        if np.abs(self.upper).max() > STILL:
            low, high = np.minimum(box.corner, face.corner), np.maximum(_end(box), _end(face))
            box = face if box.empty else Box.about(low, high)
        if box.empty:
            return
        at = self._at(lattice, self.source, box, self.region)
        if not face.empty:
            fine = Lattice.over(face.columns, face.rows, self.expression.lattice.step)
            face.of(at, box)[:] = self._at(fine, self._solve(fine, self.upper), face, self.region)
        under = box.of(self.renderer._background, self.region)
        box.of(self.out)[:] = body.over(self.renderer.resampler, under, at)

    def _face_box(self) -> Box:
        """Pixels where the face's features may lie now; empty where none moves."""
        if np.abs(self.upper).max() <= STILL:
            return Box(slice(0, 0), slice(0, 0))
        box = self.expression.box
        corners = np.stack([box.corner, _end(box)])
        inside = self.photo.lattice.read(self.whole, self.expression.lattice.nodes[::4, ::4])
        low, high = inside.min((0, 1)), inside.max((0, 1))
        return Box.about(corners[0] + low, corners[1] + high).within(self.region)

    def _solve(self, fine: Lattice, e: np.ndarray, relaxation: float = 1.0) -> np.ndarray:
        """(h, w, 2): x + w(x) + e(x) = y at nodes y of a fine lattice; twice the steps if relaxed, for a steep e."""
        coarse, face = self.photo.lattice, self.expression.lattice
        p = fine.nodes + coarse.read(self.source - coarse.nodes, fine.nodes)
        fixed = p + coarse.read(self.whole, p)
        x = p - face.read(e, p)
        for _ in range(FIXED_POINT_STEPS if relaxation == 1 else 2 * FIXED_POINT_STEPS):
            step = fixed - coarse.read(self.whole, x) - face.read(e, x)
            x = step if relaxation == 1 else x + np.float32(relaxation) * (step - x)
        return x

    def _lay_arms(self) -> None:
        photo, lattice = self.photo, self.photo.lattice
        for arm, sheet in self.renderer._arm_sheets[::-1]:
            u = arm.displacement(self.whole, photo.grid, self.motion, self.t)
            source = inverse(lattice, u, steps=FIXED_POINT_STEPS)
            inside = lattice.read(u, lattice_nodes(lattice, sheet.box))
            low, high = inside.min((0, 1)), inside.max((0, 1))
            box = Box.about(sheet.box.corner + low, _end(sheet.box) + high).grown(2).within(self.region)
            if box.empty:
                continue
            at = self._at(lattice, source, box, sheet.box)
            box.of(self.out)[:] = sheet.over(self.renderer.resampler, box.of(self.out), at)

    def _close_lids(self) -> None:
        if self.renderer.closed_eyes.hidden:
            return
        photo = self.photo
        open_share = np.maximum(1 - photo.geometry.state.lids[0], 0.2)
        for index, eye in enumerate(self.expression.eyes.values()):
            closing = float(np.clip(self.motion.lids[self.t, index] / open_share[index], 0, 1))
            if closing < 0.02:
                continue
            lid = self.upper + np.float32(closing) * eye.close
            edge = self._moved(eye.upper, lid)
            brow = self._moved(eye.upper, self.upper) - 1.1 * eye.room * photo.down
            self._lay(lid, np.concatenate([edge, brow[::-1]]), relaxation=LID_RELAXATION)
            if shows(closing):
                self._cover_eye(eye, self.renderer.closed_eyes.lashes[index], closing)

    def _cover_eye(self, eye: Eye, lashes: np.ndarray, closing: float) -> None:
        """Lay skin over an eye down to where its lid is, and the lashes along that edge."""
        share = shows(closing)
        top, bottom = self._moved(eye.upper, self.upper), self._moved(eye.lower, self.upper)
        bottom = bottom + 0.25 * (self._moved(outline(eye, self.photo.down)[1], self.upper) - bottom)
        edge = top + closing * (bottom - top)
        upper, lower = (self._moved(line, self.upper) for line in outline(eye, self.photo.down))
        # A mesh's lower lid may leave a rim of white: closed eyes are covered beyond it.
        polygon = np.concatenate([edge + closing**4 * (lower - bottom), upper[::-1]])
        box = Box.about(polygon.min(0) - 0.1 * eye.width, polygon.max(0) + 0.1 * eye.width).within(self.region)
        if box.empty:
            return
        fine = Lattice.over(box.columns, box.rows, self.expression.lattice.step)
        at = self._at(fine, self._solve(fine, self.upper), box, self.region)
        [skin] = self.renderer.resampler.sample((self.renderer._lids,), at)
        out = box.of(self.out)
        soft = cv2.GaussianBlur(cover(polygon, box), (0, 0), max(0.5, 0.04 * eye.width))
        out[:] = blended(out, skin, np.float32(share) * soft)
        line = np.float32(0.8 * share) * lash_line(edge, eye.width, soft.shape, box.corner)
        out[:] = blended(out, np.broadcast_to(np.rint(lashes).astype(np.uint8), out.shape).copy(), line)

    def _open_mouth(self) -> None:
        photo, mouth = self.photo, self.expression.mouth
        top, bottom = self._moved(mouth.upper, self.upper), self._moved(mouth.lower, self.lower)
        below = np.maximum((bottom - top) @ photo.down, 0)
        bottom = top + (bottom - top) @ np.outer(photo.across, photo.across) + below[:, None] * photo.down
        # A mouth that is wide open in the photograph opens little more, and has nothing to be painted.
        small = self.renderer.interior.gap < WIDE_OPEN
        if small and below.max() > 0.5 and self.opening * photo.unit > 0.5:
            skull = self._moved(mouth.lower, self.upper)
            self.renderer.interior.paint(self.out, top, bottom, skull)
        if np.abs(self.lower - self.upper).max() <= STILL:
            return
        chin = bottom + 0.3 * photo.unit * photo.down
        self._lay(self.lower, np.concatenate([bottom, chin[::-1]]))

    def _moved(self, points: np.ndarray, e: np.ndarray) -> np.ndarray:
        """Points (N, 2) of the picture where head, body and face take them."""
        own = self.expression.lattice.read(e, points[None])[0]
        return points + own + self.photo.lattice.read(self.whole, points[None])[0]

    def _lay(self, e: np.ndarray, polygon: np.ndarray, relaxation: float = 1.0) -> None:
        """Draw the picture as another side of a tear moves it, inside a polygon (N, 2)."""
        box = Box.about(polygon.min(0) - 1, polygon.max(0) + 1).within(self.region)
        if box.empty:
            return
        fine = Lattice.over(box.columns, box.rows, self.expression.lattice.step)
        at = self._at(fine, self._solve(fine, e, relaxation), box, self.region)
        under = box.of(self.renderer._background, self.region)
        above = self.renderer._body.over(self.renderer.resampler, under, at)
        share = cover(polygon, box)
        box.of(self.out)[:] = blended(box.of(self.out), above, share)


def _end(box: Box) -> np.ndarray:
    """(2,) x y past a box's last pixel."""
    return np.array([box.columns.stop, box.rows.stop], np.float32)


def lattice_nodes(lattice: Lattice, box: Box) -> np.ndarray:
    """(h, w, 2) positions about a lattice's step apart over a box, its corners among them."""
    x = np.linspace(box.columns.start, box.columns.stop, (box.columns.stop - box.columns.start) // lattice.step + 2)
    y = np.linspace(box.rows.start, box.rows.stop, (box.rows.stop - box.rows.start) // lattice.step + 2)
    return np.stack(np.meshgrid(x, y), -1).astype(np.float32)


def moving(lattice: Lattice, source: np.ndarray) -> Box:
    """The box outside which a map moves nothing."""
    moved = np.abs(source - lattice.nodes).max(-1) > STILL
    rows, columns = np.flatnonzero(moved.any(1)), np.flatnonzero(moved.any(0))
    if not len(rows):
        return Box(slice(0, 0), slice(0, 0))
    s = lattice.step
    x = lattice.left + s * np.array([columns[0] - 1, columns[-1] + 2])
    y = lattice.top + s * np.array([rows[0] - 1, rows[-1] + 2])
    return Box(slice(int(x[0]), int(x[1])), slice(int(y[0]), int(y[1])))


def blended(under: np.ndarray, above: np.ndarray, share: np.ndarray) -> np.ndarray:
    """(h, w, 3) uint8: `share` (h, w) float32 of one picture over another."""
    return cv2.blendLinear(above, under, share, 1 - share)


def cover(polygon: np.ndarray, box: Box) -> np.ndarray:
    """(h, w) float32: how much of each pixel of a box a polygon (N, 2) covers."""
    z = SUPERSAMPLE
    size = (box.rows.stop - box.rows.start, box.columns.stop - box.columns.start)
    large = np.zeros((size[0] * z, size[1] * z), np.uint8)
    corners = (polygon - box.corner) * z - 0.5
    cv2.fillPoly(large, [np.rint(corners * 16).astype(np.int32)], 255, lineType=cv2.LINE_AA, shift=4)
    return cv2.resize(large, size[::-1], interpolation=cv2.INTER_AREA).astype(np.float32) / 255
