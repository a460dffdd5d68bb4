"""`paha doctor`: what is here, what is missing, and what works without it.

Every line is a `Finding`. Only those that the main job, a video out of an image and a recording, cannot do without are
`needed`; the main job itself is tried, not guessed.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import shutil
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from paha.errors import PahaError
from paha.runtime.extras import EXTRAS
from paha.runtime.workers import num_cores

ASSETS = Path(__file__).parents[1] / "assets"
VERSIONS = ("torch", "diffusers", "transformers", "accelerate", "safetensors", "numpy", "av")
HUB = {
    "stabilityai/stable-video-diffusion-img2vid": (
        "SVD's U-Net, VAE and CLIP ViT-H/14",
        "9.4 GB",
        "Stability AI Community",
        "debug and presenter; `--preset paper` starts from a local folder as well (--init DIR)",
    ),
    "facebook/wav2vec2-base-960h": (
        "wav2vec 2.0 base",
        "0.38 GB",
        "Apache-2.0",
        "debug and presenter (log-mel); `--preset paper` takes a local folder as well (--set audio.name=DIR)",
    ),
}
"""Models that go by their hub name: what they are, size, licence, what works without them."""
WITHOUT = {
    "mediapipe": "presenter images, whose shipped pose reader finds faces; photographs by --face-box or dwpose",
    "dwpose": "keypoints by mediapipe (no confidence a point) or, of presenters, by the shipped reader",
}
"""By the first word of a registered weight's name; others: everything but what the weight is for."""


@dataclass(frozen=True)
class Finding:
    """One line of the report. needed: the main job cannot run where this is not ok."""

    section: str
    name: str
    ok: bool
    detail: str
    needed: bool = False


def examine(model: Path | None = None, *, device: str | None = None) -> Iterator[Finding]:
    """All findings, each as it is known. model: the folder that is tried (the shipped one by default)."""
    yield from versions()
    yield from machine()
    yield from codecs()
    yield from registered_weights()
    yield from hub_models()
    yield from extras()
    yield from main_job(model, device=device)


def versions() -> Iterator[Finding]:
    """Python and the packages that everything needs."""
    good = sys.version_info >= (3, 11)
    yield Finding("versions", "python", good, f"{platform.python_version()} on {platform.platform()}", needed=True)
    for name in ("paha", *VERSIONS):
        try:
            yield Finding("versions", name, True, importlib.metadata.version(name), needed=True)
        except importlib.metadata.PackageNotFoundError:
            yield Finding("versions", name, False, "missing: pip install paha", needed=True)


def machine() -> Iterator[Finding]:
    """Cores, memory, disk and accelerators."""
    yield Finding("machine", "cpu", True, f"{num_cores()} cores, {_memory()}")
    free = shutil.disk_usage(tempfile.gettempdir()).free
    yield Finding("machine", "disk", free > 1e9, f"{_size(free)} free for temporary files")
    if importlib.util.find_spec("torch") is None:
        return
    import torch

    kind = torch.accelerator.current_accelerator(check_available=True)
    if kind is None:
        yield Finding("machine", "gpu", False, "none: the presenter runs on the CPU; `--preset paper` wants one")
        return
    for index in range(torch.accelerator.device_count()):
        yield Finding("machine", f"{kind.type}:{index}", True, _gpu(kind.type, index))


def codecs() -> Iterator[Finding]:
    """The encoders of the video, inside PyAV."""
    try:
        import av
    except ImportError:
        return
    for name, use in {"libx264": "video out", "aac": "sound out", "h264": "video in", "opus": "sound in"}.items():
        mode = "w" if use.endswith("out") else "r"
        try:
            av.Codec(name, mode)
            yield Finding("codecs", name, True, use, needed=mode == "w")
        except (ValueError, av.FFmpegError):
            yield Finding("codecs", name, False, f"{use}: this build of PyAV has it not; pip install av", mode == "w")


