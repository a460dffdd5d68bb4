"""The ladder of design section 6 in numbers: does the codec keep lips, does the model make them?

python benchmarks/ladder.py round-trip --data HELDOUT --model MODEL     rung (a)
python benchmarks/ladder.py generate --data DATA --model MODEL --clips N     rungs (b) to (d)

Lips are read off frames by the pose reader and compared with the rig's `mouth_open`; its score on the true renderings
stands beside every other one. Intervals are bootstrap 95 % over clips.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import time
from pathlib import Path
from typing import Annotated

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch is imported

import numpy as np
import typer

from paha import verbs
from paha.data.atomic import write_bytes
from paha.data.audio_io import read_audio, to_mono_16k
from paha.data.manifest import load_annotations, read_manifest
from paha.data.video_io import contact_sheet, save_png
from paha.errors import PahaError
from paha.extractors.pose import PoseTrack, PresenterPose
from paha.metrics.lips import Interval, best_lag, bootstrap, lip_r, loudness_lips
from paha.model_folder import CODEC_FOLDER, load_part
from paha.models.codec import PresenterCodec
from paha.pipeline import PahaPipeline
from paha.training.codec import evaluate_codec
from paha.training.frames import FrameSet, load_clip
from paha.training.pose_reader import VISIBLE_SCORE, codec_transform
from paha.types import LEFT_HAND, RIGHT_HAND, ClipRecord

app = typer.Typer(no_args_is_help=True, add_completion=False, help="The training ladder, measured.")
Row = dict[str, float]
"""What was measured of one clip. NaN: there was nothing to measure."""

HANDS = slice(LEFT_HAND.start, RIGHT_HAND.stop)
POSE_READER_FOLDER = "pose_reader"
PICTURE_CLIPS, PICTURE_MOMENTS, ROUND_TRIP_CLIPS = 4, 6, 8

Data = Annotated[Path, typer.Option("--data", help="Corpus folder (manifest.jsonl).")]
Model = Annotated[Path, typer.Option("--model", help="Model folder; for round-trip a codec folder will do.")]
Reader = Annotated[Path | None, typer.Option("--pose-reader", help="Reader's folder; MODEL/pose_reader by default.")]
Picture = Annotated[Path | None, typer.Option("--picture", help="PNG to write.")]
Json = Annotated[Path | None, typer.Option("--json", help="File for the numbers, by clip and in the mean.")]


@app.command("round-trip")
def round_trip(
    data: Data,
    model: Model = verbs.SHIPPED_MODEL,
    pose_reader: Reader = None,
    picture: Picture = None,
    out: Json = None,
) -> None:
    """Rung (a): lips read off renderings and off what the codec makes of them (lip r of at least 0.9 is wanted)."""
    codec = load_part(PresenterCodec, model / CODEC_FOLDER if (model / CODEC_FOLDER).is_dir() else model)
    folder = pose_reader or model / POSE_READER_FOLDER
    pose, rows, shown = PresenterPose.load(folder), {}, []
    for record in read_manifest(data):
        clip = load_clip(data, record)
        coded = codec_transform(codec)(clip.images)
        rows[record.clip_id] = round_trip_row(clip, coded, pose) | evaluate_codec(codec, clip)
        shown.append((clip.images[len(clip) // 2], coded[len(clip) // 2]))
    report(rows, {"rung": "a", "data": str(data), "model": str(model), "reader_sha256": weights_hash(folder)}, out)
    if picture and shown:
        originals, coded_frames = zip(*shown[:ROUND_TRIP_CLIPS], strict=True)
        save_png(picture, contact_sheet([*originals, *coded_frames], columns=len(originals)))


@app.command()
def generate(
    data: Data,
    model: Model = verbs.SHIPPED_MODEL,
    clips: Annotated[int, typer.Option(help="How many clips.", min=1)] = 20,
    start: Annotated[int, typer.Option(help="First clip's place in the manifest.", min=0)] = 0,
    steps: Annotated[int, typer.Option(help="DDIM steps.", min=1, max=1000)] = 30,
    seed: Annotated[int, typer.Option(help="Seed of the first clip's noise; the next clip has one more.", min=0)] = 0,
    cfg_scale: Annotated[float | None, typer.Option(help="Audio guidance scale (the model's by default).")] = None,
    device: Annotated[str | None, typer.Option(help="cpu, cuda ...; the best there is by default.")] = None,
    pose_reader: Reader = None,
    picture: Picture = None,
    out: Json = None,
) -> None:
    """Rungs (b) to (d): clips made again from their first frame and their sound, measured against the truth."""
    folder = pose_reader or model / POSE_READER_FOLDER
    pose, pipeline = PresenterPose.load(folder), verbs.load_pipeline(model, device=device)
    pipeline.set_progress_bar_config(disable=True)
    protocol = {
        "data": str(data),
        "model": str(model),
        "reader_sha256": weights_hash(folder),
        "steps": steps,
        "seed": seed,
        "start": start,
        "cfg_scale": pipeline.preset.sample.cfg_scale if cfg_scale is None else cfg_scale,
    }
    records, rows, shown = read_manifest(data), {}, []
    for number, record in enumerate(records[start : start + clips]):
        began_s, clip = time.monotonic(), load_clip(data, record, size=pipeline.preset.height)
        frames = generate_clip(pipeline, data, record, clip, steps=steps, seed=seed + number, cfg_scale=cfg_scale)
        seconds = time.monotonic() - began_s
        sound = to_mono_16k(*read_audio(data / record.audio))
        row = generated_row(clip, frames, pose, pipeline.codec, sound, other_truth(data, records, start + number))
        rows[record.clip_id] = row | {"seconds": seconds}
        typer.echo(f"{record.clip_id}: " + ", ".join(f"{name} {value:.3f}" for name, value in row.items()), err=True)
        if len(shown) < PICTURE_CLIPS:
            shown.append((clip.images, frames))
    report(rows, protocol, out)
    if picture and shown:
        save_png(picture, comparison(shown))


def generate_clip(
    pipeline: PahaPipeline,
    data: Path,
    record: ClipRecord,
    clip: FrameSet,
    *,
    steps: int,
    seed: int,
    cfg_scale: float | None = None,
) -> np.ndarray:
    """The clip made from its first frame and its sound, (T, H, W, 3) uint8."""
    return pipeline(
        clip.images[0],
        data / record.audio,
        num_frames=len(clip),
        num_inference_steps=steps,
        seed=seed,
        cfg_scale=cfg_scale,
    ).frames


def round_trip_row(clip: FrameSet, coded: np.ndarray, pose: PresenterPose) -> Row:
    """Lips of renderings and of their round trips against the rig's."""
    seen, seen_coded = mouth(pose.detect(clip.images)), mouth(pose.detect(coded))
    return {
        "lip_r renderings": lip_r(seen, clip.mouth_open),
        "lip_r round trips": lip_r(seen_coded, clip.mouth_open),
        "amplitude round trips": ratio(seen_coded.std(), seen.std()),
    }


