"""Frames: determinism, truth that lies on the drawn parts, mouths and fingers that follow the rig, occlusion, speed."""

from dataclasses import replace

import numpy as np
import pytest

from paha.dataset.synth.character import sample_character
from paha.dataset.synth.renderer import RenderedFrame, Renderer
from paha.dataset.synth.signals import RigSignals
from paha.errors import PahaError
from paha.types import FACE, LEFT_HAND, NUM_KEYPOINTS, RIGHT_HAND

MOUTH_TOP, MOUTH_BOTTOM, CHIN = 23 + 62, 23 + 66, 23 + 8
SEEDS = (0, 5, 11, 23)


def make_rig(num_frames: int = 1, **values) -> RigSignals:
    """A still person, with some signals set."""
    fields = RigSignals.rest(num_frames).to_dict()
    for name, value in values.items():
        fields[name][:] = np.asarray(value, dtype=np.float32)
    return RigSignals(**fields)


def raised(**values) -> RigSignals:
    """Both hands beside the chest, palms to the viewer."""
    defaults = {
        "left_wrist": (0.72, 0.85),
        "right_wrist": (-0.72, 0.85),
        "left_hand_shape": (0.9, 0.95, 0.0),
        "right_hand_shape": (0.9, 0.95, 0.0),
    }
    return make_rig(**{**defaults, **values})


@pytest.fixture(scope="module")
def renderers() -> dict[int, Renderer]:
    return {seed: Renderer(sample_character(seed)) for seed in SEEDS}


def draw(renderer: Renderer, rig: RigSignals, t: int = 0) -> RenderedFrame:
    return renderer.draw(rig, t)


def test_shapes_and_types(renderers) -> None:
    frame = draw(renderers[0], raised())
    assert frame.image.shape == (128, 128, 3)
    assert frame.image.dtype == np.uint8
    assert frame.points.shape == (NUM_KEYPOINTS, 2)
    assert frame.scores.shape == (NUM_KEYPOINTS,)
    assert frame.points.dtype == frame.scores.dtype == frame.face_box.dtype == np.float32
    assert frame.background.dtype == bool


def test_same_seed_same_bits(renderers) -> None:
    rig = raised(mouth_open=0.5, head_yaw=0.4, blink=0.3)
    again = Renderer(sample_character(5)).draw(rig, 0)
    renderers[5].draw(make_rig(head_yaw=-1), 0)
    frame = draw(renderers[5], rig)
    np.testing.assert_array_equal(frame.image, again.image)
    np.testing.assert_array_equal(frame.points, again.points)
    np.testing.assert_array_equal(frame.scores, again.scores)


@pytest.mark.parametrize("seed", SEEDS)
def test_mouth_follows_mouth_open(renderers, seed: int) -> None:
    frames = [draw(renderers[seed], make_rig(mouth_open=v)) for v in (0, 0.5, 1)]
    gaps = [f.points[MOUTH_BOTTOM, 1] - f.points[MOUTH_TOP, 1] for f in frames]
    assert gaps[0] < 0.5
    assert gaps[0] < gaps[1] < gaps[2]
    assert 5.5 < gaps[2] < 9
    assert frames[2].points[CHIN, 1] - frames[0].points[CHIN, 1] > 2
    # Drawn, not only labelled: between the lips the picture is another one, and the dark of the mouth is among it.
    x = int(frames[2].points[MOUTH_TOP, 0])
    inside = slice(int(frames[2].points[MOUTH_TOP, 1]) + 1, int(frames[2].points[MOUTH_BOTTOM, 1]))
    shut, wide = (f.image[inside, x - 3 : x + 4].astype(int) for f in (frames[0], frames[2]))
    assert np.abs(wide - shut).mean() > 12
    assert wide.sum(-1).min() < 160


def test_press_closes_and_width_widens(renderers) -> None:
    pressed = draw(renderers[0], make_rig(mouth_open=0.8, lip_press=1)).points
    assert pressed[MOUTH_BOTTOM, 1] - pressed[MOUTH_TOP, 1] < 0.5
    widths = []
    for wide in (-1, 0, 1):
        points = draw(renderers[0], make_rig(mouth_wide=wide)).points
        widths.append(points[23 + 54, 0] - points[23 + 48, 0])
    assert widths[0] < 0.75 * widths[1]
    assert 11 < widths[1] < 16.5
    assert widths[2] > 1.1 * widths[1]


def test_head_signals_move_the_face_as_documented(renderers) -> None:
    still = draw(renderers[0], make_rig()).points
    nose, eyes = 0, slice(1, 3)
    assert draw(renderers[0], make_rig(head_yaw=1)).points[nose, 0] > still[nose, 0] + 3
    assert draw(renderers[0], make_rig(head_pitch=1)).points[nose, 1] > still[nose, 1] + 2
    # The crown goes right, so the person's left eye (on the image's right) goes down.
    tilted = draw(renderers[0], make_rig(head_roll=1)).points[eyes]
    assert tilted[0, 1] > tilted[1, 1] + 2
    # A turn moves the nose more than the outline of the face, towards the edge that turns away.
    turned = draw(renderers[0], make_rig(head_yaw=1)).points
    near, far = turned[nose, 0] - turned[23, 0], turned[23 + 16, 0] - turned[nose, 0]
    assert near > 1.25 * far


