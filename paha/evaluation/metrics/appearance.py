"""What third-party networks say of pictures: Inception's features (FID) and face embeddings (CSIM), where the files
are.

Legend: S sampled frames, D feature width.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from paha.errors import PahaError
from paha.runtime.faults import is_want_of_memory
from paha.types import FACE

FID_DIM = 2048
PictureFeatures = Callable[[np.ndarray], np.ndarray]
"""(N, H, W, 3) uint8 to (N, D)."""
ARCFACE_SIDE = 112
ARCFACE_POINTS = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]]
)
"""Where ArcFace's training pictures have the eyes, the nose's tip and the corners of the mouth, in pixels of 112 whose
centres are whole numbers."""


def load_inception(path: Path) -> PictureFeatures:
    """StyleGAN's torchscript of Inception v3 (`inception-2015-12-05.pt`): it resizes by itself; 2,048 pooled features.

    Raises PahaError where the file is another. Torchscript holds a program of tensor operations, not Python.
    """
    import torch

    try:
        network = torch.jit.load(str(path), map_location="cpu").eval()
        names = {argument.name for argument in network.forward.schema.arguments}
    except Exception as error:
        if is_want_of_memory(error):
            raise
        raise PahaError(f"{path} is no torchscript of Inception v3; fetch inception-2015-12-05.pt again") from error
    if "return_features" not in names:
        raise PahaError(f"{path} cannot give its features; FID wants StyleGAN's inception-2015-12-05.pt")

    @torch.no_grad()
    def features(frames: np.ndarray) -> np.ndarray:
        x = torch.from_numpy(np.ascontiguousarray(frames)).permute(0, 3, 1, 2)
        return network(x, return_features=True).float().numpy()

    return features


def load_arcface(path: Path) -> PictureFeatures:
    """An ArcFace network as ONNX: aligned faces (N, 112, 112, 3) uint8 RGB to unit vectors (N, D).

    Raises PahaError where onnxruntime is missing or the file is no network of such pictures.
    """
    try:
        import onnxruntime

        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        (entry,) = session.get_inputs()
    except ImportError as error:
        raise PahaError("onnxruntime is not there for --arcface; pip install 'paha[extract]'") from error
    except Exception as error:  # onnxruntime has classes of its own
        if is_want_of_memory(error):
            raise
        raise PahaError(f"{path} is no face network: {str(error).splitlines()[0]}; fetch it again") from error

    def embed(faces: np.ndarray) -> np.ndarray:
        x = (faces.astype(np.float32) - 127.5) / 127.5
        rows = [session.run(None, {entry.name: face[None].transpose(0, 3, 1, 2)})[0] for face in x]
        parts = [np.asarray(row).reshape(1, -1) for row in rows]
        found = np.concatenate(parts)
        return found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-12)

    return embed


def five_points(points: np.ndarray) -> np.ndarray:
    """Eyes, nose and mouth's corners (5, 2) of the 133 keypoints (133, 2): in the picture from left to right."""
    face = points[FACE]
    return np.stack([face[36:42].mean(0), face[42:48].mean(0), face[30], face[48], face[54]])


def aligned_face(frame: np.ndarray, points: np.ndarray) -> np.ndarray:
    """(112, 112, 3) uint8: the face of a frame (H, W, 3) turned, moved and scaled to ArcFace's points."""
    import torch

    scale, rotation, move = similarity(ARCFACE_POINTS + 0.5, five_points(points))
    at = np.stack(np.meshgrid(np.arange(ARCFACE_SIDE) + 0.5, np.arange(ARCFACE_SIDE) + 0.5), -1)
    source = scale * at @ rotation.T + move
    size = np.array([frame.shape[1], frame.shape[0]])
    grid = torch.from_numpy(2 * source / size - 1).float()[None]
    picture = torch.from_numpy(np.ascontiguousarray(frame)).permute(2, 0, 1)[None].float()
    made = torch.nn.functional.grid_sample(picture, grid, align_corners=False)
    return made[0].permute(1, 2, 0).round().clamp(0, 255).byte().numpy()


def similarity(source: np.ndarray, target: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
    """Scale, rotation (2, 2) and move (2,) with the least squares of target - (scale rotation source + move) (Umeyama
    1991)."""
    a, b = source - source.mean(0), target - target.mean(0)
    u, values, vt = np.linalg.svd(b.T @ a)
    signs = np.array([1.0, np.sign(np.linalg.det(u @ vt))])
    rotation = u @ np.diag(signs) @ vt
    scale = float((values * signs).sum() / np.square(a).sum())
    return scale, rotation, target.mean(0) - scale * rotation @ source.mean(0)


def csim(fake: np.ndarray, real: np.ndarray) -> float | None:
    """Mean cosine similarity of a video's face embeddings (S, D) to the mean face of the real one; None without
    faces."""
    if not len(fake) or not len(real):
        return None
    mean = real.mean(0)
    return float((fake @ mean).mean() / max(float(np.linalg.norm(mean)), 1e-12))
