"""The acoustic model's training: phones where they are said, other voices, lips that are heard after a few steps."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from paha.config import TrainConfig
from paha.dataset.synth.speech import Phoneme
from paha.errors import PahaError
from paha.extractors.acoustic_model import AcousticModel, ResidualBlock
from paha.extractors.audio import AcousticEncoder, LogMelEncoder
from paha.extractors.mel import MELS_PER_FRAME
from paha.training.loop import fit
from paha.training.motion.acoustic_examples import Crops, HeardSpeech, masked, symbols_at
from paha.training.motion.acoustic_job import AcousticData, acoustic_job_on, probe_acoustic_model, save_curves

FRAMES = 20
TRAIN = TrainConfig(batch_size=4, steps=40, learning_rate=3e-3, warmup_steps=2, checkpoint_every=100, sample_every=100)


def toy(rng: np.random.Generator, *, count: int = 60) -> HeardSpeech:
    """A speech whose lips open and whose "a" is said where a low band is loud."""
    open_ = np.repeat(rng.random(count // 5 + 1) > 0.5, 5)[:count]
    power = np.full((4 * count, 257), -4.0) + rng.normal(0, 0.2, (4 * count, 257))
    power[np.repeat(open_, 4), 10:40] = 0.0
    lips = np.stack([open_, ~open_, 0.5 * open_], 1).astype(np.float32)
    symbols = tuple("a" if is_open else "" for is_open in np.repeat(open_, 2))
    return HeardSpeech(torch.from_numpy(power).half(), torch.from_numpy(lips), symbols)


@pytest.fixture(scope="module")
def data() -> AcousticData:
    rng = np.random.default_rng(0)
    heard = [toy(rng) for _ in range(6)]
    crops = Crops(heard, ("a",), num_frames=FRAMES, mel_bands=80)
    lips = torch.cat([each.lips for each in heard])
    return AcousticData(crops, [toy(rng) for _ in range(2)], ("a",), lips.mean(0), lips.std(0))


@pytest.fixture
def encoder_with_units() -> AcousticEncoder:
    torch.manual_seed(0)
    scale: dict[str, Any] = {"lip_mean": (0.0, 0.0, 0.0), "lip_deviation": (1.0, 1.0, 1.0)}
    return AcousticEncoder(AcousticModel(stem_channels=8, channels=8, **scale))


def test_symbols_stand_where_they_are_said():
    said = symbols_at([Phoneme("b", 0.02, 0.06), Phoneme("a", 0.06, 0.5)], 5)
    assert said == ("", "b", "b", "a", "a")


def test_a_crop_holds_bands_lips_and_phones_of_the_same_moments(data):
    mel, lips, classes = data.crops.draw(8, np.random.default_rng(1))
    assert mel.shape == (8, 4 * FRAMES, 80)
    assert lips.shape == (8, FRAMES, 3)
    assert torch.equal(classes.view(8, FRAMES, 2)[..., 0].float(), lips[..., 0])


def test_masks_keep_what_is_given_and_hide_some_of_it():
    mel = torch.randn(80, 80)
    before = mel.clone()
    hidden = masked(mel, np.random.default_rng(3))
    assert torch.equal(mel, before)
    assert not torch.equal(hidden, before)


def test_lips_are_heard_after_a_few_steps_and_a_saved_model_hears_the_same(data, tmp_path):
    job = acoustic_job_on(data, batch_size=4, name="acoustic-model", sizes={"channels": 16})
    assert abs(probe_acoustic_model(job.model, 0, held_out=data.held_out)["held_out_mouth_open"]) < 0.8
    fit(job, TRAIN, tmp_path, progress=False)
    encoder = AcousticEncoder.load(tmp_path / "model")
    assert probe_acoustic_model(encoder.model, 40, held_out=data.held_out)["held_out_mouth_open"] > 0.9
    save_curves(encoder.model, 40, tmp_path / "curves.png", held_out=data.held_out, data=data)
    assert (tmp_path / "curves.png").stat().st_size > 10_000


def test_features_are_bands_and_what_is_heard_whatever_the_chunk():
    torch.manual_seed(0)
    model = AcousticModel(stem_channels=8, channels=8).eval()
    encoder, mono = AcousticEncoder(model), np.random.default_rng(0).normal(0, 0.1, 16_000 * 3).astype(np.float32)
    whole = encoder.encode(mono, 75)
    assert whole.shape == (75, 6, 80)
    assert torch.equal(whole[:, :4], LogMelEncoder().encode(mono, 75))
    encoder.CHUNK_FRAMES = 20
    torch.testing.assert_close(encoder.encode(mono, 75), whole, atol=1e-5, rtol=1e-4)


def test_a_gate_begins_as_the_identity_and_hears_the_whole_recording():
    torch.manual_seed(0)
    plain = ResidualBlock(8, 1).eval()
    gated = ResidualBlock(8, 1, reduction=4).eval()
    gated.load_state_dict(plain.state_dict(), strict=False)
    x = torch.randn(1, 8, 40)
    assert torch.equal(gated(x), plain(x))
    gated.load_state_dict({"gate.excite.weight": torch.randn(8, 2)}, strict=False)
    other = x.clone()
    other[..., -1] += 5
    assert not torch.allclose(gated(other)[..., 0], gated(x)[..., 0])
    assert torch.equal(plain(other)[..., 0], plain(x)[..., 0])


def test_lips_are_the_mean_of_all_who_read_them(tmp_path):
    torch.manual_seed(0)
    scale: dict[str, Any] = {"lip_mean": (0.1, 0.0, 0.0), "lip_deviation": (1.0, 2.0, 1.0)}
    ears, *readers = (AcousticModel(stem_channels=8, channels=8, reduction=r, **scale) for r in (0, 4, 2))
    AcousticEncoder(ears, readers).save(tmp_path)
    together = AcousticEncoder.load(tmp_path)
    mono = np.random.default_rng(0).normal(0, 0.1, 16_000 * 3).astype(np.float32)
    alone = [AcousticEncoder(model) for model in (together.model, *together.lip_readers)]
    features = together.encode(mono, 75)
    assert torch.equal(features, alone[0].encode(mono, 75))
    each = torch.stack([encoder.lips(encoder.encode(mono, 75)) for encoder in alone])
    assert len(each) == 3
    assert each.std(0).max() > 1e-3
    torch.testing.assert_close(together.lips(features), each.mean(0))


def test_lips_are_heard_as_if_the_recording_s_quiet_went_on(encoder_with_units):
    hum = 0.3 * np.sin(np.arange(16_000) * 1.3).astype(np.float32)
    quiet = 0.001 * np.sin(np.arange(32_000) * 0.9).astype(np.float32)
    short, long = np.concatenate([quiet[:8000], hum]), np.concatenate([quiet[:8000], hum, quiet])
    heard = encoder_with_units.lips(encoder_with_units.encode(short, 37))
    features = encoder_with_units.encode(long, 87)[:, MELS_PER_FRAME:].flatten(1)
    bare = encoder_with_units.encode(short, 37)[:, MELS_PER_FRAME:].flatten(1)
    whole, cut = (encoder_with_units.model.lips(each)[:37] for each in (features, bare))
    assert (heard - whole)[-5:].abs().max() < 0.5 * (cut - whole)[-5:].abs().max()


def test_a_saved_encoder_tells_of_no_folder_and_a_wrong_one_is_named(tmp_path):
    AcousticEncoder(AcousticModel(stem_channels=8, channels=8)).save(tmp_path / "first")
    AcousticEncoder.load(tmp_path / "first").save(tmp_path / "second")
    assert (tmp_path / "first/config.json").read_text() == (tmp_path / "second/config.json").read_text()
    with pytest.raises(PahaError, match=r"nowhere.*paha train acoustic-model"):
        AcousticEncoder.load(tmp_path / "nowhere")
