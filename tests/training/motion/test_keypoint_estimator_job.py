"""Training of the keypoint estimator, from labels to a model."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from paha.errors import PahaError
from paha.motion.crops import Square
from paha.motion.face_model import FACE_68, IBUG_68
from paha.motion.heat_maps import decode_faces
from paha.motion.keypoint_estimator import FACE_SIZE, FINDER_SIZE, FINDER_STRIDE, PERSON_SIZE, KeypointEstimator
from paha.motion.own_landmarks import SHIPPED_ESTIMATOR
from paha.training.loop import fit
from paha.training.motion.estimator_examples import MIRRORED_PERSON, PATCH_SIDE, Example, mirrored_mesh_order
from paha.training.motion.estimator_losses import heat_cross_entropy, lip_gap
from paha.training.motion.face_batches import draw_faces
from paha.training.motion.keypoint_estimator_job import ESTIMATOR_TRAIN, keypoint_estimator_job_on, make_data
from paha.training.motion.mouth_opening import open_mouth
from paha.training.motion.person_batches import Drawer, draw_people, draw_pictures, finder_truth
from paha.training.motion.scenes import Scene, _mirrored, move_points, turned_matrix, warp_picture
from paha.training.motion.still_labels import label_stills


def face_mesh(rng):
    """A mesh (478, 3) in face heights whose 68 points are the mean face's; the others lie about, symmetric in pairs."""
    mesh = np.zeros((478, 3), np.float32)
    rest = np.setdiff1d(np.arange(468), [*IBUG_68, 10, 152])
    half = rng.uniform((0.02, -0.45, -0.1), (0.4, 0.45, 0.2), (len(rest) // 2, 3))
    mesh[rest[: len(half)]] = half
    mesh[rest[len(half) : 2 * len(half)]] = half * (-1, 1, 1)
    mesh[468:473] = rng.uniform(0.1, 0.3, (5, 3))
    mesh[473:478] = mesh[468:473] * (-1, 1, 1)
    mesh[IBUG_68] = FACE_68
    mesh[10], mesh[152] = (0, -0.5, 0), (0, 0.5, 0)
    return mesh


def example(seed=0):
    """A picture of noise with a person of known places."""
    rng = np.random.default_rng(seed)
    image = rng.integers(60, 190, (240, 320, 3)).astype(np.uint8)
    mask = np.zeros((240, 320), np.uint8)
    mask[30:, 100:220] = 255
    points = rng.uniform(60, 200, (65, 2)).astype(np.float32)
    mesh = face_mesh(rng) * (PATCH_SIDE / 2.6)
    mesh[:, :2] += PATCH_SIDE / 2
    return Example(
        image=image,
        mask=mask,
        faces=np.array([[130, 40, 180, 100]], np.float32),
        points=points,
        scores=np.ones(65, np.float32),
        patch=rng.integers(60, 190, (PATCH_SIDE, PATCH_SIDE, 3)).astype(np.uint8),
        mesh=mesh.astype(np.float32),
        weight=1.0,
    )


@pytest.fixture
def data():
    return make_data([example(k) for k in range(4)], [example(9)])


def small_estimator():
    torch.manual_seed(0)
    return KeypointEstimator(finder_widths=(4, 8, 8), face_widths=(4, 8, 8, 8), face_hidden=8, person_widths=(4, 8, 8))


def test_batches_have_their_shapes_and_ranges(data):
    rng = np.random.default_rng(0)
    faces = draw_faces(data.examples, 12, mirror=data.mirror, rng=rng)
    assert faces.pixels.shape == (12, 3, FACE_SIZE, FACE_SIZE)
    assert faces.pixels.abs().max() <= 1
    is_face = faces.flags[:, 0] == 1
    assert is_face.any()
    assert (faces.weight[~is_face] == 0).all()
    # Faces fill their crops: mean places of the mesh are near the middle.
    assert (faces.mesh[is_face][..., :2].mean((0, 1)) - 0.5).abs().max() < 0.15
    people = draw_people(data.drawer, 4, rng=rng)
    assert people.pixels.shape == (4, 4, PERSON_SIZE, PERSON_SIZE)
    assert ((people.points > 0) & (people.points < 1))[people.scores > 0].all()
    assert 0.05 < people.mask.mean() < 0.95
    pictures = draw_pictures(data.drawer, 6, rng=rng)
    assert pictures.pixels.shape == (6, 3, FINDER_SIZE, FINDER_SIZE)
    assert (pictures.heat == 1).sum() >= 4


def test_truth_moves_with_the_pixels():
    picture = np.zeros((240, 320, 3), np.uint8)
    picture[98:102, 198:202] = 255
    matrix = turned_matrix(Square(np.array([40.0, 10.0], np.float32), 230.0), 160, 20.0)
    seen = warp_picture(picture, matrix, 160)[..., 0].astype(float)
    y, x = np.mgrid[:160, :160] + 0.5
    centre = np.array([(x * seen).sum(), (y * seen).sum()]) / seen.sum()
    assert np.abs(centre - move_points(np.array([[200.0, 100.0]]), matrix)[0]).max() < 0.1


def test_mirrored_twice_is_the_same_scene():
    one = example()
    scene = Scene(one.image, one.mask, one.faces, one.points, one.scores)
    once, twice = _mirrored(scene), _mirrored(_mirrored(scene))
    assert np.array_equal(twice.image, scene.image)
    assert np.allclose(twice.points, scene.points)
    assert np.allclose(twice.faces, scene.faces)
    # The person's left shoulder (5) is seen on the other side, where the right one (6) was.
    assert np.allclose(once.points[6], [320 - scene.points[5, 0], scene.points[5, 1]])
    assert sorted(MIRRORED_PERSON) == list(range(65))


def test_mesh_mirror_pairs_points_of_both_sides():
    order = mirrored_mesh_order(np.stack([face_mesh(np.random.default_rng(3))] * 3))
    assert np.array_equal(order[order], np.arange(478))
    assert order[61] == 291
    assert order[33] == 263
    assert order[152] == 152


def test_opened_mouth_opens_by_what_was_asked_and_leaves_the_upper_face():
    one = example()
    mesh = one.mesh
    _, moved = open_mouth(one.patch, mesh, opening=0.15, rng=np.random.default_rng(0))
    height = np.linalg.norm(mesh[10, :2] - mesh[152, :2])
    gap = lip_gap(torch.from_numpy(np.stack([moved, mesh])))
    assert float(gap[0] - gap[1]) / height == pytest.approx(0.15, abs=0.03)
    upper = IBUG_68[17:48]
    assert np.array_equal(moved[upper], mesh[upper])
    assert moved[152, 1] - mesh[152, 1] > 0.1 * height


def test_faces_of_the_finders_truth_are_decoded_from_it():
    faces = np.array([[20, 30, 60, 80], [100, 90, 118, 115], [5, 140, 8, 143]], np.float32) / FINDER_STRIDE
    heat, boxes = finder_truth(faces)
    assert (heat == -1).any()  # the last one is too small to count
    found = decode_faces(np.maximum(heat, 0), boxes) * FINDER_SIZE / FINDER_STRIDE
    found = found[np.argsort(found[:, 0])]
    assert np.allclose(found[:, :4], faces[:2], atol=1e-3)


def test_heat_cross_entropy_is_least_where_the_point_is():
    point = torch.tensor([[[0.3, 0.7]]])
    logits = torch.zeros(1, 1, 100, requires_grad=True)
    for _ in range(400):
        loss = heat_cross_entropy(logits.log_softmax(-1), point).sum()
        (gradient,) = torch.autograd.grad(loss, logits)
        logits = (logits - 5 * gradient).detach().requires_grad_()
    chance = logits.detach().softmax(-1).view(10, 10)
    centres = (torch.arange(10) + 0.5) / 10
    assert float((chance.sum(0) * centres).sum()) == pytest.approx(0.3, abs=0.01)
    assert float((chance.sum(1) * centres).sum()) == pytest.approx(0.7, abs=0.01)


def test_training_resumes_to_the_same_weights(data, tmp_path):
    config = replace_steps(4)

    def train(out, **more):
        job = keypoint_estimator_job_on(data, batch_size=4, model=small_estimator())
        return fit(job, config, out, progress=False, **more)

    train(tmp_path / "whole")
    assert train(tmp_path / "parts", stop_after_s=0) < 4
    train(tmp_path / "parts")
    whole, parts = (KeypointEstimator.from_pretrained(tmp_path / name / "model") for name in ("whole", "parts"))
    for a, b in zip(whole.state_dict().values(), parts.state_dict().values(), strict=True):
        assert torch.equal(a, b)
    line = json.loads((tmp_path / "whole" / "stats.jsonl").read_text().splitlines()[-1])
    assert np.isfinite(line["held_out_68"])


def replace_steps(steps):
    return ESTIMATOR_TRAIN.model_copy(
        update={"steps": steps, "batch_size": 4, "sample_every": 4, "checkpoint_every": 2, "log_every": 1}
    )


def test_folder_without_pictures_is_refused(tmp_path):
    with pytest.raises(PahaError, match="no pictures"):
        label_stills(tmp_path, tmp_path / "labels")


def test_shipped_weights_are_small():
    files = list(SHIPPED_ESTIMATOR.rglob("*.safetensors"))
    assert files
    assert sum(path.stat().st_size for path in files) < 7e6


def test_drawer_prefers_heavy_examples():
    light, heavy = example(0), replace(example(1), weight=50.0)
    drawer = Drawer([light, heavy])
    assert drawer.chances[1] == pytest.approx(50 / 51)
