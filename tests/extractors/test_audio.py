"""Sound to features: log-mel bands and wav2vec 2.0."""

import numpy as np
import pytest
import torch
from transformers import Wav2Vec2Config, Wav2Vec2Model
from transformers.audio_utils import mel_filter_bank

from paha.config import AudioConfig
from paha.errors import PahaError
from paha.extractors.audio import AUDIO_ENCODER_FOLDER, LogMelEncoder, Wav2Vec2Encoder, load_audio_encoder
from paha.extractors.mel import SPEECH_RMS, mel_filters, normalise_level, speech_rms
from paha.univdm.audio_window import audio_windows

RATE = 16_000


def speechlike(seconds: float, seed: int = 0) -> np.ndarray:
    """Bursts of coloured noise with pauses."""
    rng = np.random.default_rng(seed)
    n = round(seconds * RATE)
    t = np.arange(n) / RATE
    envelope = np.clip(np.sin(2 * np.pi * 1.7 * t), 0, 1)
    return (0.2 * envelope * np.sin(2 * np.pi * 180 * t + rng.random()) + 0.01 * envelope * rng.normal(size=n)).astype(
        np.float32
    )


@pytest.mark.parametrize("bands", [40, 80])
def test_mel_filters_equal_the_librosa_convention(bands):
    expected = mel_filter_bank(257, bands, 0.0, 8000.0, RATE, norm="slaney", mel_scale="slaney")
    np.testing.assert_allclose(mel_filters(bands).numpy(), expected, atol=1e-7)
    assert (mel_filters(bands).sum(0) > 0).all()


@pytest.mark.parametrize("gain", [0.02, 1.0, 4.0])
def test_level_is_brought_to_speech_rms(gain):
    levelled = normalise_level(speechlike(2) * np.float32(gain))
    assert speech_rms(levelled) == pytest.approx(SPEECH_RMS, rel=1e-3)


def test_pauses_do_not_raise_the_level():
    speech = speechlike(2)
    padded = np.concatenate([np.zeros(5 * RATE, np.float32), speech])
    np.testing.assert_allclose(normalise_level(padded)[5 * RATE :], normalise_level(speech), rtol=1e-5)


def test_silence_gets_no_gain():
    hiss = 1e-5 * np.random.default_rng(0).normal(size=RATE).astype(np.float32)
    assert np.array_equal(normalise_level(hiss), hiss)
    assert speech_rms(np.zeros(0, np.float32)) == 0


def test_logmel_shape_range_and_silence():
    encoder = load_audio_encoder(AudioConfig(kind="logmel"))
    features = encoder.encode(speechlike(2), 50)
    assert features.shape == (50, 4, 80)
    assert features.dtype == torch.float32
    assert -1.001 < float(features.min()) < -0.8
    assert 0.3 < float(features.max()) < 1.4
    silent = encoder.encode(np.zeros(RATE, np.float32), 25)
    torch.testing.assert_close(silent, torch.full_like(silent, -1.0))


@pytest.mark.parametrize("frame", [0, 7, 24])
def test_logmel_features_are_centred_on_their_frame(frame):
    samples = np.zeros(RATE, np.float32)
    samples[frame * 640 + 320] = 1.0
    energy = LogMelEncoder().encode(samples, 25).mean(dim=(2))
    assert int(energy.mean(dim=1).argmax()) == frame
    # The click lies between the second and the third of the frame's four mel frames, and they see it equally.
    torch.testing.assert_close(energy[frame, 1], energy[frame, 2], atol=1e-3, rtol=0)
    torch.testing.assert_close(energy[frame, 0], energy[frame, 3], atol=1e-3, rtol=0)


def test_logmel_chunks_equal_one_pass():
    samples = speechlike(3)
    whole, chunked = LogMelEncoder(), LogMelEncoder()
    chunked.CHUNK_FRAMES = 7  # pyright: ignore[reportAttributeAccessIssue]
    torch.testing.assert_close(chunked.encode(samples, 75), whole.encode(samples, 75), atol=1e-5, rtol=1e-5)


def test_sound_is_cut_or_followed_by_silence():
    encoder, samples = LogMelEncoder(), speechlike(2)
    assert encoder.encode(samples, 10).shape[0] == 10
    longer = encoder.encode(samples, 60)
    torch.testing.assert_close(longer[:49], encoder.encode(samples, 50)[:49])
    torch.testing.assert_close(longer[51:], torch.full_like(longer[51:], -1.0))


