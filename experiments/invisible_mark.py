"""What the invisible mark survives: python -m experiments.invisible_mark VIDEO... [--marked 10] [--frames 75]

Every video is read as it is (nothing should be found); the first ones are marked, encoded at CRF 18, and treated in
several ways. Printed: dB of the mark, milliseconds a frame, and for each treatment how many marks are found, how many
numbers are read, how many wrongly, and the least and median score (sum of the squared scores of 32 bits; without a mark
its mean is 32, and 1 in 10^9 is over 110).
"""

from __future__ import annotations

import argparse
import io
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import cv2
import numpy as np

from paha.media.invisible_mark import BITS, Marker, bit_scores, find_mark, mean_brightness
from paha.media.video_io import iter_video

Frames = list[np.ndarray]


def encoded(frames: Frames, crf: int) -> Frames:
    """The frames after H.264."""
    import av

    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": str(crf)})
        stream.height, stream.width = (side - side % 2 for side in frames[0].shape[:2])
        stream.pix_fmt = "yuv420p"
        for frame in frames:
            even = np.ascontiguousarray(frame[: stream.height, : stream.width])
            container.mux(stream.encode(av.VideoFrame.from_ndarray(even, format="rgb24")))
        container.mux(stream.encode(None))
    file.seek(0)
    with av.open(file, "r") as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def scaled(frames: Frames, factor: float) -> Frames:
    """Every frame smaller or larger."""
    height, width = (round(factor * side) for side in frames[0].shape[:2])
    return [cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA) for frame in frames]


def cropped(frames: Frames, share: float) -> Frames:
    """Every frame without that share at each side."""
    y, x = (round(share * side) for side in frames[0].shape[:2])
    return [frame[y : len(frame) - y, x : frame.shape[1] - x] for frame in frames]


TREATMENTS: dict[str, Callable[[Frames], Frames]] = {
    "as made": lambda frames: frames,
    "CRF 23": lambda frames: encoded(frames, 23),
    "CRF 28": lambda frames: encoded(frames, 28),
    "CRF 32": lambda frames: encoded(frames, 32),
    "3/4 of the size, CRF 23": lambda frames: encoded(scaled(frames, 0.75), 23),
    "half the size, CRF 23": lambda frames: encoded(scaled(frames, 0.5), 23),
    "last second alone, CRF 28": lambda frames: encoded(frames[-25:], 28),
    "brighter by a fifth": lambda frames: [np.clip(frame * 1.2, 0, 255).astype(np.uint8) for frame in frames],
    "1 % cut off each side": lambda frames: cropped(frames, 0.01),
    "mirrored": lambda frames: [frame[:, ::-1] for frame in frames],
}


def marked(paths: list[Path], count: int) -> Iterator[tuple[int, Frames]]:
    """(number, frames of a marked video at CRF 18); prints what the mark costs."""
    draw = np.random.default_rng(0)
    for path in paths:
        frames = list(islice(iter_video(path), count))
        number = int(draw.integers(2**BITS))
        begin = time.process_time()
        marker = Marker(number, frames[0].shape[1], frames[0].shape[0])
        changed = [marker.put(frame) for frame in frames]
        milliseconds = 1000 * (time.process_time() - begin) / len(frames)
        error = np.mean([np.mean((a.astype(np.float32) - b) ** 2) for a, b in zip(changed, frames, strict=True)])
        size = "x".join(str(side) for side in frames[0].shape[1::-1])
        print(f"{path.name} {size}: {10 * np.log10(255**2 / error):.1f} dB, {milliseconds:.1f} ms a frame", flush=True)
        yield number, encoded(changed, 18)


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("videos", type=Path, nargs="+")
    parser.add_argument("--marked", type=int, default=10)
    parser.add_argument("--frames", type=int, default=75)
    args = parser.parse_args()
    brightness = [mean_brightness(islice(iter_video(path), args.frames)) for path in args.videos]
    sums = np.array([(bit_scores(mean) ** 2).sum() for mean in brightness])
    falsely = sum(find_mark(mean) is not None for mean in brightness)
    spread = ", ".join(f"{value:.0f}" for value in np.quantile(sums, (0, 0.25, 0.5, 0.75, 1)))
    print(f"{len(sums)} videos without a mark: {falsely} found; scores (least, quartiles, most) {spread}", flush=True)
    found: dict[str, list[tuple[float, bool, bool, bool]]] = {name: [] for name in TREATMENTS}
    for number, frames in marked(args.videos[: args.marked], args.frames):
        for name, treat in TREATMENTS.items():
            mean = mean_brightness(iter(treat(frames)))
            mark = find_mark(mean)
            read = mark is not None and mark.number is not None
            right = mark is not None and mark.number == number
            found[name].append((float((bit_scores(mean) ** 2).sum()), mark is not None, read, right))
    for name, rows in found.items():
        scores, seen, read, right = np.array(rows).T
        print(
            f"{name}: {seen.sum():.0f} of {len(rows)} found, {right.sum():.0f} numbers read, "
            f"{(read - right).sum():.0f} wrongly; score at least {scores.min():.0f}, median {np.median(scores):.0f}"
        )


if __name__ == "__main__":
    main()
