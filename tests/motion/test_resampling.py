"""Textures of twice the size and the two ways to read them."""

import numpy as np
import torch

from paha.motion.compositing import Box, Sheet, texture_places
from paha.motion.motion_reference import resampler_on
from paha.motion.resampling import OpenCVResampler, doubled
from paha.motion.resampling_torch import TorchResampler

BOX = Box(slice(0, 60), slice(0, 40))


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def test_a_texture_holds_the_picture_at_even_places():
    picture = noise(20, 30, 3)
    assert (doubled(picture)[::2, ::2] == picture).all()


def test_a_sine_of_sixteen_pixels_is_read_between_pixels_to_one_level():
    x = np.arange(64)
    wave = 127.5 + 100 * np.sin(2 * np.pi * x / 16)
    picture = np.repeat(np.rint(wave).astype(np.uint8)[None], 16, 0)
    at = np.stack(np.meshgrid(2 * (x[8:-8] + 0.5), 2 * np.arange(4, 12)), -1).astype(np.float32)
    read = OpenCVResampler().sample([doubled(picture)], at)[0]
    np.testing.assert_allclose(read[0], 127.5 + 100 * np.sin(2 * np.pi * (x[8:-8] + 0.5) / 16), atol=1.5)


def test_a_map_of_whole_pixels_gives_the_pixels():
    picture = noise(40, 60, 3)
    read = OpenCVResampler().sample([doubled(picture)], texture_places(BOX) + np.float32(2 * 7))[0]
    assert (read[:33, :53] == picture[7:, 7:]).all()


def test_grid_sample_agrees_with_opencv():
    picture, mask = noise(40, 60, 3), noise(40, 60)
    rng = np.random.default_rng(1)
    at = (texture_places(BOX) + rng.normal(0, 5, (40, 60, 2))).astype(np.float32)
    expected = OpenCVResampler().sample([doubled(picture), doubled(mask)], at)
    torch_ = TorchResampler("cpu")
    read = torch_.sample([torch_.texture(picture), torch_.texture(mask)], at)
    for a, b in zip(read, expected, strict=True):
        difference = np.abs(a.astype(int) - b)
        assert a.shape == b.shape
        assert difference.max() <= 9
        assert difference.mean() < 1


def test_a_layer_put_back_gives_the_picture_whatever_its_mask():
    picture, under = noise(40, 60, 3), noise(40, 60, 3)[::-1].copy()
    alpha = np.random.default_rng(2).uniform(0, 1, (40, 60)).astype(np.float32)
    resampler = OpenCVResampler()
    sheet = Sheet.of(resampler, BOX, picture, alpha, under)
    assert (sheet.over(resampler, under, texture_places(BOX)) == picture).all()


def test_a_moved_layer_shows_itself_inside_and_what_is_new_outside():
    alpha = np.zeros((40, 60), np.float32)
    alpha[10:30, 10:30] = 1
    picture, under, new = (np.full((40, 60, 3), level, np.uint8) for level in (0, 90, 200))
    picture[:] = np.where(alpha[..., None] == 1, noise(40, 60, 3), under)
    resampler = OpenCVResampler()
    moved = Sheet.of(resampler, BOX, picture, alpha, under).over(resampler, new, texture_places(BOX) - np.float32(20))
    assert (moved[23:37, 23:37] == picture[13:27, 13:27]).all()
    assert (moved[:17] == 200).all()
    assert (moved[:, 45:] == 200).all()


def test_only_a_gpu_reads_by_grid_sample():
    on_gpu = resampler_on(torch.device("cuda", 1))
    assert isinstance(on_gpu, TorchResampler)
    assert on_gpu.device == torch.device("cuda", 1)
    assert isinstance(resampler_on(torch.device("cpu")), OpenCVResampler)
