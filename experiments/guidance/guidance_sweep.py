"""Guided videos of many settings, all held-out clips in one batch, read by the pose reader where they are made.

python -m experiments.guidance.guidance_sweep run --data HELDOUT --out OUT --cfg-scale 1 none sg sg/nf=10/face=0
python -m experiments.guidance.guidance_sweep report --data HELDOUT --out OUT

`run` belongs on a GPU: OUT/<setting>.npz has every clip's keypoints and mouth opening (not the pixels, a megabyte or
two a setting), OUT/sweep.json what made them; finished settings are kept. `report` needs no GPU: scores by clip,
differences to the setting `none` with paired 95 % intervals, OUT/report.md and OUT/report.json.

A setting is `none`, or sg or dg with changes: nf, face, diff (the scales), form, and any other of `GuidanceOptions`.
The noise of a clip is the same in every setting.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch is imported

import numpy as np
import torch
import typer
import yaml
from torch import Tensor

from experiments.guidance.settings import KEPT, STEPS_OF_HEIGHT
from paha.dataset.manifest import read_manifest
from paha.errors import PahaError
from paha.extractors.choose import PRESENTER_READER
from paha.extractors.pose import PresenterPose
from paha.guidance.classifier_gradient import GuidanceOptions, make_guidance
from paha.guidance.equations import GuidanceStats
from paha.guidance.face_box import FaceBox, presenter_boxes
from paha.guidance.face_following import face_detector, find_faces_like
from paha.media.image_io import contact_sheet, fit_image, save_png
from paha.media.pixels import pixels_to_frames
from paha.media.video_io import iter_video
from paha.pce.regions import Region, face_mask, grow_box
from paha.pipeline.inputs import EncodedInputs
from paha.pipeline.loading import SHIPPED_MODEL, load_pipeline
from paha.pipeline.pipeline import PahaPipeline
from paha.runtime.atomic import atomic_path, write_bytes
from paha.runtime.fingerprint import model_fingerprint
from paha.sampling.long_video import Segment, chain_segments, segment_noise
from paha.sampling.sampler import sample
from paha.types import ClipRecord, Keypoints
from paha.univdm.conditioning import Conditioning

SHORT = {"nf": "non_face_scale", "face": "face_scale", "diff": "diff_scale", "form": "dg_form", "deep": "share_deep"}
SHEET = (6, 8)
"""Clips and frames of a setting's picture."""


@dataclass(frozen=True)
class HeldOut:
    """Clips in one batch, the longest first. box: (N, 4), not grown. seeds: of each one's noise."""

    records: list[ClipRecord]
    scenes: list[EncodedInputs]
    box: Tensor
    seeds: list[int]

    def active(self, segment: Segment) -> int:
        """How many clips reach this segment: the first so many."""
        return sum(len(scene.segments) > segment.index for scene in self.scenes)


def parse_setting(text: str) -> GuidanceOptions:
    """'sg/nf=10/rate=0.25' to options. Raises PahaError for unknown names and bad values."""
    kind, *changes = text.split("/")
    values: dict[str, Any] = {}
    for change in changes:
        name, _, value = change.partition("=")
        values[SHORT.get(name, name)] = yaml.safe_load(value)
    unknown = values.keys() - {f.name for f in fields(GuidanceOptions)}
    if unknown:
        raise PahaError(f"setting '{text}': '{min(unknown)}' is no option of the guidance")
    return GuidanceOptions(kind=kind, **values)  # type: ignore[arg-type]  # checked by the class


def load_clips(
    pipeline: PahaPipeline,
    data: Path,
    pose: PresenterPose,
    *,
    start: int = 0,
    clips: int = 40,
    frames: int | None = None,
    seed: int = 0,
) -> HeldOut:
    """`clips` clips from place `start` of the manifest, their first `frames` frames; clip i has the noise seed + i."""
    records = read_manifest(data)[start : start + clips]
    if not records:
        raise PahaError(f"{data} has no clip number {start}")
    config = pipeline.preset
    images = [next(iter(iter_video(data / record.video))) for record in records]
    fitted = np.stack([fit_image(image, width=config.width, height=config.height) for image in images])
    boxes = torch.from_numpy(presenter_boxes(fitted, pose))
    scenes = [
        pipeline.encode_inputs(
            image, data / record.audio, num_frames=min(frames or record.num_frames, record.num_frames)
        )
        for image, record in zip(images, records, strict=True)
    ]
    order = sorted(range(len(records)), key=lambda i: (-len(scenes[i].segments), i))
    seeds = [seed + i for i in order]
    return HeldOut([records[i] for i in order], [scenes[i] for i in order], boxes[order], seeds)


