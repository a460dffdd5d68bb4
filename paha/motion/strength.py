"""How much of its motion a person makes: parts of the decoded motion times a factor."""

from __future__ import annotations

from dataclasses import astuple, dataclass, replace

import numpy as np

from paha.errors import PahaError
from paha.motion.person import PersonMotion

MAX_STRENGTH = 2.0
_ARMS = np.array([0, 0, 1, 1, 1, 1, 0, 0], bool)
"""Of shoulders, elbows, wrists and hips: those that move with the hands."""


@dataclass(frozen=True)
class MotionStrength:
    """Factors on the motion since the photograph: of head and shoulders, of arms and hands, of the lips. 1 is as the
    model makes it, 0 is still. Raises PahaError beyond [0, 2]."""

    head: float = 1.0
    hands: float = 1.0
    mouth: float = 1.0

    def __post_init__(self) -> None:
        if not all(0 <= value <= MAX_STRENGTH for value in astuple(self)):
            raise PahaError(f"motion strength {astuple(self)} is out of range; give 0 to {MAX_STRENGTH:g} for each")

    def __call__(self, motion: PersonMotion) -> PersonMotion:
        """Motion since a reference, made weaker or stronger."""
        if self == MotionStrength():
            return motion
        parts = np.where(_ARMS, self.hands, self.head).astype(np.float32)
        return replace(
            motion,
            head_shift=self.head * motion.head_shift,
            head_rotation=self.head * motion.head_rotation,
            mouth_open=self.mouth * motion.mouth_open,
            mouth_wide=self.mouth * motion.mouth_wide,
            lip_press=self.mouth * motion.lip_press,
            parts=motion.parts * parts[:, None],
            hand_rotation=self.hands * motion.hand_rotation,
        )


def parse_strength(text: str) -> MotionStrength:
    """'1,0.5,1' to head, hands, mouth. Raises PahaError for anything else."""
    try:
        values = [float(part) for part in text.split(",")]
    except ValueError:
        values = []
    if len(values) != 3:
        raise PahaError(f"--strength {text}: give HEAD,HANDS,MOUTH, e.g. 1,0.5,1")
    return MotionStrength(*values)
