"""Arms in layers: a drawn person with hands at the sides, whose parts have known colours."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import cv2
import numpy as np
import pytest

from paha.motion.arm_cut import FINGERS
from paha.motion.landmarks import Landmarks
from paha.motion.layers import REACH_BARE, REACH_CARRIED, find_arms, limited, outside_distance, take_apart
from paha.motion.person import PersonMotion
from paha.motion.photograph import Photograph
from paha.motion.renderer import Renderer
from paha.types import LEFT_HAND, RIGHT_HAND
from tests.motion.meshes import face_mesh
from tests.motion.people import keypoints

UNIT = 60.0
SIZE = (320, 340)
WALL, SHIRT, SKIN = (90, 120, 90), (40, 50, 140), (220, 160, 130)


def open_hand(side: int) -> np.ndarray:
    """(21, 2) in face heights from the wrist: straight fingers, up and outwards. side: 1 right of the image."""
    hand = np.zeros((21, 2))
    for index, chain in enumerate(FINGERS):
        angle = np.radians(-90 + side * (10 + 16 * index))
        direction = np.array([np.cos(angle), np.sin(angle)])
        for joint in range(1, 5):
            hand[chain[joint]] = (0.18 + 0.11 * joint) * direction
    return hand


@lru_cache(maxsize=4)
def photograph(kind: str = "apart") -> Photograph:
    """kind: "apart" hands beside the body; "touching" one another; "closed" fists."""
    points = keypoints(UNIT, (SIZE[1] / 2, 62.0))
    middle = points[0] * 0 + (SIZE[1] / 2, 62.0)
    wrists = [(1.75, 1.75), (-1.75, 1.75)] if kind != "touching" else [(0.3, 2.4), (-0.3, 2.4)]
    points[[7, 8]] = middle + UNIT * np.array([(1.25, 2.4), (-1.25, 2.4)])
    points[[9, 10]] = middle + UNIT * np.array(wrists)
    for wrist, hand, side in ((9, LEFT_HAND, 1), (10, RIGHT_HAND, -1)):
        shape = open_hand(side if kind != "touching" else -side)
        if kind == "closed":
            for chain in FINGERS:
                shape[[chain[3], chain[4]]] = shape[[chain[2], chain[1]]]
        points[hand] = points[wrist] + UNIT * shape
    image, mask = _drawn(points)
    face = np.zeros((478, 3), np.float32)
    face[:] = UNIT * face_mesh()
    face[:, :2] += middle
    seen = np.ones(133, np.float32)
    seen[11:23] = 0
    return Photograph(image, Landmarks(face, points.astype(np.float32), seen, lambda: mask, "own", ()))


def _drawn(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The picture and the soft mask of the person in it."""
    image = np.empty((*SIZE, 3), np.uint8)
    image[:] = WALL
    mask = np.zeros(SIZE, np.uint8)

    def draw(shape: np.ndarray, colour: tuple[int, int, int], radius: float) -> None:
        for canvas, value in ((image, colour), (mask, 255)):
            cv2.polylines(canvas, [np.rint(shape).astype(np.int32)], False, value, round(2 * radius * UNIT))  # type: ignore[call-overload]

    x, y = SIZE[1] // 2, 62
    for canvas, shirt, skin in ((image, SHIRT, SKIN), (mask, 255, 255)):
        cv2.rectangle(canvas, (x - 42, y + 60), (x + 42, SIZE[0]), shirt, -1)  # type: ignore[call-overload]
        cv2.ellipse(canvas, (x, y), (24, 34), 0, 0, 360, skin, -1)  # type: ignore[call-overload]
    for shoulder, elbow, wrist, hand in ((5, 7, 9, LEFT_HAND), (6, 8, 10, RIGHT_HAND)):
        draw(points[[shoulder, elbow]], SHIRT, 0.16)
        draw(points[[elbow, wrist]], SKIN, 0.1)
        for chain in FINGERS:
            draw(points[hand][list(chain)], SKIN, 0.045)
    noise = np.random.default_rng(0).normal(0, 3, image.shape)
    noisy = np.clip(image + noise, 0, 255).astype(np.uint8)
    return noisy, cv2.GaussianBlur(mask.astype(np.float32) / 255, (0, 0), 3)


def hands_moved(by: tuple[float, float]) -> PersonMotion:
    """One frame in which both wrists move, face heights, and the elbows a third of it."""
    motion = PersonMotion.rest(1)
    motion.parts[0, 4:6] = by
    motion.parts[0, 2:4] = np.array(by) / 3
    return motion


def test_no_motion_is_the_photograph_to_the_bit() -> None:
    photo = photograph()
    renderer = Renderer(photo)
    assert len(renderer.arms) == 2
    np.testing.assert_array_equal(renderer.frame(PersonMotion.rest(1), 0), photo.image)


def test_the_cut_holds_the_hand_and_not_the_shirt() -> None:
    photo = photograph()
    for side, cut in photo.arm_cuts.items():
        window = photo.image[cut.rows, cut.columns].astype(float)
        skin = np.linalg.norm(window - SKIN, axis=-1) < 30
        hand = photo.landmarks.points[(LEFT_HAND, RIGHT_HAND)[side]]
        y, x = np.mgrid[cut.rows, cut.columns] + 0.5
        near = outside_distance(np.stack([x, y], -1), cv2.convexHull(hand)[:, 0]) < 0.05 * UNIT
        assert cut.inside[skin & near].mean() > 0.95
        assert cut.inside[~skin & near].mean() < 0.25
        assert cut.inside[np.linalg.norm(window - SHIRT, axis=-1) < 30].mean() < 0.05


