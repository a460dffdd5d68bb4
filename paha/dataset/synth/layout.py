"""Where everything is in one frame: geometry only, no pixels. Lengths in 128ths of the frame."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from paha.dataset.synth.body import SHOULDER_RISE, ArmPose, BodyFrame, solve_arm
from paha.dataset.synth.character import Character
from paha.dataset.synth.face import FaceMotion, FacePose, pose_face, still_landmarks
from paha.dataset.synth.hands import HandPose, pose_hand
from paha.dataset.synth.head_warp import HeadPose, place, pose_head
from paha.dataset.synth.signals import RigSignals

HAND_LENGTH = 0.56
"""Hand length in face heights."""
_FACE_SIGNALS = ("mouth_open", "mouth_wide", "lip_press", "jaw", "brow", "blink", "gaze_x", "gaze_y")


@dataclass(frozen=True)
class Layout:
    """Pose of head, face, arms and hands (person's left first) and the head's points in the frame.

    landmarks: (68, 2) iBUG points. ears: (2, 2), the person's left first. outline: (M, 2) edge of the face.
    """

    head: HeadPose
    face: FacePose
    landmarks: np.ndarray
    ears: np.ndarray
    arms: tuple[ArmPose, ArmPose]
    hands: tuple[HandPose, HandPose]
    lift: float


class LayoutSolver:
    """Turns rig signals into layouts for one character."""

    def __init__(self, character: Character) -> None:
        self.character = character
        self.frame = BodyFrame(character)
        self.still = still_landmarks(character.face)
        cheek = character.face.cheek + 0.02
        self.ears = np.array([[cheek, 0.06], [-cheek, 0.06]], dtype=np.float32)
        self.cached: tuple[RigSignals, int, Layout] | None = None

    def solve(self, rig: RigSignals, t: int) -> Layout:
        """Layout of frame t; the last one is kept, because speeds need its predecessor too."""
        if self.cached is not None and self.cached[0] is rig and self.cached[1] == t:
            return self.cached[2]
        layout = self._solve(rig, t)
        self.cached = (rig, t, layout)
        return layout

    def _solve(self, rig: RigSignals, t: int) -> Layout:
        character, height = self.character, self.character.framing.face_height
        lift = SHOULDER_RISE * float(rig.shoulder[t])
        motion = FaceMotion(**{name: float(getattr(rig, name)[t]) for name in _FACE_SIGNALS})
        yaw, pitch, roll = float(rig.head_yaw[t]), float(rig.head_pitch[t]), float(rig.head_roll[t])
        head = pose_head(character, yaw=yaw, pitch=pitch, roll=roll, lift=0.5 * lift * self.frame.unit)
        face = pose_face(character, motion, still=self.still)
        placed = place(np.concatenate([face.landmarks, self.ears]), head, height=height)
        sides = ((1, rig.left_wrist[t], rig.left_hand_shape[t]), (-1, rig.right_wrist[t], rig.right_hand_shape[t]))
        arms = tuple(solve_arm(wrist, side=side, lift=lift) for side, wrist, _ in sides)
        hands = tuple(
            pose_hand(
                arm,
                wrist=self.frame.to_frame(arm.wrist),
                openness=shape[0],
                palm=shape[1],
                bend=shape[2],
                length=HAND_LENGTH * height,
            )
            for arm, (_, _, shape) in zip(arms, sides, strict=True)
        )
        return Layout(head, face, placed[:68], placed[68:], arms, hands, lift)  # type: ignore[arg-type]
