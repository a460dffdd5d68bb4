"""Sampled latents of each guidance, pinned: what no identity tells, a change of any number on the way does.

`python tests/guidance/test_golden_latents.py` writes tests/golden/guided_latents.json anew. Only a change that
means to change the numbers may do so, and the log says why.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from paha.config import DiffusionConfig, ModelConfig
from paha.guidance.classifier_gradient import GuidanceOptions, make_guidance
from paha.pce.classifier import ClassifierConfig, PCEClassifier
from paha.pce.regions import Region
from paha.sampling.sampler import sample
from paha.sampling.schedule import Schedule
from paha.univdm.conditioning import Conditioning
from paha.univdm.univdm import UniVDM

GOLDEN = Path(__file__).parents[1] / "golden" / "guided_latents.json"
KINDS = ("none", "sg", "dg")
# Written out, not a preset's: presets may change, this may not.
MODEL = ModelConfig(
    latent_channels=4,
    block_out_channels=(16, 32),
    attention_levels=(True, True),
    num_attention_heads=(2, 2),
    layers_per_block=1,
    cross_attention_dim=8,
    norm_groups=4,
    audio_in_time=True,
    output_gate=True,
    audio_layers=2,
    audio_dim=6,
    num_audio_tokens=2,
    audio_token_dim=16,
    audio_hidden_dim=16,
    num_time_ids=0,
    time_ids=(),
)
CLASSIFIER = ClassifierConfig(width=24, num_layers=1, num_heads=2)
SCHEDULE = Schedule(DiffusionConfig())
SHAPE = (1, 4, 4, 8, 6)
# So large that random classifiers move the latents by half a deviation, and DG's difference shows.
STEPS, SCALES = 4, {"non_face_scale": 3000.0, "face_scale": 2000.0, "diff_scale": 10.0}
TOLERANCE = 2e-4
"""Of float32 on another machine or build. Against float64 the latents differ by 1e-6 (none, sg) and 1.3e-5 (dg)."""


def fill(model: nn.Module, seed: int) -> nn.Module:
    """Every parameter a value of its own, none of them zero, in the order of their names."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for _, parameter in sorted(model.named_parameters()):
            fan_in = parameter[0].numel() if parameter.ndim > 1 else 100
            parameter.copy_(torch.randn(parameter.shape, generator=generator) / fan_in**0.5)
            if parameter.ndim == 1:
                parameter.add_(0.3)
    return model.eval().requires_grad_(False)


def noise(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@torch.no_grad()
def latents(kind: str) -> torch.Tensor:
    """z_0 of one segment with a given first frame, (T, C, H, W)."""
    univdm = fill(UniVDM.from_model_config(MODEL), 1)
    reference = noise(10, 1, *SHAPE[2:])
    audio = noise(11, 1, SHAPE[1], 5, MODEL.audio_layers, MODEL.audio_dim)
    conditioning = Conditioning(reference, reference, noise(12, 1, 3, MODEL.cross_attention_dim), audio)
    options = GuidanceOptions(kind=kind, **SCALES)  # type: ignore[arg-type]
    classifiers: dict[Region, Any] = {
        region: fill(PCEClassifier.from_univdm(univdm, CLASSIFIER, region=region), 2 + number)
        for number, region in enumerate(options.regions)
    }
    box = torch.tensor([0.3, 0.1, 0.7, 0.4])
    make = make_guidance(options, classifiers, box=box, schedule=SCHEDULE, latent_size=SHAPE[3:])
    ref_time = float(SCHEDULE.time_input(0))

    def predict(z: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        asked = conditioning if len(z) == 1 else conditioning.repeat(len(z))
        return univdm(z, SCHEDULE.time_input(t), asked, ref_time=ref_time)

    z_0 = sample(
        predict,
        noise(13, *SHAPE),
        steps=STEPS,
        schedule=SCHEDULE,
        first_frame=noise(14, 1, *SHAPE[2:]),
        first_frame_timestep=20,
        guidance=None if kind == "none" else make(conditioning),
    )
    return z_0[0]


def pinned(z: torch.Tensor) -> dict[str, list]:
    """What is kept: a slice through a face cell and one beside it, of all frames and channels."""
    face, beside = z[:, :, 2, 3], z[:, :, 6, 1]
    return {"face": face.tolist(), "beside": beside.tolist(), "mean_std": [float(z.mean()), float(z.std())]}


@pytest.mark.parametrize("kind", KINDS)
def test_sampled_latents_are_the_pinned_ones(kind):
    golden = json.loads(GOLDEN.read_text(encoding="utf-8"))[kind]
    for name, values in pinned(latents(kind)).items():
        torch.testing.assert_close(torch.tensor(values), torch.tensor(golden[name]), atol=TOLERANCE, rtol=TOLERANCE)


def test_the_pinned_latents_of_the_modes_differ_by_far_more_than_the_tolerance():
    golden = json.loads(GOLDEN.read_text(encoding="utf-8"))
    for a, b in (("none", "sg"), ("sg", "dg"), ("none", "dg")):
        for place in ("face", "beside"):
            apart = (torch.tensor(golden[a][place]) - torch.tensor(golden[b][place])).abs().max()
            assert apart > 20 * TOLERANCE, (a, b, place)


if __name__ == "__main__":
    torch.set_num_threads(1)
    command = f"python {Path(sys.argv[0]).as_posix()}"
    made = {"command": command, "torch": torch.__version__} | {kind: pinned(latents(kind)) for kind in KINDS}
    GOLDEN.write_text(json.dumps(made, indent=1) + "\n", encoding="utf-8")
