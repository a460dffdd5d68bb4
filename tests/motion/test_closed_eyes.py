"""Eyes that close: skin over all of them, whatever the mesh took for their edge, and a line of lashes."""

import cv2
import numpy as np
import pytest

from paha.motion.closed_eyes import TAKES_OVER, ClosedEyes, shows
from paha.motion.expression import Expression
from paha.motion.fields import LIDS
from paha.motion.photograph import Photograph
from paha.motion.renderer import Renderer
from tests.motion.meshes import photograph
from tests.motion.test_renderer import motion

SKIN, WHITE = np.array([190, 140, 110]), (240, 240, 240)


@pytest.fixture(scope="module")
def staring() -> Photograph:
    """A face of one colour whose eyes are open wider than its mesh says, as MediaPipe says of many."""
    photo = photograph(320, 160)
    image = np.broadcast_to(SKIN.astype(np.uint8), photo.image.shape).copy()
    for side in LIDS:
        x, y = (photo.landmarks.face[list(LIDS[side][0]), :2].mean(0) + (0, 2)).tolist()
        cv2.ellipse(image, (round(x), round(y)), (12, 6), 0, 0, 360, (40, 30, 30), -1)
        cv2.ellipse(image, (round(x), round(y)), (11, 5), 0, 0, 360, WHITE, -1)
        cv2.circle(image, (round(x), round(y)), 3, (60, 40, 30), -1)
    return Photograph(image, photo.landmarks)


def eyes_of(photo: Photograph) -> tuple[slice, slice]:
    """Rows and columns about both eyes."""
    points = np.concatenate([photo.landmarks.face[list(index), :2] for pair in LIDS.values() for index in pair])
    (left, top), (right, bottom) = points.min(0).astype(int) - 6, points.max(0).astype(int) + 6
    return slice(top, bottom), slice(left, right)


def test_no_white_stays_on_a_closed_eye_and_lashes_lie_on_it(staring: Photograph):
    assert staring.image[eyes_of(staring)].min(-1).max() == 240
    closed = Renderer(staring).frame(motion(lids=1.0), 0)[eyes_of(staring)].astype(int)
    assert closed.min(-1).max() < SKIN.min() + 40
    assert closed.mean(-1).min() < SKIN.mean() - 25
    assert np.abs(np.median(closed.reshape(-1, 3), 0) - SKIN).max() <= 8


def test_an_eye_that_hardly_closes_is_the_photographs_own(staring: Photograph):
    assert shows(0) == shows(TAKES_OVER[0]) == 0
    assert shows(TAKES_OVER[1]) == shows(1) == 1
    slightly = Renderer(staring).frame(motion(lids=0.1), 0)
    assert slightly[eyes_of(staring)].min(-1).max() > 230


def test_brows_are_no_skin(staring: Photograph):
    image = staring.image.copy()
    for side in LIDS:
        top = staring.landmarks.face[list(LIDS[side][0]), 1].min()
        image[int(top) - 12 : int(top) - 8] = 20  # a dark bar close above the eyes
    eyes = Expression.of(staring).eyes
    picture = ClosedEyes.of(Photograph(image, staring.landmarks), list(eyes.values())).picture
    for eye in eyes.values():
        x, y = (eye.upper.mean(0) + eye.lower.mean(0)) / 2
        assert np.abs(picture[int(y), int(x)].astype(int) - SKIN).max() < 25


def test_lids_do_not_move_behind_dark_glasses(staring: Photograph):
    """Nor in shade in which nothing of an eye is seen; reflections of 20 levels are no eyes."""
    image = staring.image.copy()
    rows, columns = eyes_of(staring)
    image[rows, columns] = 20
    image[rows, columns][::2] += 20
    dark = Photograph(image, staring.landmarks)
    assert np.array_equal(Renderer(dark).frame(motion(lids=1.0), 0), Renderer(dark).frame(motion(lids=0.0), 0))
    seen = Renderer(staring)
    assert not np.array_equal(seen.frame(motion(lids=1.0), 0), seen.frame(motion(lids=0.0), 0))
