"""Speed and memory at a size, on two cores: `paha animate` as its users start it, then where its time goes.

Seconds a second of video are the slope between a short and a long recording; what is left of the short one's time is
start-up, from the command to the first sampled frame: imports, weights, landmarks, preparing the photograph. Processor
seconds are those of all cores together; beside other busy processes they say more than the clock.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch

from experiments.presenter.people import Case
from experiments.presenter.setup import Setup, pipeline_of
from experiments.presenter.tables import Line
from experiments.presenter.videos import encode, reference_of
from paha.errors import PahaError
from paha.media.audio_io import write_wav
from paha.media.image_io import read_image
from paha.media.video_writer import write_video
from paha.motion.landmarks import find_landmarks
from paha.motion.motion_reference import fit_size
from paha.types import FPS, SAMPLE_RATE_HZ

CORES = 2
STEAL = 7
"""Column of the time in which a virtual machine's core was somebody else's."""
Result = TypeVar("Result")


def measure_speed(setup: Setup, cases: tuple[Case, Case]) -> dict[str, Any]:
    """cases: one photograph with a short and with a long speech."""
    before = _core_ticks()
    runs = [run_animate(setup, case) for case in cases]
    spent = _core_ticks() - before
    lengths = [round(case.speech.duration_s * FPS) / FPS for case in cases]
    slope, processor_slope = (
        (runs[1][what] - runs[0][what]) / (lengths[1] - lengths[0]) for what in ("seconds", "processor_s")
    )
    with ProcessPoolExecutor(1, mp_context=get_context("spawn"), initializer=use_two_cores) as pool:
        parts = pool.submit(time_parts, setup, cases[0]).result()
    return {
        "lengths": lengths,
        "runs": runs,
        "a second": slope,
        "start-up": runs[0]["seconds"] - slope * lengths[0],
        "processor, a second": processor_slope,
        "processor, start-up": runs[0]["processor_s"] - processor_slope * lengths[0],
        "stolen": float(spent[STEAL] / spent.sum()) if spent.any() else float("nan"),
        "parts": parts,
    }


def run_animate(setup: Setup, case: Case) -> dict[str, float]:
    """seconds, processor_s (of all cores) and peak_mib of a fresh process. Raises PahaError that says why it failed."""
    with tempfile.TemporaryDirectory() as folder:
        sound, out = Path(folder) / "speech.wav", Path(folder) / "out.mp4"
        write_wav(sound, case.speech.samples[:, None], SAMPLE_RATE_HZ)
        options = ["--model", str(setup.model), "--size", str(setup.size), "--landmarks", setup.landmarks]
        chosen = {"--steps": setup.steps, "--cfg-scale": setup.cfg_scale}
        options += [text for name, value in chosen.items() if value is not None for text in (name, str(value))]
        command = [sys.executable, "-m", "paha.cli.main", "animate", str(case.still.path), str(sound), "-o", str(out)]
        environment = {k: v for k, v in os.environ.items() if k != "OMP_NUM_THREADS"} | {"OMP_WAIT_POLICY": "PASSIVE"}
        began, errors = time.monotonic(), Path(folder) / "errors"
        with errors.open("wb") as file:
            process = subprocess.Popen(
                [*command, *options], env=environment, stdout=subprocess.DEVNULL, stderr=file, preexec_fn=use_two_cores
            )
            _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode or not out.is_file():
            raise PahaError(f"paha animate failed: {errors.read_text(errors='replace').strip().splitlines()[-1:]}")
        scale = 2**20 if sys.platform == "darwin" else 2**10  # bytes there, KiB here
        processor_s = usage.ru_utime + usage.ru_stime
        return {
            "seconds": time.monotonic() - began,
            "processor_s": processor_s,
            "peak_mib": usage.ru_maxrss / scale,
        }


def _core_ticks() -> np.ndarray:
    """What all cores have done, by kind, as Linux counts it in its first eight columns; zeros elsewhere."""
    path = Path("/proc/stat")
    if not path.is_file():
        return np.zeros(STEAL + 1)
    return np.array(path.read_text().splitlines()[0].split()[1 : STEAL + 2], float)


def use_two_cores() -> None:
    """Of those there are; where the system lets a process choose."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])


def time_parts(setup: Setup, case: Case) -> dict[str, float]:
    """Seconds of each part of a short video, run one after another in a process of its own."""
    torch.set_num_threads(CORES)
    parts: dict[str, float] = {}
    sound = (case.speech.samples, SAMPLE_RATE_HZ)
    pipeline = _timed(parts, "weights", lambda: pipeline_of(setup.model))
    image = fit_size(read_image(case.still.path), setup.size)
    _timed(parts, "landmarks, networks loaded", lambda: find_landmarks(image, detector=setup.landmarks))
    _timed(parts, "landmarks", lambda: find_landmarks(image, detector=setup.landmarks))
    inputs = encode(setup, image, sound)
    _timed(parts, "audio", lambda: pipeline.audio_encoder.encode(case.speech.samples, inputs.num_frames))
    reference, options = reference_of(inputs), setup.options(0)
    outputs = _timed(parts, "sampling", lambda: list(pipeline.generate(inputs, options)))
    latents = torch.cat([pipeline.codec_latents(inputs, output.latents[output.segment.emitted]) for output in outputs])
    _timed(parts, "preparing the photograph", lambda: reference.renderer)
    frames: np.ndarray = _timed(parts, "rendering", lambda: np.stack(list(reference.iter_frames(latents))))
    with tempfile.TemporaryDirectory() as folder:
        _timed(parts, "encoding", lambda: write_video(Path(folder) / "out.mp4", frames, audio=sound))
    return parts


def _timed(parts: dict[str, float], name: str, work: Callable[[], Result]) -> Result:
    began = time.monotonic()
    result = work()
    parts[name] = time.monotonic() - began
    return result


def speed_lines(row: dict[str, Any]) -> list[Line]:
    """The parts of a second of video are those that grow with its length."""
    short, long = row["runs"]
    length = row["lengths"][0]
    lines = [
        Line("seconds a second of video, end to end after start", row["a second"], high=1.0),
        Line("start-up, seconds", row["start-up"], high=6.0),
        Line("processor seconds a second of video", row["processor, a second"]),
        Line("processor seconds of start-up", row["processor, start-up"]),
    ]
    lines += [
        Line(f"`paha animate`, {seconds:.1f} s of speech", f"{run['seconds']:.1f} s, {run['peak_mib']:.0f} MiB at most")
        for seconds, run in zip(row["lengths"], row["runs"], strict=True)
    ]
    lines.append(Line("peak memory, long over short", long["peak_mib"] / short["peak_mib"], high=1.1))
    lines.append(Line("share of the cores' time that the host gave to others meanwhile", row["stolen"]))
    growing = ("audio", "sampling", "rendering", "encoding")
    for name, seconds in row["parts"].items():
        each = f", {seconds / length:.3f} a second of video" if name in growing else ""
        lines.append(Line(f"{name}", f"{seconds:.2f} s{each}"))
    return lines
