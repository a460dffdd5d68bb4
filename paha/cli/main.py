"""The command line: parse, call, nothing else. Nothing heavy is imported before a verb needs it."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from paha.errors import PahaError
from paha.pipeline.loading import load_pipeline

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="PAHA: one reference image and one speech recording become a video of that person speaking.",
)
train = typer.Typer(no_args_is_help=True, help="Train a codec, a pose reader, UniVDM or a PCE classifier.")
app.add_typer(train, name="train")
study = typer.Typer(no_args_is_help=True, help="The user study of section 5.4: create, serve, report.")
app.add_typer(study, name="study")


class Guidance(StrEnum):
    """Classifier guidance of `paha animate --guidance`."""

    none = "none"
    sg = "sg"
    dg = "dg"


class DgForm(StrEnum):
    """Readings of Eq. 12 (`paha.guidance.equations.differential_step`)."""

    compensate = "compensate"
    literal = "literal"
    normalised = "normalised"
    printed_convex = "printed_convex"


class Region(StrEnum):
    """Whose classifier."""

    face = "face"
    non_face = "non_face"


class Dtype(StrEnum):
    """Floating-point types of `paha animate --dtype`."""

    float32 = "float32"
    float16 = "float16"
    bfloat16 = "bfloat16"


PresetName = Annotated[str, typer.Option("--preset", help="debug, presenter or paper.")]
Settings = Annotated[
    list[str], typer.Option("--set", metavar="NAME=VALUE", help="Override an option, e.g. --set train.batch_size=4.")
]
Steps = Annotated[int | None, typer.Option(help="Training steps (the preset's by default).", min=1)]
Data = Annotated[Path, typer.Option("--data", help="Dataset folder (manifest.jsonl).")]
Run = Annotated[Path, typer.Option("--out", "-o", help="Run folder; an interrupted run there goes on.")]
Minutes = Annotated[float | None, typer.Option(help="Save a checkpoint and stop after so many minutes.", min=0.0)]
Engine = Annotated[str, typer.Option(help="local, or ray for a cluster.")]
Init = Annotated[Path | None, typer.Option(help="Start from earlier weights (a folder or safetensors file).")]


@app.command()
def animate(
    image: Annotated[Path | None, typer.Argument(help="Reference image.")] = None,
    audio: Annotated[Path | None, typer.Argument(help="Speech: any audio file, or a video with sound.")] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Video to write (mp4).")] = None,
    jobs: Annotated[Path | None, typer.Option(help="CSV with columns image,audio,output[,seed].")] = None,
    model: Annotated[Path | None, typer.Option(help="Model folder; the shipped presenter by default.")] = None,
    steps: Annotated[int | None, typer.Option(help="DDIM steps (the model's by default).", min=1, max=1000)] = None,
    seed: Annotated[int, typer.Option(help="The same seed gives the same video.", min=0, max=2**63 - 1)] = 0,
    cfg_scale: Annotated[float | None, typer.Option(help="Audio guidance scale; 1 is off.", min=0.0)] = None,
    size: Annotated[str | None, typer.Option(help="N or WIDTHxHEIGHT in pixels (the model's by default).")] = None,
    device: Annotated[str | None, typer.Option(help="cpu, cuda, mps ...; the best there is by default.")] = None,
    dtype: Annotated[Dtype, typer.Option(help="Floating-point type of the networks.")] = Dtype.float32,
    low_vram: Annotated[
        bool, typer.Option("--low-vram", help="A small GPU: fp16, one network at a time there, decoding in chunks.")
    ] = False,
    label: Annotated[bool, typer.Option("--label", help="Draw 'AI-generated' on the picture.")] = False,
    save_frames: Annotated[Path | None, typer.Option(help="Folder for all frames as PNG.")] = None,
    contact_sheet: Annotated[bool, typer.Option("--contact-sheet", help="Also write OUT_sheet.png.")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on after the last finished segment or job.")] = False,
    guidance: Annotated[
        Guidance, typer.Option(help="Guide by the classifiers: none, sg (Sequential) or dg (Differential).")
    ] = Guidance.none,
    guidance_rate: Annotated[
        float, typer.Option(help="Guided share of the steps, from the first.", min=0, max=1)
    ] = 0.5,
    guidance_scales: Annotated[
        str | None, typer.Option(metavar="NON_FACE,FACE[,DIFF]", help="The scales (the model's own by default).")
    ] = None,
    dg_form: Annotated[DgForm, typer.Option(help="Reading of Eq. 12.")] = DgForm.compensate,
    guidance_reuse: Annotated[
        int, typer.Option(help="Gradients anew only every so many guided steps: faster, approximate.", min=1)
    ] = 1,
    reuse_deep: Annotated[
        bool, typer.Option("--reuse-deep", help="DG: deep features once for its three solver steps; approximate.")
    ] = False,
    redetect_face: Annotated[
        int, typer.Option(help="Find the face again every so many guided steps (0: as it is in IMAGE).", min=0)
    ] = 0,
    skip_first: Annotated[
        bool, typer.Option("--skip-first", help="Leave the step from pure noise unguided (the presenter always does).")
    ] = False,
    guidance_smoothing: Annotated[
        float | None,
        typer.Option(
            metavar="FRAMES", help="Blur the non-face gradient over time (the model's own by default).", min=0
        ),
    ] = None,
    face_box: Annotated[
        str | None, typer.Option(metavar="X0,Y0,X1,Y1", help="The face by hand, in pixels of IMAGE (found by default).")
    ] = None,
) -> None:
    """Make a video of IMAGE speaking AUDIO."""
    from paha.cli import classifiers as verbs_pce
    from paha.cli import univdm as verbs

    if jobs is not None:
        if image or audio or out:
            raise PahaError("give either IMAGE AUDIO -o OUT.mp4 or --jobs jobs.csv, not both")
    elif image is None or audio is None or out is None:
        raise PahaError("give IMAGE AUDIO -o OUT.mp4, or --jobs jobs.csv")
    width, height = verbs.parse_size(size)
    choice = verbs_pce.parse_guidance(
        guidance.value,
        rate=guidance_rate,
        scales=guidance_scales,
        dg_form=dg_form.value,
        reuse=guidance_reuse,
        share_deep=reuse_deep,
        redetect=redetect_face,
        skip_first=skip_first,
        smoothing=guidance_smoothing,
        face_box=face_box,
    )
    pipeline = load_pipeline(model, device=device, dtype=dtype.value, low_vram=low_vram)
    options = verbs.AnimateOptions(
        steps=steps,
        seed=seed,
        cfg_scale=cfg_scale,
        width=width,
        height=height,
        label=label,
        save_frames=save_frames,
        contact_sheet=contact_sheet,
        resume=resume,
        guidance=choice,
    )
    if jobs is not None:
        verbs.animate_jobs(pipeline, jobs, options)
    else:
        assert image is not None
        assert audio is not None
        assert out is not None
        verbs.animate_one(pipeline, image, audio, out, options)


@app.command()
def synth(
    out: Annotated[Path, typer.Argument(help="Dataset folder to make or to go on with.")],
    clips: Annotated[int, typer.Option(help="How many clips.", min=1)] = 100,
    seed: Annotated[int, typer.Option(help="Clip i has seed + i; from 900000 on for evaluation only.", min=0)] = 0,
    size: Annotated[int, typer.Option(help="Pixels of a side.", min=32)] = 128,
    seconds: Annotated[tuple[float, float], typer.Option(help="Shortest and longest clip.")] = (3.0, 6.0),
    characters: Annotated[int | None, typer.Option(help="Only so many characters (one a clip by default).")] = None,
    recording: Annotated[list[Path], typer.Option(help="Real speech that half of the clips use; repeat.")] = [],  # noqa: B006
    workers: Annotated[int | None, typer.Option(help="Processes (one a core by default).", min=1)] = None,
) -> None:
    """Make a presenter corpus: illustrated people speaking, with exact keypoints and the true signals."""
    from paha.dataset.synth.corpus import make_corpus

    records = make_corpus(
        out,
        clips=clips,
        seed=seed,
        size=size,
        seconds=seconds,
        characters=characters,
        recordings=recording or None,
        workers=workers,
    )
    typer.echo(f"{len(records)} clips, {sum(r.num_frames for r in records)} frames in {out}; look at {out}/sheet.png")


@app.command()
def prepare(
    paths: Annotated[
        list[Path], typer.Argument(metavar="RAW... OUT", help="Footage (files, folders); dataset folder.")
    ],
    layout: Annotated[str, typer.Option(help="any, pats (4-15 s) or cnas (5 s, 512x896, 22 kHz).")] = "any",
    pose: Annotated[str, typer.Option(help="auto, mediapipe, dwpose or presenter.")] = "auto",
    presence: Annotated[
        bool | None,
        typer.Option(help="DINOv2 checks that body parts are present (by default where its weights are)."),
    ] = None,
    no_hands: Annotated[
        bool, typer.Option("--no-hands", help="Heads will do: hands and shoulders need not show.")
    ] = False,
    smooth: Annotated[float, typer.Option(help="Weight of the temporal fit of keypoints; 0 is off.", min=0.0)] = 0.0,
    size: Annotated[str | None, typer.Option(help="N or WIDTHxHEIGHT in pixels (the layout's by default).")] = None,
    seconds: Annotated[tuple[float, float] | None, typer.Option(help="Shortest and longest clip.")] = None,
    identity: Annotated[str, typer.Option(help="Who is seen: a name, or 'folder' (the file's name by default).")] = "",
    licence: Annotated[str, typer.Option(help="Licence of the footage, for the dataset card.")] = "",
    language: Annotated[str | None, typer.Option(help="Language spoken, e.g. en.")] = None,
    intervals: Annotated[Path | None, typer.Option(help="PATS's interval csv: only what it lists.")] = None,
    splits: Annotated[Path | None, typer.Option(help="S2G's split ids (json), with --intervals.")] = None,
    workers: Annotated[int | None, typer.Option(help="Processes (one a core by default).", min=1)] = None,
    engine: Engine = "local",
) -> None:
    """Cut raw footage into a dataset of one person speaking to the camera; an interrupted run goes on."""
    from paha.cli.prepare import prepare_dataset

    prepare_dataset(
        paths,
        layout=layout,
        pose=pose,
        presence=presence,
        no_hands=no_hands,
        smooth=smooth,
        size=size,
        seconds=seconds,
        identity=identity,
        licence=licence,
        language=language,
        intervals=intervals,
        splits=splits,
        workers=workers,
        engine=engine,
    )


@app.command()
def features(
    data: Annotated[Path, typer.Argument(help="Dataset folder (manifest.jsonl).")],
    codec: Annotated[Path | None, typer.Option(help="Codec folder; the shipped one by default.")] = None,
    preset: PresetName = "presenter",
    settings: Settings = [],  # noqa: B006
    device: Annotated[str | None, typer.Option(help="cpu, cuda ...")] = None,
    shard: Annotated[str, typer.Option(help="I/N: only the I-th of N parts, for N machines.")] = "0/1",
    workers: Annotated[int, typer.Option(help="So many parts at once.", min=1)] = 1,
    engine: Engine = "local",
) -> None:
    """Compute and cache what training reads: codec latents, audio features, keypoints."""
    from paha.cli import univdm as verbs
    from paha.cli.main import features as verbs_features

    config = verbs.configuration(preset, settings)
    options = {"device": device, "shard": shard, "workers": workers, "engine": engine}
    folder = verbs_features.make_features(data, config, codec=codec, **options)
    typer.echo(f"features in {folder}")


@app.command()
def inspect(
    source: Annotated[
        Path, typer.Argument(metavar="CLIP_OR_DATASET", help="A video, or a folder with manifest.jsonl.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for pictures, videos and tables.")],
    par: Annotated[bool, typer.Option("--par", help="Keypoints, areas and loss weights (Eq. 2, 3).")] = False,
    pose: Annotated[
        str,
        typer.Option(help="auto (a dataset's annotations, else the best reader here), presenter, mediapipe, dwpose."),
    ] = "auto",
    clips: Annotated[int, typer.Option(help="How many clips of a dataset to draw.", min=1)] = 4,
    seconds: Annotated[float, typer.Option(help="Seconds of each clip to draw.", min=0.04)] = 10.0,
    frames: Annotated[int, typer.Option(help="Frames of a dataset to count, spread evenly.", min=1)] = 2000,
    preset: PresetName = "presenter",
    settings: Settings = [],  # noqa: B006
) -> None:
    """Look at a clip or dataset as the training does; constants by --set, e.g. --set par.hand_threshold=0.3."""
    from paha.cli import univdm as verbs
    from paha.cli.main import inspect as verbs_inspect

    if not par:
        raise PahaError("say what to look at: --par")
    options = verbs_inspect.InspectOptions(clips=clips, seconds=seconds, frames=frames, pose=pose)
    verbs_inspect.inspect_par(source, out, verbs.configuration(preset, settings), options)


@app.command()
def negatives(
    data: Annotated[Path | None, typer.Option("--data", help="Dataset folder (manifest.jsonl).")] = None,
    model: Annotated[Path | None, typer.Option(help="Model folder whose UniVDM makes them.")] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder for the shards; goes on where it was.")
    ] = None,
    count: Annotated[int, typer.Option(help="How many pairs (the paper has 50000).", min=1)] = 50_000,
    lengths: Annotated[
        str | None, typer.Option(metavar="N,N...", help="Frames (30,60,90,120 scaled to the model by default).")
    ] = None,
    steps: Annotated[int, typer.Option(help="DDIM steps.", min=1, max=1000)] = 30,
    seed: Annotated[int, typer.Option(help="Pair i is a function of the seed and i.", min=0)] = 0,
    random_audio: Annotated[
        bool, typer.Option("--random-audio", help="Another clip's audio (Fig. 5's caption), not the clip's own.")
    ] = False,
    no_augmentation: Annotated[
        bool, typer.Option("--no-augmentation", help="First frame as reference, one length (Table 3's row).")
    ] = False,
    batch_size: Annotated[int, typer.Option(help="Videos sampled together (of one length; on a GPU 256).", min=1)] = 4,
    shard_size: Annotated[int, typer.Option(help="Pairs of a shard; a batch is of one shard.", min=1)] = 32,
    workers: Annotated[int, typer.Option(help="Processes.", min=1)] = 1,
    engine: Engine = "local",
    part: Annotated[str, typer.Option(metavar="K/N", help="Only shards K, K+N ..: one machine of N.")] = "0/1",
    device: Annotated[str | None, typer.Option(help="cpu, cuda ...; the best there is by default.")] = None,
    preset: PresetName = "presenter",
    plan: Annotated[bool, typer.Option("--plan", help="Only say what it costs.")] = False,
    seconds_per_evaluation: Annotated[
        float | None, typer.Option(help="For --plan: of UniVDM on one segment (measured with --model and --data).")
    ] = None,
) -> None:
    """Generate the classifiers' negatives: for each real clip a video by UniVDM with the same audio (Fig. 5)."""
    from paha.cli import classifiers as verbs_pce

    options = verbs_pce.negatives_options(
        count=count,
        seed=seed,
        lengths=lengths,
        steps=steps,
        random_audio=random_audio,
        augment=not no_augmentation,
        batch_size=batch_size,
        shard_size=shard_size,
        workers=workers,
        engine=engine,
        part=part,
        device=device,
    )
    if plan:
        seconds = seconds_per_evaluation
        verbs_pce.print_negatives_plan(preset, model, data, options, seconds=seconds, processes=workers)
        return
    if data is None or model is None or out is None:
        raise PahaError("give --data DATASET, --model MODEL and --out FOLDER (or --plan)")
    verbs_pce.make_negatives(data, model, out, options)