def generated_row(
    clip: FrameSet,
    frames: np.ndarray,
    pose: PresenterPose,
    codec: PresenterCodec,
    sound: np.ndarray,
    other: np.ndarray | None,
) -> Row:
    """Lips and hands of generated frames, with what bounds them. sound: 16 kHz mono. other: another clip's truth.

    amplitude: deviation of the lips over time, generated to true, which lip r does not see. hand_spread: the same of
    the hands' points. A still image scores 0 on all three.
    """
    truth, track, true_track = clip.mouth_open, pose.detect(frames), pose.detect(clip.images)
    length = 0 if other is None else min(len(other), len(truth))
    return {
        "lip_r generated": lip_r(mouth(track), truth),
        "best_lag frames": float(best_lag(mouth(track), truth)),
        "lip_r other clip": lip_r(mouth(track)[:length], other[:length]) if other is not None else float("nan"),
        "lip_r loudness": lip_r(loudness_lips(sound, len(truth)), truth),
        "lip_r round trips": lip_r(mouth(pose.detect(codec_transform(codec)(clip.images))), truth),
        "lip_r renderings": lip_r(mouth(true_track), truth),
        "amplitude": ratio(mouth(track).std(), mouth(true_track).std()),
        "hand_spread": hand_spread_ratio(track, true_track),
    }


