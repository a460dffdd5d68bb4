"""The still parts of a head seen from the front: skin with its shading, ears, nose, beard, glasses.

Unit: face heights; origin between the eyes; y down. Moving parts (eyes, brows, mouth) are in `face`, the turn of the
head in `head_warp`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from paha.dataset.synth.character import Character, FaceShape
from paha.dataset.synth.drawing import Layer, ellipse, lit, mirrored, mix, ribbon, scaled, shifted, smooth
from paha.dataset.synth.hair import HairShapes, beard_strands, draw_hair, hair_shapes

LOW, HIGH = (-0.95, -0.98), (0.95, 0.98)
"""Extent of a head's textures."""
LONG_HIGH = (0.95, 1.55)


@dataclass(frozen=True)
class HeadTextures:
    """Pictures of one size: behind the neck, the head itself, and what lies over brows and eyes (fringe, glasses)."""

    back: Layer
    skin: Layer
    front: Layer


def face_outline(face: FaceShape) -> np.ndarray:
    """Outline (M, 2) of the face from the crown over the image's right side and the chin back to the crown."""
    half = [
        (0.0, -0.54),
        (0.2, -0.5),
        (0.335, -0.36),
        (face.cheek * 0.99, -0.17),
        (face.cheek, 0.05),
        (face.cheek * 0.965, 0.2),
        (face.jaw * 1.03, 0.335),
        (face.jaw * 0.72 + face.chin * 0.2, 0.465),
        (face.chin, face.chin_y - 0.012),
        (0.0, face.chin_y),
    ]
    return smooth(mirrored(half))


def draw_head(character: Character, *, scale: float) -> HeadTextures:
    """The head's textures at `scale` pixels a face height."""
    shapes = hair_shapes(character.hair, face=character.face)
    high = LONG_HIGH if character.hair.style in ("long", "long_wavy") else HIGH
    back, skin, front = (Layer(low=LOW, high=high, scale=scale) for _ in range(3))
    draw_hair(back, shapes.back, character, depth=0.62)
    _draw_chin_shadow(skin, character)
    _draw_ears(skin, character)
    _draw_skin(skin, character)
    _draw_nose(skin, character)
    _draw_beard(skin, character)
    _draw_hair_shadow(skin, shapes)
    draw_hair(skin, shapes.under, character, depth=0.9)
    draw_hair(front, shapes.front, character, depth=1.0)
    if character.earrings:
        _draw_earrings(front, character)
    _draw_glasses(front, character)
    return HeadTextures(back=back, skin=skin, front=front)


def _draw_chin_shadow(layer: Layer, character: Character) -> None:
    """Shadow that the head casts on the neck: a dark, see-through blob that moves with the head."""
    width = character.framing.neck_width
    blob = ellipse((-0.04 * character.light, character.face.chin_y - 0.03), (width * 0.92, 0.17))
    layer.paint(layer.mask(blob, blur=0.03), scaled(character.skin, 0.32), 0.42)
    x, _ = layer.grid()
    layer.clip(np.clip((width * 0.98 - np.abs(x)) / 0.05, 0, 1) * np.ones(layer.shape, dtype=np.float32))


def _draw_ears(layer: Layer, character: Character) -> None:
    face, skin = character.face, character.skin
    for side in (-1, 1):
        x, size = side * (face.cheek + 0.022), face.ear
        outer = ellipse((x, 0.075), (0.052 * size, 0.115 * size), angle=side * 0.16)
        inner = ellipse((x + side * 0.002, 0.07), (0.028 * size, 0.072 * size), angle=side * 0.16)
        layer.paint(layer.mask(outer), scaled(skin, 0.9))
        layer.tint(layer.mask(inner, blur=0.008), scaled(character.blush, 0.72), 0.6)
        layer.tint(layer.mask(ellipse((x - side * 0.03, 0.1), (0.025, 0.12)), blur=0.012), scaled(skin, 0.6), 0.5)


def _draw_skin(layer: Layer, character: Character) -> None:
    face, skin, light = character.face, character.skin, character.light
    outline = face_outline(face)
    inside = layer.mask(outline)
    layer.paint(layer.mask(outline), scaled(skin, 0.99))
    strength = character.light_strength
    x, y = layer.grid()
    ramp = np.clip(0.5 - light * x / 0.62, 0, 1) ** 1.5 * inside
    layer.tint(ramp, scaled(character.blush, 0.62), 0.42 * strength)
    rim = inside * (1 - layer.soften(inside, 0.055)) * 2
    layer.tint(np.clip(rim, 0, 1), scaled(character.blush, 0.6), 0.5 * strength)
    low = np.clip((y - 0.34) / 0.3, 0, 1) * inside
    layer.tint(low, scaled(character.blush, 0.66), 0.24 * strength)
    glow = np.clip(x * light, 0, None) * inside
    bright = lit(skin, 1.05, 10)
    layer.tint(layer.mask(ellipse((0.1 * light, -0.27), (0.2, 0.1)), blur=0.06), bright, 0.5)
    layer.tint(layer.mask(ellipse((0.2 * light, 0.13), (0.09, 0.06)), blur=0.04), bright, 0.55)
    layer.tint(np.clip(glow, 0, 1), bright, 0.3)
    for side in (-1, 1):
        cheek = layer.mask(ellipse((side * 0.215, 0.2), (0.085, 0.062)), blur=0.045)
        layer.tint(cheek, character.blush, 0.42)
        _draw_socket(layer, character, side)
    _draw_lower_face(layer, character)