@train.command("classifier")
def train_classifier(
    region: Annotated[Region, typer.Option(help="Whose classifier.")],
    data: Data,
    out: Run,
    model: Annotated[Path, typer.Option(help="Model folder whose UniVDM the encoder starts from.")],
    negatives: Annotated[Path | None, typer.Option(help="Folder of `paha negatives`.")] = None,
    hard_negatives: Annotated[
        float | None,
        typer.Option(
            help="Share of negatives that are real clips with audio out of step (0 is the paper).", min=0, max=1
        ),
    ] = None,
    no_augmentation: Annotated[
        bool, typer.Option("--no-augmentation", help="First frame as reference, one length (Table 3's row).")
    ] = False,
    steps: Steps = None,
    settings: Settings = [],  # noqa: B006
    init: Init = None,
    stop_after_minutes: Minutes = None,
    report_only: Annotated[bool, typer.Option("--report-only", help="Measure OUT's classifier again.")] = False,
    report_clips: Annotated[int, typer.Option(help="Held-out clips of the report.", min=2)] = 40,
) -> None:
    """Train a PCE classifier (Eq. 4-7); OUT/model is then MODEL/classifier_REGION, OUT/report says what it learned."""
    from paha.cli import classifiers as verbs_pce

    options = verbs_pce.ClassifierOptions(
        steps=steps,
        hard_negatives=hard_negatives,
        augment=not no_augmentation,
        report_only=report_only,
        report_clips=report_clips,
    )
    verbs_pce.train_classifier(
        data,
        model,
        out,
        settings,
        options,
        region=region.value,
        negatives=negatives,
        init=init,
        stop_after_minutes=stop_after_minutes,
    )


