"""A picture of mouth openings over time: the rig's, the true motion rendered, and the made video."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from experiments.presenter import scores

WIDTH, HEIGHT, TOP = 1200, 150, 0.12
COLOURS = {"truth": (0, 0, 0), "ceiling": (60, 140, 60), "generated": (220, 60, 40)}
"""Of each curve, RGB. TOP: the face heights of a strip's upper edge."""


def curves_picture(rows: dict[str, dict[str, Any]]) -> np.ndarray:
    """(H, WIDTH, 3) uint8: a strip each for the worst, the middle and the best correlation."""
    made = {name: row for name, row in rows.items() if "refused" not in row}
    found = {
        name: scores.correlation(np.array(row["generated"]["opening"]), np.array(row["truth"]))
        for name, row in made.items()
    }
    order = sorted(found, key=lambda name: found[name])
    chosen = list(dict.fromkeys([order[0], order[len(order) // 2], order[-1]])) if order else []
    strips = [_strip(made[name], f"{name}  r {found[name]:.3f}") for name in chosen]
    return np.concatenate(strips) if strips else np.full((HEIGHT, WIDTH, 3), 255, np.uint8)


def _strip(row: dict[str, Any], title: str) -> np.ndarray:
    picture = np.full((HEIGHT, WIDTH, 3), 255, np.uint8)
    openings = {"truth": row["truth"]} | {name: row[name]["opening"] for name in ("ceiling", "generated")}
    for name, opening in openings.items():
        curve = scores.filled(np.array(opening, float))
        x = np.linspace(0, WIDTH - 1, len(curve))
        y = HEIGHT - 10 - curve / TOP * (HEIGHT - 20)
        points = np.rint(np.stack([x, y], 1) * 8).astype(np.int32)
        cv2.polylines(picture, [points], False, COLOURS[name], 2, cv2.LINE_AA, shift=3)
    legend = [(title, (90, 90, 90)), *COLOURS.items()]
    for place, (text, colour) in enumerate(legend):
        at = (10 + (0 if place == 0 else 420 + 130 * place), 16)
        cv2.putText(picture, text, at, cv2.FONT_HERSHEY_SIMPLEX, 0.45, colour, 1, cv2.LINE_AA)
    return picture
