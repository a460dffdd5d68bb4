"""Masks and windows of every face box: the two regions share nothing and leave nothing out."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from paha.pce.regions import crop_corners, face_mask, grow_box, region_mask, select_region

PLACES = st.integers(-32, 96)
"""In 64ths of the frame, which float32 holds exactly; beyond 0 and 64 lies outside the frame."""
SIZES = {"height": st.integers(1, 12), "width": st.integers(1, 12)}


@st.composite
def boxes(draw: st.DrawFn) -> torch.Tensor:
    """(2, 4), each with some extent."""
    rows = []
    for _ in range(2):
        x0, y0 = draw(PLACES), draw(PLACES)
        rows.append([x0, y0, x0 + draw(st.integers(1, 64)), y0 + draw(st.integers(1, 64))])
    return torch.tensor(rows, dtype=torch.float32) / 64


def latents(height: int, width: int) -> torch.Tensor:
    return torch.randn(2, 3, 2, height, width, generator=torch.Generator().manual_seed(0)) + 10


@given(box=boxes(), **SIZES)
def test_masks_are_binary_complements_and_a_face_is_never_lost(box, height, width):
    face = face_mask(box, height=height, width=width)
    assert face.shape == (2, 1, 1, height, width)
    assert ((face == 0) | (face == 1)).all()
    assert (face.flatten(1).sum(1) >= 1).all()
    assert torch.equal(region_mask(box, "face", height=height, width=width), face)
    assert torch.equal(region_mask(box, "non_face", height=height, width=width), 1 - face)


@given(box=boxes(), factor=st.sampled_from([1.0, 1.25, 1.5, 2.0, 4.0]), **SIZES)
def test_a_larger_box_has_a_larger_mask(box, factor, height, width):
    size = {"height": height, "width": width}
    assert (face_mask(grow_box(box, factor), **size) >= face_mask(box, **size)).all()


@given(box=boxes(), **SIZES)
def test_a_transposed_box_has_the_transposed_mask(box, height, width):
    mask = face_mask(box, height=height, width=width)
    assert torch.equal(face_mask(box[:, [1, 0, 3, 2]], height=width, width=height), mask.mT)


@given(box=boxes(), **SIZES)
def test_the_two_regions_make_up_the_latents(box, height, width):
    z = latents(height, width)
    face, non_face = select_region(z, box, "face"), select_region(z, box, "non_face")
    assert torch.equal(face + non_face, z)
    assert not ((face != 0) & (non_face != 0)).any()


@given(box=boxes(), crop=st.integers(1, 12), **SIZES)
def test_windows_lie_inside_and_show_their_own_part(box, crop, height, width):
    z = latents(height, width)
    corners = crop_corners(box, crop, height=height, width=width)
    shown, whole = select_region(z, box, "face", crop=crop), select_region(z, box, "face")
    rows, columns = min(crop, height), min(crop, width)
    assert shown.shape == (2, 3, 2, rows, columns)
    for clip, (row, column) in enumerate(corners.tolist()):
        assert 0 <= row <= height - rows
        assert 0 <= column <= width - columns
        assert torch.equal(shown[clip], whole[clip, :, :, row : row + rows, column : column + columns])


@given(box=boxes(), masked=st.tuples(st.booleans(), st.booleans()), region=st.sampled_from(["face", "non_face"]))
def test_clips_that_are_not_masked_are_shown_whole(box, masked, region):
    z = latents(6, 7)
    shown = select_region(z, box, region, masked_B=torch.tensor(masked).float())
    hidden = select_region(z, box, region)
    for clip in range(2):
        assert torch.equal(shown[clip], (hidden if masked[clip] else z)[clip])
