"""A character: every number that decides what an illustrated presenter looks like, and how to draw one by chance.

Lengths of the head are in face heights (hairline to chin = 1) from the point between the eyes; lengths of the framing
are in hundred-and-twenty-eighths of the frame, so that a character looks the same at every size.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from paha.dataset.synth.palette import BACKDROPS, DARK_HAIRS, EYES, GREY_HAIRS, HAIRS, OUTFITS, SKINS, Colour

HAIR_STYLES = ("side_part", "crop", "quiff", "waves_short", "curly", "bob", "fringe_bob", "long", "long_wavy", "bun")
HAIR_STYLES += ("ponytail", "bald", "receding", "afro")
LONG_STYLES = ("bob", "fringe_bob", "long", "long_wavy", "bun", "ponytail")
SHORT_STYLES = ("side_part", "crop", "quiff", "waves_short", "curly", "bald", "receding", "afro")
BEARDS = ("none", "stubble", "moustache", "goatee", "full")
CLOTHES = (
    "shirt",
    "jacket_tie",
    "jacket_open",
    "sweater",
    "tee",
    "v_neck",
    "turtleneck",
    "cardigan",
    "dress",
    "hoodie",
)
PATTERNS = ("plain", "stripes", "pinstripes", "checks", "dots", "knit")
BACKGROUNDS = ("plain", "gradient", "studio", "bookshelf", "window")
HEAD_ROOM = {"bun": 0.8, "afro": 0.74, "quiff": 0.72}
"""Face heights from the eyes to the top of tall hair, which stays in the frame; 0.68 for the other styles."""
GLASSES = ("none", "round", "square", "thin")


@dataclass(frozen=True)
class FaceShape:
    """Proportions of the face, in face heights."""

    cheek: float
    jaw: float
    chin: float
    chin_y: float
    ear: float
    eye_x: float
    eye_width: float
    eye_height: float
    eye_tilt: float
    brow_y: float
    brow_thickness: float
    brow_arch: float
    nose_width: float
    nose_y: float
    mouth_y: float
    mouth_width: float
    lip_upper: float
    lip_lower: float
    lashes: float
    age: float
    freckles: float


@dataclass(frozen=True)
class Hair:
    """Hair on the head and in the face. `side` is +1 or -1, the side of the parting; `seed` places the strands."""

    style: str
    colour: Colour
    volume: float
    length: float
    side: float
    beard: str
    seed: int


@dataclass(frozen=True)
class Outfit:
    """Clothes: kind, colours (outer, inner, accent), pattern of the outer garment, long or short sleeves."""

    kind: str
    outer: Colour
    inner: Colour
    accent: Colour
    pattern: str
    pattern_scale: float
    long_sleeves: bool


@dataclass(frozen=True)
class Backdrop:
    """What is behind the presenter."""

    kind: str
    light: Colour
    mid: Colour
    accent: Colour
    seed: int


@dataclass(frozen=True)
class Framing:
    """Where the presenter is in the frame, in 128ths of it: x of the body, y of the shoulders, height of the face."""

    centre_x: float
    shoulder_y: float
    face_height: float
    shoulder_ratio: float
    neck_width: float
    neck_length: float


@dataclass(frozen=True)
class Character:
    """Everything that decides a presenter's looks. `light` in [-1, 1]: side the light comes from (image right: 1)."""

    seed: int
    skin: Colour
    blush: Colour
    lips: Colour
    eye_colour: Colour
    face: FaceShape
    hair: Hair
    outfit: Outfit
    backdrop: Backdrop
    framing: Framing
    glasses: str
    glasses_colour: Colour
    earrings: bool
    light: float
    light_strength: float

    @property
    def shoulder_width(self) -> float:
        """One body unit in 128ths of the frame."""
        return self.framing.face_height * self.framing.shoulder_ratio


