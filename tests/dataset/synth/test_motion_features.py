"""Features of the motion stream: what UniVDM, negatives and pairs make of them."""

from __future__ import annotations

import pytest
import torch

from paha.config import AudioConfig
from paha.dataset.dataset import FeatureDataset
from paha.dataset.synth.motion_clips import MotionClips, MotionStream
from paha.dataset.synth.motion_dataset import clip_tensors
from paha.dataset.synth.motion_features import make_motion_features
from paha.errors import PahaError
from paha.presets import DEBUG, PRESENTER
from paha.training.pce.negatives import clips_by_id, generate_pairs, plan_pairs
from paha.training.pce.pairs import PairConfig, PairDataset
from paha.univdm.univdm import UniVDM

MODEL = PRESENTER.model.model_copy(
    update={
        "audio_layers": 4,
        "block_out_channels": (8, 8),
        "num_attention_heads": (2, 2),
        "audio_hidden_dim": 16,
        "audio_token_dim": 16,
    }
)
CONFIG = PRESENTER.model_copy(update={"audio": AudioConfig(kind="logmel"), "model": MODEL, "num_frames": 8})


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_motion_features(tmp_path_factory.mktemp("motion"), config=CONFIG, clips=3, seconds=1.0, seed=4)


def test_a_window_is_that_of_the_stream(folder):
    batch = FeatureDataset(folder, config=CONFIG).windows([1], [5], [9])
    stream = MotionStream(seed=4, num_frames=25, audio_margin=2, speech_seconds=5.0)
    told = clip_tensors(MotionClips(stream, CONFIG.audio)[1])
    torch.testing.assert_close(batch.latents[0], told["latents"][5:13], atol=2e-3, rtol=2e-3)
    torch.testing.assert_close(batch.audio[0], told["audio"][5:13], atol=2e-3, rtol=2e-3)
    assert batch.ref_channels is not None
    torch.testing.assert_close(batch.ref_channels[0], told["ref_channels"], atol=2e-3, rtol=2e-3)
    torch.testing.assert_close(batch.face_box[0], told["face_box"])
    assert not batch.ref_latent.any()


def test_what_is_there_is_kept_and_another_stream_is_refused(folder):
    path = folder / "clip_0004_00000.safetensors"
    before = path.stat().st_mtime_ns
    make_motion_features(folder, config=CONFIG, clips=3, seconds=1.0, seed=4)
    assert path.stat().st_mtime_ns == before
    with pytest.raises(PahaError, match="other features"):
        make_motion_features(folder, config=CONFIG, clips=3, seconds=1.0, seed=5)


def test_clips_of_one_speech_have_one_identity(tmp_path):
    """Else a classifier is measured on sound and motion that it was trained on, of another person."""
    folder = make_motion_features(tmp_path / "out", config=CONFIG, clips=10, seconds=1.0, seed=4)
    clips = FeatureDataset(folder, config=CONFIG).clips
    assert len({clip.identity for clip in clips[:8]}) == 8
    assert [clip.identity for clip in clips[8:]] == [clip.identity for clip in clips[:2]]
    speech = MotionClips(MotionStream(seed=4, num_frames=25, audio_margin=0, speech_seconds=5.0), CONFIG.audio).acted(0)
    known = speech.audio.half()
    of_it = [bool((known == clip.tensors["audio"][0]).all(-1).all(-1).any()) for clip in clips]
    assert of_it == [True, *[False] * 7, True, False]


def test_pixels_have_no_motion_features(tmp_path):
    with pytest.raises(PahaError, match="does not diffuse motion"):
        make_motion_features(tmp_path / "out", config=DEBUG, clips=1)
    assert not (tmp_path / "out").exists()


def test_negatives_begin_with_the_true_frame_and_pairs_hold_what_is_stored(folder):
    dataset, clips = FeatureDataset(folder, config=CONFIG), None
    clips = clips_by_id(dataset)
    univdm = UniVDM.from_model_config(CONFIG.model)
    pairs = plan_pairs(list(clips.values()), 2, lengths=(12,), seed=0)
    made = generate_pairs(univdm, pairs, clips, config=CONFIG, image_encoder=dataset.image_encoder, steps=2)
    for pair, latents in zip(pairs, made, strict=True):
        first = clips[pair.clip_id].tensors["latents"][pair.start].float()
        torch.testing.assert_close(latents[0], first)
    drawn = PairDataset(dataset, None, config=CONFIG, pairs=PairConfig(lengths=(8,), held_out=0.0, hard_prob=1.0))
    batch = drawn.batch(torch.Generator().manual_seed(0), 2)
    stored = torch.stack([clip.tensors["latents"].float().unfold(0, 8, 1).movedim(-1, 1) for clip in clips.values()])
    assert all((stored == real).flatten(2).all(2).any() for real in batch.real)
