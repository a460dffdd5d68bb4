"""Rendering a photograph of noise: exact where nothing moves, moved where it does."""

import cv2
import numpy as np
import pytest

from paha.motion.compositing import Box
from paha.motion.person import PersonMotion
from paha.motion.renderer import Renderer, cover
from paha.motion.resampling_torch import TorchResampler
from tests.motion.meshes import photograph


def motion(num_frames: int = 1, **signals) -> PersonMotion:
    state = PersonMotion.rest(num_frames)
    for name, value in signals.items():
        getattr(state, name)[:] = value
    return state


TALKING = {"mouth_open": 0.06, "head_rotation": (0.1, 0.05, -0.08), "head_shift": (0.05, 0.02), "lids": 0.5}


@pytest.fixture(scope="module")
def renderer() -> Renderer:
    return Renderer(photograph())


@pytest.mark.parametrize("gap", [0.0, 0.05])
def test_without_motion_the_photograph_comes_back_to_the_bit(gap: float):
    photo = photograph(gap=gap)
    assert (Renderer(photo).frame(motion(), 0) == photo.image).all()


def test_outside_the_region_nothing_changes(renderer: Renderer):
    rows, columns = renderer.photo.region
    outside = np.ones(renderer.photo.image.shape[:2], bool)
    outside[rows, columns] = False
    assert outside.any()
    frame = renderer.frame(motion(**TALKING), 0)
    assert (frame != renderer.photo.image).mean() > 0.05
    assert (frame[outside] == renderer.photo.image[outside]).all()


def test_a_head_shifted_by_whole_pixels_keeps_its_pixels(renderer: Renderer):
    photo = renderer.photo
    frame = renderer.frame(motion(head_shift=(5 / photo.unit, 0)), 0)
    x, y = (photo.landmarks.face[10, :2] + 0.3 * photo.unit * photo.down).round().astype(int)
    was = photo.image[y - 12 : y + 12, x - 12 : x + 12].astype(int)
    assert np.abs(frame[y - 12 : y + 12, x - 7 : x + 17] - was).max() <= 2


def test_frames_come_in_order_from_any_number_of_workers(renderer: Renderer):
    nodding = motion(7, head_rotation=np.linspace(0, 0.1, 7)[:, None] * (0, 1, 0))
    frames = list(renderer.frames(nodding, workers=3))
    assert len(frames) == 7
    for t, frame in enumerate(frames):
        assert (frame == renderer.frame(nodding, t)).all()


def test_an_opened_mouth_is_dark_between_lips_that_moved_apart(renderer: Renderer):
    photo = renderer.photo
    frame = renderer.frame(motion(mouth_open=0.12), 0)
    x, y = photo.landmarks.face[14, :2].round().astype(int)
    gap = round(0.12 * photo.unit)
    inside = frame[y + gap // 3 : y + gap, x - 4 : x + 4]
    assert inside.mean() < photo.image.mean() - 20
    # What lay under the lower lip lies lower now, by about the opening.
    patch = photo.image[y + 4 : y + 16, x - 8 : x + 8].astype(np.float32)
    found = cv2.matchTemplate(frame[y - 4 : y + 40, x - 8 : x + 8].astype(np.float32), patch, cv2.TM_CCOEFF_NORMED)
    assert abs(int(found.argmax()) - 8 - gap) <= 3


def test_closed_lids_bring_the_skin_above_over_the_eye(renderer: Renderer):
    photo = renderer.photo
    frame = renderer.frame(motion(lids=1.0), 0)
    x, y = photo.landmarks.face[473, :2].round().astype(int)
    assert np.abs(frame[y, x].astype(int) - photo.image[y, x]).max() > 0
    below = photo.landmarks.face[374, 1] + 0.03 * photo.unit
    assert (frame[int(below) + 2 : int(below) + 5, x] == photo.image[int(below) + 2 : int(below) + 5, x]).all()


def test_grid_sample_renders_the_same_frame(renderer: Renderer):
    on_torch = Renderer(renderer.photo, resampler=TorchResampler("cpu"))
    a, b = (r.frame(motion(**TALKING), 0).astype(int) for r in (renderer, on_torch))
    assert np.abs(a - b).max() <= 9
    assert np.abs(a - b).mean() < 0.5


def test_the_face_stays_as_sharp_as_the_photograph(renderer: Renderer):
    photo = renderer.photo
    x, y = (photo.landmarks.face[10, :2] + 0.45 * photo.unit * photo.down).round().astype(int)
    face = (slice(y - 25, y + 25), slice(x - 20, x + 20))
    sharpness = lambda image: cv2.Laplacian(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)[face], cv2.CV_32F).var()  # noqa: E731
    turned = renderer.frame(motion(head_rotation=(0.1, 0.05, 0.05)), 0)
    assert 0.8 < sharpness(turned) / sharpness(photo.image) < 1.2


def test_a_polygon_covers_pixels_by_their_share():
    square = np.array([[2.5, 2.0], [6.0, 2.0], [6.0, 5.0], [2.5, 5.0]])
    share = cover(square, Box(slice(0, 8), slice(0, 8)))
    assert share[3, 4] == 1
    assert share[3, 7] == 0
    assert share[3, 2] == pytest.approx(0.5, abs=0.2)
