"""`paha dub` on real clips: lips against what was asked for, and what changed outside the lower half of the face.

python -m experiments.dub_report --clips ../shared/media/clips --speech speech.wav --out out/dub

For each clip (as much of the speech as it is long): lip r of MediaPipe's reading of the result to the opening that was
asked for, and to the clip's own; PSNR to the clip outside the lower half of the face; a sheet of frames, the clip's
above the result's. Needs MediaPipe and its models.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import cv2
import numpy as np

from paha.media.audio_io import read_audio
from paha.media.image_io import save_png
from paha.media.video_io import iter_video
from paha.motion.dubbing import FaceTrack, FaceTracker, lower_face
from paha.motion.landmarks import landmark_reader
from paha.pipeline.dub import dub
from paha.pipeline.loading import load_pipeline
from paha.pipeline.pipeline import PahaPipeline
from paha.runtime.statistics import best_lag, lip_r
from paha.types import FPS

SHOWN, FACE_PX = 8, 320


def track_of(video: Path, count: int) -> FaceTrack:
    """MediaPipe's reading of the face in the first frames."""
    tracker = FaceTracker(landmark_reader("mediapipe"))
    for _, frame in zip(range(count), iter_video(video), strict=False):
        tracker.add(frame)
    track = tracker.track()
    assert track is not None
    return track


def report(pipeline: PahaPipeline, clip: Path, speech: Path, out: Path) -> str:
    """One clip."""
    samples, rate_hz = read_audio(speech)
    length = sum(1 for _ in iter_video(clip))
    begin = time.monotonic()
    sound = samples[: int(length / FPS * rate_hz)], rate_hz
    wanted = dub(pipeline, clip, sound, out / f"{clip.stem}.mp4", landmarks="mediapipe").mouth_open
    seconds = time.monotonic() - begin
    before, after = (track_of(path, len(wanted)) for path in (clip, out / f"{clip.stem}.mp4"))
    errors, rows = [], []
    pairs = zip(iter_video(clip), iter_video(out / f"{clip.stem}.mp4"), before.meshes, strict=False)
    for number, (old, new, mesh) in enumerate(pairs):
        height, width = old.shape[:2]
        new = new[:height, :width]
        inside = lower_face(mesh, old.shape[:2], float(np.linalg.norm(mesh[10, :2] - mesh[152, :2]))) > 0
        errors.append(((new.astype(np.float32) - old) ** 2)[~inside].mean())
        if number % max(1, len(wanted) // SHOWN) == 0:
            rows.append(np.concatenate([_face(frame, mesh) for frame in (old, new)]))
    save_png(out / f"{clip.stem}.png", np.concatenate(rows, 1))
    read = after.state.mouth_open
    own, decibels = before.state.mouth_open, 10 * np.log10(255**2 / np.mean(errors))
    return (
        f"{clip.name}: lips r {lip_r(read, wanted):.3f} to what was asked for (lag {best_lag(read, wanted)}), "
        f"{lip_r(read, own):.2f} to the clip's own; {decibels:.1f} dB outside; {len(wanted)} frames in {seconds:.1f} s"
    )


def _face(frame: np.ndarray, mesh: np.ndarray) -> np.ndarray:
    middle, half = mesh[:, :2].mean(0), 0.7 * float(np.ptp(mesh[:, :2], axis=0).max())
    low = np.maximum(middle - half, 0).astype(int)
    high = (middle + half).astype(int)
    return cv2.resize(frame[low[1] : high[1], low[0] : high[0]], (FACE_PX, FACE_PX))


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=Path, required=True)
    parser.add_argument("--speech", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    pipeline = load_pipeline(None)
    for clip in sorted(path for path in args.clips.iterdir() if path.suffix in (".mpg", ".mp4")):
        print(report(pipeline, clip, args.speech, args.out), flush=True)


if __name__ == "__main__":
    main()
