"""The proof of the shipped presenter: held-out people and speech at the demo's settings, against the rig's truth.

python -m experiments.presenter.presenter_report report --data work/heldout         lips, hands, identity, silence
python -m experiments.presenter.presenter_report round-trip --data work/heldout     what the codec alone keeps of lips
python -m experiments.presenter.presenter_report drift --data work/heldout          a long video, segment by segment

Intervals are bootstrap 95 % over clips. Finished videos are kept: the same command goes on where it was stopped.
"""

from __future__ import annotations

import json
import os
import sys
import warnings
from pathlib import Path
from typing import Annotated

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch is imported

import numpy as np
import typer

from experiments.presenter import presenter_drift as drifts
from experiments.presenter import presenter_pictures as pictures
from experiments.presenter.presenter_clips import Sampling, Task, load_video, make_videos, weights_hash
from experiments.presenter.presenter_measures import Truth, add_other_clips, load_truth, measure_clip, mouth
from experiments.presenter.presenter_tables import REPORT, ROUND_TRIP, write_report
from paha.dataset.manifest import read_manifest
from paha.errors import PahaError
from paha.extractors.pixel_codec import PixelCodec
from paha.extractors.pose import PresenterPose
from paha.media.audio_io import read_audio
from paha.media.image_io import fit_image, read_image
from paha.media.video_io import contact_sheet, save_png, write_video
from paha.pipeline.inputs import PahaWarning
from paha.pipeline.loading import SHIPPED_MODEL
from paha.pipeline.model_folder import CODEC_FOLDER, load_part, read_config
from paha.runtime.atomic import write_bytes
from paha.runtime.statistics import bootstrap, lip_r
from paha.training.motion.codec_job import evaluate_codec
from paha.training.motion.frames import load_clip
from paha.training.motion.pose_reader_job import codec_transform
from paha.types import FPS, SAMPLE_RATE_HZ

app = typer.Typer(no_args_is_help=True, add_completion=False, help="What the presenter model is worth, measured.")
POSE_READER_FOLDER = "pose_reader"
SPEECH = Path("paha/assets/presenter_images/speech.wav")
PHOTO_SECONDS, PHOTO_FRAMES, ROUND_TRIP_CLIPS, COMMENT = 3, 8, 8, "true (left) and generated (right) presenter"

Data = Annotated[Path, typer.Option("--data", help="Presenter corpus (manifest.jsonl).")]
Model = Annotated[Path, typer.Option("--model", help="Model folder.")]
Out = Annotated[Path, typer.Option("--out", "-o", help="Folder for the report; finished videos in it are kept.")]
Clips = Annotated[int, typer.Option(help="How many clips.", min=1)]
Start = Annotated[int, typer.Option(help="First clip's place in the manifest.", min=0)]
Steps = Annotated[int | None, typer.Option(help="DDIM steps (the model's by default).", min=1, max=1000)]
Cfg = Annotated[float | None, typer.Option(help="Audio guidance scale (the model's by default).")]
Seed = Annotated[int, typer.Option(help="Seed of the first video's noise; the next one has one more.", min=0)]
Device = Annotated[str | None, typer.Option(help="cpu, cuda ...; the best there is by default.")]
Workers = Annotated[int, typer.Option(help="Processes of one thread each; 1 on a GPU.", min=1)]
Batch = Annotated[int, typer.Option(help="Videos sampled together; as many as there are on a GPU.", min=1)]
Reader = Annotated[Path | None, typer.Option("--pose-reader", help="MODEL/pose_reader, else the shipped one.")]


