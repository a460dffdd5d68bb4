"""One clip of the presenter corpus: what is said, how it is acted, and its three files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np

from paha.dataset.synth.loudness import num_frames
from paha.dataset.synth.natural_speech import NaturalSpeech
from paha.dataset.synth.rig import RigSignals, rig_from_speech
from paha.dataset.synth.room import record
from paha.dataset.synth.speech import Speech, random_speech, speech_from_recording
from paha.types import FPS, SAMPLE_RATE_HZ, ClipRecord, Keypoints

CORPUS_VERSION = 2
"""Raised whenever the same seed would give another clip."""
HELD_OUT_SEED = 900_000
"""Seeds from here on are for evaluation: no training corpus uses them."""
_SAMPLES_PER_FRAME = SAMPLE_RATE_HZ // FPS
_MARGIN_S = 1.5
_Acted = TypeVar("_Acted")


@dataclass(frozen=True)
class ClipPlan:
    """All that decides a clip: a function of these values alone.

    seed: of what is said and done. character_seed: of who says it. size: pixels of a side. seconds: shortest, longest.
    languages: of "en", "cmn". recordings: speech recordings that half of the clips use, if any. speech: a folder of
    aligned natural speech (`natural_speech`) that half of the others use; "" for none. stills: photographs; where there
    are some, clip i shows the person of the character_seed-th instead of a drawn one.
    """

    seed: int
    character_seed: int
    size: int
    seconds: tuple[float, float]
    languages: tuple[str, ...]
    recordings: tuple[str, ...] = ()
    speech: str = ""
    stills: tuple[str, ...] = ()

    @property
    def clip_id(self) -> str:
        return f"synth-{self.seed:06d}"


@dataclass(frozen=True)
class Scene(Generic[_Acted]):
    """A clip before it is drawn.

    samples: (640 T,) float32, what is heard. rig: T frames of what is done. text, language: of the speech that
    the clip is cut from. source: "espeak-ng <voice>", a natural voice, or the recording's name.
    """

    samples: np.ndarray
    rig: _Acted
    text: str
    language: str
    source: str


def plan_scene(plan: ClipPlan) -> Scene[RigSignals]:
    """The scene of a drawn person."""
    return act_scene(plan, rig_from_speech, RigSignals.slice)


def act_scene(plan: ClipPlan, act: Callable[..., _Acted], cut: Callable[[_Acted, int, int], _Acted]) -> Scene[_Acted]:
    """Choose, synthesise (or read) and act the speech of a clip, and cut it to the clip's length.

    Acted on the whole speech first, so that a clip may begin in the middle of a word and of a gesture. act: (speech,
    rng=) to what is done, a frame for each of the speech's. cut: that from one frame to another.
    """
    rng = np.random.default_rng([CORPUS_VERSION, plan.seed])
    count = max(1, round(rng.uniform(*plan.seconds) * FPS))
    speech = _speech(plan, count / FPS + _MARGIN_S, rng)
    acted = act(speech, rng=rng)
    heard = record(speech.samples, rng=rng) if speech.phonemes else speech.samples
    available = num_frames(speech.samples)
    start = int(rng.integers(0, max(1, available - count)))
    stop = min(available, start + count)
    samples = _exactly(heard[start * _SAMPLES_PER_FRAME :], (stop - start) * _SAMPLES_PER_FRAME)
    return Scene(samples, cut(acted, start, stop), speech.text, speech.language, _source(plan, speech))


def _source(plan: ClipPlan, speech: Speech) -> str:
    """Who speaks: a recording's name, or a voice."""
    if not speech.phonemes:
        return speech.voice
    return speech.voice if plan.speech and speech.voice in _natural(plan).by_voice else f"espeak-ng {speech.voice}"


def _speech(plan: ClipPlan, min_seconds: float, rng: np.random.Generator) -> Speech:
    if plan.recordings and rng.random() < 0.5:
        speech = speech_from_recording(str(rng.choice(plan.recordings)))
        spare = len(speech.samples) - round(min_seconds * SAMPLE_RATE_HZ)
        start = int(rng.integers(0, spare)) if spare > 0 else 0
        return Speech(speech.samples[start : start + round(min_seconds * SAMPLE_RATE_HZ)], voice=speech.voice)
    if plan.speech and rng.random() < 0.5:
        return _natural(plan).random_speech(rng, min_seconds=min_seconds)
    return random_speech(rng, language=str(rng.choice(plan.languages)), min_seconds=min_seconds)


def _natural(plan: ClipPlan) -> NaturalSpeech:
    return _natural_speech(plan.speech, plan.seed >= HELD_OUT_SEED)


@lru_cache(maxsize=2)
def _natural_speech(folder: str, held_out: bool) -> NaturalSpeech:
    return NaturalSpeech(folder, held_out=held_out)


def _exactly(samples: np.ndarray, count: int) -> np.ndarray:
    return np.pad(samples[:count], (0, max(0, count - len(samples))))


def make_clip(plan: ClipPlan, out: Path) -> ClipRecord:
    """Draw a clip and write OUT/clips/<clip_id>.mp4, .wav and .safetensors, each atomically; returns its record."""
    from paha.dataset.manifest import save_annotations
    from paha.media.audio_io import write_wav
    from paha.media.video_writer import write_video

    if plan.stills:
        from paha.dataset.synth.photographed import render_plan

        scene, frames, annotations, identity = render_plan(plan)
    else:
        scene = plan_scene(plan)
        frames, annotations = draw_scene(scene.rig, character_seed=plan.character_seed, size=plan.size)
        identity = f"presenter-{plan.character_seed:06d}"
    stem = f"clips/{plan.clip_id}"
    save_annotations(out / f"{stem}.safetensors", annotations)
    write_wav(out / f"{stem}.wav", scene.samples, SAMPLE_RATE_HZ)
    kind = "photographed" if plan.stills else "illustrated"
    comment = f"{kind} presenter {identity}, clip seed {plan.seed}, made by paha synth"
    write_video(out / f"{stem}.mp4", frames, crf=12, comment=comment)
    return ClipRecord(
        clip_id=plan.clip_id,
        video=f"{stem}.mp4",
        audio=f"{stem}.wav",
        annotations=f"{stem}.safetensors",
        num_frames=len(frames),
        width=frames.shape[2],
        height=frames.shape[1],
        identity=identity,
        source=f"paha.synth/{CORPUS_VERSION} {scene.source}",
        language=scene.language,
        text=scene.text,
        seed=plan.seed,
        # Photographs and recordings keep whatever licence they have.
        licence="CC0-1.0" if scene.text and not plan.stills and scene.source.startswith("espeak-ng") else "",
    )


def draw_scene(rig: RigSignals, *, character_seed: int, size: int):
    """Frames (T, S, S, 3) uint8 of a character, and their `ClipAnnotations` with keypoints, face boxes and the rig."""
    from paha.dataset.manifest import ClipAnnotations
    from paha.dataset.synth.character import sample_character
    from paha.dataset.synth.renderer import Renderer

    renderer = Renderer(sample_character(character_seed), size=size)
    drawn = [renderer.draw(rig, t) for t in range(len(rig))]
    keypoints = Keypoints(
        points=np.stack([frame.points for frame in drawn]).astype(np.float32),
        scores=np.stack([frame.scores for frame in drawn]).astype(np.float32),
    )
    boxes = np.stack([np.asarray(frame.face_box, dtype=np.float32) for frame in drawn])
    return np.stack([f.image for f in drawn]), ClipAnnotations(keypoints=keypoints, face_box=boxes, rig=rig.to_dict())