def test_without_arms_nothing_of_the_hands_is_left() -> None:
    photo = photograph()
    picture, alpha, layers = take_apart(photo, find_arms(photo))
    assert len(layers) == 2
    for hand in (LEFT_HAND, RIGHT_HAND):
        x, y = np.floor(photo.landmarks.points[hand]).astype(int).T
        assert np.linalg.norm(picture[y, x].astype(float) - WALL, axis=-1).max() < 40
        assert alpha[y, x].max() < 0.3


def test_a_hand_moves_and_leaves_the_wall_behind() -> None:
    photo = photograph()
    tips = photo.landmarks.points[LEFT_HAND][[8, 12, 16]]
    frame = Renderer(photo).frame(hands_moved((0.05, -0.2)), 0)
    arm = find_arms(photo)[0]
    _, wrist, _ = arm.moves(hands_moved((0.05, -0.2)), 0)
    assert wrist[1] < -0.12 * UNIT
    x, y = np.floor(tips + wrist - (0, 2)).astype(int).T
    assert np.linalg.norm(frame[y + 3, x].astype(float) - SKIN, axis=-1).max() < 60
    far = np.linalg.norm(frame.astype(float) - photo.image, axis=-1) > 12
    assert not far[:100].any()  # the face and all above the hands


def test_beyond_the_persons_reach_no_bit_changes() -> None:
    photo = photograph()
    rows, columns = photo.region
    outside = np.ones(photo.image.shape[:2], bool)
    outside[rows, columns] = False
    frame = Renderer(photo).frame(hands_moved((0.3, -0.3)), 0)
    np.testing.assert_array_equal(frame[outside], photo.image[outside])


def test_closed_hands_stay() -> None:
    assert find_arms(photograph("closed")) == []


def test_hands_that_touch_go_together_and_not_far() -> None:
    arms = find_arms(photograph("touching"))
    assert all(arm.cut is None for arm in arms)
    motion = PersonMotion.rest(1)
    motion.parts[0, 4], motion.parts[0, 5] = (0.4, -0.4), (-0.4, -0.4)
    moves = [arm.moves(motion, 0)[1] for arm in arms]
    for wrist in moves:
        np.testing.assert_allclose(wrist, moves[0])
        assert np.hypot(*wrist) <= REACH_CARRIED * UNIT + 1e-6


@pytest.mark.parametrize("by", [(2.0, 0.0), (0.0, -5.0), (0.0, 0.0), (0.01, 0.02)])
def test_a_wrist_stays_within_reach_and_the_forearm_whole(by: tuple[float, float]) -> None:
    photo = photograph()
    for arm in find_arms(photo):
        elbow, wrist, _ = arm.moves(hands_moved(by), 0)
        assert np.hypot(*wrist) <= REACH_BARE * UNIT * 1.05
        body = arm.carry(np.zeros_like(photo.grid), photo.grid, hands_moved(by), 0)
        u = arm.displacement(body, photo.grid, hands_moved(by), 0)
        bone = arm.points.elbow + np.linspace(0.2, 1, 30)[:, None] * (arm.points.wrist - arm.points.elbow)
        moved = photo.lattice.read(u, bone[None].astype(np.float32))[0]
        steps = np.linalg.norm(np.diff(bone, axis=0), axis=1)
        assert (np.linalg.norm(np.diff(moved, axis=0), axis=1) / steps).max() < 1, "the map would fold"
        assert np.hypot(*(wrist - elbow)) <= 0.4 * arm.length + 1e-6


def test_a_hand_at_the_face_stays() -> None:
    photo = photograph()
    points = photo.landmarks.points.copy()
    points[LEFT_HAND] += photo.landmarks.face[:468, :2].mean(0) - points[LEFT_HAND].mean(0)
    moved = Photograph(photo.image, replace(photo.landmarks, points=points))
    assert 0 not in [arm.side for arm in find_arms(moved)]


@pytest.mark.parametrize("scale", [0.2, 1.6])
def test_pictures_of_any_size(scale: float) -> None:
    photo = photograph()
    image, mask = (cv2.resize(x, None, fx=scale, fy=scale) for x in (photo.image, photo.landmarks.mask))
    known = photo.landmarks
    face, points = known.face * np.float32(scale), known.points * np.float32(scale)
    scaled = replace(known, face=face, points=points, make_mask=lambda: mask)
    renderer = Renderer(Photograph(image, scaled))
    assert len(renderer.arms) == 2
    np.testing.assert_array_equal(renderer.frame(PersonMotion.rest(1), 0), image)
    assert (renderer.frame(hands_moved((0.1, -0.2)), 0) != image).any()


def test_outside_distance_of_a_square() -> None:
    square = np.array([[0, 0], [2, 0], [2, 2], [0, 2]], float)
    places = np.array([[1, 1], [3, 1], [-3, -4], [1, 2]], float)
    np.testing.assert_allclose(outside_distance(places, square), [0, 1, 5, 0])
    np.testing.assert_allclose(outside_distance(places, square[::-1]), [0, 1, 5, 0])


def test_limited_keeps_small_moves_and_their_direction() -> None:
    np.testing.assert_allclose(limited(np.array([0.03, -0.04]), 1.0), [0.03, -0.04], rtol=2e-3)
    assert np.hypot(*limited(np.array([30.0, 40.0]), 0.5)) == pytest.approx(0.5)
