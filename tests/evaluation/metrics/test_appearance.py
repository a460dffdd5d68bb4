"""FID's and CSIM's networks: faces aligned, features of known networks."""

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper
from torch import nn

from paha.errors import PahaError
from paha.evaluation.metrics.appearance import (
    ARCFACE_POINTS,
    aligned_face,
    csim,
    five_points,
    load_arcface,
    load_inception,
    similarity,
)
from paha.types import FACE, NUM_KEYPOINTS


def test_similarity_finds_a_known_turn():
    angle, scale, move = 0.3, 2.5, np.array([10.0, -4.0])
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    found = similarity(ARCFACE_POINTS, scale * ARCFACE_POINTS @ rotation.T + move)
    assert found[0] == pytest.approx(scale)
    assert np.allclose(found[1], rotation)
    assert np.allclose(found[2], move)


def test_a_mirror_image_is_not_turned_over():
    _, rotation, _ = similarity(ARCFACE_POINTS, ARCFACE_POINTS * [-1, 1])
    assert np.linalg.det(rotation) == pytest.approx(1)


def test_a_face_is_brought_to_arcface_s_points():
    points = np.zeros((NUM_KEYPOINTS, 2), np.float32)
    at = 3 * (ARCFACE_POINTS + 0.5) + [20, 40]
    face = points[FACE]
    face[36:42], face[42:48], face[30], face[48], face[54] = at
    assert np.allclose(five_points(points), at, atol=1e-4)
    frame = np.zeros((400, 400, 3), np.uint8)
    x, y = np.floor(at[2]).astype(int)
    frame[y - 6 : y + 7, x - 6 : x + 7] = 255
    bright = np.argwhere(aligned_face(frame, points)[..., 0] > 200)
    assert np.allclose(bright.mean(0)[::-1], ARCFACE_POINTS[2], atol=0.7)


def test_csim_of_equal_opposed_and_missing_faces():
    a, b = np.array([[1.0, 0]]), np.array([[0.6, 0.8]])
    assert csim(a, a) == pytest.approx(1)
    assert csim(a, b) == pytest.approx(0.6)
    assert csim(a, -a) == pytest.approx(-1)
    assert csim(np.zeros((0, 2)), a) is None


def test_an_onnx_face_network_gives_unit_vectors(tmp_path):
    nodes = [helper.make_node("ReduceMean", ["x"], ["y"], axes=[2, 3], keepdims=0)]
    entry = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 112, 112])
    out = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 3])
    model = helper.make_model(
        helper.make_graph(nodes, "g", [entry], [out]), opset_imports=[helper.make_opsetid("", 13)]
    )
    model.ir_version = 8
    onnx.save(model, tmp_path / "arcface.onnx")
    faces = np.zeros((2, 112, 112, 3), np.uint8)
    faces[0, ..., 0] = 255
    found = load_arcface(tmp_path / "arcface.onnx")(faces)
    assert np.allclose(found[0], np.array([1, -1, -1]) / np.sqrt(3), atol=1e-5)
    assert np.allclose(np.linalg.norm(found, axis=1), 1)
    (tmp_path / "bad.onnx").write_bytes(b"nothing")
    with pytest.raises(PahaError, match="is no face network"):
        load_arcface(tmp_path / "bad.onnx")


class Inception(nn.Module):
    def forward(self, x: torch.Tensor, return_features: bool = False) -> torch.Tensor:
        return x.float().mean(dim=[2, 3]).repeat(1, 4)


class Plain(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x


def test_inception_is_stylegan_s_torchscript(tmp_path):
    for name, network in {"inception": Inception(), "plain": Plain()}.items():
        torch.jit.script(network).save(str(tmp_path / f"{name}.pt"))
    frames = np.full((2, 8, 9, 3), 7, np.uint8)
    assert np.allclose(load_inception(tmp_path / "inception.pt")(frames), np.full((2, 12), 7))
    with pytest.raises(PahaError, match="cannot give its features"):
        load_inception(tmp_path / "plain.pt")
