"""10: from Python, as a user of diffusers expects."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from experiments.fault_reproductions.processes import expect
from experiments.fault_reproductions.trial import Trial


def _pipeline(trial: Trial) -> Any:
    from paha.pipeline.pipeline import PahaPipeline

    return PahaPipeline.from_pretrained(trial.inputs.model)


def _says_yes(trial: Trial, ask: Callable[[], object]) -> None:
    """Raises FaultError where the function, in a process of its own, returns what is wrong."""

    def work() -> None:
        print(ask() or "yes")

    ended = trial.python(work)
    ended.done()
    told = ended.out.strip().splitlines()[-1]
    expect(told == "yes", told)


def a_turned_picture(trial: Trial) -> None:
    """a path and the same PIL.Image: a picture that EXIF turns"""
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter turn
    _pictures(trial, lambda picture, path: picture.save(path, exif=exif))


def a_clear_picture(trial: Trial) -> None:
    """a path and the same PIL.Image: a picture with alpha"""

    def save(picture: Image.Image, path: Path) -> None:
        clear = picture.convert("RGBA")
        clear.putalpha(100)
        clear.save(path)

    _pictures(trial, save)


def _pictures(trial: Trial, save: Callable[[Image.Image, Path], None]) -> None:
    with Image.open(trial.inputs.image) as picture:
        save(picture, trial / "picture.png")

    def ask() -> str:
        pipeline, sound = _pipeline(trial), trial.inputs.speech
        by_path = pipeline(trial / "picture.png", sound, num_inference_steps=1, seed=0).frames
        with Image.open(trial / "picture.png") as opened:
            by_picture = pipeline(opened, sound, num_inference_steps=1, seed=0).frames
        return "" if np.array_equal(by_path, by_picture) else "the videos differ"

    _says_yes(trial, ask)


def interrupt(trial: Trial) -> None:
    """_interrupt in a callback ends the run"""

    def ask() -> str:
        steps = []

        def stop(pipe: Any, step: int, t: int, tensors: dict[str, Any]) -> dict[str, Any]:
            steps.append(step)
            pipe._interrupt = step == 4  # in the second segment, of three steps each
            return tensors

        options = {"num_inference_steps": 3, "seed": 0, "callback_on_step_end": stop}
        frames = _pipeline(trial)(trial.inputs.image, trial.inputs.speech, **options).frames
        return "" if steps[-1] == 4 else f"{len(steps)} steps, {len(frames)} frames: it went on"

    _says_yes(trial, ask)


def a_saved_model(trial: Trial) -> None:
    """save_pretrained of the shipped model is complete"""

    def ask() -> str:
        import paha
        from paha.pipeline.pipeline import PahaPipeline

        shipped = Path(paha.__file__).parent / "assets" / "presenter"
        PahaPipeline.from_pretrained(shipped).save_pretrained(trial / "saved")
        wanted, found = (_parts(folder) for folder in (shipped, trial / "saved"))
        PahaPipeline.from_pretrained(trial / "saved")
        return ", ".join(sorted(wanted - found)) and f"not saved: {', '.join(sorted(wanted - found))}"

    _says_yes(trial, ask)


def _parts(folder: Path) -> set[str]:
    """Files that a model is made of: no card, no log of its training, nor what the package reads for every model."""
    found = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    own = {name for name in found if not name.startswith("keypoint_estimator/")}
    return {name for name in own if name.endswith((".json", ".yaml", ".safetensors"))}


def a_data_type(trial: Trial) -> None:
    """torch_dtype of from_pretrained"""

    def ask() -> str:
        import torch

        from paha.pipeline.pipeline import PahaPipeline

        found = PahaPipeline.from_pretrained(trial.inputs.model, torch_dtype=torch.bfloat16).univdm.dtype
        return "" if found == torch.bfloat16 else f"it is {found}"

    _says_yes(trial, ask)


def the_base_class(trial: Trial) -> None:
    """DiffusionPipeline.from_pretrained: a documented line why not"""
    _documented(trial, "`DiffusionPipeline.from_pretrained`")


def offload(trial: Trial) -> None:
    """offload as diffusers has it: a documented line what is in its place"""
    _documented(trial, "`enable_model_cpu_offload`")


def _documented(trial: Trial, name: str) -> None:
    texts = [path.read_text(encoding="utf-8") for path in (trial.tree / "docs").glob("*.md")]
    expect(any(name in text for text in texts), f"no document names {name}")


FAULTS = {
    "10": (a_turned_picture, a_clear_picture, interrupt, a_saved_model, a_data_type, the_base_class, offload),
}
