"""Guidance in motion latents, paired with none, on people of the rig whom nobody was trained on. No picture is drawn.

python -m experiments.guidance.motion_guidance --model MODEL --instrument FACE --out OUT [--people 40] [--speech DIR]

Everybody has the same noise in every setting. OUT/SETTING.npz keeps a finished setting, OUT/SETTING.parts the people of
one at work, so that the same command goes on where it was; OUT/report.md and report.json are written at the end.
Settings are those of `guidance_sweep` (`sg`, `dg/nf=10`, `sg/nf=0`), and `oracle` and `oracle-dg`: SG and DG that have,
for a classifier's gradient, the way from the predicted clean latents to the true ones, a bound of what one could do.
Letters: B people, T frames.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from shutil import rmtree
from typing import Annotated, Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch is imported

import numpy as np
import torch
import typer
from torch import Tensor

from experiments.guidance.guidance_sweep import load, open_index, parse_setting, ratios
from experiments.guidance.motion_report import write_report
from experiments.guidance.rig_people import RigPerson, conditioning_of, draw_people
from experiments.guidance.sync_instrument import load as load_instrument
from experiments.guidance.sync_instrument import model_config
from paha.errors import PahaError
from paha.guidance.classifier_gradient import ClassifierGradient, GuidanceOptions, make_guidance
from paha.guidance.equations import GuidanceStats
from paha.motion.sampled import band_limited, initial_noise
from paha.pce.regions import Region
from paha.pipeline.loading import SHIPPED_MODEL
from paha.pipeline.pipeline import PahaPipeline
from paha.runtime.atomic import atomic_path, write_bytes
from paha.runtime.fingerprint import model_fingerprint
from paha.sampling.long_video import Segment, chain_segments, plan_segments, segment_noise
from paha.sampling.sampler import sample
from paha.univdm.conditioning import Conditioning

SEED = 770_000
SETTINGS = ("none", "sg/nf=0", "sg/face=0", "sg", "dg")
ORACLE = "oracle"
PART = 10
"""People that are sampled together, and lost where a run is killed."""


@dataclass(frozen=True)
class Protocol:
    """How every setting is sampled. cfg_scale: of the audio; 1 is the paper, which has none."""

    steps: int
    cfg_scale: float
    segments: int
    seed: int


class OracleGradient:
    """alpha_t (z_0 predicted - z_0 true) of one segment: of half their squared distance, the network held constant."""

    def __init__(self, pipeline: PahaPipeline, told: Conditioning, truth: Tensor, cfg_scale: float) -> None:
        self.schedule, self.truth = pipeline.schedule, truth
        self.predict = pipeline.predictor(told, cfg_scale)
        assert pipeline.preset.diffusion.prediction_type == "v_prediction"

    def __call__(self, z_t: Tensor, t: Tensor) -> Tensor:
        """Of z_t's shape."""
        z_0 = self.schedule.v_to_z0(z_t, self.predict(z_t, t), t)
        return self.schedule.alpha(t)[:, :, None, None, None] * (z_0 - self.truth)


@torch.no_grad()
def generate(
    pipeline: PahaPipeline,
    people: Sequence[RigPerson],
    options: GuidanceOptions,
    protocol: Protocol,
    *,
    oracle: bool = False,
    observe: Any = None,
) -> Tensor:
    """Diffused latents (B, T, C, G, G), smoothed and chained as `paha animate` does it."""
    preset = pipeline.preset
    boxes = torch.stack([person.tensors["face_box"] for person in people])
    truths = torch.stack([person.tensors["latents"] for person in people])

    def guidance_of(told: Conditioning, segment: Segment) -> Any:
        if not options.active:
            return None
        classifiers: dict[Region, Any] = {r: None if oracle else pipeline.classifier(r) for r in options.regions}
        kind: Any = ClassifierGradient
        if oracle:
            known = OracleGradient(pipeline, told, truths[:, segment.frames], protocol.cfg_scale)
            kind = lambda *_, **__: known  # noqa: E731
        own: dict[str, Any] = {"schedule": pipeline.schedule, "latent_size": tuple(truths.shape[-2:])}
        return make_guidance(options, classifiers, box=boxes, observe=observe, gradient_class=kind, **own)(told)

    def one(segment: Segment, first: Tensor | None) -> Tensor:
        told = conditioning_of(pipeline, people, segment)
        shape = (1, segment.length, *truths.shape[2:])
        seeds = range(protocol.seed, protocol.seed + len(people))
        noise = torch.cat([segment_noise(shape, seed=seed, index=segment.index) for seed in seeds])
        z_0 = sample(
            pipeline.predictor(told, protocol.cfg_scale),
            initial_noise(noise, preset),
            steps=protocol.steps,
            schedule=pipeline.schedule,
            prediction_type=preset.diffusion.prediction_type,
            first_frame=first,
            first_frame_timestep=preset.diffusion.first_frame_timestep,
            guidance=guidance_of(told, segment),
            guidance_rate=options.rate,
        )
        return band_limited(z_0, preset, given_first=first is not None).transpose(0, 1)

    plan = plan_segments(truths.shape[1], preset.num_frames)
    return torch.cat([z[segment.emitted] for segment, z in chain_segments(one, plan)]).transpose(0, 1)


