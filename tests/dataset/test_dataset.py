"""Windows and batches out of a folder of features."""

import json
import time

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_features import write_features

from paha import presets
from paha.config import override
from paha.dataset.dataset import FeatureDataset, measure_residual_std, to_device
from paha.errors import PahaError

CONFIG = presets.preset("debug")


@pytest.fixture
def folder(tmp_path):
    """Three clips whose features tell where they come from: latents hold clip, audio and points hold the frame."""
    folder = write_features(tmp_path / "key", CONFIG, lengths=(12, 9, 20))
    for i in range(3):
        path = folder / f"clip{i}.safetensors"
        tensors = load_file(path)
        frame = torch.arange(len(tensors["latents"]), dtype=torch.float32)
        tensors["latents"][:, 0] = float(i)
        tensors["latents"][:, 1] = frame.half()[:, None, None]
        tensors["audio"][:] = frame.half()[:, None, None]
        tensors["points"][:] = frame[:, None, None]
        tensors["scores"][:] = frame[:, None]
        tensors["face_box"][:] = frame[:, None]
        save_file({k: v.clone() for k, v in tensors.items()}, path, metadata={"source": "test"})
    return folder


def draw(dataset, seed=0, batch_size=8):
    return dataset.batch(torch.Generator().manual_seed(seed), batch_size)


def test_shapes_and_types(folder):
    batch = draw(FeatureDataset(folder, config=CONFIG))
    shapes = {
        "latents": (8, 4, 4, 4, 4),
        "ref_latent": (8, 4, 4, 4),
        "audio": (8, 4, 5, 4, 80),
        "image_tokens": (8, 4, 4),
        "points": (8, 4, 133, 2),
        "scores": (8, 4, 133),
        "face_box": (8, 4),
    }
    for name, shape in shapes.items():
        assert tuple(getattr(batch, name).shape) == shape, name
        assert getattr(batch, name).dtype == torch.float32, name


def test_windows_are_consecutive_frames_of_one_clip_and_everything_is_aligned(folder):
    batch = draw(FeatureDataset(folder, config=CONFIG), batch_size=200)
    lengths = {"clip0": 12, "clip1": 9, "clip2": 20}
    for i, clip_id in enumerate(batch.clip_ids):
        assert (batch.latents[i, :, 0] == int(clip_id[-1])).all()
        frames = batch.latents[i, :, 1, 0, 0]
        assert torch.equal(frames, frames[0] + torch.arange(4))
        assert 0 <= frames[0] <= lengths[clip_id] - 4
        assert torch.equal(batch.points[i, :, 7, 1], frames)
        assert torch.equal(batch.scores[i, :, 7], frames)
        window = frames[:, None] + torch.arange(-2, 3)
        assert torch.equal(batch.audio[i, :, :, 0, 0], window.clamp(0, lengths[clip_id] - 1))
        reference = batch.ref_latent[i, :, 0, 0]
        assert reference[0] == int(clip_id[-1])
        assert batch.face_box[i, 0] == reference[1]


def test_drawing_is_uniform_over_windows_and_reference_frames(folder):
    dataset = FeatureDataset(folder, config=CONFIG)
    assert dataset.num_windows == 9 + 6 + 17
    batch = draw(dataset, batch_size=6400)
    windows = list(zip(batch.clip_ids, batch.latents[:, 0, 1, 0, 0].tolist(), strict=True))
    counts = torch.tensor([windows.count(window) for window in set(windows)]).double()
    assert len(counts) == 32
    assert ((counts - 200) ** 2 / 200).sum() < 61.1  # chi-squared, 31 degrees of freedom, p = 0.001
    refs = batch.ref_latent[[i for i, name in enumerate(batch.clip_ids) if name == "clip1"], 1, 0, 0]
    counts = torch.bincount(refs.long(), minlength=9).double()
    assert len(counts) == 9
    assert ((counts - len(refs) / 9) ** 2 / (len(refs) / 9)).sum() < 26.1  # 8 degrees of freedom


def test_the_generator_alone_decides(folder):
    dataset = FeatureDataset(folder, config=CONFIG)
    a, b, c = draw(dataset, 1), draw(dataset, 1), draw(dataset, 2)
    assert torch.equal(a.latents, b.latents)
    assert torch.equal(a.ref_latent, b.ref_latent)
    assert not torch.equal(a.latents, c.latents)


def test_memory_mapped_features_give_the_same_batches(folder):
    in_ram, mapped = (FeatureDataset(folder, config=CONFIG, ram_limit_bytes=limit) for limit in (10**9, 0))
    a, b = draw(in_ram), draw(mapped)
    assert all(torch.equal(getattr(a, name), getattr(b, name)) for name in ("latents", "audio", "points", "face_box"))


def test_image_tokens_are_pooled_from_the_reference_or_stored(folder):
    dataset = FeatureDataset(folder, config=CONFIG)
    batch = draw(dataset)
    expected = batch.ref_latent.unflatten(3, (2, 2)).unflatten(2, (2, 2)).mean(dim=(3, 5)).flatten(2).transpose(1, 2)
    torch.testing.assert_close(batch.image_tokens, expected)
    for path in folder.glob("*.safetensors"):
        tensors = load_file(path)
        tokens = tensors["latents"][:, 1, :1, :1].repeat(1, 1, 7).contiguous()
        save_file({**{k: v.clone() for k, v in tensors.items()}, "image_tokens": tokens}, path)
    batch = draw(FeatureDataset(folder, config=CONFIG))
    assert torch.equal(batch.image_tokens, batch.ref_latent[:, 1, :1, :1].repeat(1, 1, 7))


