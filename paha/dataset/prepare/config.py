"""What `paha prepare` keeps, and the three layouts: `any`, `pats` (S2G's part of PATS), `cnas` (section 4.3)."""

from __future__ import annotations

import hashlib
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from paha.errors import PahaError
from paha.types import FPS

FORMAT = 1
"""Raised whenever the same footage would give another dataset."""


class PrepareConfig(BaseModel):
    """Everything that decides the dataset. Lengths in seconds, sizes as fractions of the picture, levels in dBFS."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    layout: Literal["any", "pats", "cnas"] = "any"
    width: int = Field(default=512, ge=32, multiple_of=2)
    height: int = Field(default=512, ge=32, multiple_of=2)
    min_s: float = Field(default=2.0, gt=0)
    max_s: float = Field(default=15.0, ge=1 / FPS)
    exact_frames: int | None = Field(default=None, ge=1)
    """Every clip has so many frames; what is left over is too short."""
    sound_rate_hz: int | None = Field(default=None, ge=8000)
    """Of the sound in the clip's video; None keeps the recording's."""
    speakers: tuple[str, ...] = ()
    """Identities that the layout knows; others are refused. Empty: any."""
    pose: str = "mediapipe"
    """The extractor that was chosen (never `auto`)."""
    hands: bool = True
    """Hands and shoulders must be seen; off, heads will do."""
    smooth: float = Field(default=0.0, ge=0)
    """Weight of the temporal fit of keypoints; 0 leaves them as read."""
    presence: str = ""
    """The DINOv2 model that checks whether the parts found are present (`paha.extractors.presence`); empty: none."""
    presence_limit: float = Field(default=0.5, ge=-1, le=1)
    """Least cosine similarity of a part's features to their mean over the clip. A guess: no DINOv2 weights were at hand
    to measure it on footage."""
    test_share: float = Field(default=0.1, ge=0, lt=1)
    licence: str = ""
    language: str = ""

    scan_fps: int = Field(default=5, ge=1, le=25)
    min_source_fps: float = 15.0
    max_upscale: float = 2.0
    cut_threshold: float = 27.0
    """Of PySceneDetect's ContentDetector: mean change of hue, saturation and lightness."""
    max_dark: float = 16.0
    """Mean luma (0 to 255) below which a frame is black."""
    min_motion: float = 0.12
    """Largest change of an 8 x 8 block of the 160-pixel picture, grey levels: below it for long, the picture stands."""
    max_still_s: float = 1.0
    min_face_score: float = 0.5
    min_face: float = 0.06
    """Height of the face over that of the picture."""
    max_turn: float = 0.27
    """How far the nose's tip is off the middle between the ears, in face widths: 0 faces the camera, 0.5 is profile."""
    max_other_face: float = 0.45
    """Width of another face over the speaker's."""
    max_other_s: float = 0.8
    """Detectors see faces in hands and leaves for a moment: only what stays for longer is somebody."""
    max_jump: float = 0.6
    """Face widths that a face may move between two scanned frames."""
    max_gap_s: float = 0.4
    """A face or hands lost for so long are no fault."""
    edge: float = 0.01
    """A face nearer to the picture's border than this leaves the frame."""
    min_hand_score: float = 0.5
    min_hand_share: float = 0.4
    """Share of the frames of three seconds with a hand."""
    silence_db: float = -50.0
    max_pause_s: float = 1.5
    min_level_db: float = -42.0
    min_snr_db: float = 15.0
    max_clipped: float = 0.003
    min_mouth: float = 0.02
    """Least range of the mouth's opening over three seconds of speech; less, and somebody else speaks."""

    @property
    def digest(self) -> str:
        """16 hexadecimal digits: two equal ones give the same dataset."""
        return hashlib.sha256(f"{FORMAT} {self.model_dump_json()}".encode()).hexdigest()[:16]


LAYOUTS: dict[str, dict[str, object]] = {
    "any": {},
    "pats": {"min_s": 4.0, "max_s": 15.0, "speakers": ("jon", "chemistry", "oliver", "seth"), "language": "en"},
    "cnas": {
        "width": 512,
        "height": 896,
        "min_s": 5.0,
        "max_s": 5.0,
        "exact_frames": 125,
        "sound_rate_hz": 22_050,
        "smooth": 1.0,
        "language": "cmn",
    },
}
"""What each layout sets: 4-15 s clips of four speakers at 512 x 512; 125 frames at 512 x 896, sound at 22 kHz,
keypoints fitted over time (Appendix C)."""


def layout_config(layout: str, **changes: object) -> PrepareConfig:
    """The configuration of a layout with changes (None leaves a setting alone). Raises PahaError for unknown ones."""
    if layout not in LAYOUTS:
        raise PahaError(f"unknown layout '{layout}'; known: {', '.join(LAYOUTS)}")
    settings = {"layout": layout, **LAYOUTS[layout], **{k: v for k, v in changes.items() if v is not None}}
    try:
        config = PrepareConfig.model_validate(settings)
    except ValueError as error:
        first = error.errors()[0]  # pyright: ignore[reportAttributeAccessIssue]
        raise PahaError(f"prepare: '{'.'.join(map(str, first['loc']))}': {first['msg']}") from error
    if config.min_s > config.max_s:
        raise PahaError(f"clips from {config.min_s} s to {config.max_s} s: the shortest is longer than the longest")
    return config
