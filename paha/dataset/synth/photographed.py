"""Photographed presenters: the rig moves a still, and the renderer of the product draws the frames."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import numpy as np

from paha.dataset.manifest import ClipAnnotations
from paha.dataset.synth.clip import ClipPlan, Scene, act_scene
from paha.dataset.synth.person_motion import person_motion
from paha.errors import PahaError
from paha.motion.person import PersonMotion, move_points
from paha.types import FACE, Keypoints

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")


def find_stills(folder: Path) -> tuple[str, ...]:
    """The pictures in a folder, by name. Raises PahaError where there are none."""
    if not folder.is_dir():
        raise PahaError(f"{folder} is no folder of stills: give one with photographs of people")
    found = tuple(str(path) for path in sorted(folder.iterdir()) if path.suffix.lower() in SUFFIXES)
    if not found:
        raise PahaError(f"{folder} holds no picture ({', '.join(SUFFIXES)}): give a folder with photographs of people")
    return found


def render_plan(plan: ClipPlan) -> tuple[Scene[PersonMotion], np.ndarray, ClipAnnotations, str]:
    """A clip's scene, its frames (T, H, W, 3) uint8, their annotations, and who is seen.

    A still whose person cannot be read is passed over for the next one. Raises PahaError where none can be read.
    """
    scene = act_scene(plan, person_motion, lambda motion, start, stop: motion.frames(slice(start, stop)))
    refused = ""
    for offset in range(len(plan.stills)):
        path = Path(plan.stills[(plan.character_seed + offset) % len(plan.stills)])
        try:
            frames, annotations = render_still(path, scene.rig, size=plan.size)
        except PahaError as error:
            refused = f"{path.name}: {error}"
            continue
        return scene, frames, annotations, f"still-{path.stem}"
    raise PahaError(f"no person can be read off any of the {len(plan.stills)} stills; the last one: {refused}")


def render_still(path: Path, motion: PersonMotion, *, size: int) -> tuple[np.ndarray, ClipAnnotations]:
    """Frames (T, H, W, 3) uint8 of a still whose person does `motion` (counted from rest), and their annotations.

    size: pixels of the longer side at most. Raises PahaError where the person cannot be read.
    """
    from paha.media.image_io import read_image
    from paha.motion.landmarks import find_landmarks
    from paha.motion.motion_reference import fit_size, gaze_of
    from paha.motion.photograph import Photograph
    from paha.motion.renderer import Renderer

    image = fit_size(read_image(path), size)
    landmarks = find_landmarks(image)
    photo = Photograph(image, landmarks)
    # The still's mouth and gaze are where speech takes over; head and hands start from where it has them.
    state = PersonMotion.rest(1)
    state.mouth_open[0] = photo.geometry.state.mouth_open[0]
    state.gaze[0] = gaze_of(landmarks)
    renderer = Renderer(photo)
    since = _held(motion.relative_to(state), moving={arm.side for arm in renderer.arms})
    frames = np.stack(list(renderer.frames(since, workers=1)))
    points = move_points(landmarks.points, since).astype(np.float32)
    scores = np.repeat(landmarks.scores[None], len(points), 0).astype(np.float32)
    face = points[:, FACE]
    box = np.concatenate([face.min(1), face.max(1)], axis=1).astype(np.float32)
    return frames, ClipAnnotations(keypoints=Keypoints(points, scores), face_box=box, rig=signals(since))


def _held(motion: PersonMotion, *, moving: set[int]) -> PersonMotion:
    """The motion without that of arms that the renderer keeps still (they hold or touch something): 0 left, 1 right."""
    parts, turns = motion.parts.copy(), motion.hand_rotation.copy()
    for side in {0, 1} - moving:
        parts[:, [2 + side, 4 + side]] = 0
        turns[:, side] = 0
    return replace(motion, parts=parts, hand_rotation=turns)


def signals(motion: PersonMotion) -> dict[str, np.ndarray]:
    """Signals since the still by name, (T,) or (T, n), as annotations keep them."""
    flat = {f.name: getattr(motion, f.name) for f in fields(motion)}
    return {name: value.reshape(len(motion), -1) if value.ndim > 2 else value for name, value in flat.items()}