def sample_character(seed: int) -> Character:
    """A character that is the same for the same seed, with colours that go together."""
    rng = np.random.default_rng((seed, 0x5EED))
    feminine = bool(rng.random() < 0.5)
    skin_index = int(rng.integers(len(SKINS)))
    skin = _jitter(rng, SKINS[skin_index], 5)
    hair = _sample_hair(rng, feminine=feminine, skin_index=skin_index)
    red = (206, 92, 92) if skin_index < 6 else (150, 62, 60)
    lip_amount = rng.uniform(0.4, 0.7) if feminine else rng.uniform(0.22, 0.38)
    eyes = EYES[: 3 if skin_index > 5 else len(EYES)]
    outfit = _sample_outfit(rng, feminine=feminine)
    return Character(
        seed=seed,
        skin=skin,
        blush=_blend(skin, (232, 110, 96) if skin_index < 6 else (170, 64, 50), 0.5),
        lips=_blend(skin, red, lip_amount),
        eye_colour=_jitter(rng, eyes[int(rng.integers(len(eyes)))], 8),
        face=_sample_face(rng, feminine=feminine),
        hair=hair,
        outfit=outfit,
        backdrop=_sample_backdrop(rng, avoid=outfit.outer),
        framing=_sample_framing(rng, feminine=feminine, head_room=HEAD_ROOM.get(hair.style, 0.68)),
        glasses=str(rng.choice(GLASSES, p=(0.72, 0.1, 0.1, 0.08))),
        glasses_colour=_pick(rng, ((38, 34, 36), (92, 58, 42), (60, 66, 84), (128, 44, 48))),
        earrings=feminine and bool(rng.random() < 0.4),
        light=float(rng.choice((-1, 1)) * rng.uniform(0.4, 1)),
        light_strength=float(rng.uniform(0.6, 1.1)),
    )


def _pick(rng: np.random.Generator, options: tuple) -> Colour:
    return options[int(rng.integers(len(options)))]


def _jitter(rng: np.random.Generator, colour: Colour, amount: float) -> Colour:
    common, own = rng.uniform(-amount, amount), rng.uniform(-amount / 3, amount / 3, 3)
    return tuple(float(np.clip(c + common + o, 0, 255)) for c, o in zip(colour, own, strict=True))  # type: ignore[return-value]


def _blend(a: Colour, b: Colour, amount: float) -> Colour:
    return tuple((1 - amount) * x + amount * y for x, y in zip(a, b, strict=True))  # type: ignore[return-value]


def _sample_face(rng: np.random.Generator, *, feminine: bool) -> FaceShape:
    cheek = rng.uniform(0.345, 0.385)
    return FaceShape(
        cheek=cheek,
        jaw=cheek * (rng.uniform(0.74, 0.82) if feminine else rng.uniform(0.8, 0.9)),
        chin=rng.uniform(0.1, 0.14) if feminine else rng.uniform(0.13, 0.18),
        chin_y=rng.uniform(0.54, 0.575),
        ear=rng.uniform(0.9, 1.1),
        eye_x=rng.uniform(0.158, 0.174),
        eye_width=rng.uniform(0.082, 0.094),
        eye_height=rng.uniform(0.036, 0.047) * (1.1 if feminine else 0.95),
        eye_tilt=rng.uniform(-0.006, 0.016),
        brow_y=rng.uniform(0.115, 0.135),
        brow_thickness=rng.uniform(0.013, 0.02) if feminine else rng.uniform(0.019, 0.028),
        brow_arch=rng.uniform(0.012, 0.035),
        nose_width=rng.uniform(0.066, 0.08) if feminine else rng.uniform(0.075, 0.095),
        nose_y=rng.uniform(0.2, 0.225),
        mouth_y=rng.uniform(0.355, 0.372),
        mouth_width=rng.uniform(0.148, 0.172),
        lip_upper=rng.uniform(0.032, 0.042) if feminine else rng.uniform(0.024, 0.034),
        lip_lower=rng.uniform(0.042, 0.054) if feminine else rng.uniform(0.034, 0.046),
        lashes=rng.uniform(0.7, 1.0) if feminine else rng.uniform(0.15, 0.4),
        age=float(rng.beta(1.2, 2.5)),
        freckles=float(rng.random() < 0.12),
    )


