"""Do invisible marks of public libraries survive H.264? None is a dependency; give a folder that has them:

pip install --no-deps --target work/marks invisible-watermark blind-watermark PyWavelets
python -m experiments.invisible_mark --packages work/marks --video out/demo.mp4

32 bits are put into each frame (libraries that read pictures know no video), the frames encoded at CRF 18 as a video is
written and again at CRF 28, as a site does. Prints the share of bits read right in a frame, and by a vote of all.
"""

from __future__ import annotations

import argparse
import io
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from paha.media.video_io import iter_video

BITS = np.random.default_rng(0).integers(0, 2, 32)
Mark = tuple[str, Callable[[np.ndarray], np.ndarray], Callable[[np.ndarray], np.ndarray]]


def marks() -> Iterator[Mark]:
    """Name, RGB frame to marked frame, marked frame to 32 numbers that are 1 where a bit is set."""
    from imwatermark import WatermarkDecoder, WatermarkEncoder  # pyright: ignore[reportMissingImports]

    for method in ("dwtDct", "dwtDctSvd"):
        encoder, decoder = WatermarkEncoder(), WatermarkDecoder("bits", len(BITS))
        encoder.set_watermark("bits", BITS.tolist())
        put = lambda x, e=encoder, m=method: e.encode(x[..., ::-1].copy(), m)[..., ::-1]  # noqa: E731
        read = lambda x, d=decoder, m=method: np.array(d.decode(x[..., ::-1].copy(), m), float)  # noqa: E731
        yield f"invisible-watermark {method}", put, read
    import blind_watermark  # pyright: ignore[reportMissingImports]

    blind_watermark.bw_notes.close()
    new = lambda: blind_watermark.WaterMark(password_img=1, password_wm=1)  # noqa: E731

    def put_blind(frame: np.ndarray) -> np.ndarray:
        mark = new()
        mark.read_img(img=frame[..., ::-1].astype(float))
        mark.read_wm(BITS.astype(bool), mode="bit")
        return np.clip(mark.embed(), 0, 255).astype(np.uint8)[..., ::-1]

    yield (
        "blind-watermark",
        put_blind,
        lambda x: np.array(new().extract(embed_img=x[..., ::-1].astype(float), wm_shape=len(BITS), mode="bit")),
    )


def encoded(frames: list[np.ndarray], crf: int) -> list[np.ndarray]:
    """The frames after H.264."""
    import av

    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": str(crf)})
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")))
        container.mux(stream.encode(None))
    file.seek(0)
    with av.open(file, "r") as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--packages", type=Path, required=True)
    parser.add_argument("--video", type=Path, required=True)
    parser.add_argument("--frames", type=int, default=25)
    args = parser.parse_args()
    sys.path.insert(0, str(args.packages))
    frames = [frame for frame, _ in zip(iter_video(args.video), range(args.frames), strict=False)]
    for name, put, read in marks():
        begin = time.perf_counter()
        marked = [put(frame) for frame in frames]
        milliseconds = 1000 * (time.perf_counter() - begin) / len(frames)
        error = np.mean((np.stack(marked).astype(float) - np.stack(frames)) ** 2)
        first = encoded(marked, 18)
        for stage, shown in (("as made", marked), ("CRF 18", first), ("CRF 18, then 28", encoded(first, 28))):
            found = np.stack([read(frame) > 0.5 for frame in shown])
            alone, vote = (found == BITS).mean(), ((found.mean(0) > 0.5) == BITS).mean()
            print(
                f"{name}, {stage}: {alone:.3f} of the bits in a frame, {vote:.3f} by a vote; the mark "
                f"{10 * np.log10(255**2 / error):.1f} dB, {milliseconds:.0f} ms a frame"
            )


if __name__ == "__main__":
    main()
