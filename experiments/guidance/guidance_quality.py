"""Guided against unguided videos of held-out presenters, clip by clip with the same noise (paired 95 % intervals).

python benchmarks/guidance_quality.py --data HELDOUT --model MODEL --out OUT --scales 1,0.1,0.25

The scores that decide, named before any run: lip r and BAS must rise; motion beats a second stay within 20 % of the
truth's, keypoint jerk within 10 % of unguided (jitter raises BAS); the face classifier alone moves the lips, the
non-face one the gestures; DG leaks less than SG. Videos and measurements stay in OUT, a stopped run goes on.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch is imported

import numpy as np
import torch
import typer

from paha.errors import PahaError
from paha.evaluation.metrics.clips import find_clips, pair_clips
from paha.evaluation.metrics.cost import machine, time_cost
from paha.evaluation.metrics.evaluate import MeasuredSet, measure_set, score_generated, score_real
from paha.evaluation.metrics.instruments import Instruments, load_instruments
from paha.evaluation.metrics.keypoints import GESTURE, fill_unseen
from paha.evaluation.metrics.measure import load_measured
from paha.evaluation.tables.ablations import pick_records
from paha.evaluation.tables.videos import make_videos
from paha.guidance.choice import build_guidance, parse_scales
from paha.guidance.classifier_gradient import GuidanceOptions
from paha.guidance.equations import GuidanceStats
from paha.media.video_io import read_video
from paha.pce.regions import face_mask, grow_box
from paha.pipeline.loading import SHIPPED_MODEL, load_pipeline
from paha.pipeline.options import SampleOptions
from paha.pipeline.pipeline import PahaPipeline
from paha.runtime.atomic import write_bytes
from paha.runtime.statistics import Interval, bootstrap
from paha.types import FPS, ClipRecord, Keypoints

DECIDING = ("lip_r", "bas")
GUARDING = ("motion_beats", "jerk")
METRICS = (*DECIDING, *GUARDING, "hand_motion", "psnr_hands", "psnr_face")
ByClip = dict[str, dict[str, float]]
"""metric -> clip -> value"""


@dataclass(frozen=True)
class Measurement:
    """What one setting gave. ratios: mean size of the updates relative to the latents, by region."""

    by_clip: ByClip
    seconds: Interval | str
    ratios: dict[str, float]


def main(
    data: Annotated[Path, typer.Option(help="Held-out corpus that no sweep used.")],
    out: Annotated[Path, typer.Option(help="Folder for videos, measurements and the result.")],
    model: Annotated[Path, typer.Option(help="Model folder with both classifiers.")] = SHIPPED_MODEL,
    scales: Annotated[str, typer.Option(help="NON_FACE,FACE,DIFF.")] = "1,0.1,0.25",
    rate: Annotated[float, typer.Option(help="Guided share of the steps.", min=0, max=1)] = 0.5,
    reuse: Annotated[int, typer.Option(help="Gradients anew only every so many steps.", min=1)] = 1,
    dg_form: Annotated[str, typer.Option(help="Reading of Eq. 12.")] = "compensate",
    only: Annotated[str, typer.Option(help="Settings, of sg,dg,sg_face,sg_non_face.")] = "sg,dg,sg_face,sg_non_face",
    clips: Annotated[int, typer.Option(help="How many.", min=2)] = 40,
    start: Annotated[int, typer.Option(help="First clip's place in the manifest.", min=0)] = 0,
    steps: Annotated[int | None, typer.Option(help="DDIM steps (the model's by default).", min=1)] = None,
    seed: Annotated[int, typer.Option(help="Of the first clip's noise.", min=0)] = 0,
    leak_clips: Annotated[int, typer.Option(help="Clips whose first segment the leak is measured on; 0: none.")] = 10,
    device: Annotated[str | None, typer.Option(help="cpu, cuda ...; the best there is by default.")] = None,
) -> None:
    """Print Markdown; OUT/quality.json has every clip's numbers."""
    base = GuidanceOptions(kind="sg", rate=rate, reuse=reuse, dg_form=dg_form, **parse_scales(scales))  # type: ignore[arg-type]
    settings = choose(base, only.split(","))
    pipeline, records = load_pipeline(model, device=device), pick_records(data, start=start, clips=clips)
    instruments = load_instruments(real=data)
    wanted = {record.clip_id for record in records}
    reals = [clip for clip in find_clips(data) if clip.clip_id in wanted]
    say = lambda text: typer.echo(text, err=True)  # noqa: E731
    real, _ = measure_set(reals, instruments, out / "measured" / "real", say=say)
    whole, rows = score_real(real, instruments, ceilings=False)
    truth = rows[0].by_clip | {"jerk": jerks(real)}
    results = {
        name: measure(name, options, pipeline, data, records, real, whole, instruments, out, steps=steps, seed=seed)
        for name, options in {"unguided": GuidanceOptions(), **settings}.items()
    }
    leaks = measure_leaks(pipeline, data, records[:leak_clips], base, steps=steps, seed=seed)
    result = {
        "protocol": {
            "data": str(data),
            "model": str(model),
            "base": base.settings(),
            "clips": sorted(wanted),
            "steps": steps,
            "seed": seed,
            "machine": machine(),
            "instruments": instruments.provenance(),
        },
        "truth": {name: as_plain(mean(truth.get(name, {}))) for name in METRICS},
        "settings": {name: summary(m, results["unguided"], truth) for name, m in results.items()},
        "leaks": {name: as_plain(value) for name, value in leaks.items()},
        "clips": {name: m.by_clip for name, m in results.items()},
    }
    write_bytes(out / "quality.json", json.dumps(result, indent=1).encode())
    typer.echo(markdown(results, truth, leaks))


