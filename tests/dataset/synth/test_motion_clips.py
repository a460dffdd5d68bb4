"""The stream of motion clips: the same clip whoever makes it, sound and motion in step, no test voice in training."""

from __future__ import annotations

import json
import pickle

import numpy as np
import pytest
import torch

from paha.config import AudioConfig
from paha.dataset.synth.motion_clips import BLOCK, MotionClip, MotionClips, MotionStream
from paha.dataset.synth.motion_loader import motion_batches
from paha.dataset.synth.natural_speech import ALIGNMENT, HELD_OUT_VOICES, NaturalSpeech
from paha.dataset.synth.speech import HELD_OUT_VARIANTS
from paha.errors import PahaError
from paha.media.audio_io import write_wav
from paha.motion.geometry import Geometry

AUDIO = AudioConfig(kind="logmel")


def stream(**options) -> MotionStream:
    return MotionStream(**{"num_frames": 8, "speech_seconds": 3.0, "seed": 5} | options)


@pytest.fixture(scope="module")
def clips() -> MotionClips:
    return MotionClips(stream(), AUDIO)


@pytest.fixture(scope="module")
def aligned(speech_samples, tmp_path_factory):
    """A folder of two voices, one of them held out, that say "papa"."""
    folder = tmp_path_factory.mktemp("aligned")
    phones = [
        ["SIL", 0.0, 0.1],
        ["P", 0.1, 0.1],
        ["AA", 0.2, 0.2],
        ["P", 0.4, 0.1],
        ["AH", 0.5, 0.05],
        ["SIL", 0.6, 0.6],
    ]
    lines = []
    for voice in ("am_adam", f"x_{HELD_OUT_VOICES[0]}"):
        write_wav(folder / f"{voice}.wav", speech_samples, 16_000)
        words = [["<sil>", 0.0, 0.1], ["papa", 0.1, 0.5]]
        lines.append({"file": f"{voice}.wav", "voice": voice, "text": "papa", "words": words, "phones": phones})
    (folder / ALIGNMENT).write_text("\n".join(json.dumps(line) for line in lines), encoding="utf-8")
    return folder


def assert_equal(a: MotionClip, b: MotionClip) -> None:
    assert torch.equal(a.audio, b.audio)
    np.testing.assert_array_equal(a.motion.to_array(), b.motion.to_array())
    np.testing.assert_array_equal(a.reference.to_array(), b.reference.to_array())
    np.testing.assert_array_equal(a.points, b.points)
    np.testing.assert_array_equal(a.scores, b.scores)


def test_a_clip_is_a_function_of_seed_and_index(clips) -> None:
    again = MotionClips(stream(), AUDIO)
    late = again[BLOCK + 3]
    _ = clips[0]
    assert_equal(clips[BLOCK + 3], late)
    assert not torch.equal(MotionClips(stream(seed=6), AUDIO)[3].audio, clips[3].audio)
    assert not torch.equal(MotionClips(stream(held_out=True), AUDIO)[3].audio, clips[3].audio)


def test_shapes_and_windows(clips) -> None:
    clip = clips[0]
    assert clip.audio.shape == (12, 4, 80)
    assert clip.audio_windows.shape == (8, 5, 4, 80)
    assert torch.equal(clip.audio_windows[3], clip.audio[3:8])
    assert len(clip.motion) == 8
    assert len(clip.reference) == 1
    assert clip.points.shape == (133, 2)
    assert clip.scores.shape == (133,)


@pytest.mark.parametrize("workers", [0, 1])
def test_batches_are_the_clips_in_order_whoever_makes_them(clips, workers: int) -> None:
    batches = list(
        motion_batches(clips, batch_size=3, start=BLOCK - 4, stop=BLOCK + 6, workers=workers, transform=_index)
    )
    expected = [_index(clips[i]) for i in range(BLOCK - 4, BLOCK + 5)]
    assert batches == [expected[0:3], expected[3:6], expected[6:9]]


def _index(clip: MotionClip) -> float:
    """A number that tells clips apart."""
    return float(clip.points.sum()) + float(clip.audio.sum())


def test_sound_and_motion_of_a_window_are_in_step(clips) -> None:
    """Where a window lies in its speech, by the sound, is where it lies by the motion."""
    for index in (0, 9, 21):
        acted, clip = clips.acted(index % 8), clips[index]
        starts = [t for t in range(len(acted.audio) - 11) if torch.equal(acted.audio[t : t + 12], clip.audio)]
        lips = acted.motion.mouth_open
        assert any(np.array_equal(lips[t : t + 8], clip.motion.mouth_open) for t in starts)


def test_a_reference_photograph_shows_its_state(clips) -> None:
    made = [clips[i] for i in range(48)]
    states = [Geometry.of(clip.points, clip.scores).state for clip in made]
    opened = [state.mouth_open[0] for state in states]
    assert np.corrcoef(opened, [clip.reference.mouth_open[0] for clip in made])[0, 1] > 0.9
    turned = np.array(
        [state.head_rotation[0] - clip.reference.head_rotation[0] for state, clip in zip(states, made, strict=True)]
    )
    assert np.abs(turned).max() < 0.12
    wrists = np.array([clip.scores[9:11] for clip in made])
    assert 0.05 < (wrists > 0.3).mean() < 0.8
    assert all((clip.scores[91:112] == 0).all() for clip in made if clip.scores[9] == 0)


def test_held_out_voices_are_never_trained_on(aligned) -> None:
    training, test = NaturalSpeech(aligned), NaturalSpeech(aligned, held_out=True)
    assert [line.voice for line in training.lines] == ["am_adam"]
    assert [line.voice for line in test.lines] == [f"x_{HELD_OUT_VOICES[0]}"]
    for held_out in (False, True):
        voices = [MotionClips(stream(held_out=held_out, seed=s), AUDIO).acted(0).speech.voice for s in range(6)]
        spoken = [voice for voice in voices if voice]
        assert spoken
        assert all(voice.endswith(HELD_OUT_VARIANTS) == held_out for voice in spoken)


def test_natural_speech_has_the_rigs_phonemes_and_one_stress_a_word(aligned) -> None:
    natural = NaturalSpeech(aligned)
    sentence = natural.sentence(0)
    assert [p.symbol for p in sentence.phonemes] == ["p", "ɑ", "p", "ə"]
    assert [p.stress for p in sentence.phonemes] == [0, 2, 0, 0]
    assert sentence.phonemes[0].start_s == pytest.approx(0.03, abs=1e-6)
    assert pickle.loads(pickle.dumps(natural)).sentence(0).phonemes == sentence.phonemes
    clip = MotionClips(stream(speech=str(aligned), natural_share=1.0), AUDIO).acted(1)
    assert clip.speech.voice == "am_adam"
    assert clip.motion.mouth_open.max() > 0.03


def test_folders_that_cannot_be_used_are_named(tmp_path, aligned) -> None:
    with pytest.raises(PahaError, match=ALIGNMENT):
        NaturalSpeech(tmp_path)
    (tmp_path / ALIGNMENT).write_text('{"file": "a.wav"}', encoding="utf-8")
    with pytest.raises(PahaError, match="line 1"):
        NaturalSpeech(tmp_path)
    line = (aligned / ALIGNMENT).read_text(encoding="utf-8").splitlines()[0]
    (tmp_path / ALIGNMENT).write_text(line, encoding="utf-8")
    with pytest.raises(PahaError, match="no held-out voices"):
        NaturalSpeech(tmp_path, held_out=True)
    with pytest.raises(PahaError, match="speech_seconds"):
        MotionStream(num_frames=100, speech_seconds=2.0)
