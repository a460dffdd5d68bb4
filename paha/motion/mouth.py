"""What is seen between the lips: the photograph's own teeth where it shows them, else teeth, tongue and cavity painted.

Upper teeth are fixed to the skull, lower teeth and tongue to the jaw; all are shaded by the picture's own brightness.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from paha.motion.fields import Mouth
from paha.motion.photograph import Photograph

SUPERSAMPLE = 3
SHOWS_TEETH = 0.012
"""Gap between the lips in face heights from which the photograph's own mouth is used."""
WIDE_OPEN = 0.12
"""Gap from which no more is painted."""
CAVITY = np.array([58.0, 20.0, 20.0], np.float32)
TONGUE = np.array([195.0, 94.0, 96.0], np.float32)
TEETH = np.array([222.0, 214.0, 203.0], np.float32)
EYES = ((33, 7, 163, 144, 145, 153, 154, 155, 133, 173, 157, 158, 159, 160, 161, 246), (362, 382, 381, 380, 374, 373, 390, 249, 263, 466, 388, 387, 386, 385, 384, 398))  # fmt: skip  # noqa: E501
TEETH_OVER_WHITES = 1.4
"""Brightness of teeth over that of the whites of the eyes: the median of 15 photographs that show both."""


@dataclass(frozen=True)
class Interior:
    """gap: between the lips in the photograph, face heights. light: brightness of the face, 1 at a well-lit one.
    saturation: 0 in a grey picture, 1 in a coloured one. teeth: (3,) their colour. half: of the mouth's width, pixels.
    """

    photo: Photograph
    gap: float
    light: float
    saturation: float
    teeth: np.ndarray
    half: float

    @classmethod
    def of(cls, photo: Photograph, mouth: Mouth) -> Interior:
        gap = float(max(((mouth.lower - mouth.upper) @ photo.down)[4:7].mean(), 0)) / photo.unit
        face = photo.landmarks.face[:, :2]
        x, y = np.rint(face[[50, 280, 205, 425]]).astype(int).T  # both cheeks
        height, width = photo.image.shape[:2]
        cheeks = photo.image[np.clip(y, 0, height - 1), np.clip(x, 0, width - 1)].astype(np.float32)
        light = float(np.clip(np.median(cheeks.max(1)) / 200, 0.25, 1.1))
        skin = np.median(cheeks, 0)
        saturation = float(np.clip((skin.max() - skin.min()) / max(skin.max(), 1) / 0.25, 0, 1))
        half = float(np.linalg.norm(mouth.upper[0] - mouth.upper[-1])) / 2
        return cls(photo, gap, light, saturation, teeth_colour(photo, skin, saturation), half)

    def _tint(self, colour: np.ndarray) -> np.ndarray:
        """A colour under the picture's light; grey in a grey picture."""
        mean = colour.mean()
        return self.light * (mean + self.saturation * (colour - mean))

    def paint(self, out: np.ndarray, top: np.ndarray, bottom: np.ndarray, skull: np.ndarray) -> None:
        """Paint between the lips' inner edges, (N, 2) each from corner to corner.

        skull: the lower edge as it would lie had the jaw not moved: above it the photograph shows its own mouth.
        """
        polygon = np.concatenate([top, bottom[::-1]])
        low = np.floor(polygon.min(0)).astype(int) - 2
        high = np.ceil(polygon.max(0)).astype(int) + 2
        height, width = out.shape[:2]
        low, high = np.maximum(low, 0), np.minimum(high, (width, height))
        if (high <= low).any():
            return
        z = SUPERSAMPLE
        size = ((high - low) * z)[::-1]
        place = lambda points: (points - low) * z - 0.5  # noqa: E731
        inside = _fill(place(polygon), size)
        picture = self._draw(place(top), place(bottom), size, z)
        if self.gap > SHOWS_TEETH:
            own = cv2.resize(out[low[1] : high[1], low[0] : high[0]], size[::-1], interpolation=cv2.INTER_LINEAR)
            kept = _fill(place(np.concatenate([top, skull[::-1]])), size)
            kept = cv2.GaussianBlur(cv2.erode(kept, np.ones((z, z), np.uint8)), (0, 0), 0.6 * z)[..., None]
            picture = picture * (1 - kept) + own * kept
        shade = cv2.GaussianBlur(inside, (0, 0), max(0.1 * self.half * z, 1.0))
        if self.gap <= SHOWS_TEETH:
            picture = picture * (0.45 + 0.55 * np.clip(shade, 0, 1) ** 1.1)[..., None]
        soft = cv2.GaussianBlur(inside, (0, 0), 0.4 * z)[..., None]
        shape = (int(high[0] - low[0]), int(high[1] - low[1]))
        soft, picture = (cv2.resize(x, shape, interpolation=cv2.INTER_AREA) for x in (soft, picture * soft))
        under = out[low[1] : high[1], low[0] : high[0]]
        under[:] = np.clip(np.rint(under * (1 - soft[..., None]) + picture), 0, 255).astype(np.uint8)

    def _draw(self, top: np.ndarray, bottom: np.ndarray, size: np.ndarray, z: int) -> np.ndarray:
        """(h, w, 3) float32: cavity, tongue, lower and upper teeth."""
        canvas = np.empty((*size, 3), np.float32)
        canvas[:] = self._tint(CAVITY)
        half = float(np.linalg.norm(top[0] - top[-1])) / 2
        angle = float(np.degrees(np.arctan2(*(top[-1] - top[0])[::-1])))
        down = self.photo.down
        upper, lower = top[len(top) // 2], bottom[len(bottom) // 2]
        opening = float((lower - upper) @ down)

        def ellipse(middle: np.ndarray, axes: tuple[float, float], colour: np.ndarray) -> None:
            centre, sizes = np.rint(middle * 16).astype(int), np.rint(np.maximum(axes, 1) * np.array(16)).astype(int)
            shade = tuple(float(c) for c in colour)
            cv2.ellipse(canvas, centre.tolist(), sizes.tolist(), angle, 0, 360, shade, -1, cv2.LINE_AA, 4)

        ellipse(lower + 0.1 * half * down, (0.62 * half, min(0.34 * half, 0.55 * opening)), self._tint(TONGUE))
        ellipse(lower + 0.18 * half * down, (0.5 * half, 0.2 * half), 0.6 * self.teeth)
        # Upper teeth are a band under the lip; how much of them shows does not grow with the opening.
        shown = min(0.24 * half, 0.65 * opening)
        ellipse(upper - 0.3 * half * down, (0.78 * half, 0.3 * half + shown), self.teeth)
        return self._shaded(cv2.GaussianBlur(canvas, (0, 0), 0.4 * z), upper, half, max(shown, 1.0))

    def _shaded(self, canvas: np.ndarray, upper: np.ndarray, half: float, shown: float) -> np.ndarray:
        """Darker towards the corners, under the lip, and between the teeth. shown: pixels of the upper teeth."""
        y, x = np.mgrid[: canvas.shape[0], : canvas.shape[1]].astype(np.float32)
        u = ((x - upper[0]) * self.photo.across[0] + (y - upper[1]) * self.photo.across[1]) / half
        v = ((x - upper[0]) * self.photo.down[0] + (y - upper[1]) * self.photo.down[1]) / shown
        round_ = 1 - 0.7 * np.clip(np.abs(u), 0, 1) ** 2
        lip = 0.8 + 0.2 * np.clip(v / 0.8, 0, 1)
        # Teeth narrow sideways; the notch between two opens towards their edge.
        width, edge = 0.23 * (1 - 0.3 * np.abs(u)), np.clip(v, 0, 1.1)
        apart = (((u / width + 0.5) % 1) - 0.5) / (0.05 + 0.1 * edge**4)
        gaps = 1 - (0.12 + 0.3 * edge**4) * np.exp(-(apart**2)) * (v < 1.1)
        return canvas * (round_ * lip * gaps)[..., None]


def teeth_colour(photo: Photograph, skin: np.ndarray, saturation: float) -> np.ndarray:
    """(3,) float32: what teeth look like in a photograph's light, which the whites of its eyes show.

    Narrow or covered eyes show none: teeth are no darker than skin is bright, and of the whites' hue by a half.
    """
    whites = eye_whites(photo)
    bright = np.clip(max(TEETH_OVER_WHITES * whites.max(), 0.9 * skin.max()), 55, 245)
    ivory = 1 - saturation * (1 - TEETH / TEETH.max())
    hue = 0.5 * whites / max(whites.max(), 1.0) + 0.5 * ivory
    # No light makes teeth blue beside skin that is not.
    hue[2] = min(hue[2], max(hue[0], float(skin[2] / max(skin[0], 1.0))))
    return (bright * hue / hue.max()).astype(np.float32)


def eye_whites(photo: Photograph) -> np.ndarray:
    """(3,) float: the mean of the fifth of both eyes' pixels that are nearest to white."""
    seen = []
    for eye in EYES:
        mask = np.zeros(photo.image.shape[:2], np.uint8)
        cv2.fillPoly(mask, [np.rint(photo.landmarks.face[list(eye), :2]).astype(np.int32)], 1)
        pixels = photo.image[mask > 0].astype(np.float64)
        least = pixels.min(1) if len(pixels) else np.zeros(0)
        seen.append(pixels[least >= np.quantile(least, 0.8)] if len(pixels) else np.zeros((0, 3)))
    found = np.concatenate(seen)
    return found.mean(0) if len(found) else np.full(3, 128.0)


def _fill(polygon: np.ndarray, size: np.ndarray) -> np.ndarray:
    """(h, w) float32, 1 inside."""
    mask = np.zeros(tuple(size), np.uint8)
    cv2.fillPoly(mask, [np.rint(polygon * 16).astype(np.int32)], 255, lineType=cv2.LINE_AA, shift=4)
    return mask.astype(np.float32) / 255