def choose(base: GuidanceOptions, names: Sequence[str]) -> dict[str, GuidanceOptions]:
    """The settings by name. Raises PahaError for unknown names."""
    known = {
        "sg": base,
        "dg": replace(base, kind="dg"),
        "sg_face": replace(base, non_face_scale=0.0),
        "sg_non_face": replace(base, face_scale=0.0),
    }
    unknown = [name for name in names if name not in known]
    if unknown:
        raise PahaError(f"--only {unknown[0]}: give some of {', '.join(known)}")
    return {name: known[name] for name in names}


def measure(
    name: str,
    options: GuidanceOptions,
    pipeline: PahaPipeline,
    data: Path,
    records: Sequence[ClipRecord],
    real: MeasuredSet,
    whole: Any,
    instruments: Instruments,
    out: Path,
    *,
    steps: int | None,
    seed: int,
) -> Measurement:
    """Make a setting's videos where they are missing, and measure them."""
    say = lambda text: typer.echo(text, err=True)  # noqa: E731
    folder, told = out / "videos" / name, []
    make_videos(pipeline, data, records, folder, options, SampleOptions(steps=steps, seed=seed), observe=told.append, say=say)
    write_ratios(folder / "ratios.json", told)
    fakes = find_clips(folder)
    truths = pair_clips(real.clips, fakes)
    fake, _ = measure_set(fakes, instruments, out / "measured" / name, truths=truths, against=real, say=say)
    row = score_generated(name, real, whole, fake, instruments)
    ratios = json.loads((folder / "ratios.json").read_text()) if (folder / "ratios.json").is_file() else {}
    return Measurement(row.by_clip | {"jerk": jerks(fake)}, time_cost(folder), ratios)


def write_ratios(path: Path, told: list[GuidanceStats]) -> None:
    """Keep the mean size of the updates of a run; a run that made nothing new keeps what is there."""
    if told:
        means = {name: float(np.mean([getattr(s, f"{name}_ratio") for s in told])) for name in ("face", "non_face")}
        write_bytes(path, json.dumps(means).encode())


def jerks(measured: MeasuredSet) -> dict[str, float]:
    """By clip: mean size of the third difference of arms and hands, in frame heights a second cubed."""
    found = {}
    for clip in measured.clips:
        made = load_measured(measured.path(clip))
        if made is not None and (value := jerk(made.keypoints, height=made.height)) is not None:
            found[clip.clip_id] = value
    return found


def jerk(keypoints: Keypoints, *, height: int) -> float | None:
    """None where no arm or hand was seen, or the clip is shorter than four frames."""
    points, seen = fill_unseen(keypoints.points[:, GESTURE], keypoints.scores[:, GESTURE])
    if len(points) < 4 or not seen.any():
        return None
    third = np.diff(points[:, seen], n=3, axis=0) * FPS**3 / height
    return float(np.linalg.norm(third, axis=-1).mean())


