"""`paha train keypoint-estimator`: the estimator's three networks on labelled photographs and drawn presenters."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import cast

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from paha.config import TrainConfig
from paha.errors import PahaError
from paha.media.video_io import contact_sheet, save_png
from paha.motion.face_crop import FaceCrop
from paha.motion.face_model import IBUG_68
from paha.motion.keypoint_estimator import FACE_SIZE, EstimatorOutput, KeypointEstimator
from paha.training.job import Job, StepContext
from paha.training.motion.drawn_stills import draw_stills
from paha.training.motion.estimator_examples import Example, example_of, mirrored_mesh_order, with_truth
from paha.training.motion.estimator_losses import (
    face_losses,
    face_total,
    finder_losses,
    finder_total,
    person_losses,
    person_total,
)
from paha.training.motion.face_batches import draw_faces, to_network
from paha.training.motion.person_batches import Drawer, draw_people, draw_pictures
from paha.training.motion.still_labels import label_stills

ESTIMATOR_TRAIN = TrainConfig(
    batch_size=24,
    steps=2400,
    learning_rate=2e-3,
    weight_decay=0.01,
    warmup_steps=50,
    cosine_decay=True,
    grad_clip=100.0,
    ema_decay=0.99,
    checkpoint_every=100,
    sample_every=200,
    log_every=10,
)
"""batch_size: face crops of a step; half as many person crops and a third as many whole pictures go with them."""
DRAWN_CHARACTERS = 240
_PROBE_EXAMPLES = 48
_DRAWN_DISAGREEMENT = 0.05
"""Drawn faces that MediaPipe reads so far from the rig's points (mean, face heights) teach nothing of the mesh."""


@dataclass(frozen=True)
class EstimatorData:
    """examples: to train on. held_out: every 20th still, to probe. mirror: (478,) of `mirrored_mesh_order`."""

    examples: list[Example]
    held_out: list[Example]
    mirror: np.ndarray
    drawer: Drawer


def keypoint_estimator_job(
    stills: Path,
    work: Path,
    *,
    batch_size: int,
    characters: int = DRAWN_CHARACTERS,
    model: KeypointEstimator | None = None,
) -> Job:
    """The job that trains an estimator on the pictures of a folder and on drawn presenters.

    work: where labels and drawn pictures are kept; what is there is not made again. Raises PahaError for a folder
    without pictures and where MediaPipe, its models, or the rig's speech are missing.
    """
    return keypoint_estimator_job_on(load_data(stills, work, characters=characters), batch_size=batch_size, model=model)


def load_data(stills: Path, work: Path, *, characters: int) -> EstimatorData:
    """Label, draw, and read everything into memory."""
    photographs = [example_of(label) for label in label_stills(stills, work / "labels")]
    if len(photographs) < 2:
        raise PahaError(f"{stills}: {len(photographs)} pictures with a face that can be read; the training needs more")
    drawn: list[Example] = []
    if characters:
        draw_stills(work / "drawn", characters=characters)
        for label in label_stills(work / "drawn", work / "drawn_labels"):
            truth = work / "drawn" / "truth" / f"{label.path.stem}.npz"
            if _agrees(label.face, truth):
                drawn.append(with_truth(example_of(label), truth))
    held_out = photographs[::20]
    kept = [example for number, example in enumerate(photographs) if number % 20] + drawn
    return make_data(kept, held_out)


def make_data(examples: list[Example], held_out: list[Example]) -> EstimatorData:
    """Examples with what is found once for all of them."""
    mirror = mirrored_mesh_order(np.stack([example.mesh for example in examples]))
    return EstimatorData(examples, held_out, mirror, Drawer(examples))


def _agrees(face: np.ndarray, truth: Path) -> bool:
    """Whether a mesh (478, 3) px lies where the rig has its face points."""
    with np.load(truth) as kept:
        points, scores = kept["points"][23:91], kept["scores"][23:91]
    seen = scores > 0.1
    height = np.linalg.norm(face[10, :2] - face[152, :2])
    error = np.linalg.norm(face[IBUG_68, :2] - points, axis=1)[17:]
    return bool(seen[17:].any() and error[seen[17:]].mean() < _DRAWN_DISAGREEMENT * height)