@torch.no_grad()
def generate(
    pipeline: PahaPipeline, held: HeldOut, options: GuidanceOptions, *, steps: int, observe: Any = None
) -> tuple[list[Tensor], Tensor]:
    """Each clip's diffused latents (T, C, h, w), and those of all first segments (N, T, C, h, w), by the pipeline's
    own sampler, guidance and chaining."""
    preset, shape = pipeline.preset, held.scenes[0].ref_latent.shape[1:]
    classifiers: dict[Region, Any] = {region: pipeline.classifier(region) for region in options.regions}
    made: list[list[Tensor]] = [[] for _ in held.scenes]
    firsts: list[Tensor] = []

    def sample_segment(segment: Segment, first: Tensor | None) -> Tensor:
        scenes = held.scenes[: held.active(segment)]
        margin = preset.model.audio_margin
        told = Conditioning.cat([s.conditioning(s.segments[segment.index], audio_margin=margin) for s in scenes])
        size = (1, segment.length, *shape)
        seeds = held.seeds[: len(scenes)]
        noise = torch.cat([segment_noise(size, seed=seed, index=segment.index) for seed in seeds])
        guidance = None
        if options.active:
            common: dict[str, Any] = {"schedule": pipeline.schedule, "latent_size": tuple(shape[1:])}
            box = held.box[: len(scenes)]
            if options.redetect:
                reader = PRESENTER_READER
                find = find_faces_like(FaceBox(box[0].numpy(), "the pose reader"), reader)
                common["detect"] = face_detector(pipeline, find)
            guidance = make_guidance(options, classifiers, box=box, observe=observe, **common)(told)
        z_0 = sample(
            pipeline.predictor(told, preset.sample.cfg_scale),
            noise.to(pipeline.device),
            steps=steps,
            schedule=pipeline.schedule,
            prediction_type=preset.diffusion.prediction_type,
            first_frame=None if first is None else first[: len(scenes)],
            first_frame_timestep=preset.diffusion.first_frame_timestep,
            guidance=guidance,
            guidance_rate=options.rate,
        )
        for scene, latents, parts in zip(scenes, z_0, made, strict=False):
            parts.append(latents[scene.segments[segment.index].emitted])
        firsts.extend([z_0] if segment.index == 0 else [])
        return z_0.transpose(0, 1)  # frames first: the chain passes on the last one, of all clips

    for _ in chain_segments(sample_segment, held.scenes[0].segments):
        pass
    return [torch.cat(parts) for parts in made], firsts[0]


@torch.no_grad()
def decode(pipeline: PahaPipeline, held: HeldOut, latents: Sequence[Tensor], *, batch: int) -> np.ndarray:
    """The frames of all clips one after the other, (F, H, W, 3) uint8."""
    coded = torch.cat([pipeline.codec_latents(s, z) for s, z in zip(held.scenes, latents, strict=True)])
    parts = coded.to(pipeline.codec.dtype).split(batch)
    return np.concatenate([pixels_to_frames(pipeline.codec.decode(part)) for part in parts])


def moved(z: Tensor, plain: Tensor, box: Tensor) -> np.ndarray:
    """(N, 2): how far the first segments are from the unguided ones, root mean square in the face and outside."""
    mask = face_mask(grow_box(box.float()), height=z.shape[3], width=z.shape[4]).to(z)
    square = (z - plain.to(z)).square()
    inside = [(square * m).sum((1, 2, 3, 4)) / m.expand_as(z).sum((1, 2, 3, 4)).clamp_min(1) for m in (mask, 1 - mask)]
    return torch.stack(inside, 1).sqrt().cpu().numpy()


