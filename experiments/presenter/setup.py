"""How the report makes its videos, and what of it is kept: results are reused while nothing they depend on changes."""

from __future__ import annotations

import hashlib
import json
import traceback
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from functools import lru_cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypeVar

import torch
import typer

import paha
from paha.errors import PahaError
from paha.motion.landmarks import Detector
from paha.pipeline.inputs import PahaWarning
from paha.pipeline.loading import SHIPPED_MODEL, load_pipeline
from paha.pipeline.options import SampleOptions
from paha.pipeline.pipeline import PahaPipeline
from paha.runtime.atomic import write_bytes
from paha.runtime.workers import begin_worker

CRASH = "crash"
"""How the line of a case begins that ended in an error of the code."""
Item = TypeVar("Item")
PACKAGE = Path(paha.__file__).parent
SOURCES = (
    *(PACKAGE / part for part in ("motion", "pipeline", "sampling", "univdm", "dataset/synth")),
    Path(__file__).parent,
)
"""Folders of code that a result depends on beside the model."""


@dataclass(frozen=True)
class Setup:
    """stills, media, speech: folders of the shared material. model: a model folder. steps, cfg_scale: the model's own
    where None. size: of the videos' longer side, pixels. landmarks: the detector of the photograph's points."""

    stills: Path
    media: Path
    speech: Path
    model: Path = SHIPPED_MODEL
    steps: int | None = None
    cfg_scale: float | None = None
    size: int = 512
    landmarks: Detector = "auto"
    quick: bool = False

    def options(self, seed: int) -> SampleOptions:
        """How a video with that noise is sampled."""
        return SampleOptions(steps=self.steps, cfg_scale=self.cfg_scale, seed=seed)

    def protocol(self) -> dict[str, str]:
        """Everything that decides a result: settings, and hashes of the model and of the code."""
        settings = {name: str(value) for name, value in asdict(self).items()}
        model = [*self.model.rglob("*.safetensors"), *self.model.rglob("*.json"), *self.model.rglob("*.yaml")]
        return settings | {
            "model_sha256": _hash(model),
            "code_sha256": _hash(p for f in SOURCES for p in f.glob("*.py")),
        }


def _hash(paths: Any) -> str:
    digest = hashlib.sha256()
    for path in sorted(paths):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()[:16]


@lru_cache(maxsize=1)
def pipeline_of(model: Path) -> PahaPipeline:
    """One a process."""
    return load_pipeline(model, device="cpu")


class Store:
    """Results by name in FOLDER/NAME.json, each with the protocol that it was measured under."""

    def __init__(self, folder: Path, setup: Setup) -> None:
        self.folder, self.protocol = folder, setup.protocol()

    def get(self, name: str) -> Any:
        """The result, or None where there is none of this protocol."""
        try:
            kept = json.loads((self.folder / f"{name}.json").read_text(encoding="utf-8"))
            return kept["result"] if kept["protocol"] == self.protocol else None
        except (OSError, ValueError, KeyError):
            return None

    def put(self, name: str, result: Any) -> None:
        """Keep a result of plain values."""
        write_bytes(self.folder / f"{name}.json", json.dumps({"protocol": self.protocol, "result": result}).encode())

    def once(self, name: str, make: Callable[[], Any]) -> Any:
        """The kept result, or a new one."""
        kept = self.get(name)
        if kept is None:
            kept = make()
            self.put(name, kept)
        return kept

    def each(
        self,
        what: str,
        measure: Callable[[Setup, Item], Any],
        items: Sequence[Item],
        names: Sequence[str],
        *,
        setup: Setup,
        workers: int,
    ) -> dict[str, Any]:
        """name -> result of every item, made in `workers` processes of one thread where it is not kept."""
        done = {name: kept for name in names if (kept := self.get(f"{what}_{name}")) is not None}
        left = [(name, item) for name, item in zip(names, items, strict=True) if name not in done]
        for name, result in _measure_all(measure, left, setup, min(workers, len(left))):
            done[name] = result
            if not crashed(result):
                self.put(f"{what}_{name}", result)
            typer.echo(f"{what}: {len(done)} of {len(names)}", err=True)
        return {name: done[name] for name in names}


def crashed(result: dict[str, Any]) -> bool:
    """Whether a case has no numbers because the code failed."""
    return str(result.get("refused", "")).startswith(CRASH)


def _measure_all(measure: Callable, left: Sequence[tuple[str, Any]], setup: Setup, workers: int):
    if workers <= 1:
        for name, item in left:
            yield name, _in_worker(measure, setup, item)
        return
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=_begin) as pool:
        futures = {pool.submit(_in_worker, measure, setup, item): name for name, item in left}
        try:
            for future in as_completed(futures):
                yield futures[future], future.result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _begin() -> None:
    begin_worker()
    torch.set_num_threads(1)


def _in_worker(measure: Callable, setup: Setup, item: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PahaWarning)
        try:
            return measure(setup, item)
        except PahaError:
            raise
        except Exception as error:  # one photograph's crash must not cost the others their numbers; tables name it
            traceback.print_exc()
            return {"refused": f"{CRASH}, {type(error).__name__}: {error}"}
