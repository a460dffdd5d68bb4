"""Where the face is in a reference image: the region masks of the guidance are drawn from it (design row 15)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from paha.errors import PahaError
from paha.media.image_io import fit_image
from paha.media.pixels import fit_points
from paha.types import FACE

if TYPE_CHECKING:
    from paha.extractors.pose import PresenterPose

READER_MIN_SCORE = 0.5
"""Mean confidence of the face's points below which the pose reader's answer is not used: it is no presenter."""
BY_HAND = "give it by hand: --face-box X0,Y0,X1,Y1 in pixels of the image"


@dataclass(frozen=True)
class FaceBox:
    """box: (4,) float32, x0 y0 x1 y1 in [0, 1] of the frame that the model sees, not grown. source: which detector
    found it."""

    box: np.ndarray
    source: str


def parse_face_box(text: str) -> tuple[float, float, float, float]:
    """'40,20,88,80' to four numbers (pixels of the image as given). Raises PahaError for anything else."""
    try:
        x0, y0, x1, y1 = (float(part) for part in text.split(","))
    except ValueError as error:
        raise PahaError(f"--face-box {text}: give X0,Y0,X1,Y1 in pixels of the image") from error
    if not (np.isfinite([x0, y0, x1, y1]).all() and x0 < x1 and y0 < y1):
        raise PahaError(f"--face-box {text}: the box is empty; give X0,Y0,X1,Y1 with X0 < X1 and Y0 < Y1")
    return x0, y0, x1, y1


def find_face_box(
    image: np.ndarray,
    *,
    width: int,
    height: int,
    pose_reader: Path | None = None,
    by_hand: tuple[float, float, float, float] | None = None,
) -> FaceBox:
    """The face of a reference image (H, W, 3) uint8 of any size, in the width x height crop that the model sees.

    by_hand: pixels of `image`; comes first. pose_reader: the folder of a reader of presenters, tried next; MediaPipe
    where it finds no presenter or is not there. Raises PahaError, with the remedy, where no detector finds a face.
    """
    if by_hand is not None:
        return FaceBox(_checked(_from_image(np.array(by_hand, np.float32), image, width, height)), "hand")
    fitted = fit_image(image, width=width, height=height)
    tried = []
    for detect in (lambda: _by_reader(fitted, pose_reader), lambda: _by_mediapipe(fitted)):
        try:
            return detect()
        except PahaError as error:
            tried.append(str(error))
    raise PahaError(f"no face was found in the image ({'; '.join(tried)}); {BY_HAND}")


def presenter_boxes(frames: np.ndarray, pose: PresenterPose) -> np.ndarray:
    """The faces (N, 4) of frames (N, H, W, 3) of presenters, as `FaceBox.box`. Raises PahaError where one is none."""
    track = pose.detect(frames)
    score = float(track.keypoints.scores[:, FACE].mean(1).min())
    if score < READER_MIN_SCORE:
        raise PahaError(f"the pose reader sees no presenter, face score {score:.2f}")
    size = np.array([frames.shape[2], frames.shape[1]] * 2, np.float32)
    return np.stack([_checked(box / size) for box in track.face_box])


def _by_reader(frame: np.ndarray, folder: Path | None) -> FaceBox:
    from paha.extractors.pose import PresenterPose

    if folder is None or not folder.is_dir():
        raise PahaError("there is no pose reader")
    return FaceBox(presenter_boxes(frame[None], PresenterPose.load(folder))[0], "the pose reader")


def _by_mediapipe(frame: np.ndarray) -> FaceBox:
    from paha.extractors.mediapipe_pose import MediaPipePose

    with MediaPipePose.load() as pose:
        found = pose.find_faces(frame)
    if not len(found):
        raise PahaError("MediaPipe sees no face")
    size = [frame.shape[1], frame.shape[0]] * 2
    return FaceBox(_checked(found[0, :4] / np.array(size, np.float32)), f"MediaPipe, score {found[0, 4]:.2f}")


def _from_image(box: np.ndarray, image: np.ndarray, width: int, height: int) -> np.ndarray:
    source = {"width": image.shape[1], "height": image.shape[0]}
    return fit_points(box.reshape(2, 2), **source, aspect=width / height).reshape(4)


def _checked(box: np.ndarray) -> np.ndarray:
    """The box inside the frame. Raises PahaError where it lies outside or is empty."""
    inside = np.clip(box.astype(np.float32), 0, 1)
    if not (inside[0] < inside[2] and inside[1] < inside[3]):
        raise PahaError(f"the face box {np.round(box, 2).tolist()} lies outside the picture; {BY_HAND}")
    return inside
