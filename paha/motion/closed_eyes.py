"""The closed eyes of a photograph: skin over them, as the skin about them goes on, and the dark line of the lashes.

A lid that only stretches over the eye carries what a face mesh takes for its edge along: a strip of white, lashes far
from where they end. So far as an eye closes, this picture takes the place of the stretched lid.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from paha.motion.fields import Eye, smoothstep
from paha.motion.photograph import Photograph

ABOVE, BELOW = 0.2, 0.2
"""Eye widths beyond the mesh's lids that lashes and whites may reach."""
SKIN_FROM = 0.22
"""Eye widths about an eye whose skin goes on over it."""
GRAIN_FROM = 0.55
"""Eye widths below an eye, where skin has grain and few lashes."""
LASH_WIDTH = 0.05
SEEN_CONTRAST = 26
"""`contrast` below which no eye is seen but dark glass: of 5 test stills with sunglasses 4 have 13 to 20, through the
fifth's the eyes are seen; of the others none has less than 35."""
MIN_PIXELS = 4
TAKES_OVER = 0.15, 0.6
"""Share of closing at which this picture begins to show, and at which nothing else does."""


@dataclass(frozen=True)
class ClosedEyes:
    """picture: (H, W, 3) uint8, the photograph with its eyes covered by skin. lashes: (3,) float32 colour, each eye.
    hidden: there are none to be seen, and lids that moved would be drawn on glasses."""

    picture: np.ndarray
    lashes: list[np.ndarray]
    hidden: bool

    @classmethod
    def of(cls, photo: Photograph, eyes: list[Eye]) -> ClosedEyes:
        """Each eye's colours are its own: one may lie in the shade."""
        picture, lashes, contrasts = photo.image.copy(), [], []
        for eye in eyes:
            low = np.minimum(eye.upper.min(0), eye.lower.min(0)) - eye.width
            high = np.maximum(eye.upper.max(0), eye.lower.max(0)) + eye.width
            size = photo.image.shape[1::-1]
            (left, top), (right, bottom) = np.clip([low, high], 0, size).astype(int)
            part = picture[top:bottom, left:right]
            corner = np.array([left, top], np.float32)
            mask = outline_mask(eye, photo.down, part.shape[:2], corner)
            if not part.size or not mask.any():
                lashes.append(np.zeros(3, np.float32))
                contrasts.append(np.inf)
                continue
            contrasts.append(contrast(part, eye, corner))
            lashes.append(darkest(part, mask))
            part[:] = covered(part, mask, eye, photo.down)
        return cls(picture, lashes, max(contrasts) < SEEN_CONTRAST)


def contrast(part: np.ndarray, eye: Eye, corner: np.ndarray) -> float:
    """How far the lightness, 0 to 255, goes between an eye's lids, but for its ends' tenths: white and iris differ.
    Infinite where too little of the eye lies in the part (h, w, 3) uint8. corner: x y of its first pixel."""
    mask = np.zeros(part.shape[:2], np.uint8)
    cv2.fillPoly(mask, [np.rint(np.concatenate([eye.upper, eye.lower[::-1]]) - corner).astype(np.int32)], 1)
    lightness = cv2.cvtColor(np.ascontiguousarray(part), cv2.COLOR_RGB2LAB)[..., 0][mask > 0]
    if len(lightness) < MIN_PIXELS:
        return np.inf
    low, high = np.quantile(lightness, [0.1, 0.9])
    return float(high - low)