def _sample_hair(rng: np.random.Generator, *, feminine: bool, skin_index: int) -> Hair:
    styles = (
        LONG_STYLES * 3 + ("side_part", "curly", "crop", "afro") if feminine else SHORT_STYLES * 3 + ("bun", "long")
    )
    style = str(rng.choice(styles))
    pool = DARK_HAIRS + GREY_HAIRS if skin_index > 5 else tuple(range(len(HAIRS)))
    index = int(rng.choice(pool))
    if index in GREY_HAIRS and rng.random() < 0.5:
        index = int(rng.choice(DARK_HAIRS))
    beard = "none" if feminine else str(rng.choice(BEARDS, p=(0.45, 0.2, 0.1, 0.1, 0.15)))
    return Hair(
        style=style,
        colour=_jitter(rng, HAIRS[index], 8),
        volume=float(rng.uniform(0, 1)),
        length=float(rng.uniform(0, 1)),
        side=float(rng.choice((-1, 1))),
        beard=beard,
        seed=int(rng.integers(1 << 30)),
    )


def _sample_outfit(rng: np.random.Generator, *, feminine: bool) -> Outfit:
    masculine_kinds = (
        "shirt",
        "jacket_tie",
        "jacket_tie",
        "jacket_open",
        "sweater",
        "tee",
        "v_neck",
        "turtleneck",
        "hoodie",
    )
    feminine_kinds = (
        "shirt",
        "jacket_open",
        "sweater",
        "tee",
        "v_neck",
        "turtleneck",
        "cardigan",
        "dress",
        "dress",
        "hoodie",
    )
    kind = str(rng.choice(feminine_kinds if feminine else masculine_kinds))
    outer, inner, accent = OUTFITS[int(rng.integers(len(OUTFITS)))]
    if kind == "shirt" and rng.random() < 0.4:
        outer, inner = inner, outer
    patterns = {
        "shirt": ("plain", "plain", "stripes", "checks", "pinstripes"),
        "jacket_tie": ("plain", "plain", "pinstripes"),
        "jacket_open": ("plain", "plain", "pinstripes", "checks"),
        "sweater": ("plain", "knit", "knit", "stripes"),
        "tee": ("plain", "plain", "stripes"),
        "dress": ("plain", "plain", "dots"),
        "turtleneck": ("plain", "knit"),
        "cardigan": ("plain", "knit"),
    }.get(kind, ("plain",))
    return Outfit(
        kind=kind,
        outer=_jitter(rng, outer, 8),
        inner=_jitter(rng, inner, 4),
        accent=_jitter(rng, accent, 8),
        pattern=str(rng.choice(patterns)),
        pattern_scale=float(rng.uniform(0.8, 1.3)),
        long_sleeves=kind.startswith("jacket") or bool(rng.random() < (0.25 if kind in ("tee", "dress") else 0.9)),
    )


def _sample_backdrop(rng: np.random.Generator, *, avoid: Colour) -> Backdrop:
    contrast = [float(np.abs(np.subtract(mid, avoid)).sum()) for _, mid, _ in BACKDROPS]
    usable = [i for i, c in enumerate(contrast) if c > 70]
    light, mid, accent = BACKDROPS[int(rng.choice(usable))]
    kind = str(rng.choice(BACKGROUNDS, p=(0.12, 0.24, 0.24, 0.2, 0.2)))
    return Backdrop(
        kind=kind,
        light=_jitter(rng, light, 6),
        mid=_jitter(rng, mid, 6),
        accent=_jitter(rng, accent, 8),
        seed=int(rng.integers(1 << 30)),
    )


def _sample_framing(rng: np.random.Generator, *, feminine: bool, head_room: float) -> Framing:
    face_height = rng.uniform(39, 45)
    neck_length = rng.uniform(0.25, 0.31) if feminine else rng.uniform(0.22, 0.28)
    eye_y = rng.uniform(2, 6) + head_room * face_height
    return Framing(
        centre_x=64 + rng.uniform(-4, 4),
        shoulder_y=eye_y + (0.56 + neck_length) * face_height,
        face_height=face_height,
        shoulder_ratio=rng.uniform(1.42, 1.54) if feminine else rng.uniform(1.54, 1.68),
        neck_width=rng.uniform(0.2, 0.23) if feminine else rng.uniform(0.24, 0.28),
        neck_length=neck_length,
    )
