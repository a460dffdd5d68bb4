"""The ablations of the paper, row by row: its settings and its numbers (Tables 2, 3, 5, 6, 7; design row 20).

Where tables disagree (SG's diversity: 100.917 in Table 3, 99.604 in Table 2) each row keeps its own table's number.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from paha.guidance.classifier_gradient import GuidanceKind, GuidanceOptions

Variant = Literal["whole", "no_par", "no_augmentation"]
"""Which networks a row needs: the model, one trained without PAR, classifiers trained without augmentation."""
METRICS = ("fvd", "bas", "fgd", "sync_c", "div", "tc")


@dataclass(frozen=True)
class Setting:
    """One row. paper: its numbers by metric. x, series: its place in the plot. reference: where the paper has it."""

    name: str
    guidance: GuidanceOptions
    paper: dict[str, float]
    reference: str
    x: float | None = None
    series: str = ""
    variant: Variant = "whole"


@dataclass(frozen=True)
class Ablation:
    """A table's title, plot axis and rows."""

    number: str
    title: str
    x_label: str
    settings: list[Setting]


def ablation(number: str, base: GuidanceOptions) -> Ablation:
    """The rows of a table around `base`, whose scales stand for the paper's (1, 0.1, 0.25).

    The gradient of a small model is not the paper's: the rows of Tables 5 and 6 scale `base` by what the paper's row is
    to its final one. Table 7's lambda_diff is a share and stays as it is.
    """
    makers = {"2": _guidance_rate, "3": _core_modules, "5": _non_face_scale, "6": _face_scale, "7": _diff_scale}
    return makers[number](base)


def _guided(base: GuidanceOptions, kind: GuidanceKind, **changes: float) -> GuidanceOptions:
    return replace(base, kind=kind, **changes)


def _numbers(*values: float) -> dict[str, float]:
    return dict(zip(METRICS, values, strict=False))


_RATES: dict[float, tuple[tuple[float, ...], tuple[float, ...]]] = {
    0.0: ((2047.53, 0.1346, 17.675, 5.709, 90.804, 85), (2047.53, 0.1346, 17.675, 5.709, 90.804, 85)),
    0.25: ((2050.66, 0.1423, 16.790, 6.015, 93.713, 91), (2048.09, 0.1507, 16.238, 6.094, 95.482, 96)),
    0.5: ((2052.95, 0.1561, 15.021, 6.183, 99.604, 98), (2048.75, 0.1602, 14.661, 6.328, 98.235, 112)),
    0.75: ((2056.03, 0.1662, 17.882, 6.306, 96.122, 107), (2051.78, 0.1689, 17.104, 6.451, 97.318, 129)),
    1.0: ((2062.95, 0.1674, 18.723, 6.382, 92.071, 114), (2055.43, 0.1711, 17.868, 6.546, 93.944, 141)),
}


def _guidance_rate(base: GuidanceOptions) -> Ablation:
    rows = []
    kinds: tuple[tuple[GuidanceKind, str], ...] = (("sg", "PAHA-SG"), ("dg", "PAHA-DG"))
    for rate, numbers in _RATES.items():
        for (kind, name), values in zip(kinds, numbers, strict=True):
            percent = f"{rate:.0%}".replace("%", " %")
            options = _guided(base, kind, rate=rate)
            rows.append(
                Setting(f"{percent} {name}", options, _numbers(*values), f"Table 2, {percent}, {name}", rate, name)
            )
    return Ablation("2", "guidance rate", "guided share of the steps", rows)


def _core_modules(base: GuidanceOptions) -> Ablation:
    sg = _guided(base, "sg")
    rows: list[tuple[str, GuidanceOptions, tuple[float, ...], Variant]] = [
        ("w/o PAR", sg, (2145.72, 0.1497, 15.452, 5.977, 89.866), "no_par"),
        ("w/o non-face classifier", replace(sg, non_face_scale=0.0), (2087.49, 0.1302, 17.957, 6.583, 97.483), "whole"),
        ("w/o face classifier", replace(sg, face_scale=0.0), (2060.11, 0.1554, 15.181, 5.726, 99.154), "whole"),
        ("w/o PAR+two classifiers", replace(sg, kind="none"), (2126.72, 0.1197, 20.052, 5.227, 83.772), "no_par"),
        ("w/o augmentation", sg, (2068.74, 0.1548, 15.279, 6.126, 99.604), "no_augmentation"),
        ("Ours", sg, (2052.95, 0.1561, 15.021, 6.183, 100.917), "whole"),
    ]
    settings = [
        Setting(name, options, _numbers(*values), f"Table 3, {name}", variant=variant)
        for name, options, values, variant in rows
    ]
    return Ablation("3", "core modules (Sequential Guidance)", "", settings)


def _sweep(
    number: str, title: str, field: str, base: GuidanceOptions, final: float, rows: dict[float, tuple[float, ...]]
) -> Ablation:
    own = getattr(base, field)
    settings = []
    for value, numbers in rows.items():
        scale = value if field == "diff_scale" else own * value / final
        options = _guided(base, "dg", **{field: scale})
        settings.append(Setting(f"{value:g}", options, _numbers(*numbers), f"Table {number}, {value:g}", x=value))
    return Ablation(number, title, f"{title}, the paper's units", settings)


def _non_face_scale(base: GuidanceOptions) -> Ablation:
    rows = {
        0.8: (2049.91, 0.1578, 14.107, 6.436, 95.271),
        0.9: (2047.68, 0.1591, 14.393, 6.390, 96.648),
        1.0: (2045.75, 0.1602, 14.661, 6.328, 98.235),
        1.1: (2044.09, 0.1599, 14.917, 6.247, 101.443),
        1.2: (2042.87, 0.1596, 15.265, 6.146, 100.143),
    }
    return _sweep("5", "non-face guidance scale", "non_face_scale", base, 1.0, rows)


def _face_scale(base: GuidanceOptions) -> Ablation:
    rows = {
        0.05: (2041.67, 0.1629, 14.682, 6.197, 100.267),
        0.10: (2045.75, 0.1602, 14.661, 6.328, 98.235),
        0.15: (2047.85, 0.1594, 14.736, 6.416, 96.563),
        0.20: (2050.99, 0.1581, 14.799, 6.480, 94.782),
        0.25: (2056.39, 0.1571, 14.882, 6.529, 93.551),
    }
    return _sweep("6", "face guidance scale", "face_scale", base, 0.1, rows)


def _diff_scale(base: GuidanceOptions) -> Ablation:
    rows = {
        0.15: (2053.63, 0.1584, 14.805, 6.257, 99.580),
        0.20: (2048.11, 0.1596, 14.739, 6.301, 98.742),
        0.25: (2045.75, 0.1602, 14.661, 6.328, 98.235),
        0.30: (2043.98, 0.1593, 14.582, 6.296, 97.611),
        0.35: (2045.53, 0.1582, 14.355, 6.235, 97.078),
    }
    return _sweep("7", "differential guidance scale", "diff_scale", base, 0.25, rows)


ABLATIONS: Sequence[str] = ("2", "3", "5", "6", "7")
