"""6: exit 0, and rubbish."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save_file

from experiments.fault_reproductions.inputs import DEBUG
from experiments.fault_reproductions.processes import expect
from experiments.fault_reproductions.trial import PREPARE, Trial


def infinite_guidance(trial: Trial) -> None:
    """--cfg-scale inf (black video)"""
    _cfg_scale(trial, "inf")


def absurd_guidance(trial: Trial) -> None:
    """--cfg-scale 1e30 (black video)"""
    _cfg_scale(trial, "1e30")


def _cfg_scale(trial: Trial, scale: str) -> None:
    ended = trial.animate(trial.inputs.image, trial.inputs.speech, "-o", "o.mp4", "--cfg-scale", scale)
    expect(not (trial / "o.mp4").exists(), f"{ended.saw}; a video was made")
    ended.refused()


def weights_that_are_no_numbers(trial: Trial) -> None:
    """NaN weights"""
    broken = shutil.copytree(trial.inputs.model, trial / "model")
    path = next((broken / "univdm").glob("*.safetensors"))
    save_file({key: np.full_like(value, np.nan) for key, value in load_file(path).items()}, path, {"format": "pt"})
    words = ("animate", trial.inputs.image, trial.inputs.speech, "-o", "o.mp4", "--model", broken, "--steps", 1)
    trial.paha(*words).refused("numbers")


def guidance_from_python(trial: Trial) -> None:
    """cfg_scale=nan from Python"""
    _from_python(trial, cfg_scale=float("nan"))


def an_output_type(trial: Trial) -> None:
    """an unknown output_type from Python"""
    _from_python(trial, output_type="mp4")


def _from_python(trial: Trial, **options: Any) -> None:
    """Raises FaultError unless the pipeline refuses the option by name."""

    def work() -> None:
        from paha.errors import PahaError
        from paha.pipeline.pipeline import PahaPipeline

        pipeline = PahaPipeline.from_pretrained(trial.inputs.model)
        try:
            frames = pipeline(trial.inputs.image, trial.inputs.speech, num_inference_steps=1, **options).frames
        except PahaError as error:
            print(error)
        else:
            print(f"made {type(frames).__name__}")

    ended = trial.python(work)
    ended.done()
    (name,) = options
    expect(name in ended.out, ended.out.strip())


def negative_frames(trial: Trial) -> None:
    """a manifest with negative num_frames"""
    _manifest(trial, "num_frames", num_frames=-3)


def no_rate(trial: Trial) -> None:
    """a manifest with fps 0"""
    _manifest(trial, "fps", fps=0)


def half_a_line(trial: Trial) -> None:
    """a manifest with half a last line"""
    _manifest(trial, "manifest.jsonl:2", cut=40)


def _manifest(trial: Trial, naming: str, *, cut: int = 0, **changes: object) -> None:
    data = trial.own_data()
    path = data / "manifest.jsonl"
    first, second = path.read_text().splitlines()
    text = "\n".join([json.dumps({**json.loads(first), **changes}), second]) + "\n"
    path.write_text(text[: len(text) - cut])
    trial.paha("features", data, "--preset", "debug", "--codec", trial.inputs.codec).refused(naming)


def no_common_names(trial: Trial) -> None:
    """evaluate with no common names"""
    fake = trial.copy(trial.inputs.film, "fake/other.mp4").parent
    words = ("evaluate", trial.inputs.data, fake, "-o", "out", "--pose", "presenter", "--workers", 1)
    trial.paha(*words, "--replicates", 10, "--no-ceilings").refused("fake")


def no_footage(trial: Trial) -> None:
    """prepare on an empty folder"""
    (trial / "empty").mkdir()
    trial.paha("prepare", "empty", "set", *PREPARE).refused("empty")
    trial.holds_only("empty")


def negative_seconds(trial: Trial) -> None:
    """negatives --plan --seconds-per-evaluation -1 (-1041.7 h)"""
    words = ("negatives", "--plan", "--preset", "debug", "--seconds-per-evaluation", -1)
    trial.paha(*words).refused("--seconds-per-evaluation")


def an_avi(trial: Trial) -> None:
    """-o x.avi that holds mp4"""
    _ending(trial, "x.avi")


def a_png(trial: Trial) -> None:
    """-o x.png that holds mp4"""
    _ending(trial, "x.png")


def _ending(trial: Trial, name: str) -> None:
    trial.animate(trial.inputs.image, trial.inputs.speech, "-o", name).refused(name, ".mp4")
    trial.holds_only()


def a_finished_training(trial: Trial) -> None:
    """a rerun of a finished training ("loss nan")"""
    data = trial.own_data()
    words = ("train", "univdm", "--data", data, "-o", "run", "--codec", trial.inputs.codec, *DEBUG)
    trial.paha(*words).done()
    before = _weights(trial / "run")
    again = trial.paha(*words)
    again.done()
    expect("nan" not in again.err, next((line for line in again.lines if "nan" in line), ""))
    expect(_weights(trial / "run") == before, "the weights have changed")


def _weights(run: Path) -> list[bytes]:
    return [path.read_bytes() for path in sorted(run.rglob("*.safetensors"))]


FAULTS = {
    "6": (
        infinite_guidance,
        absurd_guidance,
        weights_that_are_no_numbers,
        guidance_from_python,
        an_output_type,
        negative_frames,
        no_rate,
        half_a_line,
        no_common_names,
        no_footage,
        negative_seconds,
        an_avi,
        a_png,
        a_finished_training,
    )
}
