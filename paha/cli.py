"""The command line: parse, call, nothing else. Nothing heavy is imported before a verb needs it."""

from __future__ import annotations

import os
import sys
import warnings
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from paha.errors import PahaError

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="PAHA: one reference image and one speech recording become a video of that person speaking.",
)
train = typer.Typer(no_args_is_help=True, help="Train a codec, a pose reader or UniVDM.")
app.add_typer(train, name="train")


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
    label: Annotated[bool, typer.Option("--label", help="Draw 'AI-generated' on the picture.")] = False,
    save_frames: Annotated[Path | None, typer.Option(help="Folder for all frames as PNG.")] = None,
    contact_sheet: Annotated[bool, typer.Option("--contact-sheet", help="Also write OUT_sheet.png.")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on after the last finished segment or job.")] = False,
) -> None:
    """Make a video of IMAGE speaking AUDIO."""
    from paha import verbs

    if jobs is not None:
        if image or audio or out:
            raise PahaError("give either IMAGE AUDIO -o OUT.mp4 or --jobs jobs.csv, not both")
    elif image is None or audio is None or out is None:
        raise PahaError("give IMAGE AUDIO -o OUT.mp4, or --jobs jobs.csv")
    width, height = verbs.parse_size(size)
    pipeline = verbs.load_pipeline(model, device=device, dtype=dtype.value)
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
    from paha.synth.corpus import make_corpus

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
def features(
    data: Annotated[Path, typer.Argument(help="Dataset folder (manifest.jsonl).")],
    codec: Annotated[Path | None, typer.Option(help="Codec folder; the shipped one by default.")] = None,
    preset: PresetName = "presenter",
    settings: Settings = [],  # noqa: B006
    device: Annotated[str | None, typer.Option(help="cpu, cuda ...")] = None,
) -> None:
    """Compute and cache what training reads: codec latents, audio features, keypoints."""
    from paha import verbs

    folder = verbs.make_features(data, verbs.configuration(preset, settings), codec=codec, device=device)
    typer.echo(f"features in {folder}")


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
    from paha import verbs

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
    from paha import verbs

    minutes = stop_after_minutes
    verbs.train_pose_reader(data, out, settings, codec=codec, steps=steps, init=init, stop_after_minutes=minutes)


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
    from paha import verbs

    config = verbs.configuration(preset, [*settings, *(["par.enabled=false"] if no_par else [])], steps=steps)
    if plan:
        verbs.print_plan(config, gpus=gpus, gpu_memory_gb=gpu_memory_gb, gpu_tflops=gpu_tflops)
        return
    if data is None or out is None:
        raise PahaError("give --data DATASET and --out RUN (or --plan)")
    verbs.train_univdm(data, out, config, codec=codec, init=init, stop_after_minutes=stop_after_minutes)


def main() -> None:
    """Entry point: one line on stderr and a non-zero status for everything that a person can mend."""
    # Two processes with spinning OpenMP threads slow each other down ten times; must be set before torch is imported.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    warnings.showwarning = _show_warning
    # Python shows a warning once for each place in the code; here every row of a list may deserve its own.
    warnings.filterwarnings("always", module=r"paha\.")
    try:
        status = app(prog_name="paha", standalone_mode=False)
    except PahaError as error:
        status = _fail(str(error))
    except KeyboardInterrupt:
        status = _fail("interrupted", status=130)
    except OSError as error:
        status = _fail(f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}")
    except Exception as error:
        # Wrong options: the parser's own exceptions know a one-line message.
        message = getattr(error, "format_message", None)
        if message is None:
            raise
        context = getattr(error, "ctx", None)
        status = _fail(f"{message() or 'give a command'} (see {context.command_path if context else 'paha'} --help)")
    sys.exit(status if isinstance(status, int) else 0)


def _fail(message: str, *, status: int = 2) -> int:
    typer.echo(f"paha: error: {' '.join(message.split())}", err=True)
    return status


def _show_warning(message: Warning | str, category: type[Warning], *_: object) -> None:
    # Libraries' deprecation notes are for developers, who run the tests.
    if category.__module__.startswith("paha"):
        typer.echo(f"paha: warning: {' '.join(str(message).split())}", err=True)


if __name__ == "__main__":
    main()
