"""Fig. 1c, 6 and 7 of the paper as pictures of ours, out of what `experiments.paper.run` left in OUT.

python -m experiments.paper.figures --out OUT --model MODEL [--image PHOTOGRAPH --audio SPEECH] [--speech DIR]

OUT/figure_1c.png: FGD, diversity and cost by row of Table 1. OUT/figure_6.png: the same moments of a photograph's video
by row. OUT/figure_7.png: a spectrogram over the motion of lips and hands.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch is imported

import numpy as np
import typer

from experiments.guidance.guidance_sweep import load
from experiments.guidance.rig_people import RigPerson, draw_people
from experiments.guidance.sync_instrument import model_config
from experiments.paper.arms import Arm, read_arm
from experiments.paper.run import SEED
from paha.errors import PahaError
from paha.evaluation.metrics.accents import deceleration, onsets_at_frames
from paha.evaluation.metrics.keypoints import GESTURE
from paha.guidance.choice import PAPER_STEPS, GuidanceChoice, guide, preset_guidance
from paha.guidance.classifier_gradient import GuidanceOptions
from paha.media.audio_io import read_audio
from paha.media.image_io import contact_sheet, read_image, save_png
from paha.motion.person import PersonMotion
from paha.pipeline.loading import SHIPPED_MODEL
from paha.pipeline.options import SampleOptions
from paha.pipeline.pipeline import PahaPipeline
from paha.pipeline.reference import ReferenceOptions
from paha.types import FPS, SAMPLE_RATE_HZ

SHOWN = ("still", "retrieval by audio", "PAHA without classifiers", "PAHA-SG", "PAHA-DG")
MEASURES = (("fgd", "FGD (lower is better)"), ("div", "Div. (higher is better)"), ("tc", "CPU s a video"))
SECONDS, FRAMES, WIDTH = 3.0, 6, 320
IMAGES = SHIPPED_MODEL.parent / "presenter_images"


def figure_1c(out: Path) -> None:
    """Bars with intervals; FVD, the paper's third, has no weights here, so FGD stands in its place."""
    table = json.loads((out / "table_1.json").read_text(encoding="utf-8"))
    rows = {row["name"]: row["measured"] for row in table["rows"] if row["name"] in SHOWN}
    figure, axes = _figure(len(MEASURES), size=(11, 3.4))
    for axis, (key, title) in zip(axes, MEASURES, strict=True):
        found = {name: rows[name][key] for name in SHOWN if isinstance(rows.get(name, {}).get(key), dict)}
        means = np.array([value["mean"] for value in found.values()])
        errors = [[v["mean"] - v["low"] for v in found.values()], [v["high"] - v["mean"] for v in found.values()]]
        axis.bar(range(len(found)), means, yerr=np.maximum(errors, 0), capsize=3)
        axis.set_xticks(range(len(found)), list(found), rotation=25, ha="right", fontsize=8)
        axis.set_title(title, fontsize=9)
    figure.savefig(out / "figure_1c.png", dpi=110)


def figure_6(out: Path, pipeline: PahaPipeline, image: Path, audio: Path, options: Sequence[GuidanceOptions]) -> None:
    """A row for each guidance: FRAMES moments of the same video, of the same noise."""
    picture, (samples, rate_hz) = read_image(image), read_audio(audio)
    sound = samples[: round(SECONDS * rate_hz)], rate_hz
    inputs = pipeline.encode_inputs(picture, sound, ReferenceOptions(WIDTH, WIDTH))
    shown = np.linspace(0, inputs.num_frames - 1, FRAMES).round().astype(int)
    rows, plain = [], SampleOptions(steps=PAPER_STEPS, cfg_scale=1.0)
    for each in options:
        chosen = guide(plain, pipeline, picture, GuidanceChoice(each) if each.active else None)
        frames = np.concatenate([segment.frames for segment in pipeline.generate(inputs, chosen)])
        rows += list(frames[shown])
    save_png(out / "figure_6.png", contact_sheet(rows, columns=FRAMES))


def figure_7(out: Path, person: RigPerson, motions: dict[str, PersonMotion]) -> None:
    """The spectrogram, where speech sets in, and below it the lips' opening and the strokes of hands."""
    figure, axes = _figure(3, size=(10, 6), down=True)
    times = np.arange(len(person.motion())) / FPS
    axes[0].specgram(person.samples + 1e-6, NFFT=512, Fs=SAMPLE_RATE_HZ, noverlap=352, vmin=-140)
    axes[0].set(ylabel="Hz", title="speech")
    for name, motion in motions.items():
        points = person.keypoints_of(motion).points[:, GESTURE]
        axes[1].plot(times, motion.mouth_open, label=name)
        axes[2].plot(times, deceleration(points), label=name)
    onsets = onsets_at_frames(person.samples, len(times))
    scale = axes[2].get_ylim()[1] / max(float(onsets.max()), 1e-9)
    axes[2].fill_between(times, onsets * scale, color="0.85", label="onset strength", zorder=0)
    axes[1].set_ylabel("lips, face heights")
    axes[2].set(ylabel="slowing of hands", xlabel="s")
    for axis in axes[1:]:
        axis.legend(fontsize=7)
        axis.set_xlim(0, times[-1])
    axes[0].set_xlim(0, times[-1])
    figure.savefig(out / "figure_7.png", dpi=110)


def _figure(count: int, *, size: tuple[float, float], down: bool = False) -> tuple[Any, Any]:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, layout="constrained")
    return figure, figure.subplots(count, 1) if down else figure.subplots(1, count)


def main(
    *,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of `experiments.paper.run`.")],
    model: Annotated[Path, typer.Option(help="Model folder with both classifiers.")] = SHIPPED_MODEL,
    classifier: Annotated[list[Path], typer.Option(help="A classifier's folder, in place of the model's own.")] = [],  # noqa: B006
    image: Annotated[Path, typer.Option(help="Photograph of figure 6.")] = IMAGES / "astronaut.png",
    audio: Annotated[Path, typer.Option(help="Speech of figure 6.")] = IMAGES / "astronaut_speech.ogg",
    scales: Annotated[str | None, typer.Option(help="NON_FACE,FACE,DIFF; the model's own by default.")] = None,
    segments: Annotated[int, typer.Option(help="Of the run.", min=2)] = 2,
    speech: Annotated[Path | None, typer.Option(help="Folder of aligned natural speech, of the run.")] = None,
    person: Annotated[int, typer.Option(help="Whose motion figure 7 shows.", min=0)] = 0,
) -> None:
    """Draw the three."""
    pipeline = load(model, classifier, "cpu")
    own = preset_guidance(pipeline.preset.sample, scales)
    kinds = [GuidanceOptions(), GuidanceOptions(kind="sg", **own), GuidanceOptions(kind="dg", **own)]
    figure_1c(out)
    figure_6(out, pipeline, image, audio, kinds)
    frames = segments * (pipeline.preset.num_frames - 1) + 1
    voice: dict[str, Any] = {"num_frames": frames, "speech": speech, "hands": True, "held_out": True}
    someone = draw_people(model_config(model), person + 1, seed=SEED, **voice)[person]
    motions = {"true": someone.motion()}
    for name, options in zip(("unguided", "SG", "DG"), kinds, strict=True):
        motions[name] = someone.motion(read_arm(out, Arm(options))[person])
    figure_7(out, someone, motions)
    typer.echo(f"figure_1c.png, figure_6.png and figure_7.png in {out}")


if __name__ == "__main__":
    try:
        typer.run(main)
    except PahaError as error:
        raise SystemExit(f"figures: error: {error}") from error
