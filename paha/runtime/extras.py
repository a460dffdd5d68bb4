"""Packages that not every installation has, and the extra that brings each."""

from __future__ import annotations

from importlib.util import find_spec

from paha.errors import PahaError

EXTRAS = {
    "espeakng_loader": ("synth", "everything but `paha synth`, which draws and speaks new presenters, and --text"),
    "mediapipe": ("extract", "presenter images; photographs and footage then need dwpose or --face-box"),
    "onnxruntime": ("extract", "every pose reader but dwpose"),
    "scenedetect": ("prepare", "everything but `paha prepare`, which looks for cuts"),
    "tensorboard": ("train", "training; its curves are in stats.jsonl"),
    "matplotlib": ("metrics", "tables as Markdown and JSON, without their plots"),
    "fastapi": ("serve", "everything on the command line and from Python, no web page"),
    "c2pa": ("provenance", "videos that say in a tag, and by --label, that they are generated"),
    "ray": ("scale", "one machine, in one process or under torchrun"),
    "bitsandbytes": ("scale", "training with the plain AdamW (train.optimizer=adamw)"),
}
"""Optional packages: the extra that brings each, and what works without it."""


def need(package: str) -> None:
    """Raises PahaError that names the extra where the package is not installed."""
    if find_spec(package) is None:
        raise missing(package)


def missing(package: str) -> PahaError:
    """The one line about a package that is not installed."""
    extra = EXTRAS.get(package, ("all", ""))[0]
    return PahaError(f"{package} is not installed: pip install 'paha[{extra}]'")
