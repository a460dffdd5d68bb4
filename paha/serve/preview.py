"""What will move: a picture of the person's mask, face and hands, and the warnings, before anything is made."""

from __future__ import annotations

import io
import threading
from typing import Any

import cv2
import numpy as np

from paha.motion.landmarks import Landmarks, find_landmarks, landmark_reader
from paha.motion.motion_reference import fit_size
from paha.types import LEFT_HAND, RIGHT_HAND

PREVIEW_PX = 640
SEEN = 0.3
_FACE, _HANDS, _MASK = (255, 214, 10), (64, 200, 255), (40, 160, 90)
_reading = threading.Lock()
"""One photograph is read at a time: the detectors keep state, and are loaded at first use."""


def preview(
    image: np.ndarray, scale: float, face_box: tuple[float, float, float, float] | None
) -> tuple[dict[str, Any], bytes]:
    """(what was found as plain values, a JPEG with it drawn on the picture) of an image (H, W, 3) uint8. scale: of the
    image to the picture that places are told in, and face_box is given in.

    Raises PahaError where it cannot be animated: no face, one too small, none in face_box.
    """
    box = None if face_box is None else tuple(scale * value for value in face_box)
    with _reading:
        found = find_landmarks(image, face_box=box)  # type: ignore[arg-type]
    hands = [bool((found.scores[hand] >= SEEN).mean() >= 0.5) for hand in (LEFT_HAND, RIGHT_HAND)]
    face = found.face[:, :2]
    told = {
        "width": round(image.shape[1] / scale),
        "height": round(image.shape[0] / scale),
        "face": [round(float(value) / scale, 1) for value in (*face.min(0), *face.max(0))],
        "left_hand": hands[0],
        "right_hand": hands[1],
        "warnings": list(found.warnings),
        "landmarks": found.source,
    }
    return told, _jpeg(drawn(image, found))


def warm_up() -> None:
    """Load what reads photographs, so that the first preview need not wait for it."""
    with _reading:
        landmark_reader("auto")


def drawn(image: np.ndarray, found: Landmarks) -> np.ndarray:
    """The picture, at most PREVIEW_PX a side, what stays darkened, the face's and the hands' points on it."""
    small = fit_size(image, PREVIEW_PX)
    scale = small.shape[1] / image.shape[1]
    mask = cv2.resize(found.mask, small.shape[1::-1], interpolation=cv2.INTER_AREA)[..., None]
    tinted = 0.75 * small + 0.25 * np.array(_MASK)
    out = np.rint(mask * tinted + (1 - mask) * 0.45 * small).astype(np.uint8)
    for x, y in found.face[:, :2] * scale:
        cv2.circle(out, (round(x), round(y)), 1, _FACE, -1, cv2.LINE_AA)
    for hand in (LEFT_HAND, RIGHT_HAND):
        for (x, y), score in zip(found.points[hand] * scale, found.scores[hand], strict=True):
            if score >= SEEN:
                cv2.circle(out, (round(x), round(y)), 2, _HANDS, -1, cv2.LINE_AA)
    return out


def _jpeg(image: np.ndarray) -> bytes:
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(image).save(file, format="JPEG", quality=85)
    return file.getvalue()
