"""The shipped networks as ONNX files, and how near onnxruntime comes to torch.

python -m experiments.onnx_export --out out/onnx

UniVDM for one segment of the shipped preset (sizes are fixed in the file), and the three networks of the keypoint
estimator. Prints the largest difference of their outputs, and the time of both.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from paha.motion.keypoint_estimator import FACE_SIZE, FINDER_SIZE, PERSON_SIZE
from paha.pipeline.loading import load_pipeline
from paha.univdm.conditioning import Conditioning

TIMES = 10


class Denoiser(nn.Module):
    """UniVDM with plain tensors for its arguments."""

    def __init__(self, univdm: nn.Module, ref_time: float) -> None:
        super().__init__()
        self.univdm, self.ref_time = univdm, ref_time

    def forward(
        self, z: Tensor, time_input: Tensor, reference: Tensor, channels: Tensor, tokens: Tensor, audio: Tensor
    ) -> Tensor:
        """The prediction (1, T, C, H, W) of noisy latents; audio: (1, T, 2m+1, L, D)."""
        conditioning = Conditioning(reference, channels, tokens, audio)
        return self.univdm(z, time_input, conditioning, ref_time=self.ref_time)


class Flat(nn.Module):
    """A network whose output is a tuple of some kind, as a plain one."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """Of (1, C, S, S) in [-1, 1]."""
        return tuple(self.network(image))


def univdm_case() -> tuple[nn.Module, tuple[Tensor, ...]]:
    """The network and one call of it."""
    pipeline = load_pipeline(None, device="cpu")
    preset, draw = pipeline.preset, torch.Generator().manual_seed(0)
    frames, c = preset.num_frames, preset.codec.latent_channels
    h, w = preset.height // preset.codec.downsample, preset.width // preset.codec.downsample
    model = preset.model
    noise = lambda *shape: torch.randn(shape, generator=draw)  # noqa: E731
    tokens = pipeline.image_encoder.encode(noise(1, c, h, w), None)
    audio = noise(1, frames, 2 * model.audio_margin + 1, model.audio_layers, model.audio_dim)
    inputs = (
        noise(1, frames, c, h, w),
        torch.full((1, frames), float(pipeline.schedule.time_input(torch.tensor(500)))),
        noise(1, c, h, w),
        noise(1, c, h, w),
        tokens,
        audio,
    )
    return Denoiser(pipeline.univdm, float(pipeline.schedule.time_input(0))), inputs


def estimator_cases() -> dict[str, tuple[nn.Module, tuple[Tensor, ...]]]:
    """Finder, face and person network."""
    from paha.motion.landmarks import own_landmarks

    estimator: Any = own_landmarks().estimator
    estimator = estimator.to(memory_format=torch.contiguous_format)
    sizes = {"finder": (FINDER_SIZE, 3), "face": (FACE_SIZE, 3), "person": (PERSON_SIZE, 4)}
    draw = torch.Generator().manual_seed(0)
    return {
        name: (Flat(getattr(estimator, name)), (2 * torch.rand((1, channels, size, size), generator=draw) - 1,))
        for name, (size, channels) in sizes.items()
    }


def compare(name: str, network: nn.Module, inputs: tuple[Tensor, ...], out: Path) -> str:
    """Export, run both, and say how far apart they are."""
    import onnxruntime

    path = out / f"{name}.onnx"
    network = network.eval()
    names = [f"input_{index}" for index in range(len(inputs))]
    torch.onnx.export(network, inputs, str(path), input_names=names, opset_version=18, dynamo=True)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    feed = {key.name: value.numpy() for key, value in zip(session.get_inputs(), inputs, strict=True)}
    with torch.no_grad():
        own = network(*inputs)
        torch_ms = _milliseconds(lambda: network(*inputs))
    own = [own] if isinstance(own, Tensor) else list(own)
    found: list[Any] = list(session.run(None, feed))
    onnx_ms = _milliseconds(lambda: session.run(None, feed))
    apart = max(float(np.abs(a.numpy() - b).max()) for a, b in zip(own, found, strict=True))
    scale = max(float(a.abs().max()) for a in own)
    size = sum(file.stat().st_size for file in out.glob(f"{name}.onnx*"))
    return (
        f"{name}: {size / 1e6:.1f} MB, largest difference {apart:.1e} of values up to {scale:.1f}; "
        f"torch {torch_ms:.0f} ms, onnxruntime {onnx_ms:.0f} ms"
    )


def _milliseconds(run: Callable[[], Any]) -> float:
    times = []
    for _ in range(TIMES):
        begin = time.perf_counter()
        run()
        times.append(time.perf_counter() - begin)
    return 1000 * float(np.median(times))


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    for name, (network, inputs) in (estimator_cases() | {"univdm": univdm_case()}).items():
        print(compare(name, network, inputs, args.out), flush=True)


if __name__ == "__main__":
    main()