@torch.no_grad()
def measure_leaks(
    pipeline: PahaPipeline,
    data: Path,
    records: Sequence[ClipRecord],
    base: GuidanceOptions,
    *,
    steps: int | None,
    seed: int,
) -> dict[str, Interval]:
    """How far one region's classifier moves the *other* region, over how far it moves its own, in the latents of the
    first segment: mean over clips, by "sg face" (the face classifier alone under SG) and so on."""
    ratios: dict[str, list[float]] = {}
    for number, record in enumerate(records):
        image = read_video(data / record.video)[0]
        scene = pipeline.encode_inputs(image, data / record.audio, num_frames=pipeline.preset.num_frames)
        box = None

        def latents(options: GuidanceOptions, image: Any = image, scene: Any = scene, number: int = number) -> Any:
            nonlocal box
            guidance = None
            if options.active:
                guidance, box = build_guidance(pipeline, image, options)
            guided = SampleOptions(steps=steps, seed=seed + number, guidance=guidance, guidance_rate=options.rate)
            (output,) = pipeline.generate(scene, guided)
            return output.latents

        plain = latents(GuidanceOptions())
        for kind in ("sg", "dg"):
            for region, other in (("face", "non_face_scale"), ("non_face", "face_scale")):
                moved = latents(replace(base, kind=kind, **{other: 0.0})) - plain
                grown = grow_box(torch.from_numpy(box.box)[None])
                mask = face_mask(grown, height=plain.shape[2], width=plain.shape[3])[0].to(plain)
                own, leaked = (mask, 1 - mask) if region == "face" else (1 - mask, mask)
                ratio = rms(moved, leaked) / max(rms(moved, own), 1e-12)
                ratios.setdefault(f"{kind} {region}", []).append(ratio)
    return {name: bootstrap(values) for name, values in ratios.items()}


def rms(values: torch.Tensor, mask: torch.Tensor) -> float:
    """Root mean square inside a mask that broadcasts over `values`."""
    inside = mask.expand_as(values)
    return float(((values**2 * inside).sum() / inside.sum().clamp_min(1)).sqrt())


def paired(made: dict[str, float], before: dict[str, float]) -> Interval | None:
    """Mean difference over the clips that both have, with its 95 % interval."""
    both = sorted(made.keys() & before.keys())
    return bootstrap([made[clip] - before[clip] for clip in both]) if both else None


def mean(values: dict[str, float]) -> Interval | None:
    """Mean over clips with its interval; None without clips."""
    return bootstrap(list(values.values())) if values else None


def summary(made: Measurement, unguided: Measurement, truth: ByClip) -> dict[str, Any]:
    """Means and paired differences as plain data."""
    rows = {}
    for name in METRICS:
        values, before = made.by_clip.get(name, {}), unguided.by_clip.get(name, {})
        rows[name] = {"mean": as_plain(mean(values)), "difference": as_plain(paired(values, before))}
    return {"metrics": rows, "update_ratios": made.ratios, "seconds": as_plain(made.seconds)}


def as_plain(value: Interval | str | None) -> Any:
    """For JSON."""
    return vars(value) if isinstance(value, Interval) else value


def markdown(results: dict[str, Measurement], truth: ByClip, leaks: dict[str, Interval]) -> str:
    """Every setting's means, differences to unguided with their intervals, and whether the guards hold."""
    lines = [
        "| | " + " | ".join(METRICS) + " | updates (non-face, face) | s a video |",
        "|---" * (len(METRICS) + 3) + "|",
    ]
    lines.append("| truth | " + " | ".join(str(mean(truth.get(name, {})) or "-") for name in METRICS) + " | | |")
    unguided = results["unguided"]
    for name, made in results.items():
        cells = []
        for metric in METRICS:
            values = made.by_clip.get(metric, {})
            change = paired(values, unguided.by_clip.get(metric, {})) if name != "unguided" else None
            text = str(mean(values) or "-")
            cells.append(text + (f"; {change.mean:+.3f} [{change.low:+.3f}, {change.high:+.3f}]" if change else ""))
        sizes = ", ".join(f"{made.ratios.get(region, 0):.4f}" for region in ("non_face", "face"))
        lines.append(f"| {name} | " + " | ".join([*cells, sizes, str(made.seconds)]) + " |")
    lines += ["", "After the semicolon: difference to unguided, clip by clip, 95 %.", ""]
    lines += [
        f"- {line}"
        for name, made in results.items()
        if name != "unguided"
        for line in verdicts(name, made, unguided, truth)
    ]
    lines += [f"- leak of the {name} classifier alone: {value}" for name, value in leaks.items()]
    return "\n".join(lines)


def verdicts(name: str, made: Measurement, unguided: Measurement, truth: ByClip) -> list[str]:
    """Whether each named score does what it has to."""
    found = []
    for metric in DECIDING:
        change = paired(made.by_clip.get(metric, {}), unguided.by_clip.get(metric, {}))
        found.append(f"{name}: {metric} {'rises' if change and change.low > 0 else 'does not clearly rise'}")
    for metric, reference, limit in (("motion_beats", truth, 0.2), ("jerk", unguided.by_clip, 0.1)):
        own, other = mean(made.by_clip.get(metric, {})), mean(reference.get(metric, {}))
        if own and other and other.mean:
            off = own.mean / other.mean - 1
            found.append(f"{name}: {metric} {off:+.0%} ({'within' if abs(off) <= limit else 'beyond'} {limit:.0%})")
    return found


if __name__ == "__main__":
    try:
        typer.run(main)
    except PahaError as error:
        raise SystemExit(f"guidance_quality: error: {error}") from error