def registered_weights() -> Iterator[Finding]:
    """The shipped weights, then each of the registry: where it is, how large, under which licence."""
    from paha.extractors.weights import DINOV2, WEIGHTS, cache_folder, find_weight

    for path in sorted(ASSETS.rglob("*.safetensors")):
        name = str(path.relative_to(ASSETS).parent)
        yield Finding("weights", name, True, f"{_size(path.stat().st_size)}, Apache-2.0, shipped: {path}")
    for name, entry in WEIGHTS.items():
        about = f"{entry.what}; {_size(entry.size)}, {entry.licence}"
        try:
            found = find_weight(name)
        except PahaError as error:
            yield Finding("weights", name, False, str(error))
            continue
        if found is not None:
            yield Finding("weights", name, True, f"{about}: {found} ({_size(found.stat().st_size)})")
            continue
        works = WITHOUT.get(name.split("-")[0], f"everything but {entry.what.split(':')[0]}")
        place = cache_folder() / entry.file
        yield Finding("weights", name, False, f"{about}; fetched on first use to {place}. Without it works: {works}")
    yield _model_folder("dinov2", DINOV2, "`prepare` works without it")
    yield _model_folder("kokoro", ("kokoro",), "espeak-ng speaks without it")


def _model_folder(name: str, folders: tuple[str, ...], without: str) -> Finding:
    """Of a model that is used where a person has put any one of its folders."""
    from paha.extractors.weights import MODEL_FOLDERS, cache_folder, find_model_folder

    entry = MODEL_FOLDERS[folders[0]]
    about = f"{entry.what}; {entry.licence}"
    try:
        found = next(filter(None, map(find_model_folder, folders)), None)
    except PahaError as error:
        return Finding("weights", name, False, str(error))
    if found is not None:
        return Finding("weights", name, True, f"{about}: {found}")
    place = cache_folder() / folders[0]
    return Finding("weights", name, False, f"{about}; never fetched, put it at {place}. {without}")


def hub_models() -> Iterator[Finding]:
    """Models that are asked for by their hub name, as far as the hub's cache has them."""
    from huggingface_hub import try_to_load_from_cache

    for name, (what, size, licence, works) in HUB.items():
        files = ("unet/config.json", "config.json")
        found = next((path for file in files if isinstance(path := try_to_load_from_cache(name, file), str)), None)
        about = f"{what}; {size}, {licence}"
        detail = (
            f"{about}: {Path(found).parent}" if found else f"{about}; fetched on first use. Without it works: {works}"
        )
        yield Finding("weights", name, found is not None, detail)


def extras() -> Iterator[Finding]:
    """Optional packages."""
    for name, (extra, works) in EXTRAS.items():
        if importlib.util.find_spec(name) is not None:
            yield Finding("extras", name, True, f"of paha[{extra}]")
        else:
            yield Finding("extras", name, False, f"pip install 'paha[{extra}]'. Without it works: {works}")


def main_job(model: Path | None, *, device: str | None = None) -> Iterator[Finding]:
    """`paha animate`, done: a fifth of a second of a shipped image and recording in one step."""
    name = "paha animate" + (f" --model {model}" if model else "")
    begin = time.monotonic()
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        problem = _problem(lambda: _animate(model, Path(folder) / "out.mp4", device))
    took = f"a short video in {time.monotonic() - begin:.1f} s, loading included"
    yield Finding("main job", name, not problem, problem or took, needed=True)


def _animate(model: Path | None, out: Path, device: str | None) -> None:
    from paha.pipeline.animate import animate
    from paha.pipeline.loading import load_pipeline
    from paha.pipeline.options import SampleOptions

    images = ASSETS / "presenter_images"
    pipeline = load_pipeline(model, device=device)
    image = next(images.glob("*.png"))
    animate(pipeline, image, images / "speech.wav", out, SampleOptions(steps=1), num_frames=5, progress=False)


def _problem(attempt: Callable[[], None]) -> str:
    try:
        attempt()
    except (PahaError, ImportError, OSError, RuntimeError, StopIteration) as error:
        return (str(error).strip().splitlines() or [type(error).__name__])[0]
    return ""


def format_finding(finding: Finding) -> str:
    """One line: ok, none (optional, not there) or MISSING (needed)."""
    state = "ok" if finding.ok else "MISSING" if finding.needed else "none"
    return f"{finding.section:<9} {state:<8} {finding.name:<28} {finding.detail}"


def _memory() -> str:
    try:
        return f"{_size(os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES'))} of memory"
    except (AttributeError, ValueError, OSError):  # Windows has no sysconf
        return "memory unknown"


def _gpu(kind: str, index: int) -> str:
    import torch

    if kind != "cuda":
        return kind
    properties = torch.cuda.get_device_properties(index)
    major, minor = properties.major, properties.minor
    return f"{properties.name}, {_size(properties.total_memory)}, compute capability {major}.{minor}"


def _size(count: float) -> str:
    for factor, unit in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if count >= factor:
            return f"{count / factor:.1f} {unit}"
    return f"{count:.0f} B"
