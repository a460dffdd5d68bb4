"""Throughput of `paha prepare`, stage by stage, in frames a second a core; and the time of a second run.

python benchmarks/prepare.py CLIP [--pose mediapipe] [--seconds 6] [--clips 1000] [-o results.json]

CPU time is counted, not the clock's, on one thread: what other programs do at the same time hardly matters.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np


def main() -> None:
    """Measure and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clip", type=Path)
    parser.add_argument("--pose", default="mediapipe")
    parser.add_argument("--seconds", type=float, default=6.0)
    parser.add_argument("--clips", type=int, default=1000)
    parser.add_argument("-o", "--out", type=Path)
    options = parser.parse_args()
    stages = measure(options.clip, options.pose, options.seconds)
    again_s = second_run_s(options.clips)
    result = {"clip": options.clip.name, "pose": options.pose, "stages": stages, "second_run_s": again_s}
    print(table(stages))
    print(f"\na second run over {options.clips} finished clips: {again_s:.2f} s")
    if options.out:
        options.out.write_text(json.dumps(result, indent=1))


def measure(clip: Path, pose: str, seconds: float) -> dict[str, dict[str, float]]:
    """stage -> CPU seconds, frames of footage, frames a second of CPU."""
    import torch

    torch.set_num_threads(1)
    import cv2

    cv2.setNumThreads(1)
    from paha.dataset.prepare.config import layout_config
    from paha.dataset.prepare.filters import find_faults
    from paha.dataset.prepare.scan import _Picture, scan_file
    from paha.dataset.prepare.sound import clipped_share, levels_db
    from paha.extractors.choose import pose_extractor
    from paha.extractors.faces import people_reader
    from paha.media.audio_io import read_audio, to_mono_16k
    from paha.media.image_io import fit_image
    from paha.media.video_io import iter_video, write_video

    frames: list[np.ndarray] = []

    def decode() -> None:
        frames.extend(frame for number, frame in enumerate(iter_video(clip)) if number < seconds * 25)

    config = layout_config("any", pose=pose)
    times = {"decode": cpu_s(decode)}
    count = len(frames)
    extractor = pose_extractor(pose)
    extractor.detect(frames[0][None])
    reader = people_reader(pose, extractor)

    class Nobody:
        """Reads nothing: what is left is the picture's own measures."""

        reading = reader.read(frames[0])

        def read(self, frame: np.ndarray):
            return self.reading

    def scan(who) -> None:
        picture = _Picture(clip, who, stride=5, threshold=config.cut_threshold)
        for wanted in picture.add_all(frames):
            picture.read(wanted)

    times["cuts, black, freeze"] = cpu_s(lambda: scan(Nobody()))
    times["people (5 a second)"] = cpu_s(lambda: scan(reader)) - times["cuts, black, freeze"]

    def sound() -> None:
        samples, rate = read_audio(clip)
        levels_db(to_mono_16k(samples, rate), count)
        clipped_share(samples, rate, count)

    times["sound"] = cpu_s(sound) * count / max(count, sum(1 for _ in iter_video(clip)))
    scanned = scan_file(clip, Nobody(), config)
    times["filters"] = cpu_s(lambda: find_faults(scanned, config)) * count / scanned.num_frames
    side = min(frames[0].shape[:2])
    cropped: list[np.ndarray] = []
    times["crop and resize"] = cpu_s(
        lambda: cropped.extend(fit_image(f[:side, :side], width=config.width, height=config.height) for f in frames)
    )
    clip_frames = np.stack(cropped)
    times["keypoints of kept clips"] = cpu_s(lambda: extractor.detect(clip_frames))
    with tempfile.TemporaryDirectory() as folder:
        times["encode"] = cpu_s(lambda: write_video(Path(folder) / "clip.mp4", clip_frames, crf=12))
    total = sum(times.values())
    times["all (everything kept)"] = total
    return {
        name: {"cpu_s": value, "frames": count, "fps_per_core": count / max(value, 1e-9), "share": value / total}
        for name, value in times.items()
    }


def second_run_s(clips: int) -> float:
    """Seconds that `prepare` takes to find a dataset of so many clips finished: 10 clips a file, tiny ones."""
    from paha.dataset.prepare.config import layout_config
    from paha.dataset.prepare.crop import Crop
    from paha.dataset.prepare.cutting import Cut
    from paha.dataset.prepare.run import prepare_dataset
    from paha.dataset.prepare.source import _record, _result, make_source, result_path
    from paha.runtime.atomic import write_bytes

    config = layout_config("any", pose="presenter")
    with tempfile.TemporaryDirectory() as folder:
        raw, out = Path(folder) / "raw", Path(folder) / "out"
        raw.mkdir()
        for number in range(-(-clips // 10)):
            path = raw / f"{number:05d}.mp4"
            path.write_bytes(os.urandom(3 << 20))
            source = make_source(path)
            records = [_record(source, Cut(k * 100, k * 100 + 100, Crop(0, 0, 2, 2)), config) for k in range(10)]
            for record in records:
                for name in (record.video, record.audio, record.annotations):
                    write_bytes(out / name, b"x")
            result = _result(source, clips=records)
            write_bytes(result_path(out, source), json.dumps(result).encode())
        _finish_without_report(out, raw, config)
        began = time.perf_counter()
        done = prepare_dataset([raw], out, config=config, progress=False)
        assert done.new == 0
        assert len(done.records) == -(-clips // 10) * 10
        return time.perf_counter() - began


def _finish_without_report(out: Path, raw: Path, config) -> None:
    """The state a finished run leaves; its clips here are no videos, so that the report cannot be drawn."""
    from unittest.mock import patch

    from paha.dataset.prepare.run import prepare_dataset

    with patch("paha.dataset.prepare.report.write_report"):
        prepare_dataset([raw], out, config=config, progress=False)


def cpu_s(function: Callable[[], object]) -> float:
    """CPU seconds of a call, of all threads of this process."""
    began = time.process_time()
    function()
    return time.process_time() - began


def table(stages: dict[str, dict[str, float]]) -> str:
    """Markdown."""
    rows = [
        f"| {name} | {s['cpu_s'] * 1000 / s['frames']:.2f} | {s['fps_per_core']:.0f} | {100 * s['share']:.0f} % |"
        for name, s in stages.items()
    ]
    return "\n".join(["| stage | ms a frame | frames a second a core | share |", "|---|---|---|---|", *rows])


if __name__ == "__main__":
    main()