def save_reading(path: Path, keypoints: Keypoints, mouth: np.ndarray, *, height: int, **others: np.ndarray) -> None:
    """Keep what the scores need of all clips' frames."""
    steps = (keypoints.points[:, KEPT] / height + 0.5) * STEPS_OF_HEIGHT
    points = steps.round().clip(0, 2**16 - 1).astype(np.uint16)
    kept = {"scores": keypoints.scores[:, KEPT].astype(np.float16), "mouth": mouth.astype(np.float16)}
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        arrays: dict[str, Any] = {"points": points, "height": np.array(height), **kept, **others}
        np.savez_compressed(file, allow_pickle=False, **arrays)


def make_setting(
    path: Path,
    pipeline: PahaPipeline,
    held: HeldOut,
    options: GuidanceOptions,
    pose: PresenterPose,
    *,
    steps: int,
    decode_batch: int,
) -> dict[str, Any]:
    """One setting's videos, read into `path` with a picture beside it; returns what sweep.json says of it.

    How far latents moved is told from the unguided ones, which are kept in none_first.npz when that setting is made.
    """
    told: list[GuidanceStats] = []
    begin = time.perf_counter()
    latents, firsts = generate(pipeline, held, options, steps=steps, observe=told.append)
    kept = torch.cat(latents).cpu()  # waits for the device
    seconds = time.perf_counter() - begin
    pixels = decode(pipeline, held, latents, batch=decode_batch)
    reading = pose.reader.read(pixels, batch_size=decode_batch)
    if path.stem == "none":
        np.savez(path.with_name("none_first.npz"), first=firsts.half().cpu().numpy())
    plain = torch.from_numpy(np.load(path.with_name("none_first.npz"))["first"])
    lengths = [len(z) for z in latents]
    save_reading(
        path,
        Keypoints(reading.points, reading.scores),
        reading.mouth_open,
        height=pixels.shape[1],
        lengths=np.array(lengths),
        moved=moved(firsts, plain, held.box.to(firsts.device)),
    )
    save_sheet(path.with_suffix(".png"), pixels, lengths)
    return {
        "options": options.settings(),
        "seconds": seconds,
        "latent_rms": float(kept.square().mean().sqrt()),
        "update_ratios": ratios(told),
    }


app = typer.Typer(no_args_is_help=True, help="Guided videos of many settings in one batch, and their scores.")


@app.command()
def run(
    settings: Annotated[list[str], typer.Argument(help="none first, then sg, dg/nf=3/rate=0.5 ...")],
    data: Annotated[Path, typer.Option(help="Held-out corpus.")],
    out: Annotated[Path, typer.Option(help="Folder for the readings.")],
    model: Annotated[Path, typer.Option(help="Model folder with both classifiers.")] = SHIPPED_MODEL,
    classifier: Annotated[list[Path], typer.Option(help="Folder of a classifier in place of the model's own.")] = [],  # noqa: B006
    clips: Annotated[int, typer.Option(help="How many.", min=1)] = 40,
    start: Annotated[int, typer.Option(help="First clip's place in the manifest.", min=0)] = 0,
    frames: Annotated[int | None, typer.Option(help="Only the first so many of each clip.", min=2)] = None,
    steps: Annotated[int | None, typer.Option(help="DDIM steps (the model's by default).", min=1)] = None,
    cfg_scale: Annotated[float | None, typer.Option(help="Audio guidance scale (the model's by default).")] = None,
    seed: Annotated[int, typer.Option(help="Of the first clip's noise.", min=0)] = 0,
    decode_batch: Annotated[int, typer.Option(help="Frames decoded and read at a time.", min=1)] = 512,
    device: Annotated[str | None, typer.Option(help="cpu, cuda ...; the best there is by default.")] = None,
) -> None:
    """Make and read the videos of every setting that OUT has not yet."""
    if settings[0] != "none":
        raise PahaError("give `none` first: the others are held against it")
    chosen = {text: parse_setting(text) for text in settings}
    begin = time.perf_counter()
    pipeline = load(model, classifier, device)
    if cfg_scale is not None:
        sampling = pipeline.preset.sample.model_copy(update={"cfg_scale": cfg_scale})
        pipeline.preset = pipeline.preset.model_copy(update={"sample": sampling})
    reader = PRESENTER_READER
    pose = PresenterPose.load(reader)
    reader_model: Any = pose.reader
    reader_model.to(pipeline.device)
    held = load_clips(pipeline, data, pose, start=start, clips=clips, frames=frames, seed=seed)
    steps = pipeline.preset.sample.steps if steps is None else steps
    protocol = {
        "clips": [record.clip_id for record in held.records],
        "seeds": held.seeds,
        "frames": [scene.num_frames for scene in held.scenes],
        "steps": steps,
        "cfg_scale": pipeline.preset.sample.cfg_scale,
        "model": model_fingerprint(pipeline.univdm, pipeline.codec),
        "pose_reader": model_fingerprint(pose.reader),
        "device": torch.cuda.get_device_name() if pipeline.device.type == "cuda" else "cpu",
    }
    index = open_index(out, protocol)
    generate(pipeline, held, GuidanceOptions(), steps=1)  # warm up
    typer.echo(f"{len(held.records)} clips prepared in {time.perf_counter() - begin:.1f} s", err=True)
    for text, options in chosen.items():
        path = out / f"{text.replace('/', '_')}.npz"
        classifiers = {region: model_fingerprint(pipeline.classifier(region)) for region in options.regions}
        if path.is_file() and index["settings"].get(text, {}).get("classifiers") == classifiers:
            continue
        begin = time.perf_counter()
        made = make_setting(path, pipeline, held, options, pose, steps=steps, decode_batch=decode_batch)
        index["settings"][text] = {"file": path.name, "classifiers": classifiers} | made
        write_bytes(out / "sweep.json", json.dumps(index, indent=1).encode())
        told = f"{made['seconds']:.1f} s, read in {time.perf_counter() - begin - made['seconds']:.1f} s"
        typer.echo(f"{text}: {told}", err=True)