@app.command()
def tables(
    number: Annotated[str, typer.Argument(metavar="1|2|3|5|6|7", help="Table of the paper.")],
    data: Annotated[Path, typer.Option("--data", help="Dataset of held-out clips (manifest.jsonl).")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for videos and tables; goes on there.")],
    model: Annotated[Path | None, typer.Option(help="Model folder; the shipped presenter by default.")] = None,
    clips: Annotated[int, typer.Option(help="How many clips.", min=1)] = 40,
    start: Annotated[int, typer.Option(help="First clip's place in the manifest.", min=0)] = 0,
    steps: Annotated[int | None, typer.Option(help="DDIM steps (the model's by default).", min=1, max=1000)] = None,
    seed: Annotated[int, typer.Option(help="Of the first clip's noise; the next clip has one more.", min=0)] = 0,
    guidance_scales: Annotated[
        str | None,
        typer.Option(metavar="NON_FACE,FACE,DIFF", help="What stands for the paper's 1,0.1,0.25 on this model."),
    ] = None,
    dg_form: Annotated[DgForm, typer.Option(help="Reading of Eq. 12.")] = DgForm.compensate,
    no_par_model: Annotated[Path | None, typer.Option(help="Table 3: model trained without PAR.")] = None,
    no_augmentation_model: Annotated[
        Path | None, typer.Option(help="Table 3: model whose classifiers were trained with --no-augmentation.")
    ] = None,
    pose: Annotated[str, typer.Option(help="exact, presenter, mediapipe, dwpose or auto.")] = "auto",
    syncnet: Annotated[Path | None, typer.Option(help="syncnet_v2.model, for Sync-C.")] = None,
    i3d: Annotated[Path | None, typer.Option(help="I3D as torchscript or state dict, for FVD.")] = None,
    workers: Annotated[int | None, typer.Option(help="Clips measured at a time.", min=1)] = None,
    device: Annotated[str | None, typer.Option(help="cpu, cuda ...; the best there is by default.")] = None,
    method: Annotated[
        list[str],
        typer.Option(metavar="NAME[@DATASET]=[KIND:]FOLDER", help="Table 1: a method's videos; KIND s2g, mmd or sdt."),
    ] = [],  # noqa: B006
    data_name: Annotated[str, typer.Option(help="Table 1: the dataset's name in the headings.")] = "presenter",
    also: Annotated[
        list[str], typer.Option(metavar="NAME=FOLDER", help="Table 1: further datasets, e.g. PATS=data/pats.")
    ] = [],  # noqa: B006
    retrieve_from: Annotated[
        Path | None, typer.Option(help="Table 1: library of the retrieval (the other clips by default).")
    ] = None,
    pose_autoencoder: Annotated[Path | None, typer.Option(help="For FGD; the shipped one on presenters.")] = None,
    models: Annotated[bool, typer.Option(help="Table 1: also the rows that a model makes.")] = True,
) -> None:
    """Measure a table of the paper on this model and these clips: Markdown, JSON and plots, its numbers beside ours."""
    from paha.cli import classifiers as verbs_pce
    from paha.cli.main import evaluate as verbs_metrics

    if number == "1":
        verbs_metrics.make_table_1(
            data,
            out,
            data_name=data_name,
            also=also,
            methods=method,
            library=retrieve_from,
            model=model,
            no_par_model=no_par_model,
            clips=clips,
            start=start,
            steps=steps,
            seed=seed,
            scales=guidance_scales,
            dg_form=dg_form.value,
            instruments={"pose": pose, "syncnet": syncnet, "i3d": i3d, "autoencoder": pose_autoencoder},
            workers=workers,
            device=device,
            models=models,
        )
        return
    verbs_pce.make_table(
        number,
        data,
        out,
        model=model,
        variants={"no_par": no_par_model, "no_augmentation": no_augmentation_model},
        clips=clips,
        start=start,
        steps=steps,
        seed=seed,
        scales=guidance_scales,
        dg_form=dg_form.value,
        instruments={"pose": pose, "syncnet": syncnet, "i3d": i3d, "autoencoder": pose_autoencoder},
        workers=workers,
        device=device,
    )


@train.command("codec")
def train_codec(
    data: Data,
    out: Run,
    preset: PresetName = "presenter",
    steps: Steps = None,
    settings: Settings = [],  # noqa: B006
    init: Init = None,
    stop_after_minutes: Minutes = None,
) -> None:
    """Train the small autoencoder on a dataset's frames; OUT/model is then a codec folder."""
    from paha.cli import univdm as verbs

    verbs.train_codec(data, out, preset, settings, steps=steps, init=init, stop_after_minutes=stop_after_minutes)


@train.command("pose-reader")
def train_pose_reader(
    data: Data,
    out: Run,
    codec: Annotated[Path | None, typer.Option(help="Codec folder: train on its round trips as well.")] = None,
    steps: Steps = None,
    settings: Settings = [],  # noqa: B006
    init: Init = None,
    stop_after_minutes: Minutes = None,
) -> None:
    """Train the reader of keypoints, face box and mouth opening on a presenter corpus."""
    from paha.cli import univdm as verbs

    minutes = stop_after_minutes
    verbs.train_pose_reader(data, out, settings, codec=codec, steps=steps, init=init, stop_after_minutes=minutes)


@train.command("pose-autoencoder")
def train_pose_autoencoder(
    data: Data,
    out: Run,
    fps: Annotated[float, typer.Option(help="Clock of the windows: 15 as published, 25 for the video's own.")] = 15.0,
    frames: Annotated[int, typer.Option(help="Frames of a window.", min=12)] = 34,
    steps: Steps = None,
    settings: Settings = [],  # noqa: B006
    stop_after_minutes: Minutes = None,
) -> None:
    """Train the autoencoder of FGD and Diversity on a dataset's keypoints (paha evaluate --pose-autoencoder)."""
    from paha.cli.main import evaluate as verbs_metrics

    verbs_metrics.train_pose_autoencoder(
        data, out, settings, fps=fps, frames=frames, steps=steps, stop_after_minutes=stop_after_minutes
    )


@train.command("univdm")
def train_univdm(
    data: Annotated[Path | None, typer.Option("--data", help="Dataset folder (manifest.jsonl).")] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Run folder.")] = None,
    codec: Annotated[Path | None, typer.Option(help="Codec folder; the shipped one by default.")] = None,
    preset: PresetName = "presenter",
    steps: Steps = None,
    settings: Settings = [],  # noqa: B006
    init: Init = None,
    no_par: Annotated[bool, typer.Option("--no-par", help="Plain MSE (Table 3, w/o PAR).")] = False,
    stop_after_minutes: Minutes = None,
    plan: Annotated[bool, typer.Option("--plan", help="Only print parameters, memory and time.")] = False,
    gpus: Annotated[int, typer.Option(help="For --plan: GPUs.", min=1)] = 8,
    gpu_memory_gb: Annotated[float, typer.Option(help="For --plan: memory of one.", min=1)] = 80.0,
    gpu_tflops: Annotated[float, typer.Option(help="For --plan: peak bf16 TFLOP/s of one.", min=1)] = 312.0,
) -> None:
    """Train UniVDM (Eq. 1, weighted by Eq. 3); OUT/model is then a folder for `paha animate --model`."""
    from paha.cli import univdm as verbs

    config = verbs.configuration(preset, [*settings, *(["par.enabled=false"] if no_par else [])], steps=steps)
    if plan:
        verbs.print_plan(config, gpus=gpus, gpu_memory_gb=gpu_memory_gb, gpu_tflops=gpu_tflops)
        return
    if data is None or out is None:
        raise PahaError("give --data DATASET and --out RUN (or --plan)")
    verbs.train_univdm(data, out, config, codec=codec, init=init, stop_after_minutes=stop_after_minutes)


@app.command()
def doctor(
    model: Annotated[Path | None, typer.Option(help="Model folder to try; the shipped presenter by default.")] = None,
    device: Annotated[str | None, typer.Option(help="cpu, cuda ...; the best there is by default.")] = None,
) -> None:
    """Say what is here, what is missing and what works without it; fails only where no video can be made."""
    from paha.cli.main import doctor as verbs_scale

    verbs_scale.doctor(model, device=device)


@app.command()
def evaluate(
    real: Annotated[Path, typer.Argument(help="Folder of real videos, or a dataset (manifest.jsonl).")],
    fake: Annotated[Path, typer.Argument(help="Folder of generated videos.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the report and the measurements.")],
    name: Annotated[str, typer.Option(help="The method's name in the tables (FAKE's folder name by default).")] = "",
    pairs: Annotated[Path | None, typer.Option(help="CSV with columns real,fake (equal names by default).")] = None,
    pose: Annotated[str, typer.Option(help="exact, presenter, mediapipe, dwpose or auto.")] = "auto",
    pose_autoencoder: Annotated[Path | None, typer.Option(help="For FGD; the shipped one on presenters.")] = None,
    syncnet: Annotated[Path | None, typer.Option(help="syncnet_v2.model, for Sync-C and Sync-D.")] = None,
    i3d: Annotated[Path | None, typer.Option(help="I3D as torchscript or state dict, for FVD.")] = None,
    fvd_protocol: Annotated[Path | None, typer.Option(help="YAML with frames, stride, size ... of FVD.")] = None,
    limit: Annotated[int | None, typer.Option(help="Only the first so many clips of each folder.", min=1)] = None,
    workers: Annotated[int | None, typer.Option(help="Clips at a time (one a core by default).", min=1)] = None,
    engine: Engine = "local",
    seed: Annotated[int, typer.Option(help="Of the corrupted rows.", min=0)] = 0,
    ceilings: Annotated[bool, typer.Option(help="Also rows of corrupted real clips.")] = True,
    replicates: Annotated[int, typer.Option(help="Bootstrap replicates of Frechet distances.", min=10)] = 100,
) -> None:
    """Measure generated videos against real ones: FVD, BAS, FGD, Sync-C, Diversity, regions, hands, lips, drift."""
    from paha.cli.main import evaluate as verbs_metrics

    verbs_metrics.evaluate(
        real,
        fake,
        out,
        name=name,
        pairs=pairs,
        pose=pose,
        pose_autoencoder=pose_autoencoder,
        syncnet=syncnet,
        i3d=i3d,
        fvd_protocol=fvd_protocol,
        limit=limit,
        workers=workers,
        engine=engine,
        seed=seed,
        ceilings=ceilings,
        replicates=replicates,
    )


@study.command("create")
def study_create(
    out: Annotated[Path, typer.Argument(metavar="STUDY", help="Folder to make.")],
    method: Annotated[list[str], typer.Option(metavar="NAME=FOLDER", help="A method's folder of videos; repeat.")],
    videos: Annotated[int, typer.Option(help="Clips, drawn from those that all methods have.", min=1)] = 10,
    raters: Annotated[int, typer.Option(help="How many are planned.", min=1)] = 16,
    title: Annotated[str, typer.Option(help="Heading of the pages.")] = "Talking people",
    seed: Annotated[int, typer.Option(help="Of the clips and of all orders.", min=0)] = 0,
    check: Annotated[bool, typer.Option(help="Add an attention check.")] = True,
) -> None:
    """Make a self-contained folder: videos under hidden names, questions, balanced orders."""
    from paha.cli.main import evaluate as verbs_metrics

    verbs_metrics.study_create(method, out, videos=videos, raters=raters, title=title, seed=seed, check=check)


@study.command("serve")
def study_serve(
    folder: Annotated[Path, typer.Argument(metavar="STUDY", help="Folder of `paha study create`.")],
    host: Annotated[str, typer.Option(help="Address; 0.0.0.0 lets other machines in.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port; 0 takes a free one.", min=0, max=65535)] = 8765,
) -> None:
    """Run the study in browsers; answers go to STUDY/answers.sqlite3, and participants come back by their address."""
    from paha.cli.main import evaluate as verbs_metrics

    verbs_metrics.study_serve(folder, host=host, port=port)


@study.command("report")
def study_report(
    folder: Annotated[Path, typer.Argument(metavar="STUDY", help="Folder of `paha study create`.")],
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Folder for table_4.* (STUDY/report).")] = None,
) -> None:
    """Preference percentages with intervals and the agreement between raters (Table 4)."""
    from paha.cli.main import evaluate as verbs_metrics

    verbs_metrics.study_report(folder, out)


def main() -> None:
    """Entry point: one line on stderr and a non-zero status for everything that a person can mend."""
    # Two processes with spinning OpenMP threads slow each other down ten times; must be set before torch is imported.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    warnings.showwarning = _show_warning
    logging.getLogger("bitsandbytes").setLevel(
        logging.ERROR
    )  # where it is installed, diffusers imports it, and it talks
    # Python shows a warning once for each place in the code; here every row of a list may deserve its own.
    warnings.filterwarnings("always", module=r"paha\.")
    try:
        status = app(prog_name="paha", standalone_mode=False)
    except PahaError as error:
        status = fail(str(error))
    except KeyboardInterrupt:
        status = fail("interrupted", status=130)
    except OSError as error:
        status = fail(f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}")
    except Exception as error:
        # Wrong options: the parser's own exceptions know a one-line message.
        message = getattr(error, "format_message", None)
        if message is None:
            raise
        context = getattr(error, "ctx", None)
        status = fail(f"{message() or 'give a command'} (see {context.command_path if context else 'paha'} --help)")
    sys.exit(status if isinstance(status, int) else 0)


def fail(message: str, *, status: int = 2) -> int:
    """Tell what went wrong in one line on stderr; returns the exit status."""
    if "LOCAL_RANK" in os.environ:  # one of many processes: they fail together, and one tells
        from paha.training.distributed import first_to_say

        if not first_to_say(message):
            return status
    typer.echo(f"paha: error: {' '.join(message.split())}", err=True)
    return status


def _show_warning(message: Warning | str, category: type[Warning], *_: object) -> None:
    # Libraries' deprecation notes are for developers, who run the tests.
    if category.__module__.startswith("paha"):
        typer.echo(f"paha: warning: {' '.join(str(message).split())}", err=True)


if __name__ == "__main__":
    main()
