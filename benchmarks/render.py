"""Milliseconds a frame of the photograph renderer, on one core, by size of picture and kind of person.

    python -m benchmarks.render [STILL ...]

Without stills: a synthetic face and body on noise. With stills: photographs of people, read by `find_landmarks`.
Times are those of the processor (this process only), so that a busy machine changes them little.
"""

from __future__ import annotations

import argparse
import platform
import time
from pathlib import Path

import cv2
import numpy as np

from paha.media.image_io import read_image
from paha.motion.landmarks import find_landmarks
from paha.motion.person import PersonMotion
from paha.motion.photograph import Photograph
from paha.motion.renderer import Renderer

SIZES = (512, 768, 1280)


def talking(num_frames: int) -> PersonMotion:
    """Everything moves: head, mouth, lids, brows, gaze, shoulders, elbows, wrists and hands."""
    phase = np.linspace(0, 4 * np.pi, num_frames)
    motion = PersonMotion.rest(num_frames)
    motion.mouth_open[:] = 0.04 * (1 - np.cos(5 * phase))
    motion.head_rotation[:] = 0.08 * np.sin(phase[:, None] + np.arange(3))
    motion.head_shift[:] = 0.03 * np.sin(phase[:, None] + np.arange(2))
    motion.lids[:] = np.clip(np.sin(3 * phase), 0, 1)[:, None]
    motion.brows[:], motion.gaze[:] = 0.02 * np.sin(phase)[:, None], np.sin(phase)[:, None]
    motion.parts[:] = 0.08 * np.sin(phase[:, None, None] + np.arange(16).reshape(8, 2))
    motion.hand_rotation[:] = 0.1 * np.sin(phase)[:, None]
    return motion


def still(path: Path, size: int) -> Photograph:
    """A picture whose longer side is `size` pixels."""
    image = read_image(path)
    scale = size / max(image.shape[:2])
    image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    return Photograph(image, find_landmarks(image))


def processor() -> str:
    """The machine's name for its processor."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def measure(photo: Photograph, num_frames: int = 40) -> tuple[float, float, Renderer]:
    """Seconds of setting up and median seconds a frame."""
    start = time.process_time()
    renderer = Renderer(photo)
    setup = time.process_time() - start
    times, motion = [], talking(num_frames)
    for t in range(num_frames):
        start = time.process_time()
        renderer.frame(motion, t)
        times.append(time.process_time() - start)
    return setup, float(np.median(times)), renderer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stills", nargs="*", type=Path)
    stills = parser.parse_args().stills
    cv2.setNumThreads(1)
    print(f"{processor()}, one core, OpenCV {cv2.__version__}")
    print("| picture | size | face height | arms | set-up s | ms a frame |\n|---|---|---|---|---|---|")
    for size in SIZES:
        if stills:
            photos = {path.stem: still(path, size) for path in stills}
        else:
            from tests.motion.meshes import photograph  # the only person that the code itself can draw

            photos = {
                "portrait": photograph(size, 0.4 * size),
                "half-body": photograph(size, 0.2 * size, body=True),
            }
        for name, photo in photos.items():
            setup, frame, renderer = measure(photo)
            height, width = photo.image.shape[:2]
            person = f"{photo.unit:.0f} px | {len(renderer.arms)}"
            print(f"| {name} | {width} x {height} | {person} | {setup:.2f} | {1000 * frame:.1f} |")


if __name__ == "__main__":
    main()
