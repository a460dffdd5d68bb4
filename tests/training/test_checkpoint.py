"""Checkpoints: atomic, verified, resumed with other settings or not at all."""

import shutil

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from paha.errors import PahaError
from paha.training.checkpoint import (
    Checkpoint,
    atomic_folder,
    init_from,
    load_checkpoint,
    load_optimizer_tensors,
    load_weights,
    optimizer_tensors,
    save_checkpoint,
)

CONFIG = {"train": {"steps": 10, "learning_rate": 0.1}, "model": {"widths": (1, 2)}}


def make(step: int) -> Checkpoint:
    tensors = {"a": torch.full((3,), float(step)), "b": torch.arange(4).reshape(2, 2).t()}
    return Checkpoint(
        step=step, weights=tensors, ema=tensors, optimizer=tensors, fingerprint=CONFIG, scaler={"scale": 2.0}
    )


@pytest.fixture
def folder(tmp_path):
    """Two checkpoints: step 2, and step 1 as the previous one."""
    for step in (1, 2):
        save_checkpoint(tmp_path / "checkpoint", make(step))
    return tmp_path / "checkpoint"


def test_round_trip(folder):
    loaded = load_checkpoint(folder, CONFIG)
    assert loaded is not None
    assert loaded.step == 2
    assert loaded.scaler == {"scale": 2.0}
    for part in (loaded.weights, loaded.ema, loaded.optimizer):
        assert all(torch.equal(part[key], value) for key, value in make(2).weights.items())
    assert sorted(path.name for path in folder.parent.iterdir()) == ["checkpoint", "checkpoint.previous"]


def test_nothing_there_is_none(tmp_path):
    assert load_checkpoint(tmp_path / "checkpoint", CONFIG) is None


@pytest.mark.parametrize("name", ["weights.safetensors", "optimizer.safetensors", "state.json"])
@pytest.mark.parametrize("damage", ["truncate", "flip", "remove"])
def test_a_damaged_checkpoint_falls_back_to_the_previous_one(folder, name, damage):
    path = folder / name
    content = bytearray(path.read_bytes())
    if damage == "remove":
        path.unlink()
    else:
        content[-2 if name.endswith("s") else 3] ^= 0xFF
        path.write_bytes(content[: len(content) // 2] if damage == "truncate" else bytes(content))
    messages = []
    loaded = load_checkpoint(folder, CONFIG, say=messages.append)
    assert loaded is not None
    assert loaded.step == 1
    assert len(messages) == 1
    assert "damaged" in messages[0]
    save_checkpoint(folder, make(3))  # the good one must outlive the next save
    again, before = load_checkpoint(folder, CONFIG), load_checkpoint(folder.with_name("checkpoint.previous"), CONFIG)
    assert again is not None
    assert before is not None
    assert (again.step, before.step) == (3, 1)


def test_two_damaged_checkpoints_are_an_error(folder):
    for each in (folder, folder.with_name("checkpoint.previous")):
        (each / "ema.safetensors").write_bytes(b"")
    with pytest.raises(PahaError, match="damaged: ema"):
        load_checkpoint(folder, CONFIG)


def test_killed_between_the_renames_the_previous_one_is_read(folder):
    shutil.rmtree(folder)
    loaded = load_checkpoint(folder, CONFIG)
    assert loaded is not None
    assert loaded.step == 1


def test_killed_while_writing_leaves_the_old_one(folder):
    partial = folder.with_name("checkpoint.partial")
    partial.mkdir()
    (partial / "weights.safetensors").write_bytes(b"half")
    loaded = load_checkpoint(folder, CONFIG)
    assert loaded is not None
    assert loaded.step == 2
    save_checkpoint(folder, make(3))
    assert not partial.exists()


def test_a_failed_write_leaves_the_old_one(folder):
    broken = Checkpoint(step=3, weights={"a": torch.ones(2)}, ema={}, optimizer={}, fingerprint={"x": object()})
    with pytest.raises(TypeError):
        save_checkpoint(folder, broken)
    assert sorted(path.name for path in folder.parent.iterdir()) == ["checkpoint"]
    loaded = load_checkpoint(folder, CONFIG)
    assert loaded is not None
    assert loaded.step == 2


def test_steps_may_grow_other_keys_may_not(folder):
    assert load_checkpoint(folder, {**CONFIG, "train": {"steps": 99, "learning_rate": 0.1}}) is not None
    with pytest.raises(PahaError, match=r"'train\.learning_rate' was 0\.1 and is now 0\.3"):
        load_checkpoint(folder, {**CONFIG, "train": {"steps": 10, "learning_rate": 0.3}})
    with pytest.raises(PahaError, match=r"'model\.widths' was \[1, 2\] and is now \[1\]"):
        load_checkpoint(folder, {**CONFIG, "model": {"widths": (1,)}})


def test_optimizer_state_round_trip_keeps_values_and_layout():
    def trained(steps: int, optimizer_tensors_in=None):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(4, 2, 1))
        model.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        optimizer = torch.optim.AdamW(model.parameters(), lr=0.1, fused=True)
        if optimizer_tensors_in:
            load_optimizer_tensors(optimizer, optimizer_tensors_in)
        for _ in range(steps):
            model(torch.ones(1, 3, 8, 8)).square().sum().backward()
            optimizer.step()
        return model, optimizer

    _, optimizer = trained(2)
    tensors = optimizer_tensors(optimizer)
    saved = {key: value.clone(memory_format=torch.contiguous_format) for key, value in tensors.items()}
    _, restored = trained(0, saved)
    for key, value in optimizer_tensors(restored).items():
        assert torch.equal(value, tensors[key]), key
        assert value.stride() == tensors[key].stride(), key


def test_weights_load_strictly_and_name_the_key(tmp_path):
    model = nn.Linear(2, 3)
    good = {key: torch.ones_like(value) for key, value in model.state_dict().items()}
    cases = {
        "has no 'bias'": {"weight": good["weight"]},
        r"'weight' has shape \(3, 4\), needed \(3, 2\)": good | {"weight": torch.ones(3, 4)},
        "has 'other', which Linear does not know": good | {"other": torch.ones(1)},
    }
    for message, tensors in cases.items():
        with pytest.raises(PahaError, match=message):
            load_weights(model, tensors, where="file")
    save_file(good, tmp_path / "model.safetensors")
    init_from(model, tmp_path)
    assert torch.equal(model.weight, good["weight"])
    (tmp_path / "model.safetensors").write_bytes(b"not safetensors")
    with pytest.raises(PahaError, match=r"cannot read .*model\.safetensors"):
        init_from(model, tmp_path)


def test_atomic_folder_keeps_the_old_content_when_the_block_fails(tmp_path):
    target = tmp_path / "model"
    with atomic_folder(target) as folder:
        (folder / "a").write_text("old")
    with pytest.raises(FileNotFoundError), atomic_folder(target) as folder:
        (folder / "a").write_bytes((folder / "missing").read_bytes())
    assert (target / "a").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
