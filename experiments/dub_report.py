"""`paha dub` on real clips: lips against what was asked for, and what changed outside the lower half of the face.

python -m experiments.dub_report --clips ../shared/media/clips --out out/dub

Each clip speaks what the next one says, or --speech, as much as it is long. Told of each: lip r of MediaPipe's reading
of the result to the opening that was asked for, and to the clip's own; PSNR to the clip outside the lower half of the
face, and of the same frames encoded as they were; a sheet of frames, the clip's above the result's. Needs MediaPipe
and its models.
"""

from __future__ import annotations

import argparse
import time
from itertools import islice
from pathlib import Path

import cv2
import numpy as np

from paha.media.audio_io import read_audio
from paha.media.image_io import save_png
from paha.media.video_io import iter_video
from paha.media.video_writer import write_video
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
    sound, made = (samples[: int(length / FPS * rate_hz)], rate_hz), out / f"{clip.stem}.mp4"
    wanted = dub(pipeline, clip, sound, made, landmarks="mediapipe").mouth_open
    seconds = time.monotonic() - begin
    plain = out / f"{clip.stem}_as_it_was.mp4"
    write_video(plain, (frame[None] for frame in islice(iter_video(clip), len(wanted))))
    before, after = (track_of(path, len(wanted)) for path in (clip, made))
    save_png(out / f"{clip.stem}.png", _sheet(clip, made, before))
    read = after.state.mouth_open
    own, (changed, noise) = before.state.mouth_open, (outside_db(clip, path, before) for path in (made, plain))
    return (
        f"{clip.name} says {speech.name}: lips r {lip_r(read, wanted):.3f} to what was asked for "
        f"(lag {best_lag(read, wanted)}), {lip_r(read, own):.2f} to the clip's own; outside {changed:.1f} dB, "
        f"encoded as it was {noise:.1f} dB; {len(wanted)} frames in {seconds:.1f} s"
    )


def outside_db(clip: Path, other: Path, track: FaceTrack) -> float:
    """PSNR of another video's frames to the clip's, outside the lower half of the face."""
    errors = []
    for old, new, mesh in zip(iter_video(clip), iter_video(other), track.meshes, strict=False):
        inside = lower_face(mesh, old.shape[:2], float(np.linalg.norm(mesh[10, :2] - mesh[152, :2]))) > 0
        errors.append(((new[: old.shape[0], : old.shape[1]].astype(np.float32) - old) ** 2)[~inside].mean())
    return float(10 * np.log10(255**2 / np.mean(errors)))


def _sheet(clip: Path, made: Path, track: FaceTrack) -> np.ndarray:
    """SHOWN faces of the clip, those of the result below."""
    every, shown = max(1, len(track.meshes) // SHOWN), []
    for t, (old, new, mesh) in enumerate(zip(iter_video(clip), iter_video(made), track.meshes, strict=False)):
        if t % every == 0:
            shown.append(np.concatenate([_face(frame, mesh) for frame in (old, new)]))
    return np.concatenate(shown, 1)


def _face(frame: np.ndarray, mesh: np.ndarray) -> np.ndarray:
    middle, half = mesh[:, :2].mean(0), 0.7 * float(np.ptp(mesh[:, :2], axis=0).max())
    low = np.maximum(middle - half, 0).astype(int)
    high = (middle + half).astype(int)
    return cv2.resize(frame[low[1] : high[1], low[0] : high[0]], (FACE_PX, FACE_PX))


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=Path, required=True)
    parser.add_argument("--speech", type=Path, help="The next clip's by default.")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    pipeline = load_pipeline(None)
    clips = sorted(path for path in args.clips.iterdir() if path.suffix in (".mpg", ".mp4"))
    for clip, other in zip(clips, clips[1:] + clips[:1], strict=True):
        print(report(pipeline, clip, args.speech or other, args.out), flush=True)


if __name__ == "__main__":
    main()
