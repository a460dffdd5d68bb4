"""What a PCE classifier has learned: AUC by noise level on held-out identities, and its score against a shift of the
audio.

Always measured as guidance uses it: masked, on latents noised to a given timestep. Letters: B clips, T frames.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from paha.errors import PahaError
from paha.pce.classifier import PCEClassifier
from paha.pce.regions import select_region
from paha.runtime.atomic import atomic_path, write_bytes
from paha.runtime.statistics import Interval, bootstrap
from paha.sampling.schedule import Schedule
from paha.training.pce.pair_store import Kind
from paha.training.pce.pairs import KINDS, PairDataset

BUCKETS = ((0, 100), (100, 330), (330, 530), (530, 700), (700, 1000))
"""Timesteps; guidance at 50 % uses the last two."""
CURVE_TIMESTEPS = (10, 600)
SHIFTS = tuple(sorted({sign * size for size in (0, 1, 2, 3, 4, 5, 8, 10, 15, 20, 25) for sign in (-1, 1)}))
"""Frames by which the sound of a shift curve is moved: all near 0, where it must fall, and a few beyond."""
MAX_SHIFT = max(SHIFTS)
TOLD_SHIFTS = (2, 5, 10, 25)
CLEAR_SHIFT = 8
"""Shifts of so many frames and more count as out of sync in the report."""
SCORE_BATCH, GPU_SCORE_BATCH = 16, 256


@dataclass(frozen=True)
class ShiftCurve:
    """Mean score of real clips by audio shift. shifts: (S,) frames; scores: (N clips, S) logits. peak: best mean."""

    t: int
    shifts: np.ndarray
    logits: np.ndarray

    @property
    def mean(self) -> np.ndarray:
        """Mean score s over the clips, (S,)."""
        return (1 / (1 + np.exp(-self.logits))).mean(0)

    @property
    def peak(self) -> int:
        """The shift of the highest mean score, in frames; positive: audio from later in the clip."""
        return int(self.shifts[self.mean.argmax()])

    def auc(self, *, clear: int = CLEAR_SHIFT) -> float:
        """In sync (shift 0) against every shift of `clear` frames or more."""
        return self._auc(np.abs(self.shifts) >= clear)

    def auc_at(self, size: int) -> float:
        """In sync against sound that is `size` frames early or late."""
        return self._auc(np.abs(self.shifts) == size)

    def _auc(self, columns: np.ndarray) -> float:
        return auc(self.logits[:, self.shifts == 0].ravel(), self.logits[:, columns].ravel())


def auc(positive: np.ndarray, negative: np.ndarray) -> float:
    """Probability that a positive scores higher than a negative, ties half; NaN where one is empty."""
    if not len(positive) or not len(negative):
        return float("nan")
    ordered = np.sort(negative)
    below = [np.searchsorted(ordered, positive, side) for side in ("left", "right")]
    return float(np.mean(below) / len(negative))


class Score(Protocol):
    """Logits (B,) of a model on clean latents z_0 (B, T, C, H, W), as `score` or in their stead."""

    def __call__(
        self,
        model: PCEClassifier,
        z_0: Tensor,
        audio: Tensor,
        box: Tensor,
        t: Tensor,
        eps: Tensor,
        schedule: Schedule,
        /,
    ) -> np.ndarray:
        """As `score`."""
        ...


@torch.no_grad()
def score(
    model: PCEClassifier, z_0: Tensor, audio: Tensor, box: Tensor, t: Tensor, eps: Tensor, schedule: Schedule
) -> np.ndarray:
    """Logits (B,) of clean latents noised to t (B,), masked and cropped as the classifier was trained."""
    logits, device = [], next(model.parameters()).device
    size = SCORE_BATCH if device.type == "cpu" else GPU_SCORE_BATCH
    for parts in zip(*(values.split(size) for values in (z_0, eps, t, box, audio)), strict=True):
        z, e, t_B, box_B, heard = (value.to(device) for value in parts)
        t_BT = t_B[:, None].expand(-1, z.shape[1])
        own = {name: model.config[name] for name in ("region", "crop", "widen")}
        shown = select_region(schedule.add_noise(z, e, t_BT), box_B, **own)
        logits.append(model(shown, schedule.time_input(t_BT), heard).float().cpu())
    return torch.cat(logits).numpy()


def auc_by_bucket(
    model: PCEClassifier,
    pairs: PairDataset,
    *,
    schedule: Schedule,
    num_pairs: int,
    seed: int = 0,
    length: int | None = None,
    score: Score = score,
) -> dict[str, float]:
    """{"auc/generated_530": ..., "accuracy/shifted_0": ...}: real against each kind of negative, by bucket's start.

    The same pairs, noise and timesteps in every call. Shifted negatives here are CLEAR_SHIFT frames away or more.
    """
    length = min(pairs.options.lengths) if length is None else length
    clear = _with_clear_shifts(pairs)
    kinds: tuple[Kind, ...] = tuple(kind for kind in KINDS if kind != "generated" or pairs.generated)
    results: dict[str, float] = {}
    for kind in kinds:
        generator = torch.Generator().manual_seed(seed)
        batch = clear.batch(generator, num_pairs, kind=kind, length=length)
        eps = torch.randn(batch.real.shape, generator=generator)
        for low, high in BUCKETS:
            t = torch.randint(low, high, (num_pairs,), generator=generator)
            real = score(model, batch.real, batch.audio, batch.box, t, eps, schedule)
            fake = score(model, batch.fake, batch.fake_audio, batch.box, t, eps, schedule)
            results[f"auc/{kind}_{low}"] = auc(real, fake)
            results[f"accuracy/{kind}_{low}"] = float((np.mean(real > 0) + np.mean(fake <= 0)) / 2)
    return results


def shift_curve(
    model: PCEClassifier,
    pairs: PairDataset,
    *,
    schedule: Schedule,
    t: int,
    num_clips: int,
    length: int,
    seed: int = 0,
    score: Score = score,
) -> ShiftCurve:
    """Scores of held-out real clips with their own audio moved by SHIFTS, at timestep t, one noise a clip.

    Raises PahaError where no clip is long enough to move the audio without clamping it.
    """
    generator = torch.Generator().manual_seed(seed)
    windows = pairs.windows(generator, num_clips, length, margin=MAX_SHIFT)
    shifts = np.array(SHIFTS)
    rows = []
    for window in windows:
        z_0, _, box = pairs.real(window, length)
        audio = pairs.audio(window.clip, [window.start + int(shift) for shift in shifts], length)
        eps = torch.randn(z_0.shape, generator=generator)
        count = len(shifts)
        many = [value[None].expand(count, *value.shape) for value in (z_0, box, eps)]
        t_B = torch.full((count,), t)
        rows.append(score(model, many[0], audio, many[1], t_B, many[2], schedule))
    return ShiftCurve(t, shifts, np.stack(rows))


def write_report(
    model: PCEClassifier,
    pairs: PairDataset,
    folder: Path,
    *,
    schedule: Schedule,
    num_clips: int = 40,
    length: int,
    seed: int = 1,
    score: Score = score,
) -> dict[str, Any]:
    """Measure a trained classifier on held-out identities: FOLDER/report.json, report.md and shift_curve.png.

    The picture is drawn from report.json alone (`plot_report`) and is left out where matplotlib is not installed.
    """
    common: dict[str, Any] = {"schedule": schedule, "seed": seed, "length": length, "score": score}
    scores = auc_by_bucket(model, pairs, num_pairs=num_clips, **common)
    curves = []
    try:
        curves = [shift_curve(model, pairs, t=t, num_clips=num_clips, **common) for t in CURVE_TIMESTEPS]
        absent = ""
    except PahaError as error:
        absent = str(error)
    report = {
        "region": model.config["region"],
        "held_out_clips": len(pairs.clips),
        "clips": num_clips,
        "length": length,
        "scores": {name: value if np.isfinite(value) else None for name, value in scores.items()},
        "shift_curves": [
            {
                "t": c.t,
                "peak": c.peak,
                "auc_clear_shifts": c.auc(),
                "auc_by_shift": {str(size): c.auc_at(size) for size in TOLD_SHIFTS},
                "shifts": c.shifts.tolist(),
                "mean": c.mean.tolist(),
                "logits": c.logits.round(4).tolist(),
            }
            for c in curves
        ],
        "shift_curves_absent": absent,
    }
    folder.mkdir(parents=True, exist_ok=True)
    write_bytes(folder / "report.json", json.dumps(report, indent=1).encode())
    write_bytes(folder / "report.md", markdown(report).encode())
    if curves and find_spec("matplotlib"):
        plot_report(folder)
    return report


def plot_report(folder: Path) -> None:
    """Draw FOLDER/shift_curve.png from FOLDER/report.json."""
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    curves = [ShiftCurve(c["t"], np.array(c["shifts"]), np.array(c["logits"])) for c in report["shift_curves"]]
    title = f"{report['region']} classifier, {report['clips']} held-out clips"
    plot_curves(curves, folder / "shift_curve.png", title=title)


def markdown(report: dict[str, Any]) -> str:
    """The report for a person."""
    lines = [f"## {report['region']} classifier", "", "| AUC | " + " | ".join(f"t {a}-{b}" for a, b in BUCKETS) + " |"]
    lines.append("|---" * (len(BUCKETS) + 1) + "|")
    for kind in KINDS:
        cells = [report["scores"].get(f"auc/{kind}_{low}") for low, _ in BUCKETS]
        if any(cell is not None for cell in cells):
            lines.append(
                f"| real against {kind} | " + " | ".join("-" if c is None else f"{c:.2f}" for c in cells) + " |"
            )
    for curve in report["shift_curves"]:
        peak, clear = curve["peak"], curve["auc_clear_shifts"]
        told = ", ".join(f"{value:.2f} at {size}" for size, value in curve["auc_by_shift"].items())
        lines.append(
            f"\nShift curve at t = {curve['t']}: peak at {peak:+d} frames, "
            f"AUC against shifts of 8 or more {clear:.2f}, by frames {told}."
        )
    if report["shift_curves_absent"]:
        lines.append(f"\nNo shift curve: {report['shift_curves_absent']}.")
    return "\n".join([*lines, ""])


def plot_curves(curves: list[ShiftCurve], path: Path, *, title: str) -> None:
    """Mean score against the audio's shift with its 95 % interval over clips, one line a timestep."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.add_subplot()
    for curve in curves:
        scores = 1 / (1 + np.exp(-curve.logits))
        bands: list[Interval] = [bootstrap(list(column), samples=300) for column in scores.T]
        (line,) = axes.plot(curve.shifts, curve.mean, label=f"t = {curve.t}, peak at {curve.peak:+d}")
        axes.fill_between(
            curve.shifts, [b.low for b in bands], [b.high for b in bands], alpha=0.2, color=line.get_color()
        )
    axes.axvline(0, color="grey", linewidth=0.8)
    axes.set(xlabel="audio shift, frames (40 ms)", ylabel="mean score s", title=title)
    axes.legend()
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png", dpi=110)


def _with_clear_shifts(pairs: PairDataset) -> PairDataset:
    """The same pairs, shifted negatives CLEAR_SHIFT frames away or more."""
    import copy

    clear = copy.copy(pairs)
    clear.options = pairs.options.model_copy(update={"min_shift": CLEAR_SHIFT, "max_shift": MAX_SHIFT})
    return clear