@app.command()
def report(
    data: Data,
    out: Out = Path("out/presenter_report"),
    model: Model = SHIPPED_MODEL,
    clips: Clips = 40,
    start: Start = 0,
    steps: Steps = None,
    cfg_scale: Cfg = None,
    seed: Seed = 0,
    device: Device = None,
    workers: Workers = 2,
    batch_size: Batch = 1,
    pose_reader: Reader = None,
    photo: Annotated[Path | None, typer.Option(help="A photograph, for a sheet of the failure it will be.")] = None,
    shown: Annotated[int, typer.Option(help="Clips in pictures and videos.", min=1)] = 4,
) -> None:
    """Clips made again from their first frame and sound, measured: table, JSON, pictures, videos."""
    sampling = Sampling(model, device, steps, cfg_scale)
    folder = find_reader(model, pose_reader)
    truths = load_truths(data, model, clips=clips, start=start)
    tasks = [
        Task(t.clip_id, t.images[0], t.sound, SAMPLE_RATE_HZ, len(t.images), seed + n) for n, t in enumerate(truths)
    ]
    make_videos(tasks, sampling, out / "frames", batch_size=batch_size, workers=workers)
    pose, codec, rows, curves = PresenterPose.load(folder), load_part(PixelCodec, model / CODEC_FOLDER), {}, {}
    for truth in truths:
        frames, seconds = load_video(out / "frames", truth.clip_id)
        rows[truth.clip_id], curves[truth.clip_id] = measure_clip(truth, frames, pose, codec)
        rows[truth.clip_id]["seconds"] = seconds
    add_other_clips(rows, curves)
    settings = {"data": str(data), "model": str(model), "seed": seed, "start": start, "batch_size": batch_size}
    protocol = settings | {"reader_sha256": weights_hash(folder)} | sampling.protocol()
    write_report(rows, REPORT, protocol, out, curves=curves)
    save_pictures(out, truths, pictures.choose_shown(rows, shown))
    pictures.save_curves(out / "curves.png", curves, rows, pictures.choose_shown(rows, shown))
    if photo is not None:
        save_photo(out, sampling, photo, seed=seed)


