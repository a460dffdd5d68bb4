"""What is painted between the lips."""

import cv2
import numpy as np

from paha.motion.expression import Expression
from paha.motion.mouth import EYES, Interior
from paha.motion.photograph import Photograph
from paha.motion.renderer import Renderer
from tests.motion.meshes import photograph
from tests.motion.test_renderer import motion


def painted(photo: Photograph) -> tuple[np.ndarray, np.ndarray]:
    """The picture after painting an opening of a fifth of a face height, and the opening's middle."""
    mouth = Expression.of(photo).mouth
    out = photo.image.copy()
    bottom = mouth.lower + 0.2 * photo.unit * photo.down * np.sin(np.linspace(0, np.pi, len(mouth.lower)))[:, None]
    Interior.of(photo, mouth).paint(out, mouth.upper, bottom.astype(np.float32), mouth.lower)
    return out, (mouth.upper[5] + bottom[5]) / 2


def test_only_the_opening_is_painted():
    photo = photograph()
    out, middle = painted(photo)
    changed = np.argwhere((out != photo.image).any(-1))[:, ::-1] + 0.5
    assert len(changed) > 100
    assert np.abs(changed - middle).max() < 0.2 * photo.unit
    x, y = middle.astype(int)
    assert out[y, x].mean() < photo.image.mean() - 20


def test_a_dark_face_has_a_darker_mouth():
    bright, dark = (painted(photograph(level=level)) for level in (1.0, 0.4))
    x, y = bright[1].astype(int)
    box = (slice(y - 8, y + 8), slice(x - 6, x + 6))
    assert dark[0][box].mean() < 0.7 * bright[0][box].mean()


def test_a_grey_picture_has_a_grey_mouth():
    photo = photograph()
    grey = np.repeat(photo.image.mean(-1, keepdims=True).astype(np.uint8), 3, 2)
    out, _ = painted(Photograph(grey, photo.landmarks))
    assert np.ptp(out.astype(int), axis=-1).max() <= 2


def with_whites(colour: tuple[int, int, int]) -> Photograph:
    """A brown face whose eyes are all white of that colour."""
    photo = photograph()
    image = np.broadcast_to(np.array([150, 100, 70], np.uint8), photo.image.shape).copy()
    for eye in EYES:
        cv2.fillPoly(image, [np.rint(photo.landmarks.face[list(eye), :2]).astype(np.int32)], colour)
    return Photograph(image, photo.landmarks)


def test_teeth_have_the_light_that_the_whites_of_the_eyes_have():
    teeth = {}
    for name, colour in {
        "day": (160, 155, 150),
        "lamp": (160, 120, 80),
        "shade": (90, 87, 84),
        "none": (40, 20, 10),
    }.items():
        photo = with_whites(colour)
        teeth[name] = Interior.of(photo, Expression.of(photo).mouth).teeth
    assert teeth["lamp"][2] / teeth["lamp"][0] < teeth["day"][2] / teeth["day"][0] - 0.1
    assert teeth["shade"].mean() < 0.8 * teeth["day"].mean()
    assert teeth["none"].max() >= 0.9 * 150  # covered eyes tell nothing


def test_a_mouth_that_is_wide_open_in_the_photograph_is_not_painted_over():
    photo = photograph(gap=0.2)
    blue = photo.image // 2
    blue[..., 0] = 0
    frame = Renderer(Photograph(blue, photo.landmarks)).frame(motion(mouth_open=0.05), 0)
    assert frame[..., 0].max() <= 2  # neither tongue nor teeth