def test_windows_are_clamped_at_the_ends():
    features = torch.arange(5.0)[:, None, None].expand(5, 2, 3)
    windows = audio_windows(features, 2)
    assert windows.shape == (5, 5, 2, 3)
    assert windows[:, :, 0, 0].tolist() == [
        [0, 0, 0, 1, 2],
        [0, 0, 1, 2, 3],
        [0, 1, 2, 3, 4],
        [1, 2, 3, 4, 4],
        [2, 3, 4, 4, 4],
    ]


@pytest.fixture(scope="module")
def wav2vec2_dir(tmp_path_factory):
    torch.manual_seed(0)
    config = Wav2Vec2Config(
        hidden_size=16,
        num_hidden_layers=3,
        num_attention_heads=2,
        intermediate_size=16,
        conv_dim=(8,) * 7,
        num_conv_pos_embeddings=16,
        num_conv_pos_embedding_groups=2,
    )
    folder = tmp_path_factory.mktemp("wav2vec2")
    Wav2Vec2Model(config).save_pretrained(folder)
    return folder


def test_wav2vec2_gives_all_layers_at_frame_rate(wav2vec2_dir):
    encoder = load_audio_encoder(AudioConfig(kind="wav2vec2", name=str(wav2vec2_dir)))
    features = encoder.encode(speechlike(1), 25)
    assert features.shape == (25, 3, 16)
    assert torch.isfinite(encoder.encode(np.zeros(RATE, np.float32), 25)).all()


def test_wav2vec2_interpolates_at_the_frames_centres(wav2vec2_dir):
    encoder = Wav2Vec2Encoder(wav2vec2_dir)
    # Hidden state j is centred on sample 320 j + 200: a feature that is its own time comes back as the frame's time.
    times = (torch.arange(60) * 320 + 200).float()[:, None, None]
    found = encoder._at_frames(times, torch.arange(25))[:, 0, 0]
    torch.testing.assert_close(found, torch.arange(25) * 640.0 + 320)


def test_wav2vec2_matches_the_model_itself(wav2vec2_dir):
    encoder, samples = Wav2Vec2Encoder(wav2vec2_dir), speechlike(1)
    standard = (samples - samples.mean()) / samples.std()
    hidden = encoder.model(torch.from_numpy(standard)[None], output_hidden_states=True).hidden_states
    expected = torch.stack([layer[0] for layer in hidden[1:]], dim=1)
    # Frame 3 lies at 2 * 3 + 0.375 of the 50 Hz states.
    expected = torch.lerp(expected[6], expected[7], 0.375)
    torch.testing.assert_close(encoder.encode(samples, 25)[3], expected, atol=5e-3, rtol=5e-3)


def test_wav2vec2_chunks_have_the_length_and_nearly_the_values_of_one_pass(wav2vec2_dir):
    samples = speechlike(3)
    whole, chunked = Wav2Vec2Encoder(wav2vec2_dir), Wav2Vec2Encoder(wav2vec2_dir)
    chunked.CHUNK_FRAMES = 30  # pyright: ignore[reportAttributeAccessIssue]
    a, b = whole.encode(samples, 75), chunked.encode(samples, 75)
    assert a.shape == b.shape
    assert float((a - b).std()) < 0.3 * float(a.std())


def test_a_model_folder_may_carry_the_weights(wav2vec2_dir, tmp_path):
    (tmp_path / AUDIO_ENCODER_FOLDER).symlink_to(wav2vec2_dir)
    config = AudioConfig(kind="wav2vec2", name=str(tmp_path / "nowhere"))
    assert load_audio_encoder(config, tmp_path).encode(speechlike(1), 25).shape == (25, 3, 16)


def test_missing_weights_are_named_with_the_remedy(tmp_path):
    missing = str(tmp_path / "no-such-model")
    with pytest.raises(PahaError, match=r"no-such-model.*audio\.name"):
        Wav2Vec2Encoder(missing)


def test_truncated_weights_are_named(wav2vec2_dir, tmp_path):
    for name in ("config.json", "model.safetensors"):
        data = (wav2vec2_dir / name).read_bytes()
        (tmp_path / name).write_bytes(data if name.endswith("json") else data[: len(data) // 2])
    with pytest.raises(PahaError, match=tmp_path.name):
        Wav2Vec2Encoder(tmp_path)