@app.command("round-trip")
def round_trip(
    data: Data,
    out: Out = Path("out/round_trip"),
    model: Model = SHIPPED_MODEL,
    pose_reader: Reader = None,
) -> None:
    """Lips read off renderings and off what the codec makes of them (lip r of at least 0.9 is wanted)."""
    codec = load_part(PixelCodec, model / CODEC_FOLDER if (model / CODEC_FOLDER).is_dir() else model)
    folder = find_reader(model, pose_reader)
    pose, rows, shown = PresenterPose.load(folder), {}, []
    for record in read_manifest(data):
        clip = load_clip(data, record)
        coded = codec_transform(codec)(clip.images)
        seen, kept = mouth(pose.detect(clip.images)), mouth(pose.detect(coded))
        lips = {"lip r renderings": lip_r(seen, clip.mouth_open), "lip r round trips": lip_r(kept, clip.mouth_open)}
        spreads = {"mouth std": float(kept.std()), "mouth std true": float(seen.std())}
        rows[record.clip_id] = lips | spreads | evaluate_codec(codec, clip)
        shown.append((clip.images[len(clip) // 2], coded[len(clip) // 2]))
    protocol = {
        "measured": "codec round trips",
        "data": str(data),
        "model": str(model),
        "reader_sha256": weights_hash(folder),
    }
    write_report(rows, ROUND_TRIP, protocol, out)
    originals, coded_frames = zip(*shown[:ROUND_TRIP_CLIPS], strict=True)
    save_png(out / "round_trip.png", contact_sheet([*originals, *coded_frames], columns=len(originals)))


@app.command()
def drift(
    data: Data,
    out: Out = Path("out/drift"),
    model: Model = SHIPPED_MODEL,
    seconds: Annotated[float, typer.Option(help="Length of each video.", min=1)] = 60.0,
    presenters: Annotated[int, typer.Option(help="Videos a setting, each of another person.", min=1)] = 1,
    first_frame_timesteps: Annotated[str, typer.Option(help="Settings to compare: t', t' ...")] = "0",
    steps: Steps = None,
    cfg_scale: Cfg = None,
    seed: Seed = 0,
    device: Device = None,
    workers: Workers = 2,
    batch_size: Batch = 1,
    pose_reader: Reader = None,
) -> None:
    """Long videos of held-out speech: what each segment keeps of the reference image (rows 2 and 17)."""
    config = read_config(model)
    records = drifts.choose(read_manifest(data), seconds, presenters)
    truths = [load_truth(data, record, size=config.height) for record in records]
    pose = PresenterPose.load(find_reader(model, pose_reader))
    runs, lips, stored = {}, {}, {}
    for timestep in parse_timesteps(first_frame_timesteps):
        sampling, name = Sampling(model, device, steps, cfg_scale, timestep), f"t' = {timestep}"
        tasks = drifts.long_tasks(truths, seconds=seconds, presenters=presenters, seed=seed, name=f"t{timestep}")
        make_videos(tasks, sampling, out / "frames", batch_size=batch_size, workers=workers)
        segments, lip_rs, sheet = [], [], []
        for number, task in enumerate(tasks):
            frames, _ = load_video(out / "frames", task.name)
            said = drifts.said(truths, number, len(frames))
            length = {"segment_frames": config.num_frames}
            segments.append(drifts.segment_rows(truths[number], frames, said, pose, **length))
            lip_rs.append(lip_r(mouth(pose.detect(frames)), said))
            sheet += [task.image, *frames[np.linspace(0, len(frames) - 1, PHOTO_FRAMES).round().astype(int)]]
            write_video(out / f"{task.name}.mp4", frames, audio=(task.sound[:, None], task.rate_hz))
        runs[name], lips[name] = drifts.mean_segments(segments), bootstrap(lip_rs)
        stored[name] = {"protocol": sampling.protocol(), "segments": runs[name], "lip r": lip_rs}
        save_png(out / f"drift_t{timestep}.png", contact_sheet(sheet, columns=PHOTO_FRAMES + 1))
    table = drifts.drift_table(runs, lips)
    typer.echo(table)
    write_bytes(out / "drift.md", f"{table}\n".encode())
    write_bytes(out / "drift.json", json.dumps(stored, indent=1).encode())
    pictures.save_drift(out / "drift.png", runs, drifts.KEYS)


def load_truths(data: Path, model: Path, *, clips: int, start: int) -> list[Truth]:
    """Clips of a corpus from place `start` on, at the model's size. Raises PahaError where there are none."""
    records = read_manifest(data)[start : start + clips]
    if not records:
        raise PahaError("there are no clips at that place of the manifest; give another --data or --start")
    return [load_truth(data, record, size=read_config(model).height) for record in records]


def find_reader(model: Path, given: Path | None) -> Path:
    """The pose reader's folder: the one given, the model's own, else the shipped one."""
    own = model / POSE_READER_FOLDER
    return given or (own if own.is_dir() else SHIPPED_MODEL / POSE_READER_FOLDER)


def parse_timesteps(text: str) -> list[int]:
    """'0,20,50' to numbers. Raises PahaError for anything else."""
    try:
        timesteps = [int(part) for part in text.split(",")]
    except ValueError as error:
        raise PahaError(f"--first-frame-timesteps {text}: give T,T,... e.g. 0,20,50") from error
    if not all(0 <= timestep < 1000 for timestep in timesteps):
        raise PahaError(f"--first-frame-timesteps {text}: each must be 0 to 999")
    return timesteps


def save_pictures(out: Path, truths: list[Truth], names: list[str]) -> None:
    """comparison.png, faces.png, and a video a clip, truth beside generated, with its sound."""
    by_name = {truth.clip_id: truth for truth in truths}
    shown = [(by_name[name], load_video(out / "frames", name)[0]) for name in names]
    save_png(out / "comparison.png", pictures.comparison(shown))
    save_png(out / "faces.png", pictures.faces(shown))
    for truth, frames in shown:
        both = np.concatenate([truth.images, frames], axis=2)
        sound = (truth.sound[: len(both) * SAMPLE_RATE_HZ // FPS, None], SAMPLE_RATE_HZ)
        write_video(out / f"{truth.clip_id}.mp4", both, audio=sound, comment=COMMENT)


def save_photo(out: Path, sampling: Sampling, photo: Path, *, seed: int) -> None:
    """photo.png: a photograph, which the model was not trained on, and frames of what becomes of it."""
    samples, rate_hz = read_audio(SPEECH)
    samples = samples[: PHOTO_SECONDS * rate_hz]
    task = Task("photo", read_image(photo), samples, rate_hz, PHOTO_SECONDS * FPS, seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PahaWarning)  # that it will look wrong is what is to be shown
        make_videos([task], sampling, out / "frames")
    frames, _ = load_video(out / "frames", "photo")
    at = np.linspace(0, len(frames) - 1, PHOTO_FRAMES).round().astype(int)
    given = fit_image(task.image, width=frames.shape[2], height=frames.shape[1])
    save_png(out / "photo.png", contact_sheet([given, *frames[at]], columns=PHOTO_FRAMES + 1))


if __name__ == "__main__":
    try:
        app()
    except PahaError as error:
        sys.exit(f"presenter_report: error: {error}")