def _draw_socket(layer: Layer, character: Character, side: int) -> None:
    """Shading around one eye: the socket, the brow bone and, with age, bags and a cheek fold."""
    face, dark = character.face, scaled(character.blush, 0.62)
    socket = ellipse((side * face.eye_x, -0.035), (face.eye_width * 1.25, 0.055))
    inner = ellipse((side * 0.075, -0.03), (0.03, 0.06))
    layer.tint(layer.mask(socket, blur=0.022), dark, 0.34)
    layer.tint(layer.mask(inner, blur=0.022), dark, 0.42 if side * character.light < 0 else 0.26)
    bag = smooth([(-0.08, 0.05), (0.0, 0.072), (0.08, 0.052)], closed=False) * (side, 1) + (side * face.eye_x, 0)
    layer.tint(layer.mask(ribbon(bag, np.full(len(bag), 0.007)), blur=0.007), dark, 0.2 + 0.35 * face.age)
    fold = smooth([(0.085, 0.2), (0.135, 0.27), (0.185, 0.345)], closed=False) * (side, 1)
    taper = 0.007 * np.sin(np.linspace(0.15, np.pi, len(fold)))
    layer.tint(layer.mask(ribbon(fold, taper), blur=0.007), dark, 0.14 + 0.36 * face.age)


def _draw_lower_face(layer: Layer, character: Character) -> None:
    face, dark = character.face, scaled(character.blush, 0.66)
    below_lip = ellipse((0, face.mouth_y + face.lip_lower + 0.036), (0.085, 0.016))
    layer.tint(layer.mask(below_lip, blur=0.014), dark, 0.55)
    bright = lit(character.skin, 1.05, 8)
    chin = ellipse((0.02 * character.light, face.chin_y - 0.055), (0.06, 0.03))
    layer.tint(layer.mask(chin, blur=0.02), bright, 0.45)
    philtrum = ellipse((-0.004 * character.light, face.mouth_y - face.lip_upper - 0.035), (0.012, 0.032))
    layer.tint(layer.mask(philtrum, blur=0.008), dark, 0.3)
    if face.freckles:
        rng = np.random.default_rng(character.seed)
        spots = rng.normal(0, 1, (46, 2)) * (0.16, 0.055) + (0, 0.13)
        layer.tint(layer.mask(*[ellipse(s, (0.007, 0.006), samples=8) for s in spots]), dark, 0.35)
    if face.age > 0.62:
        lines = [smooth([(-0.15, -0.27 - d), (0, -0.285 - d), (0.15, -0.27 - d)], closed=False) for d in (0, 0.05)]
        layer.tint(layer.mask(*[ribbon(line, np.full(len(line), 0.004)) for line in lines], blur=0.006), dark, 0.3)


def _draw_nose(layer: Layer, character: Character) -> None:
    face, light = character.face, character.light
    width, tip = face.nose_width, face.nose_y
    dark, side = scaled(character.blush, 0.6), -np.sign(light)
    wall = smooth([(0.03, -0.07), (0.036, 0.04), (0.045, tip - 0.07), (width * 0.98, tip - 0.01), (0.03, tip + 0.005)])
    layer.tint(layer.mask(wall * (side, 1), blur=0.016), dark, 0.5 * character.light_strength)
    layer.tint(layer.mask(wall * (-side, 1), blur=0.016), dark, 0.16)
    cast = smooth([(-width, tip + 0.012), (0, tip + 0.05), (width, tip + 0.012), (0, tip + 0.006)])
    layer.tint(layer.mask(shifted(cast, side * 0.012, 0.004), blur=0.012), dark, 0.6)
    bright = lit(character.skin, 1.06, 14)
    ridge = smooth([(-0.012, -0.05), (0.012, -0.05), (0.017, tip - 0.05), (-0.017, tip - 0.05)])
    layer.tint(layer.mask(shifted(ridge, 0.012 * light, 0), blur=0.014), bright, 0.6)
    layer.tint(layer.mask(ellipse((0.012 * light, tip - 0.028), (0.028, 0.022)), blur=0.012), bright, 0.8)
    for s in (-1, 1):
        nostril = ellipse((s * width * 0.48, tip + 0.014), (width * 0.27, 0.0105), angle=-s * 0.35)
        layer.tint(layer.mask(nostril, blur=0.004), scaled(character.blush, 0.3), 0.85)
        wing = smooth(
            [(width * 0.86, tip - 0.052), (width * 1.06, tip - 0.018), (width * 0.9, tip + 0.016)], closed=False
        )
        line = ribbon(wing * (s, 1), 0.006 * np.sin(np.linspace(0.3, np.pi, len(wing))))
        layer.tint(layer.mask(line, blur=0.005), scaled(dark, 0.8), 0.75)