def setting_of(text: str, scales: str) -> tuple[GuidanceOptions, bool]:
    """A setting's options, with the run's scales where it names none, and whether an oracle stands for classifiers."""
    kind, *changes = text.split("/")
    oracle, known = kind.startswith(ORACLE), {ORACLE: "sg", f"{ORACLE}-dg": "dg"}
    given = [f"{name}={value}" for name, value in zip(("nf", "face", "diff"), scales.split(","), strict=True)]
    return parse_setting("/".join([known.get(kind, kind), *given, *changes])), oracle


def file_of(out: Path, text: str) -> Path:
    """Where a setting's latents lie."""
    return out / f"{text.replace('/', '_')}.npz"


def in_parts(
    folder: Path,
    entry: dict[str, Any],
    people: Sequence[RigPerson],
    make: Callable[[Sequence[RigPerson], int], Tensor],
) -> tuple[np.ndarray, float]:
    """Latents (B, T, C, G, G) float16 of PART people after the other, each part kept in FOLDER, and seconds of CPU.

    entry: what makes them; parts of another one are made again.
    """
    folder.mkdir(parents=True, exist_ok=True)
    about, text = folder / "made_by.json", json.dumps(entry, sort_keys=True)
    if not about.is_file() or about.read_text(encoding="utf-8") != text:
        for path in folder.glob("*.npz"):
            path.unlink()
        write_bytes(about, text.encode())
    for start in range(0, len(people), PART):
        if (path := folder / f"{start:04d}.npz").is_file():
            continue
        began = time.process_time()
        latents = make(people[start : start + PART], start).half().numpy()
        with atomic_path(path) as temporary, temporary.open("wb") as file:
            np.savez_compressed(file, latents=latents, seconds=time.process_time() - began)
    parts = [dict(np.load(path)) for path in sorted(folder.glob("*.npz"))]
    return np.concatenate([part["latents"] for part in parts]), float(sum(part["seconds"] for part in parts))


def main(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the run; goes on there.")],
    instrument: Annotated[Path, typer.Option(help="Folder of sync_instrument (face).")],
    model: Annotated[Path, typer.Option(help="Model folder.")] = SHIPPED_MODEL,
    classifier: Annotated[list[Path], typer.Option(help="A classifier's folder, in place of the model's own.")] = [],  # noqa: B006
    settings: Annotated[str, typer.Option(help="With commas, none first.")] = ",".join(SETTINGS),
    scales: Annotated[str, typer.Option(help="NON_FACE,FACE,DIFF of the settings that name none.")] = "1,0.1,0.25",
    people: Annotated[int, typer.Option(help="How many.", min=2)] = 40,
    segments: Annotated[int, typer.Option(help="Of each video.", min=2)] = 6,
    steps: Annotated[int, typer.Option(help="Solver steps.", min=1)] = 30,
    cfg_scale: Annotated[float, typer.Option(help="Audio guidance; 1 is none, as in the paper.", min=1)] = 1.0,
    speech: Annotated[Path | None, typer.Option(help="Folder of aligned natural speech.")] = None,
    seed: Annotated[int, typer.Option(help="Of the people; a sweep takes another than the test.", min=0)] = SEED,
) -> None:
    """Sample the settings that OUT has not, then report them all."""
    texts = settings.split(",")
    if texts[0] != "none":
        raise PahaError("--settings: give none first; the others are held against it")
    protocol = Protocol(steps, cfg_scale, segments, seed)
    pipeline = load(model, classifier, "cpu")
    num_frames = segments * (pipeline.preset.num_frames - 1) + 1
    drawn = draw_people(
        model_config(model), people, seed=seed, num_frames=num_frames, held_out=True, speech=speech, hands=True
    )
    told = vars(protocol) | {
        "people": people,
        "model": model_fingerprint(pipeline.univdm),
        "natural": speech is not None,
    }
    index = open_index(out, told)
    for text in texts:
        options, oracle = setting_of(text, scales)
        by = [] if oracle else [model_fingerprint(pipeline.classifier(region)) for region in options.regions]
        # No guidance is the same whatever the scales that the others have.
        entry = {"options": options.settings() if options.active else {"kind": "none"}, "classifiers": by}
        known = index["settings"].get(text, {})
        if file_of(out, text).is_file() and {name: known.get(name) for name in entry} == entry:
            continue
        stats: list[GuidanceStats] = []
        latents, seconds = in_parts(
            file_of(out, text).with_suffix(".parts"),
            entry | {"protocol": told},
            drawn,
            lambda chosen, start, o=options, k=oracle, s=stats: generate(
                pipeline, chosen, o, replace(protocol, seed=seed + start), oracle=k, observe=s.append
            ),
        )
        with atomic_path(file_of(out, text)) as temporary, temporary.open("wb") as file:
            np.savez_compressed(file, latents=latents)
        index["settings"][text] = entry | {"cpu_seconds": seconds, "update_ratios": ratios(stats)}
        write_bytes(out / "sweep.json", json.dumps(index, indent=1).encode())
        rmtree(file_of(out, text).with_suffix(".parts"))
        typer.echo(f"{text}: {seconds:.0f} s of CPU", err=True)
    made = {text: torch.from_numpy(np.load(file_of(out, text))["latents"]).float() for text in index["settings"]}
    typer.echo(write_report(out, drawn, made, index, load_instrument(instrument, model=model)))


if __name__ == "__main__":
    try:
        typer.run(main)
    except PahaError as error:
        raise SystemExit(f"motion_guidance: error: {error}") from error