def outline(eye: Eye, down: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(N, 2) each, pixels: the upper and the lower edge of all that an eye and its lashes may take."""
    # Brows lie close above some eyes, and are no skin.
    above, below = min(ABOVE * eye.width, 0.9 * eye.room), BELOW * eye.width
    along = np.linspace(-1, 1, len(eye.upper))[:, None]
    arch = 1 - 0.6 * along**4
    outward = 0.09 * along**3 * (eye.upper[-1] - eye.upper[0])
    upper, lower = eye.upper - arch * above * down + outward, eye.lower + arch * below * down + outward
    return upper.astype(np.float32), lower.astype(np.float32)


def outline_mask(eye: Eye, down: np.ndarray, shape: tuple[int, int], corner: np.ndarray) -> np.ndarray:
    """(h, w) uint8: 1 on the eye and its lashes. corner: x y of the part's first pixel."""
    upper, lower = outline(eye, down)
    mask = np.zeros(shape, np.uint8)
    cv2.fillPoly(mask, [np.rint(np.concatenate([upper, lower[::-1]]) - corner).astype(np.int32)], 1)
    return mask


def darkest(part: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """(3,) float32: the colour of the lashes, the darkest tenth of an eye, a third of the skin's at least."""
    pixels = part[mask > 0].astype(np.float32)
    grey = pixels.mean(1)
    dark = pixels[grey <= np.quantile(grey, 0.1)].mean(0)
    return np.maximum(dark, 0.3 * np.median(part.reshape(-1, 3), 0)).astype(np.float32)


def covered(part: np.ndarray, mask: np.ndarray, eye: Eye, down: np.ndarray) -> np.ndarray:
    """(h, w, 3) uint8: the part with what its mask covers filled by the skin about it: its colour from all around, but
    brows and highlights, its grain from under the eye."""
    width, image = eye.width, part.astype(np.float32)
    blur = lambda x, share: cv2.GaussianBlur(x, (0, 0), max(0.7, share * width))  # noqa: E731
    reach = max(2, round(SKIN_FROM * width))
    ring = cv2.dilate(mask, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1,) * 2)) - mask
    grey = image.mean(-1)
    usual = max(float(np.median(grey[ring > 0])) if ring.any() else 1.0, 1.0)
    skin = (ring * np.exp(-(((grey / usual - 1) / 0.2) ** 2))).astype(np.float32)
    filled, known = np.zeros_like(image), np.full(mask.shape, 1e-12, np.float32)
    for share in (0.1, 0.2, 0.4):  # near skin decides where there is any
        weight = 1e-2 ** (share / 0.1 - 1)
        filled += weight * blur(image * skin[..., None], share)
        known += weight * blur(skin, share)
    x, y = GRAIN_FROM * width * down
    grain = cv2.warpAffine(image - blur(image, 0.06), np.array([[1, 0, -x], [0, 1, -y]]), mask.shape[::-1])
    # A lid is round: lighter in its middle.
    bulge = 0.95 + 0.1 * blur(cv2.erode(mask, np.ones((3, 3), np.uint8)).astype(np.float32), 0.15)
    fill = filled / known[..., None] * bulge[..., None] + np.clip(grain, -20, 20)
    soft = blur(mask.astype(np.float32), 0.05)[..., None]
    return np.clip(np.rint(image * (1 - soft) + fill * soft), 0, 255).astype(np.uint8)


def shows(closing: float) -> float:
    """How much of this picture is seen of an eye closed by a share."""
    return float(smoothstep(*TAKES_OVER, np.array(closing)))


def lash_line(edge: np.ndarray, width: float, shape: tuple[int, int], corner: np.ndarray) -> np.ndarray:
    """(h, w) float32 in [0, 1]: the lashes along a closed lid's edge (N, 2), thinner towards its corners."""
    z = 4
    line = np.zeros((shape[0] * z, shape[1] * z), np.uint8)
    thick = LASH_WIDTH * width * np.sin(np.linspace(0.15, np.pi - 0.15, len(edge)))
    normal = np.array([0.0, 1.0], np.float32)
    ribbon = np.concatenate([edge - 0.6 * thick[:, None] * normal, (edge + 0.4 * thick[:, None] * normal)[::-1]])
    cv2.fillPoly(line, [np.rint(((ribbon - corner) * z - 0.5) * 16).astype(np.int32)], 255, cv2.LINE_AA, 4)
    line = cv2.resize(line, shape[::-1], interpolation=cv2.INTER_AREA)
    return cv2.GaussianBlur(line.astype(np.float32) / 255, (0, 0), max(0.4, 0.015 * width))
