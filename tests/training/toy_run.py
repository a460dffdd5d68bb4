"""A tiny training run, as a script so that tests can kill it: python toy_run.py OUT STEPS [train.NAME=VALUE ...]."""

from __future__ import annotations

import os
import sys
import time
import warnings
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn

from paha.cli import main as cli
from paha.config import TrainConfig
from paha.errors import PahaError
from paha.training.job import Job, StepContext
from paha.training.loop import fit


class Toy(nn.Module):
    """A small regression network with a random layer, whose state depends on every random number drawn."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(4, 16), nn.SiLU(), nn.Dropout(0.2), nn.Linear(16, 2))

    def forward(self, x):
        return self.layers(x)


def toy_job(*, pause_s: float = 0.0) -> Job:
    torch.manual_seed(7)

    def loss(model: nn.Module, context: StepContext):
        time.sleep(pause_s)
        x = torch.randn(8, 4, generator=context.generator("batch"))
        error = model(x) - torch.stack([x.sum(1), x.prod(1)], 1)
        return error.square().mean(), {"bias": error.detach().mean()}

    return Job("toy", Toy(), loss, lambda model, folder: save_file(model.state_dict(), folder / "model.safetensors"))


def toy_config(**changes) -> TrainConfig:
    values = {"steps": 30, "learning_rate": 1e-2, "warmup_steps": 5, "cosine_decay": True, "checkpoint_every": 4}
    return TrainConfig(**{**values, "num_micro_batches": 2, "sample_every": 0, "ema_decay": 0.9, **changes})


def main(out: str, steps: str, *settings: str) -> None:
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    changes = dict(setting.split("=") for setting in settings)
    job = toy_job(pause_s=float(os.environ.get("TOY_PAUSE_S", 0)))
    try:
        fit(job, toy_config(steps=int(steps), **changes), Path(out), progress=False)
    except PahaError as error:
        sys.exit(cli.fail(str(error)))
    except KeyboardInterrupt as stop:
        # As `paha` ends. Left to Python the status depends on what is imported: 1 once torch._dynamo is.
        sys.exit(cli.fail(str(stop), status=130))


if __name__ == "__main__":
    main(*sys.argv[1:])