def test_short_clips_are_left_out_and_named(folder):
    dataset = FeatureDataset(folder, config=CONFIG.model_copy(update={"num_frames": 10}))
    assert dataset.skipped == ["clip1"]
    with pytest.raises(PahaError, match=r"no clip in .* has 21 frames"):
        FeatureDataset(folder, config=CONFIG.model_copy(update={"num_frames": 21}))


def test_found_from_the_dataset_folder(folder, tmp_path):
    assert FeatureDataset(tmp_path, config=CONFIG).folder == folder
    with pytest.raises(PahaError, match="holds no features"):
        FeatureDataset(folder / "missing", config=CONFIG)
    write_features(tmp_path / "other", CONFIG)
    with pytest.raises(PahaError, match="several sets of features"):
        FeatureDataset(tmp_path, config=CONFIG)


def test_another_configuration_is_refused(folder):
    with pytest.raises(PahaError, match="was made with width 32, not 64"):
        FeatureDataset(folder, config=CONFIG.model_copy(update={"width": 64}))
    model = CONFIG.model.model_copy(update={"latent_channels": 8})
    with pytest.raises(PahaError, match=r"latents in .* are \(4, 4, 4\) a frame, the model wants \(8, 4, 4\)"):
        FeatureDataset(folder, config=CONFIG.model_copy(update={"model": model}))


@pytest.mark.parametrize("damage", ["truncate", "remove", "foreign"])
def test_damaged_files_are_named(folder, damage):
    path = folder / "clip1.safetensors"
    if damage == "truncate":
        path.write_bytes(path.read_bytes()[:-100])
    elif damage == "remove":
        path.unlink()
    else:
        save_file({"latents": torch.ones(2)}, path)
    with pytest.raises(PahaError, match=r"clip1\.safetensors.*run `paha features` again"):
        FeatureDataset(folder, config=CONFIG)


def test_channel_scale_comes_from_the_features(folder):
    index = json.loads((folder / "features.json").read_text())
    (folder / "features.json").write_text(json.dumps(index | {"channel_scale": 5.5}))
    assert FeatureDataset(folder, config=CONFIG).channel_scale == 5.5


def test_residual_std_is_that_of_random_pairs(tmp_path):
    folder = write_features(tmp_path / "key", CONFIG, lengths=(200,))
    path = folder / "clip0.safetensors"
    tensors = {k: v.clone() for k, v in load_file(path).items()}
    noise = torch.randn(200, 1, 1, 1, generator=torch.Generator().manual_seed(0))
    tensors["latents"] = (7.0 + 0.5 * noise.expand(200, 4, 4, 4)).half().contiguous()
    save_file(tensors, path)
    dataset = FeatureDataset(folder, config=CONFIG)
    std = measure_residual_std(dataset, frames_per_clip=4000)
    assert std == pytest.approx(0.5 * 2**0.5 * float(noise.std()), rel=0.05)
    assert measure_residual_std(dataset, frames_per_clip=4000) == std
    tensors["latents"][:] = 1.0
    save_file(tensors, path)
    with pytest.raises(PahaError, match="no motion"):
        measure_residual_std(FeatureDataset(folder, config=CONFIG))


def test_to_device_keeps_everything(folder):
    batch = to_device(draw(FeatureDataset(folder, config=CONFIG)), "meta")
    assert batch.latents.device.type == batch.face_box.device.type == "meta"
    assert len(batch.clip_ids) == 8


def test_a_batch_of_eight_takes_under_5_ms_at_presenter_size(tmp_path):
    config = presets.preset("presenter")
    dataset = FeatureDataset(write_features(tmp_path / "key", config, lengths=(100,) * 4), config=config)
    generator = torch.Generator().manual_seed(0)
    times = []
    for _ in range(20):
        start = time.perf_counter()
        dataset.batch(generator, 8)
        times.append(time.perf_counter() - start)
    assert min(times) < 0.005  # the fastest: other work on the machine is no concern of this test


def test_features_of_another_image_encoder_are_refused(tmp_path):
    """CLIP's tokens are stored, pooled ones are made of the latents when a batch is drawn."""
    folder = write_features(tmp_path / "key", CONFIG, lengths=(9,))
    index = json.loads((folder / "features.json").read_text())
    clip = override(CONFIG, {"image.kind": "clip"})
    with pytest.raises(PahaError, match=r"was made with image .*pooled"):
        FeatureDataset(folder, config=clip)
    index["image"] = override(clip, {"image.name": "another"}).image.model_dump(mode="json")
    (folder / "features.json").write_text(json.dumps(index))
    for config in (CONFIG, clip):
        with pytest.raises(PahaError, match=r"was made with image .*another"):
            FeatureDataset(folder, config=config)
    index["image"] = override(CONFIG, {"image.pool": 1}).image.model_dump(mode="json")
    (folder / "features.json").write_text(json.dumps(index))
    assert len(FeatureDataset(folder, config=CONFIG).clips) == 1
