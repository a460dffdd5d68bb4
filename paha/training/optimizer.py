"""The optimizer of every job: AdamW, fused, or with its two moments in 8 bits (bitsandbytes)."""

from __future__ import annotations

import importlib
from collections.abc import Iterable

import torch
from torch import nn

from paha.config import TrainConfig
from paha.errors import PahaError


def make_optimizer(parameters: Iterable[nn.Parameter], config: TrainConfig) -> torch.optim.Optimizer:
    """AdamW over the parameters that want gradients. Raises PahaError where train.optimizer needs what is missing."""
    trainable = [parameter for parameter in parameters if parameter.requires_grad]
    rate, decay = config.learning_rate, config.weight_decay
    if config.optimizer == "adamw":
        return torch.optim.AdamW(trainable, lr=rate, weight_decay=decay, fused=True)
    if config.sharding == "full":
        raise PahaError("train.optimizer=adamw8bit does not work with train.sharding=full, which spreads AdamW's state")
    try:
        bitsandbytes = importlib.import_module("bitsandbytes")
    except ImportError as error:
        raise PahaError("train.optimizer=adamw8bit needs bitsandbytes: pip install 'paha[scale]'") from error
    return bitsandbytes.optim.AdamW8bit(trainable, lr=rate, weight_decay=decay)
