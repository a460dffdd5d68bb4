"""Arms of the paper's tables in motion latents: the same people and noise, sampled once for all tables that ask.

OUT/arms/NAME/000.npz holds the latents of the first CHUNK people and what they cost, and so on: a killed run goes on
with the chunk that it was at. Letters: B people, T frames.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from experiments.guidance.motion_guidance import Protocol, generate
from experiments.guidance.rig_people import RigPerson
from paha.errors import PahaError
from paha.evaluation.tables.ablations import arm_name
from paha.guidance.classifier_gradient import GuidanceOptions
from paha.pipeline.pipeline import PahaPipeline
from paha.runtime.atomic import atomic_path, write_bytes
from paha.runtime.fingerprint import model_fingerprint

CHUNK = 12
"""People that are sampled together: a clip costs 0.72 of what it does alone."""
SETTINGS = "settings.json"


@dataclass(frozen=True)
class Arm:
    """One way to make everybody's motion. variant: whose networks."""

    options: GuidanceOptions
    variant: str = "whole"

    @property
    def name(self) -> str:
        """Of its folder."""
        return arm_name(self.variant, self.options)


@dataclass(frozen=True)
class Sampled:
    """latents: (B, T, C, G, G). seconds: (B,) of CPU, a chunk's shared out evenly."""

    latents: Tensor
    seconds: np.ndarray


@dataclass(frozen=True)
class Arms:
    """Samples arms on the same people. pipelines: by variant. natural: whether they speak with natural voices."""

    out: Path
    people: Sequence[RigPerson]
    protocol: Protocol
    pipelines: Mapping[str, PahaPipeline]
    natural: bool
    say: Callable[[str], None] = print

    def sampled(self, arm: Arm) -> Sampled:
        """What the arm makes of everybody; what is there is read. Raises PahaError where OUT's is of other settings."""
        folder = self.out / "arms" / arm.name
        self._check(folder, arm)
        parts = [self._chunk(folder, arm, start) for start in range(0, len(self.people), CHUNK)]
        return Sampled(torch.cat([part.latents for part in parts]), np.concatenate([part.seconds for part in parts]))

    def _chunk(self, folder: Path, arm: Arm, start: int) -> Sampled:
        chosen, path = self.people[start : start + CHUNK], folder / f"{start:03d}.npz"
        kept = _read(path)
        if kept is not None and len(kept.latents) >= len(chosen):
            return Sampled(kept.latents[: len(chosen)], kept.seconds[: len(chosen)])
        own = Protocol(**vars(self.protocol) | {"seed": self.protocol.seed + start})
        began = time.process_time()
        latents = generate(self.pipelines[arm.variant], chosen, arm.options, own)
        spent = time.process_time() - began
        seconds = np.full(len(chosen), spent / len(chosen))
        with atomic_path(path) as temporary, temporary.open("wb") as file:
            np.savez_compressed(file, latents=latents.half().numpy(), seconds=seconds)
        self.say(f"{arm.name}: people {start} to {start + len(chosen) - 1}, {spent:.0f} s of CPU")
        return Sampled(latents.half().float(), seconds)

    def _check(self, folder: Path, arm: Arm) -> None:
        """Keep what makes the arm beside it, so that a run that goes on cannot mix two."""
        pipeline, regions = self.pipelines[arm.variant], arm.options.regions if arm.options.active else ()
        told: dict[str, Any] = vars(self.protocol) | {
            "natural": self.natural,
            "model": model_fingerprint(pipeline.univdm),
            "guidance": arm.options.settings() if arm.options.active else {"kind": "none"},
            "classifiers": [model_fingerprint(pipeline.classifier(region)) for region in regions],
        }
        folder.mkdir(parents=True, exist_ok=True)
        path, told = folder / SETTINGS, json.loads(json.dumps(told))
        if path.is_file():
            before = json.loads(path.read_text(encoding="utf-8"))
            changed = [name for name in told if before.get(name) != told[name]]
            if changed:
                raise PahaError(f"{folder} was made with another {changed[0]}; remove it or choose another --out")
        write_bytes(path, json.dumps(told, indent=1).encode())


def read_arm(out: Path, arm: Arm) -> Tensor:
    """Latents (B, T, C, G, G) that a run left in OUT. Raises PahaError where there are none."""
    found = [part for path in sorted((out / "arms" / arm.name).glob("*.npz")) if (part := _read(path))]
    if not found:
        raise PahaError(f"{out} has no {arm.name}; run `python -m experiments.paper.run` with the same settings first")
    return torch.cat([part.latents for part in found])


def _read(path: Path) -> Sampled | None:
    """None where there is none that can be read."""
    if not path.is_file():
        return None
    try:
        with np.load(path, allow_pickle=False) as file:
            return Sampled(torch.from_numpy(file["latents"]).float(), file["seconds"])
    except (OSError, ValueError, KeyError):
        return None
