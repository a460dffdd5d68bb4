"""A clip that is taller than the training's frame keeps its head."""

import numpy as np
import pytest
import torch

from paha.dataset.features import CutFaceWarning, _warn_of_cut_faces, crop_place, cut_faces
from paha.media.image_io import fit_image
from paha.media.pixels import fit_points
from paha.presets import preset
from paha.types import ClipRecord

CNAS = ClipRecord(
    clip_id="a", video="a", audio="a", annotations="a", num_frames=5, width=512, height=896, identity="a", source="a"
)


def boxes(x0, y0, x1, y1):
    return np.tile(np.array([x0, y0, x1, y1], np.float32), (5, 1))


def test_a_portrait_clip_keeps_the_head_and_loses_its_lower_end():
    face = boxes(200, 110, 320, 250)  # as in a news anchor's 512 x 896
    at = crop_place(face, CNAS, 1.0)
    inside = fit_points(face.reshape(-1, 2, 2), width=512, height=896, aspect=1.0, at=at).reshape(-1, 4)
    assert cut_faces(torch.from_numpy(inside)) == 0
    assert inside[0, 1] * 512 == pytest.approx(0.7 * 140, abs=0.5)  # the hair above the brows
    middle = fit_points(face.reshape(-1, 2, 2), width=512, height=896, aspect=1.0).reshape(-1, 4)
    assert cut_faces(torch.from_numpy(middle)) == 1  # what the centre crop did


def test_the_crop_stays_in_the_middle_where_the_head_is_inside():
    assert crop_place(boxes(200, 400, 300, 500), CNAS, 1.0) == (0.5, 0.5)
    assert crop_place(np.zeros((5, 4), np.float32), CNAS, 1.0) == (0.5, 0.5)
    wide = CNAS.model_copy(update={"width": 896, "height": 512})
    x, y = crop_place(boxes(20, 200, 120, 300), wide, 1.0)
    assert (x, y) == (0.0, 0.5)
    assert crop_place(boxes(200, 400, 300, 500), CNAS.model_copy(update={"height": 512}), 1.0) == (0.5, 0.5)


def test_picture_and_points_are_cropped_alike():
    image = np.zeros((896, 512, 3), np.uint8)
    image[150:170, 240:260] = 255
    at = (0.5, 0.1)
    bright = np.argwhere(fit_image(image, width=256, height=256, at=at)[..., 0] > 128).mean(0)[::-1] + 0.5
    point = fit_points(np.array([250.0, 160.0]), width=512, height=896, aspect=1.0, at=at) * 256
    assert np.allclose(bright, point, atol=0.5)


def test_faces_that_leave_the_frame_are_told():
    assert cut_faces(torch.tensor([[0.1, -0.2, 0.5, 0.5], [0.1, 0.0, 0.5, 0.5]])) == 0.5
    with pytest.warns(CutFaceWarning, match=r"in 1 of 2 clips .* \(most in b: 40% of its frames\)"):
        _warn_of_cut_faces({"a": 0.0, "b": 0.4}, preset("debug"))
