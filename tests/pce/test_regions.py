"""Face and non-face regions as masks of latents."""

import pytest
import torch

from paha.pce.regions import crop_corners, crop_windows, face_mask, grow_box, region_mask, select_region

BOX = torch.tensor([[0.25, 0.125, 0.5, 0.5], [0.0, 0.0, 1.0, 1.0]])


def test_a_box_grows_about_its_centre():
    grown = grow_box(BOX, 1.3)
    torch.testing.assert_close((grown[:, :2] + grown[:, 2:]) / 2, (BOX[:, :2] + BOX[:, 2:]) / 2)
    torch.testing.assert_close(grown[:, 2:] - grown[:, :2], 1.3 * (BOX[:, 2:] - BOX[:, :2]))


def test_mask_is_the_covered_cells_and_its_complement():
    mask = face_mask(BOX, height=8, width=8)
    assert mask.shape == (2, 1, 1, 8, 8)
    expected = torch.zeros(8, 8)
    expected[1:4, 2:4] = 1
    assert torch.equal(mask[0, 0, 0], expected)
    assert (mask[1] == 1).all()
    assert torch.equal(region_mask(BOX, "non_face", height=8, width=8), 1 - mask)


def test_half_covered_cells_count_and_a_tiny_face_keeps_its_cell():
    box = torch.tensor([[0.0, 0.0, 0.375, 0.25], [0.6, 0.6, 0.61, 0.61], [-0.5, 0.9, -0.4, 1.5]])
    mask = face_mask(box, height=4, width=4)[:, 0, 0]
    assert torch.equal(mask[0], torch.tensor([[1.0, 1, 0, 0]] + [[0.0] * 4] * 3))
    assert mask[1].sum() == 1
    assert mask[1, 2, 2] == 1
    assert mask[2].sum() == 1  # outside the frame: the nearest cell


@pytest.mark.parametrize("centre", [(0.5, 0.5), (0.0, 1.0), (0.3, 0.8)])
def test_windows_lie_inside_and_hold_the_face(centre):
    x, y = centre
    box = torch.tensor([[x - 0.1, y - 0.1, x + 0.1, y + 0.1]])
    (row, column) = crop_corners(box, 4, height=8, width=10)[0].tolist()
    assert 0 <= row <= 4
    assert 0 <= column <= 6
    assert row <= min(y * 8, 7.9) <= row + 4
    z = torch.arange(80.0).reshape(1, 1, 1, 8, 10)
    window = crop_windows(z, torch.tensor([[row, column]]), 4)
    assert window.shape == (1, 1, 1, 4, 4)
    assert window[0, 0, 0, 0, 0] == row * 10 + column


def test_a_window_larger_than_the_latent_is_the_latent():
    z = torch.randn(2, 3, 4, 4, 4)
    assert torch.equal(select_region(z, torch.tensor([[-1.0, -1, 2, 2]] * 2), "face", crop=8), z)


def test_regions_are_zeroed_per_clip_where_masked():
    z = torch.randn(2, 3, 4, 8, 8)
    box = BOX[:1].repeat(2, 1)
    mask = face_mask(box, height=8, width=8)
    assert torch.equal(select_region(z, box, "face"), z * mask)
    assert torch.equal(select_region(z, box, "non_face"), z * (1 - mask))
    half = select_region(z, box, "non_face", masked_B=torch.tensor([1.0, 0.0]))
    assert torch.equal(half[0], (z * (1 - mask))[0])
    assert torch.equal(half[1], z[1])


def test_a_wider_box_hides_more_beside_the_face():
    z = torch.randn(1, 2, 4, 8, 8)
    shown = select_region(z, BOX[:1], "non_face", widen=2.0)
    assert torch.equal(shown, z * (1 - face_mask(grow_box(BOX[:1], 2.0), height=8, width=8)))
    assert (shown != 0).sum() < (select_region(z, BOX[:1], "non_face") != 0).sum()


def test_what_a_face_window_shows_depends_on_the_face_alone():
    z = torch.randn(1, 2, 4, 8, 8, requires_grad=True)
    box = BOX[:1]
    shown = select_region(z, box, "face", crop=4)
    assert shown.shape == (1, 2, 4, 4, 4)
    (gradient,) = torch.autograd.grad(shown.square().sum(), z)
    mask = face_mask(box, height=8, width=8)
    assert (gradient[(mask == 0).expand_as(gradient)] == 0).all()
    assert (gradient[(mask == 1).expand_as(gradient)] != 0).all()


def test_windows_of_many_clips_are_their_slices_and_pass_gradients_back():
    z = torch.randn(3, 2, 4, 8, 10, requires_grad=True)
    corners = torch.tensor([[0, 6], [4, 0], [2, 3]])
    windows = crop_windows(z, corners, 4)
    slices = [z[i, :, :, row : row + 4, column : column + 4] for i, (row, column) in enumerate(corners.tolist())]
    assert torch.equal(windows, torch.stack(slices))
    (own,) = torch.autograd.grad(windows.square().sum(), z)
    (expected,) = torch.autograd.grad(torch.stack(slices).square().sum(), z)
    assert torch.equal(own, expected)