def keypoint_estimator_job_on(data: EstimatorData, *, batch_size: int, model: KeypointEstimator | None = None) -> Job:
    """The same on data in memory."""
    if model is None:
        model = KeypointEstimator(mirror=tuple(data.mirror.tolist()))
        start_at_mean(model, data.examples)
    # What diffusers adds to a configuration comes in another order in every process.
    widths = {name: value for name, value in model.config.items() if not name.startswith("_")}
    return Job(
        name="keypoint-estimator",
        model=model.to(memory_format=torch.channels_last),  # type: ignore[call-overload]
        loss=partial(estimator_loss, data=data, batch_size=batch_size),
        save=save_estimator,
        sample=partial(sample_estimator, examples=data.held_out),
        probe=partial(probe_estimator, examples=data.held_out),
        fingerprint={"model": widths, "examples": len(data.examples)},
    )


def start_at_mean(model: KeypointEstimator, examples: Sequence[Example]) -> None:
    """FaceNet's first guess is the mean face."""
    meshes = [FaceCrop.about(e.mesh).from_picture(e.mesh, FACE_SIZE) / FACE_SIZE for e in examples]
    model.face.mesh.bias.data = torch.from_numpy(np.mean(meshes, axis=0).astype(np.float32)).flatten()


def estimator_loss(
    model: nn.Module, context: StepContext, *, data: EstimatorData, batch_size: int
) -> tuple[Tensor, dict[str, float | Tensor]]:
    """The sum of the three networks' losses on fresh batches."""
    rng = np.random.default_rng(context.hashed_seed("batch"))
    faces = _to(draw_faces(data.examples, batch_size, mirror=data.mirror, rng=rng), context.device)
    people = _to(draw_people(data.drawer, max(2, batch_size // 2), rng=rng), context.device)
    pictures = _to(draw_pictures(data.drawer, max(2, batch_size // 3), rng=rng), context.device)
    output: EstimatorOutput = model(pictures=pictures.pixels, faces=faces.pixels, people=people.pixels)
    assert output.face is not None
    assert output.body is not None
    assert output.found is not None
    of_face, of_person = face_losses(output.face, faces), person_losses(output.body, people)
    of_finder = finder_losses(output.found, pictures)
    total = face_total(of_face) + person_total(of_person) + finder_total(of_finder)
    parts = of_face | of_person | of_finder
    return total, {name: value.detach() for name, value in parts.items()}


def _to(batch, device: torch.device):
    return type(batch)(**{name: value.to(device) for name, value in vars(batch).items()})


def save_estimator(model: nn.Module, folder: Path) -> None:
    """Write the estimator as fp16 safetensors."""
    cast(KeypointEstimator, copy.deepcopy(model)).half().save_pretrained(folder)


@torch.no_grad()
def read_twice(model: KeypointEstimator, example: Example) -> np.ndarray:
    """Mesh (478, 3) in pixels of an example's patch, from its true box, as `paha.motion.own_landmarks` reads it."""
    low, high = example.mesh[:, :2].min(0), example.mesh[:, :2].max(0)
    crop, mesh = FaceCrop.of_box(np.concatenate([low, high])), example.mesh
    device = next(model.parameters()).device
    for _ in range(2):
        pixels = to_network(crop.cut(example.patch, FACE_SIZE)[None]).to(device)
        mesh = crop.to_picture(model(faces=pixels).face.mesh[0].float().cpu().numpy() * FACE_SIZE, FACE_SIZE)
        crop = FaceCrop.about(mesh)
    return mesh


def probe_estimator(model: nn.Module, step: int, *, examples: Sequence[Example]) -> dict[str, float | Tensor]:
    """Mean error of the 68 points and of the lips on held-out faces, per cent of the face's height."""
    errors = []
    for example in examples[:_PROBE_EXAMPLES]:
        mesh = read_twice(cast(KeypointEstimator, model), example)
        height = np.linalg.norm(example.mesh[10, :2] - example.mesh[152, :2])
        error = 100 * np.linalg.norm(mesh[IBUG_68, :2] - example.mesh[IBUG_68, :2], axis=1) / height
        errors.append((error.mean(), error[48:].mean()))
    ibug, lips = np.mean(errors, axis=0)
    return {"held_out_68": float(ibug), "held_out_lips": float(lips)}


def sample_estimator(model: nn.Module, step: int, path: Path, *, examples: Sequence[Example]) -> None:
    """Held-out faces with the mesh as read."""
    shown = []
    for example in examples[:8]:
        picture = example.patch.copy()
        for x, y in read_twice(cast(KeypointEstimator, model), example)[:, :2]:
            cv2.circle(picture, (int(x), int(y)), 1, (60, 255, 60), -1)
        shown.append(picture)
    save_png(path, contact_sheet(np.stack(shown), columns=4))