def mouth(track: PoseTrack) -> np.ndarray:
    """Mouth opening (T,) of a track that has one."""
    assert track.mouth_open is not None
    return track.mouth_open


def other_truth(data: Path, records: list[ClipRecord], number: int) -> np.ndarray | None:
    """The rig's mouth opening of the clip after that one; None in a corpus of one clip."""
    if len(records) < 2:
        return None
    return load_annotations(data / records[(number + 1) % len(records)].annotations).rig["mouth_open"]


def hand_spread_ratio(track: PoseTrack, truth: PoseTrack) -> float:
    """Deviation over time of the hands' points, read off generated frames, to that read off true ones.

    Over points visible in both in half of the frames or more; NaN where there is none.
    """
    visible = [t.keypoints.scores[:, HANDS] > VISIBLE_SCORE for t in (track, truth)]
    both = (visible[0].mean(0) >= 0.5) & (visible[1].mean(0) >= 0.5)
    made, true = (spread(t.keypoints.points[:, HANDS], v)[both] for t, v in zip((track, truth), visible, strict=True))
    return ratio(made.mean(), true.mean()) if both.any() else float("nan")


def spread(points: np.ndarray, visible: np.ndarray) -> np.ndarray:
    """(K,) px: deviation over time of points (T, K, 2) about their mean place, where visible (T, K)."""
    count = np.maximum(visible.sum(0), 1)[:, None]
    mean = (points * visible[..., None]).sum(0) / count
    square = ((points - mean) ** 2 * visible[..., None]).sum(0) / count
    return np.sqrt(square.sum(-1))


def ratio(value: float, reference: float) -> float:
    """The quotient, NaN for a reference of 0."""
    return float(value / reference) if reference > 1e-6 else float("nan")


def summary(rows: dict[str, Row]) -> dict[str, Interval | None]:
    """Mean and interval over clips of each number; NaN counts for nothing, None where all are."""
    means: dict[str, Interval | None] = {}
    for name in dict.fromkeys(name for row in rows.values() for name in row):
        values = [row[name] for row in rows.values() if np.isfinite(row.get(name, np.nan))]
        means[name] = bootstrap(values) if values else None
    return means


def report(rows: dict[str, Row], protocol: dict[str, object], out: Path | None) -> None:
    """Print a Markdown table; write protocol, means and each clip's numbers. Raises PahaError without clips."""
    if not rows:
        raise PahaError("there are no clips at that place of the manifest; give another --data or --start")
    means = summary(rows)
    typer.echo("| measured | mean [95 %] (clips) |\n|---|---|")
    typer.echo("\n".join(f"| {name} | {interval or '-'} |" for name, interval in means.items()))
    if out is not None:
        clips = {clip: {k: v if np.isfinite(v) else None for k, v in row.items()} for clip, row in rows.items()}
        values = {name: interval and vars(interval) for name, interval in means.items()}
        out.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(out, json.dumps({"protocol": protocol, "means": values, "clips": clips}, indent=1).encode())


def comparison(shown: list[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """Two rows a clip: the reference and true frames, the reference and generated ones at the same moments."""
    pictures = []
    for true, made in shown:
        moments = np.linspace(0, len(true) - 1, PICTURE_MOMENTS + 1).round().astype(int)[1:]
        for row in (true, made):
            pictures += [true[0], *row[moments]]
    return contact_sheet(pictures, columns=PICTURE_MOMENTS + 1)


def weights_hash(folder: Path) -> str:
    """SHA-256 of a folder's weights, which names the instrument that measured."""
    digest = hashlib.sha256()
    for path in sorted(folder.glob("*.safetensors")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


if __name__ == "__main__":
    try:
        app()
    except PahaError as error:
        sys.exit(f"ladder: error: {error}")
