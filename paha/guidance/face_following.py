"""Region masks that follow the face: its box detected again on the sampler's estimate of z_0 (design row 15).

Letters: B clips, T frames, N of them that are looked at, C channels, H W latent size.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import torch
from torch import Tensor

from paha.guidance.face_box import READER_MIN_SCORE, FaceBox
from paha.media.pixels import pixels_to_frames
from paha.sampling.ddim import estimated_z_0
from paha.sampling.sampler import Guidance, SolverStep
from paha.sampling.schedule import Schedule
from paha.sampling.target import from_target
from paha.types import FACE
from paha.univdm.conditioning import Conditioning

if TYPE_CHECKING:
    from pathlib import Path

    from paha.pipeline.pipeline import PahaPipeline

Detect: TypeAlias = Callable[[Conditioning, Tensor], Tensor]
"""(conditioning, clean latents (B, N, C, H, W) as they are diffused) -> the faces (B, 4) in [0, 1] of the picture, not
grown; NaN where none is seen."""
FindFaces: TypeAlias = Callable[[np.ndarray], np.ndarray]
"""Frames (N, H, W, 3) uint8 -> boxes (N, 4) in [0, 1], NaN where there is no face."""
FRAMES_SEEN = 4


def following(
    make: Callable[[Tensor], Guidance],
    box: Tensor,
    detect: Callable[[Tensor], Tensor],
    *,
    schedule: Schedule,
    every: int = 1,
) -> Guidance:
    """The guidance that `make` gives for a face box (B, 4), made anew for the box found every so many guided steps.

    The first step has `box`; for the others the face is detected on the previous step's estimate of z_0, in FRAMES_SEEN
    frames (not in a given first one). A clip in which no face is detected, or one of less than half or more than twice
    the reference's area, keeps its box: on a blurred estimate a detector may return anything.
    """
    current, calls, reference = make(box), 0, box
    last: tuple[Tensor, Tensor] | None = None

    def guidance(z_t: Tensor, t: Tensor, solver_step: SolverStep) -> Tensor:
        nonlocal box, current, last, calls
        if last is not None and calls % every == 0:
            generated = (t[0] == t[0].max()).nonzero().squeeze(1)
            seen = generated[torch.linspace(0, len(generated) - 1, FRAMES_SEEN, device=t.device).round().long()]
            z_before, t_before = last
            now = z_t[:, seen], t_before[:, seen], t[:, seen]
            found = detect(estimated_z_0(z_before[:, seen], *now, schedule)).to(box)
            box = torch.where(_believable(found, reference)[:, None], found, box)
            current = make(box)
        asked: list[Tensor] = []

        def noted_step(z: Tensor, **share: Any) -> Tensor:
            asked.append(z[: len(z_t)])  # z* comes first
            return solver_step(z, **share)

        result = current(z_t, t, noted_step)
        last, calls = (asked[0], t), calls + 1
        return result

    return guidance


def _believable(found_B4: Tensor, reference_B4: Tensor) -> Tensor:
    """(B,): whether the areas agree within a factor of two; False for NaN."""
    found, reference = ((box[:, 2] - box[:, 0]) * (box[:, 3] - box[:, 1]) for box in (found_B4, reference_B4))
    return (found > reference / 2) & (found < reference * 2)


def face_detector(pipeline: PahaPipeline, find: FindFaces) -> Detect:
    """Decodes the latents by the pipeline's codec; the box of a clip is the median over its frames that show a face."""

    @torch.no_grad()
    def detect(conditioning: Conditioning, z_0: Tensor) -> Tensor:
        assert conditioning.ref_latent is not None
        coded = from_target(z_0, conditioning.ref_latent.to(z_0), pipeline.preset.diffusion)
        frames = pixels_to_frames(pipeline.codec.decode(coded.flatten(0, 1).to(pipeline.codec.dtype)))
        return torch.from_numpy(find(frames)).unflatten(0, z_0.shape[:2]).nanmedian(dim=1).values

    return detect


def find_faces_like(box: FaceBox, pose_reader: Path | None) -> FindFaces:
    """The detector that found that box; where it was given by hand the pose reader, or MediaPipe where there is none.

    Raises PahaError where MediaPipe is needed and not there.
    """
    by_reader = box.source == "the pose reader" or (box.source == "hand" and pose_reader is not None)
    if by_reader and pose_reader is not None:
        from paha.extractors.pose import PresenterPose

        pose = PresenterPose.load(pose_reader)

        def read(frames: np.ndarray) -> np.ndarray:
            track = pose.detect(frames)
            seen = track.keypoints.scores[:, FACE].mean(1) >= READER_MIN_SCORE
            return _inside(np.where(seen[:, None], track.face_box, np.nan), frames)

        return read
    from paha.extractors.mediapipe_pose import MediaPipePose

    mediapipe = MediaPipePose.load()

    def look(frames: np.ndarray) -> np.ndarray:
        found = [mediapipe.find_faces(frame) for frame in frames]
        return _inside(np.stack([f[0, :4] if len(f) else np.full(4, np.nan) for f in found]), frames)

    return look


def _inside(boxes: np.ndarray, frames: np.ndarray) -> np.ndarray:
    """Boxes (N, 4) in pixels to [0, 1], cut at the picture's edges; NaN where nothing is left."""
    height, width = frames.shape[1:3]
    cut = np.clip(boxes / np.array([width, height] * 2), 0, 1).astype(np.float32)
    empty = ~((cut[:, 0] < cut[:, 2]) & (cut[:, 1] < cut[:, 3]))
    cut[empty] = np.nan
    return cut
