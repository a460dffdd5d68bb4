"""The manifest and its annotations: what is written is read again, and what is wrong is named."""

import json

import numpy as np
import pytest

from paha.dataset.manifest import (
    MANIFEST,
    ClipAnnotations,
    append_record,
    load_annotations,
    read_manifest,
    save_annotations,
    write_manifest,
)
from paha.errors import PahaError
from paha.types import ClipRecord, Keypoints


def record(clip_id: str) -> ClipRecord:
    return ClipRecord(
        clip_id=clip_id,
        video=f"clips/{clip_id}.mp4",
        audio=f"clips/{clip_id}.wav",
        annotations=f"clips/{clip_id}.safetensors",
        num_frames=75,
        width=128,
        height=128,
        identity="p1",
        source="synth",
        text="Grüße, 你好\nsecond line",
    )


def annotations(num_frames: int = 5) -> ClipAnnotations:
    rng = np.random.default_rng(0)
    points = rng.random((num_frames, 133, 2), np.float32)
    rig = {"mouth_open": rng.random(num_frames, np.float32), "left_wrist": rng.random((num_frames, 2), np.float32)}
    return ClipAnnotations(Keypoints(points, points[..., 0]), rng.random((num_frames, 4), np.float32), rig)


def test_manifest_round_trip(tmp_path):
    records = [record("b"), record("a")]
    write_manifest(tmp_path / "new" / "folder", records)
    assert read_manifest(tmp_path / "new" / "folder") == records


def test_append_makes_the_file_and_keeps_the_order(tmp_path):
    for name in ("x", "y", "z"):
        append_record(tmp_path / "out", record(name))
    assert [r.clip_id for r in read_manifest(tmp_path / "out")] == ["x", "y", "z"]


@pytest.mark.parametrize("cut", [1, 40])
def test_a_killed_append_costs_only_its_own_line(tmp_path, cut):
    write_manifest(tmp_path, [record("x"), record("y")])
    path = tmp_path / MANIFEST
    path.write_bytes(path.read_bytes()[:-cut])
    assert [r.clip_id for r in read_manifest(tmp_path, unfinished=True)] == ["x"]
    if cut == 1:  # an editor that leaves out the last line's end
        assert [r.clip_id for r in read_manifest(tmp_path)] == ["x", "y"]
    else:
        with pytest.raises(PahaError, match=r"manifest\.jsonl:2.*make the dataset again"):
            read_manifest(tmp_path)
    append_record(tmp_path, record("z"))
    assert [r.clip_id for r in read_manifest(tmp_path)] == ["x", "z"]


def test_bad_lines_name_file_line_and_field(tmp_path):
    write_manifest(tmp_path, [record("x"), record("y")])
    path = tmp_path / MANIFEST
    path.write_text(path.read_text("utf-8").replace('"num_frames":75', '"num_frames":"many"', 1), "utf-8")
    with pytest.raises(PahaError, match=r"manifest\.jsonl:1: 'num_frames'"):
        read_manifest(tmp_path)
    path.write_text('{"clip_id": \n', "utf-8")
    with pytest.raises(PahaError, match=r"manifest\.jsonl:1"):
        read_manifest(tmp_path)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("num_frames", -3),
        ("num_frames", 0),
        ("fps", 0),
        ("fps", float("inf")),
        ("width", 0),
        ("video", "../x.mp4"),
        ("audio", "/etc/passwd"),
        ("clip_id", "../x"),
        ("clip_id", ""),
    ],
)
def test_a_value_that_no_clip_can_have_is_refused(tmp_path, field, value):
    data = json.loads(record("x").model_dump_json()) | {field: value}
    (tmp_path / MANIFEST).write_text(json.dumps(data) + "\n")
    with pytest.raises(PahaError, match=rf"manifest\.jsonl:1: '{field}'"):
        read_manifest(tmp_path)


def test_missing_manifest_and_duplicates(tmp_path):
    with pytest.raises(PahaError, match="paha synth"):
        read_manifest(tmp_path)
    write_manifest(tmp_path, [record("x"), record("x")])
    with pytest.raises(PahaError, match="'x' appears twice"):
        read_manifest(tmp_path)


def test_annotations_round_trip_even_of_strided_float64_views(tmp_path):
    original = annotations(10)
    strided = ClipAnnotations(
        Keypoints(original.keypoints.points[::2].astype(np.float64), original.keypoints.scores[::2]),
        original.face_box[::2],
        {name: values[::2] for name, values in original.rig.items()},
    )
    save_annotations(tmp_path / "clip.safetensors", strided)
    back = load_annotations(tmp_path / "clip.safetensors")
    np.testing.assert_array_equal(back.keypoints.points, original.keypoints.points[::2])
    np.testing.assert_array_equal(back.keypoints.scores, original.keypoints.scores[::2])
    np.testing.assert_array_equal(back.face_box, original.face_box[::2])
    assert back.rig.keys() == original.rig.keys()
    for name in back.rig:
        np.testing.assert_array_equal(back.rig[name], original.rig[name][::2])
    assert back.keypoints.points.dtype == back.face_box.dtype == np.float32
    assert [p.name for p in tmp_path.iterdir()] == ["clip.safetensors"]


def test_tensor_names_on_disk(tmp_path):
    from safetensors import safe_open

    save_annotations(tmp_path / "clip.safetensors", annotations())
    with safe_open(tmp_path / "clip.safetensors", "np") as file:
        assert set(file.keys()) == {
            "keypoints.points", "keypoints.scores", "face_box", "rig.mouth_open", "rig.left_wrist",
        }  # fmt: skip


def test_annotations_of_unequal_length_are_refused():
    good = annotations(5)
    with pytest.raises(ValueError, match="face_box"):
        ClipAnnotations(good.keypoints, good.face_box[:4])
    with pytest.raises(ValueError, match="'brow'"):
        ClipAnnotations(good.keypoints, good.face_box, {"brow": np.zeros(6, np.float32)})


def test_missing_truncated_and_foreign_annotations(tmp_path):
    from safetensors.numpy import save_file

    path = tmp_path / "clip.safetensors"
    with pytest.raises(PahaError, match=r"clip\.safetensors"):
        load_annotations(path)
    save_annotations(path, annotations())
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(PahaError, match=r"clip\.safetensors"):
        load_annotations(path)
    save_file({"weight": np.zeros(3)}, path)
    with pytest.raises(PahaError, match=r"keypoints\.points"):
        load_annotations(path)
