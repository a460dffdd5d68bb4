"""Crops hold the part they were cut about, and everything in them moves together."""

import pytest
import torch
from tiny_features import write_features

from paha import config as configuration
from paha import presets
from paha.dataset.dataset import FeatureDataset
from paha.sampling.schedule import Schedule
from paha.training.loop import fit
from paha.training.univdm.crops import crop_batch, crop_config
from paha.training.univdm.job import build_univdm, univdm_job, univdm_loss
from paha.types import FACE

DEBUG = presets.preset("debug")
CROPPED = configuration.override(DEBUG, {"train.crop_cells": 2})


@pytest.fixture
def dataset(tmp_path):
    return FeatureDataset(write_features(tmp_path / "features", DEBUG), config=DEBUG)


def batch_and_crop(dataset, *, size=16, seed=0):
    generator = torch.Generator().manual_seed(seed)
    batch = dataset.batch(generator, size)
    # Every cell tells its place, so that the crop can be found again.
    cells = torch.arange(16.0).view(4, 4).expand_as(batch.latents)
    batch = type(batch)(**{**vars(batch), "latents": cells.clone(), "ref_latent": cells[:, 0].clone()})
    return batch, crop_batch(batch, cells=2, face_share=0.7, generator=generator)


def test_latents_reference_points_and_box_are_cut_at_one_place(dataset):
    batch, crop = batch_and_crop(dataset)
    assert crop.latents.shape == (*batch.latents.shape[:3], 2, 2)
    places = set()
    for b in range(len(crop.latents)):
        first = int(crop.latents[b, 0, 0, 0, 0])
        y, x = divmod(first, 4)
        places.add((x, y))
        assert torch.equal(crop.latents[b], batch.latents[b, ..., y : y + 2, x : x + 2])
        assert torch.equal(crop.ref_latent[b], batch.ref_latent[b, ..., y : y + 2, x : x + 2])
        low = torch.tensor([x, y])
        torch.testing.assert_close(crop.points[b] * 2 + low, batch.points[b] * 4)
        torch.testing.assert_close(crop.face_box[b].view(2, 2) * 2 + low, batch.face_box[b].view(2, 2) * 4)
    assert len(places) > 1
    assert crop.audio is batch.audio
    assert crop.image_tokens is batch.image_tokens


def test_most_crops_hold_the_face(dataset):
    _, crop = batch_and_crop(dataset, size=400)
    face = crop.points[:, :, FACE].mean(dim=(1, 2))
    inside = ((face > 0) & (face < 1)).all(-1).float().mean()
    assert inside > 0.6


def test_the_radius_stays_as_large_in_pixels():
    cropped = crop_config(CROPPED)
    assert (cropped.height, cropped.width) == (16, 16)
    radius = DEBUG.par.radius * DEBUG.height / 512
    assert cropped.par.radius * cropped.height / 512 == pytest.approx(radius)


@pytest.mark.parametrize(("share", "shapes"), [(0.0, {(2, 4, 4, 4, 4)}), (1.0, {(8, 4, 4, 2, 2)})])
def test_the_share_of_steps_on_crops(tmp_path, dataset, share, shapes):
    config = configuration.override(CROPPED, {"train.crop_share": share, "train.steps": 3})
    job = univdm_job(config, dataset.folder, probe_batches=0)
    seen = set()
    job.model.register_forward_pre_hook(lambda module, inputs: seen.add(tuple(inputs[0].shape)))
    fit(job, config.train, tmp_path / "run", progress=False)
    assert seen == shapes


def test_the_loss_on_a_crop_is_finite(dataset):
    _, crop = batch_and_crop(dataset)
    generator = torch.Generator().manual_seed(0)
    config = crop_config(CROPPED)
    schedule = Schedule(config.diffusion)
    loss, _ = univdm_loss(build_univdm(DEBUG), crop, config=config, schedule=schedule, generator=generator)
    assert loss.isfinite()


def test_crops_fade_out_over_the_run(tmp_path, dataset):
    options = {"train.crop_share": 1.0, "train.crop_fade": True, "train.steps": 30}
    config = configuration.override(CROPPED, options)
    job = univdm_job(config, dataset.folder, probe_batches=0)
    sizes = []
    job.model.register_forward_pre_hook(lambda module, inputs: sizes.append(inputs[0].shape[-1]))
    fit(job, config.train, tmp_path / "run", progress=False)
    crops = [size == 2 for size in sizes]
    assert all(crops[:2])
    assert sum(crops[:15]) > sum(crops[15:]) > 0
