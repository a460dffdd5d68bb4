"""The PAR experiment's numbers: changes against training without PAR with paired intervals, as a table and a picture.

Legend: S seeds, K held-out clips, D feature width.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from experiments.par.par_measures import HeldOut, Measures, decode
from paha.evaluation.metrics.frechet import GaussianStats, frechet_distance
from paha.media.image_io import contact_sheet
from paha.runtime.atomic import write_bytes

FRECHET = "generated Frechet distance"
HIGHER_IS_BETTER = ("lip r", "hand score")
PRIMARY = ("denoised pixel error, hands", "denoised pixel error, face", FRECHET)
REPLICATES, FRECHET_REPLICATES = 2000, 200
PICTURE_CLIPS, PICTURE_PX = 6, 128


@dataclass(frozen=True)
class Results:
    """Finished runs. measures: arm -> name -> (S, K). features: arm -> (S, K x frames, D), clip by clip. bounds: kind
    -> (measures by clip, features (K x frames, D)); kind `truth` is what features are compared with.
    """

    base: str
    seeds: list[int]
    measures: dict[str, dict[str, np.ndarray]]
    features: dict[str, np.ndarray]
    bounds: dict[str, tuple[Measures, np.ndarray]]
    num_clips: int


@dataclass(frozen=True)
class Change:
    """An arm against the base: their means, the change in per cent (of `lip r` in hundredths) with its 95 % interval
    by resampling seeds and clips, and the change of each seed by itself."""

    base: float
    arm: float
    change: float
    low: float
    high: float
    by_seed: list[float]


def paired_change(base: np.ndarray, arm: np.ndarray, *, relative: bool = True, seed: int = 0) -> Change:
    """Change of the mean of (S, K) values. Clips without a value (NaN, the same in both) are left out.

    Each replicate draws seeds and clips with replacement, the same ones for both sides.
    """
    keep = np.isfinite(base).all(0) & np.isfinite(arm).all(0)
    base, arm = base[:, keep], arm[:, keep]
    rng = np.random.default_rng(seed)
    rows = rng.integers(len(base), size=(REPLICATES, len(base)))
    columns = rng.integers(base.shape[1], size=(REPLICATES, base.shape[1]))
    drawn = [x[rows[:, :, None], columns[:, None, :]].mean((1, 2)) for x in (base, arm)]
    drawn = [_change(b, a, relative) for b, a in zip(*drawn, strict=True)]
    low, high = np.quantile(drawn, [0.025, 0.975])
    by_seed = [_change(b.mean(), a.mean(), relative) for b, a in zip(base, arm, strict=True)]
    value = _change(base.mean(), arm.mean(), relative)
    return Change(float(base.mean()), float(arm.mean()), value, float(low), float(high), by_seed)


def frechet_change(truth: np.ndarray, base: np.ndarray, arm: np.ndarray, *, num_clips: int, seed: int = 0) -> Change:
    """The same of the Frechet distance to the truth, mean over seeds. truth: (K F, D). base, arm: (S, K F, D).

    Resampling clips raises the distance of both sides; the interval is moved so that its middle is the estimate.
    """
    cut = [x.reshape(*x.shape[:-2], num_clips, -1, x.shape[-1]) for x in (truth, base, arm)]
    everything = np.arange(num_clips)
    by_seed = [_frechet(cut[0], side[s], everything) for side in cut[1:] for s in range(len(base))]
    ours, theirs = np.array(by_seed[len(base) :]), np.array(by_seed[: len(base)])
    rng, drawn = np.random.default_rng(seed), []
    for _ in range(FRECHET_REPLICATES):
        s, clips = int(rng.integers(len(base))), rng.integers(num_clips, size=num_clips)
        drawn.append(_change(_frechet(cut[0], cut[1][s], clips), _frechet(cut[0], cut[2][s], clips), True))
    low, middle, high = np.quantile(drawn, [0.025, 0.5, 0.975])
    value = _change(theirs.mean(), ours.mean(), True)
    each = [_change(b, a, True) for b, a in zip(theirs, ours, strict=True)]
    return Change(theirs.mean(), ours.mean(), value, value + low - middle, value + high - middle, each)


def _frechet(truth: np.ndarray, made: np.ndarray, clips: np.ndarray) -> float:
    sides = (GaussianStats.of(x[clips].reshape(-1, x.shape[-1])) for x in (truth, made))
    return frechet_distance(*sides)


def _change(base: float, arm: float, relative: bool) -> float:
    if not relative:
        return 100 * (arm - base)
    return 100 * (arm / base - 1) if base else math.nan


def changes(results: Results, arm: str) -> dict[str, Change]:
    """Every measure of an arm against the base."""
    base, own = results.measures[results.base], results.measures[arm]
    found = {name: paired_change(base[name], own[name], relative=not name.endswith("lip r")) for name in base}
    truth = results.bounds["truth"][1]
    sides = (results.features[results.base], results.features[arm])
    return {FRECHET: frechet_change(truth, *sides, num_clips=results.num_clips)} | found


def verdict(found: dict[str, Change]) -> str:
    """What was decided before the runs, in words."""
    better = all(found[name].high < 0 for name in PRIMARY[:2])
    no_worse = found[FRECHET].low <= 0
    if better and no_worse:
        return "wins"
    worse = any(found[name].low > 0 for name in PRIMARY)
    return "loses" if worse else "neither wins nor loses"


def write_report(out: Path, results: Results, protocol: dict[str, Any]) -> str:
    """OUT/report.json and OUT/report.md; returns the latter."""
    compared = {arm: changes(results, arm) for arm in results.measures if arm != results.base}
    limits = bound_values(results)
    text = markdown(results, compared, limits)
    data = {arm: {name: asdict(change) for name, change in found.items()} for arm, found in compared.items()}
    verdicts = {arm: verdict(found) for arm, found in compared.items()}
    record = {"protocol": protocol, "seeds": results.seeds, "clips": results.num_clips, "verdicts": verdicts}
    write_bytes(
        out / "report.json", json.dumps(_plain(record | {"bounds": limits, "changes": data}), indent=1).encode()
    )
    write_bytes(out / "report.md", text.encode())
    return text


def bound_values(results: Results) -> dict[str, dict[str, float]]:
    """Kind -> measure (without its first word) -> mean over clips: what bounds `denoised` and `generated` measures."""
    truth = results.bounds["truth"][1]
    found = {}
    for kind, (measures, features) in results.bounds.items():
        distance = frechet_distance(GaussianStats.of(truth), GaussianStats.of(features))
        found[kind] = {name: float(np.nanmean(values)) for name, values in measures.items()}
        found[kind]["Frechet distance"] = distance
    return found


def markdown(results: Results, compared: dict[str, dict[str, Change]], limits: dict[str, dict[str, float]]) -> str:
    """A table of all measures: bounds, the base's mean, and each arm's change with its interval."""
    arms, kinds = list(compared), list(limits)
    names = list(next(iter(compared.values())))
    lines = [
        f"Change against `{results.base}` in per cent (of lip r in hundredths), [95 % interval over seeds and clips], "
        f"seeds in which it falls; {len(results.seeds)} seeds, {results.num_clips} held-out clips. Bold: decisive. "
        f"Lower is better but for {', '.join(HIGHER_IS_BETTER)}; hand motion is best at 1.",
        "",
        f"| measure | {' | '.join(kinds)} | {results.base} | {' | '.join(arms)} |",
        f"|---|{'---|' * (len(kinds) + 1 + len(arms))}",
    ]
    for name in names:
        first, _, rest = name.partition(" ")
        bounds = [_number(limits[kind].get(rest)) if first != "latent" else "-" for kind in kinds]
        base = _number(next(iter(compared.values()))[name].base)
        cells = [_cell(compared[arm][name]) for arm in arms]
        shown = f"**{name}**" if name in PRIMARY else name
        lines.append(f"| {shown} | {' | '.join(bounds)} | {base} | {' | '.join(cells)} |")
    lines += ["", *(f"`{arm}` {verdict(found)} against `{results.base}`." for arm, found in compared.items()), ""]
    return "\n".join(lines)


def _cell(change: Change) -> str:
    falls = sum(value < 0 for value in change.by_seed)
    return f"{change.change:+.1f} [{change.low:+.1f}, {change.high:+.1f}] {falls}/{len(change.by_seed)}"


def _number(value: float | None) -> str:
    return "-" if value is None or math.isnan(value) else f"{value:.3g}"


def _plain(data: Any) -> Any:
    """NaN to null, numpy numbers to Python's."""
    if isinstance(data, dict):
        return {key: _plain(value) for key, value in data.items()}
    if isinstance(data, list):
        return [_plain(value) for value in data]
    if isinstance(data, float | np.floating):
        return None if math.isnan(data) else float(data)
    return data