def _draw_beard(layer: Layer, character: Character) -> None:
    face, kind = character.face, character.hair.beard
    if kind == "none":
        return
    inside = layer.mask(face_outline(face))
    colour = scaled(character.hair.colour, 0.9)
    cheek, jaw, my = face.cheek, face.jaw, face.mouth_y
    full = [(0, my - 0.03), (0.1, my - 0.05), (0.2, my - 0.06), (cheek * 0.93, 0.13), (cheek * 1.06, 0.06)]
    full += [(cheek * 1.04, 0.24), (jaw * 1.1, 0.37), (face.chin * 1.45, face.chin_y + 0.03), (0, face.chin_y + 0.05)]
    moustache = [
        (0, my - 0.075),
        (0.05, my - 0.082),
        (0.13, my - 0.035),
        (0.165, my + 0.02),
        (0.1, my - 0.02),
        (0, my - 0.03),
    ]
    goatee = [(0, my + 0.075), (0.07, my + 0.06), (0.14, my + 0.0), (0.15, my + 0.09), (0.11, face.chin_y + 0.01)]
    goatee += [(0, face.chin_y + 0.035)]
    if kind == "stubble":
        area = layer.mask(smooth(mirrored(full)), smooth(mirrored(moustache)), blur=0.03) * inside
        layer.tint(area, mix(colour, character.skin, 0.3), 0.4)
        return
    areas = {"moustache": [moustache], "goatee": [goatee, moustache], "full": [full, moustache]}[kind]
    mask = layer.mask(*[smooth(mirrored(a)) for a in areas], blur=0.012)
    layer.paint(mask, colour, 0.93)
    beard_strands(layer, mask, character)


def _draw_hair_shadow(layer: Layer, shapes: HairShapes) -> None:
    """Soft shadow of the fringe on the forehead."""
    if not shapes.front:
        return
    cast = layer.mask(*[shifted(piece.outline, 0, 0.03) for piece in shapes.front], blur=0.025)
    layer.shade(1 - 0.3 * cast)


def _draw_earrings(layer: Layer, character: Character) -> None:
    for side in (-1, 1):
        centre = (side * (character.face.cheek + 0.02), 0.215)
        layer.paint(layer.mask(ellipse(centre, (0.018, 0.022))), (226, 192, 110))
        layer.paint(layer.mask(ellipse((centre[0] - 0.004, centre[1] - 0.006), (0.007, 0.007))), (255, 246, 220))


def _draw_glasses(layer: Layer, character: Character) -> None:
    if character.glasses == "none":
        return
    face = character.face
    thickness = {"round": 0.013, "square": 0.016, "thin": 0.008}[character.glasses]
    power = 4 if character.glasses == "square" else 2.2
    t = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    shape = np.stack(
        [np.sign(np.cos(t)) * np.abs(np.cos(t)) ** (2 / power), np.sign(np.sin(t)) * np.abs(np.sin(t)) ** (2 / power)],
        1,
    )
    rims, lenses = [], []
    for side in (-1, 1):
        centre = (side * (face.eye_x + 0.004), 0.012)
        lens = shape * (0.132, 0.105 if power > 3 else 0.118) + centre
        lenses.append(lens)
        closed = np.concatenate([lens, lens[:2]])
        rims.append(ribbon(closed, np.full(len(closed), thickness)))
        arm = np.array([(side * (face.eye_x + 0.13), -0.02), (side * (face.cheek + 0.03), -0.03)])
        rims.append(ribbon(arm, np.full(2, thickness)))
    bridge = smooth([(-face.eye_x + 0.125, -0.005), (0, -0.03), (face.eye_x - 0.125, -0.005)], closed=False)
    rims.append(ribbon(bridge, np.full(len(bridge), thickness)))
    layer.paint(layer.mask(*lenses), (225, 238, 246), 0.08)
    glare = [
        shifted(np.array([(-0.06, -0.09), (-0.02, -0.09), (-0.07, 0.07), (-0.1, 0.05)]), s * face.eye_x, 0.01)
        for s in (-1, 1)
    ]
    layer.paint(layer.mask(*glare, blur=0.006), (255, 255, 255), 0.12)
    layer.paint(layer.mask(*rims), character.glasses_colour, 0.96)