@pytest.mark.parametrize("seed", SEEDS)
def test_face_box_holds_the_face(renderers, seed: int) -> None:
    frame = draw(renderers[seed], make_rig(mouth_open=1, head_yaw=-0.8, head_roll=0.5))
    x0, y0, x1, y1 = frame.face_box
    face = frame.points[FACE]
    assert (face >= (x0 - 1e-3, y0 - 1e-3)).all()
    assert (face <= (x1 + 1e-3, y1 + 1e-3)).all()
    assert 24 < x1 - x0 < 50
    assert 24 < y1 - y0 < 60


@pytest.mark.parametrize("seed", SEEDS)
def test_hand_keypoints_lie_on_skin(renderers, seed: int) -> None:
    renderer = renderers[seed]
    frame = draw(renderer, raised())
    skin = np.asarray(renderer.character.skin)
    points = np.concatenate([frame.points[LEFT_HAND][1:], frame.points[RIGHT_HAND][1:]])
    x, y = np.floor(points).astype(int).T
    colours = frame.image[y, x].astype(float)
    # Same hue, any shade: compare after scaling to the skin's brightness.
    colours *= skin.mean() / colours.mean(1, keepdims=True)
    assert (np.abs(colours - skin).mean(1) < 22).mean() > 0.9
    assert not frame.background[y, x].any()


def test_five_fingers_on_each_hand_are_apart(renderers) -> None:
    frame = draw(renderers[0], raised())
    tips = frame.points[np.r_[91 + np.arange(4, 21, 4), 112 + np.arange(4, 21, 4)]]
    distance = np.linalg.norm(tips[:, None] - tips, axis=-1) + 100 * np.eye(10)
    assert distance.min() > 2
    # Palms face the viewer, fingers up: both thumbs point to the body's middle.
    left, right = frame.points[LEFT_HAND], frame.points[RIGHT_HAND]
    assert left[4, 0] < left[20, 0]
    assert right[4, 0] > right[20, 0]


def test_fist_is_shorter_than_open_hand(renderers) -> None:
    open_hand = draw(renderers[0], raised()).points[LEFT_HAND]
    fist = draw(renderers[0], raised(left_hand_shape=(0, 0.95, 0))).points[LEFT_HAND]
    assert np.ptp(open_hand, axis=0).max() > 1.35 * np.ptp(fist, axis=0).max()


def test_left_is_the_persons_left(renderers) -> None:
    points = draw(renderers[0], raised()).points
    for left, right in ((1, 2), (3, 4), (5, 6), (7, 8), (9, 10)):
        assert points[left, 0] > points[right, 0]


def test_a_hand_before_the_face_lowers_its_scores(renderers) -> None:
    clear = draw(renderers[0], raised())
    hidden = draw(renderers[0], raised(left_wrist=(0.0, -0.25)))
    assert (clear.scores[FACE] > 0.8).mean() > 0.9
    lowered = hidden.scores[FACE] < 0.5
    assert lowered.sum() >= 5
    assert not lowered.all()


def test_fast_points_and_points_out_of_frame_score_low(renderers) -> None:
    rig = RigSignals(**{**make_rig(2).to_dict(), "left_wrist": np.array([[0.6, 1.2], [0.75, 0.8]], dtype=np.float32)})
    slow, fast = draw(renderers[0], rig, 0), draw(renderers[0], replace(rig), 1)
    assert 0 < fast.scores[9] < 0.5
    assert slow.scores[9] > 0.8
    assert fast.scores[5] > 0.9
    down = draw(renderers[0], make_rig())
    assert (down.scores[LEFT_HAND] == 0).all()
    assert (down.scores[11:23] == 0).all()


@pytest.mark.parametrize("seed", SEEDS)
def test_background_mask_is_the_background(renderers, seed: int) -> None:
    a, b = draw(renderers[seed], make_rig()), draw(renderers[seed], raised(head_yaw=0.5, mouth_open=1))
    both = a.background & b.background
    assert 0.2 < both.mean() < 0.8
    np.testing.assert_array_equal(a.image[both], b.image[both])
    x, y = a.points[0].astype(int)
    assert not a.background[y, x]


def test_size_is_free(renderers) -> None:
    rig = raised(mouth_open=0.4)
    small, large = draw(renderers[11], rig), Renderer(sample_character(11), 192).draw(rig, 0)
    assert large.image.shape == (192, 192, 3)
    np.testing.assert_allclose(large.points, small.points * 1.5, atol=1e-2)
    np.testing.assert_allclose(large.scores, small.scores, atol=1e-5)


def test_bad_size_and_frame_are_named(renderers) -> None:
    with pytest.raises(PahaError, match="size 8"):
        Renderer(sample_character(0), 8)
    with pytest.raises(PahaError, match="frame 3"):
        renderers[0].draw(make_rig(), 3)
