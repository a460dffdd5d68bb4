"""What is painted between the lips."""

import numpy as np

from paha.motion.expression import Expression
from paha.motion.mouth import Interior
from paha.motion.photograph import Photograph
from tests.motion.meshes import photograph


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