def picture_places(held: HeldOut) -> list[tuple[int, int]]:
    """(window, frame) at which the hands are best seen, one for each of some clips, of the last frames of windows."""
    seen = held.scores[..., 91:133].mean(-1)
    seen[:, : seen.shape[1] // 2] = 0  # the reference is near a window's beginning
    by_clip = held.by_clip(seen).reshape(len(held.clip_ids), -1)
    best = np.argsort(-by_clip.max(1))[:PICTURE_CLIPS]
    frames = held.frames.shape[1]
    places = [int(clip) * held.per_clip * frames + int(by_clip[clip].argmax()) for clip in best]
    return [(place // frames, place % frames) for place in places]


def pictured_hands(held: HeldOut, codec: Any, rows: dict[str, list[np.ndarray]]) -> np.ndarray:
    """The hands at `picture_places`: the truth, the codec's round trip, then the given rows of frames (H, W, 3)."""
    places = picture_places(held)
    latents = held.batch.latents
    coded = [decode(codec, latents[[window]].to(codec.device))[0, frame] for window, frame in places]
    boxes = [held.masks["hands"][place].numpy() for place in places]
    return hands_picture({"truth": [held.frames[place] for place in places], "codec": coded} | rows, boxes)


def hands_picture(rows: dict[str, list[np.ndarray]], masks: list[np.ndarray]) -> np.ndarray:
    """A row a source, a column a frame: the square around the hands' mask (H, W), enlarged, under the row's name."""
    from PIL import Image, ImageDraw

    pictures = []
    for name, frames in rows.items():
        for i, (frame, mask) in enumerate(zip(frames, masks, strict=True)):
            x0, y0, x1, y1 = square_around(mask)
            cut = Image.fromarray(frame[y0:y1, x0:x1]).resize((PICTURE_PX, PICTURE_PX), Image.Resampling.BICUBIC)
            if i == 0:
                draw = ImageDraw.Draw(cut)
                draw.rectangle((0, 0, 8 * len(name), 13), fill=(255, 255, 255))
                draw.text((2, 1), name, fill=(0, 0, 0))
            pictures.append(np.array(cut))
    return contact_sheet(pictures, columns=len(masks))


def square_around(mask: np.ndarray, *, margin: int = 3) -> tuple[int, int, int, int]:
    """x0 y0 x1 y1 of the square within the frame that holds a mask; the whole frame for an empty one."""
    height, width = mask.shape
    y, x = np.nonzero(mask > 0)
    if not len(y):
        return 0, 0, width, height
    side = min(height, width, max(int(np.ptp(x)), int(np.ptp(y))) + 1 + 2 * margin)
    x0 = int(np.clip((x.min() + x.max() + 1 - side) // 2, 0, width - side))
    y0 = int(np.clip((y.min() + y.max() + 1 - side) // 2, 0, height - side))
    return x0, y0, x0 + side, y0 + side
