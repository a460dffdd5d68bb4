"""`paha features` in parts: in several processes, or on a Ray cluster."""

from __future__ import annotations

from pathlib import Path

import torch

from paha.cli import univdm as verbs
from paha.config import PahaConfig
from paha.dataset.features import INDEX, list_again
from paha.errors import PahaError
from paha.runtime.device import pick_device
from paha.runtime.engine import run_tasks


def make_features(
    data: Path, config: PahaConfig, *, codec: Path | None, device: str | None, shard: str, workers: int, engine: str
) -> Path:
    """`paha.cli.univdm.make_features`, its clips shared among `workers` parts; returns the folder.

    engine: as in `paha.runtime.engine.run_tasks`; on Ray a part asks for a GPU where `device` is one. A part that was
    stopped goes on where it was. Raises PahaError at the end where parts failed, with their reasons.
    """
    if (workers == 1 and engine == "local") or (data / INDEX).is_file():
        return verbs.make_features(data, config, codec=codec, device=device, shard=shard)
    first, every = verbs.parse_shard(shard)
    codec, data = None if codec is None else codec.resolve(), data.resolve()
    # The clips first, first + every, ... are what the parts take in turn.
    parts = [f"{first + every * part}/{every * workers}" for part in range(workers)]
    tasks = [(data, config, codec, device, part) for part in parts]
    gpus = int((device or str(pick_device(None))).startswith("cuda"))
    outcomes = list(run_tasks(make_part, tasks, workers=workers, engine=engine, gpus=gpus))
    folders = [folder for _, folder, _ in outcomes if folder]
    if folders:
        list_again(folders[0], data)
    errors = [f"part {parts[index]}: {error}" for index, _, error in outcomes if error]
    if errors:
        raise PahaError(f"{len(errors)} of {workers} parts failed: {'; '.join(errors)}")
    return folders[0]


def make_part(data: Path, config: PahaConfig, codec: Path | None, device: str | None, shard: str) -> Path:
    """The features of one part, in a process of its own, on one core."""
    torch.set_num_threads(1)
    return verbs.make_features(data, config, codec=codec, device=device, shard=shard, progress=False)
