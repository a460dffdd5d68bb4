"""Clips to features: what is stored, under which key, and what is made again."""

import json
import os
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from paha import presets
from paha.dataset.dataset import FeatureDataset
from paha.dataset.features import INDEX, channel_scale, features_key, make_features
from paha.dataset.manifest import ClipAnnotations, save_annotations, write_manifest
from paha.errors import PahaError
from paha.extractors.audio import load_audio_encoder
from paha.extractors.pixel_codec import PixelCodec
from paha.media.audio_io import write_wav
from paha.media.pixels import fit_points, frames_to_pixels
from paha.media.video_io import fit_image, read_video, write_video
from paha.types import ClipRecord, Keypoints

CONFIG = presets.preset("debug")
FRAMES = (8, 6)


@pytest.fixture(scope="module")
def extractors():
    torch.manual_seed(0)
    codec = PixelCodec.from_codec_config(CONFIG.codec).eval().requires_grad_(False)
    return {"codec": codec, "audio_encoder": load_audio_encoder(CONFIG.audio)}


@pytest.fixture
def data_dir(tmp_path):
    """Two clips of 48 x 64 pixels with noise for sound; frames grow brighter."""
    folder = tmp_path / "data"
    (folder / "clips").mkdir(parents=True)
    records = [write_clip(folder, f"clip{i}", length, seed=i) for i, length in enumerate(FRAMES)]
    write_manifest(folder, records)
    return folder


def write_clip(folder, name, length, *, seed):
    rng = np.random.default_rng(seed)
    frames = np.full((length, 64, 48, 3), 40, np.uint8) + (10 * np.arange(length, dtype=np.uint8))[:, None, None, None]
    write_video(folder / "clips" / f"{name}.mp4", frames)
    write_wav(folder / "clips" / f"{name}.wav", rng.normal(0, 0.1, length * 640).astype(np.float32), 16000)
    points = np.tile(np.array([24.0, 8.0 + 24.0], np.float32), (length, 133, 1))
    points[:, 0] = [0.0, 8.0]
    scores = rng.uniform(size=(length, 133)).astype(np.float32)
    box = np.tile(np.array([12.0, 8.0, 36.0, 32.0], np.float32), (length, 1))
    save_annotations(folder / "clips" / f"{name}.safetensors", ClipAnnotations(Keypoints(points, scores), box))
    paths: dict[str, Any] = {
        kind: f"clips/{name}.{end}"
        for kind, end in (("video", "mp4"), ("audio", "wav"), ("annotations", "safetensors"))
    }
    return ClipRecord(clip_id=name, num_frames=length, width=48, height=64, identity=name, source="test", **paths)


def run(data_dir, extractors, **options):
    return make_features(data_dir, config=CONFIG, progress=False, batch_size=3, **extractors, **options)


def test_features_are_what_the_extractors_say(data_dir, extractors):
    folder = run(data_dir, extractors)
    assert folder.parent == data_dir / "features"
    tensors = load_file(folder / "clip0.safetensors")
    frames = read_video(data_dir / "clips/clip0.mp4", size=(32, 32))
    expected = extractors["codec"].encode(torch.cat(list(frames_to_pixels(frames, batch_size=100))))
    assert tensors["latents"].dtype == tensors["audio"].dtype == torch.float16
    torch.testing.assert_close(tensors["latents"], expected.half(), rtol=2e-3, atol=2e-3)
    assert tensors["audio"].shape == (8, 4, 80)
    assert tensors["points"].shape == (8, 133, 2)


def test_keypoints_and_face_follow_the_crop(data_dir, extractors):
    tensors = load_file(run(data_dir, extractors) / "clip0.safetensors")
    # 48 x 64 is cropped to 48 x 48: rows 0 to 48, as the head begins above row 8 (its middle would be rows 8 to 56).
    expected = {"points": [[0.0, 8 / 48], [0.5, 32 / 48]], "face_box": [0.25, 8 / 48, 0.75, 32 / 48]}
    torch.testing.assert_close(tensors["points"][0, :2], torch.tensor(expected["points"]))
    torch.testing.assert_close(tensors["face_box"][0], torch.tensor(expected["face_box"]))


@pytest.mark.parametrize(("width", "height", "aspect"), [(48, 64, 1.0), (90, 30, 1.0), (40, 40, 0.5), (64, 36, 16 / 9)])
def test_fit_points_agrees_with_fit_image(width, height, aspect):
    image = np.zeros((height, width, 3), np.uint8)
    y, x = height // 2 - 5, width // 2 + 6
    image[y - 1 : y + 2, x - 1 : x + 2] = 255
    out_height = 120
    fitted = fit_image(image, width=round(out_height * aspect), height=out_height)[..., 0].astype(float)
    rows, columns = np.mgrid[: fitted.shape[0], : fitted.shape[1]] + 0.5
    seen = [
        (columns * fitted).sum() / fitted.sum() / fitted.shape[1],
        (rows * fitted).sum() / fitted.sum() / out_height,
    ]
    point = fit_points(np.array([x + 0.5, y + 0.5], np.float32), width=width, height=height, aspect=aspect)
    np.testing.assert_allclose(point, seen, atol=0.01)


def test_done_clips_are_skipped_and_changed_ones_made_again(data_dir, extractors):
    folder = run(data_dir, extractors)
    old = {name: os.stat(folder / f"{name}.safetensors").st_mtime_ns for name in ("clip0", "clip1")}
    (folder / "clip1.safetensors").unlink()
    run(data_dir, extractors)
    assert os.stat(folder / "clip0.safetensors").st_mtime_ns == old["clip0"]
    assert (folder / "clip1.safetensors").exists()
    before = load_file(folder / "clip0.safetensors")["scores"]
    write_clip(data_dir, "clip0", 8, seed=99)
    run(data_dir, extractors)
    assert not torch.equal(load_file(folder / "clip0.safetensors")["scores"], before)


