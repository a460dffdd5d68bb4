"""Three nodes: load a model, animate a picture, save the video. ComfyUI's types: IMAGE is float (T, H, W, 3) in [0, 1],
AUDIO is {"waveform": (1, channels, N), "sample_rate": Hz}."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch


class PahaLoad:
    """A model folder, the shipped presenter where none is named."""

    CATEGORY = "PAHA"
    FUNCTION = "load"
    RETURN_TYPES: ClassVar = ("PAHA_MODEL",)

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:  # noqa: N802
        return {"required": {"model_folder": ("STRING", {"default": ""}), "device": ("STRING", {"default": ""})}}

    def load(self, model_folder: str, device: str) -> tuple[Any]:
        from paha.pipeline.loading import load_pipeline

        return (load_pipeline(Path(model_folder) if model_folder else None, device=device or None),)


class PahaAnimate:
    """A picture and a recording to frames, 25 a second."""

    CATEGORY = "PAHA"
    FUNCTION = "animate"
    RETURN_TYPES: ClassVar = ("IMAGE", "AUDIO")

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:  # noqa: N802
        strength = ("FLOAT", {"default": 1.0, "min": 0.0, "max": 2.0, "step": 0.1})
        return {
            "required": {
                "model": ("PAHA_MODEL",),
                "image": ("IMAGE",),
                "audio": ("AUDIO",),
                "seed": ("INT", {"default": 0, "min": 0, "max": 2**63 - 1}),
                "size": ("INT", {"default": 1024, "min": 64, "max": 4096, "step": 2}),
                "head": strength,
                "hands": strength,
                "mouth": strength,
            }
        }

    def animate(
        self,
        model: Any,
        image: torch.Tensor,
        audio: dict[str, Any],
        seed: int,
        size: int,
        head: float,
        hands: float,
        mouth: float,
    ) -> tuple[torch.Tensor, dict[str, Any]]:
        from paha.motion.strength import MotionStrength
        from paha.pipeline.options import SampleOptions
        from paha.pipeline.reference import ReferenceOptions

        picture = (image[0].clamp(0, 1) * 255).round().byte().cpu().numpy()
        reference = ReferenceOptions(size, size, strength=MotionStrength(head, hands, mouth))
        outputs = model.stream(picture, recording(audio), SampleOptions(seed=seed), reference)
        frames = [torch.from_numpy(output.frames).float() / 255 for output in outputs]
        return torch.cat(frames), audio


class PahaSave:
    """Frames and sound to an mp4 in ComfyUI's output folder, tagged as generated."""

    CATEGORY = "PAHA"
    FUNCTION = "save"
    OUTPUT_NODE = True
    RETURN_TYPES: ClassVar = ()

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:  # noqa: N802
        return {
            "required": {
                "images": ("IMAGE",),
                "audio": ("AUDIO",),
                "filename_prefix": ("STRING", {"default": "paha"}),
                "label": ("BOOLEAN", {"default": False}),
            }
        }

    def save(self, images: torch.Tensor, audio: dict[str, Any], filename_prefix: str, label: bool) -> dict[str, Any]:
        from paha.media.video_writer import VideoWriter

        name = re.sub(r"[^\w-]", "_", filename_prefix) or "paha"
        folder = output_folder()
        number = 1 + sum(1 for _ in folder.glob(f"{name}_*.mp4"))
        while (path := folder / f"{name}_{number:05d}.mp4").exists():
            number += 1
        height, width = images.shape[1:3]
        with VideoWriter(path, width=width, height=height, audio=recording(audio), label=label) as writer:
            for frame in images:
                writer.write((frame.clamp(0, 1) * 255).round().byte().cpu().numpy()[None])
        return {"ui": {"text": [str(path)]}}


def recording(audio: dict[str, Any]) -> tuple[np.ndarray, int]:
    """ComfyUI's sound as (samples (N, channels), rate in Hz)."""
    return audio["waveform"][0].T.float().cpu().numpy(), int(audio["sample_rate"])


def output_folder() -> Path:
    """ComfyUI's, or `output` here where ComfyUI is not running."""
    try:
        import folder_paths  # pyright: ignore[reportMissingImports]
    except ImportError:
        folder = Path("output")
        folder.mkdir(exist_ok=True)
        return folder
    return Path(folder_paths.get_output_directory())


NODE_CLASS_MAPPINGS = {"PahaLoad": PahaLoad, "PahaAnimate": PahaAnimate, "PahaSave": PahaSave}
NODE_DISPLAY_NAME_MAPPINGS = {"PahaLoad": "PAHA: load", "PahaAnimate": "PAHA: animate", "PahaSave": "PAHA: save"}