@app.command()
def report(
    data: Annotated[Path, typer.Option(help="The held-out corpus of the run, with its annotations.")],
    out: Annotated[Path, typer.Option(help="Folder of the run.")],
) -> None:
    """Score what `run` left in OUT."""
    from experiments.guidance.guidance_scores import write_scores

    typer.echo(write_scores(data, out))


def load(model: Path, classifiers: Sequence[Path], device: str | None) -> PahaPipeline:
    """The pipeline of a model folder, with other classifiers where they are given."""
    from paha.pce.classifier import PCEClassifier
    from paha.pipeline.model_folder import load_part

    pipeline = load_pipeline(model, device=device)
    for folder in classifiers:
        pipeline.add_classifier(load_part(PCEClassifier, folder))
    return pipeline


def open_index(out: Path, protocol: dict[str, Any]) -> dict[str, Any]:
    """OUT/sweep.json, begun or gone on with. Raises PahaError where OUT was made in another way."""
    out.mkdir(parents=True, exist_ok=True)
    path = out / "sweep.json"
    if not path.is_file():
        return {"protocol": protocol, "settings": {}}
    index = json.loads(path.read_text(encoding="utf-8"))
    changed = [name for name, value in protocol.items() if index["protocol"].get(name) != value]
    if changed:
        raise PahaError(f"{out} was made with another {changed[0]}; choose another --out")
    return index


def ratios(told: Sequence[GuidanceStats]) -> dict[str, Any]:
    """Mean size of the updates over that of the latents, by region, and by region and timestep."""
    names = ("non_face", "face")
    by_t = {t: [s for s in told if s.t == t] for t in sorted({s.t for s in told}, reverse=True)}
    mean = {n: float(np.mean([getattr(s, f"{n}_ratio") for s in told])) if told else 0.0 for n in names}
    steps = {t: [float(np.mean([getattr(s, f"{n}_ratio") for s in found])) for n in names] for t, found in by_t.items()}
    return mean | {"by_t": steps}


def save_sheet(path: Path, pixels: np.ndarray, lengths: Sequence[int]) -> None:
    """A picture of a few clips, a row each, frames evenly spaced."""
    clips, frames = SHEET
    starts = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    rows = [start + np.linspace(0, n - 1, frames).astype(int) for start, n in zip(starts, lengths, strict=True)]
    save_png(path, contact_sheet(pixels[np.concatenate(rows[:clips])], columns=frames))


if __name__ == "__main__":
    try:
        app()
    except PahaError as error:
        raise SystemExit(f"guidance_sweep: error: {error}") from error