def test_the_key_follows_weights_and_settings(extractors):
    both = list(extractors.values())
    key = features_key(CONFIG, both)
    assert key == features_key(CONFIG, both)
    assert key != features_key(CONFIG.model_copy(update={"width": 64}), both)
    torch.manual_seed(1)
    assert key != features_key(CONFIG, [PixelCodec.from_codec_config(CONFIG.codec), both[1]])
    # The image encoder works on latents here, so it is no part of what is stored.
    assert key == features_key(CONFIG.model_copy(update={"image": CONFIG.image.model_copy(update={"pool": 1})}), both)


def test_weights_inside_a_plain_extractor_count(extractors):
    class Wrapper:
        def __init__(self, seed):
            torch.manual_seed(seed)
            self.model = nn.Linear(2, 2)

    keys = {features_key(CONFIG, [extractors["codec"], Wrapper(seed)]) for seed in (0, 1)}
    assert len(keys) == 2


def test_one_bad_clip_does_not_stop_the_others(data_dir, extractors):
    (data_dir / "clips/clip0.mp4").write_bytes(b"no video")
    with pytest.raises(PahaError, match=r"1 of 2 clips failed.*clip0"):
        run(data_dir, extractors)
    (folder,) = (data_dir / "features").iterdir()
    index = json.loads((folder / "features.json").read_text())
    assert [clip["clip_id"] for clip in index["clips"]] == ["clip1"]


def test_annotations_of_another_length_are_refused(data_dir, extractors):
    (data_dir / "clips/clip0.safetensors").write_bytes((data_dir / "clips/clip1.safetensors").read_bytes())
    with pytest.raises(PahaError, match=r"clips/clip0\.mp4 has 8 frames, its annotations 6"):
        run(data_dir, extractors)


def test_a_folder_without_clips_is_an_error(tmp_path, extractors):
    with pytest.raises(PahaError, match=r"manifest\.jsonl"):
        run(tmp_path, extractors)
    write_manifest(tmp_path, [])
    with pytest.raises(PahaError, match="has no clips"):
        run(tmp_path, extractors)


def test_image_tokens_are_stored_where_the_encoder_sees_pixels(data_dir, extractors):
    class MeanColour:
        def encode(self, ref_latent, image=None):
            assert image is not None
            return image.mean(dim=(2, 3))[:, None]

        def to(self, device):
            return self

    config = CONFIG.model_copy(update={"image": CONFIG.image.model_copy(update={"kind": "clip"})})
    folder = make_features(data_dir, config=config, image_encoder=MeanColour(), progress=False, **extractors)
    tokens = load_file(folder / "clip0.safetensors")["image_tokens"]
    assert tokens.shape == (8, 1, 3)
    assert (tokens.float().diff(dim=0) > 0).all()  # frames grow brighter
    assert json.loads((folder / INDEX).read_text())["image"] == config.image.model_dump(mode="json")


def test_the_dataset_reads_them(data_dir, extractors, tmp_path):
    folder = run(data_dir, extractors, out=tmp_path / "elsewhere")
    assert folder.parent == tmp_path / "elsewhere"
    dataset = FeatureDataset(folder, config=CONFIG)
    assert dataset.num_windows == 5 + 3
    assert dataset.channel_scale == 1.0


def test_channel_scale_undoes_the_scaling_factor():
    from diffusers import AutoencoderKLTemporalDecoder

    from paha.extractors.codec import SVDCodec

    torch.manual_seed(0)
    vae = AutoencoderKLTemporalDecoder(block_out_channels=(32,), layers_per_block=1, scaling_factor=0.25)
    codec = SVDCodec(vae)
    x = torch.rand(1, 3, 8, 8)
    with torch.no_grad():
        torch.testing.assert_close(codec.encode(x) * channel_scale(codec), codec.encode_unscaled(x))


def test_shards_together_are_the_whole(data_dir, extractors):
    whole = run(data_dir, extractors)
    wanted = {path.name: load_file(path)["latents"] for path in whole.glob("*.safetensors")}
    out = data_dir / "sharded"
    for part in (0, 1):
        folder = run(data_dir, extractors, out=out, shard=(part, 2))
        assert len(list(folder.glob("*.safetensors"))) == part + 1
    for name, latents in wanted.items():
        assert torch.equal(load_file(folder / name)["latents"], latents)
    assert len(json.loads((folder / "features.json").read_text())["clips"]) == 2
    with pytest.raises(PahaError, match="shard 2 of 2"):
        run(data_dir, extractors, shard=(2, 2))


def test_raw_clips_and_features_give_the_same_batch(data_dir, extractors):
    cached = FeatureDataset(run(data_dir, extractors), config=CONFIG)
    raw = FeatureDataset.from_raw(data_dir, config=CONFIG, **extractors)
    a, b = (dataset.batch(torch.Generator().manual_seed(3), 4) for dataset in (cached, raw))
    assert a.clip_ids == b.clip_ids
    for name in ("latents", "ref_latent", "audio", "image_tokens", "points", "scores", "face_box"):
        assert torch.equal(getattr(a, name), getattr(b, name)), name
    assert cached.channel_scale == raw.channel_scale


def test_a_folder_of_features_is_taken_as_it_is(data_dir, extractors):
    folder = run(data_dir, extractors)
    assert run(folder, extractors) == folder
