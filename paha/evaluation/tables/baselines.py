"""Baselines of Table 1 that everyone can run: a still image, the real video of another clip, retrieval by audio.

Each writes a folder of videos with the sound of the clip they stand for, as a method would.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from paha.config import AudioConfig
from paha.errors import PahaError
from paha.evaluation.metrics.clips import Clip, speech
from paha.extractors.audio import load_audio_encoder
from paha.extractors.mel import fit_length
from paha.media.audio_io import read_audio
from paha.media.video_io import read_video, write_video
from paha.runtime.atomic import write_bytes
from paha.types import FPS, SAMPLE_RATE_HZ

SOURCES = "sources.json"
COMMENT = "made by paha tables: a baseline, {}"
Say = Callable[[str], None]
Frames = Callable[[Clip, int], np.ndarray]


def still_image(clips: Sequence[Clip], folder: Path, *, say: Say = print) -> dict[str, str]:
    """The first frame, held. Returns clip -> why it could not be made."""
    return _write(clips, folder, "a still image", lambda clip, _: read_video(clip.video)[:1], say, sources=())


def other_clip(clips: Sequence[Clip], folder: Path, *, say: Say = print) -> dict[str, str]:
    """The real video of the next clip. Returns clip -> why it could not be made.

    Raises PahaError where there is only one clip.
    """
    if len(clips) < 2:
        raise PahaError("the baseline 'real video of another clip' needs two clips")

    def next_video(_: Clip, number: int) -> np.ndarray:
        return read_video(clips[(number + 1) % len(clips)].video)

    return _write(clips, folder, "real video of another clip", next_video, say, sources=clips)


def retrieval(clips: Sequence[Clip], library: Sequence[Clip], folder: Path, *, say: Say = print) -> dict[str, str]:
    """The video of the library whose speech is nearest: least mean square of log-mel spectra, aligned at the start.

    A clip is never given its own video. Only library clips at least as long count, all of them where none is. Returns
    clip -> why it could not be made.
    """
    known = [(clip, speech_features(clip)) for clip in library]

    def nearest(clip: Clip, _: int) -> np.ndarray:
        mine = speech_features(clip)
        others = [(other, mel) for other, mel in known if other.video.resolve() != clip.video.resolve()]
        long = [(other, mel) for other, mel in others if len(mel) >= len(mine)] or others
        if not long:
            raise PahaError("retrieval needs a library with other clips (--retrieve-from DATASET)")
        return read_video(min(long, key=lambda item: mel_distance(mine, item[1]))[0].video)

    return _write(clips, folder, "nearest neighbour by audio", nearest, say, sources=library)


def speech_features(clip: Clip) -> np.ndarray:
    """(T, 80) float16 mean log-mel spectrum of each 40 ms of a clip's speech, 25 a second."""
    mono = speech(clip)
    num_frames = max(1, round(len(mono) * FPS / SAMPLE_RATE_HZ))
    mels = load_audio_encoder(AudioConfig(kind="logmel")).encode(mono, num_frames)
    return np.asarray(mels.mean(1), np.float16)


def mel_distance(a: np.ndarray, b: np.ndarray) -> float:
    """Mean squared difference of two spectra (T, 80) while both last."""
    length = min(len(a), len(b))
    return float(np.square(a[:length].astype(np.float32) - b[:length].astype(np.float32)).mean())


def _write(
    clips: Sequence[Clip], folder: Path, what: str, frames_of: Frames, say: Say, *, sources: Sequence[Clip]
) -> dict[str, str]:
    """sources: the clips that a video may be taken from, in order. Videos made of the same ones are kept; among other
    clips another one is the next, or the nearest."""
    failed: dict[str, str] = {}
    names = json.dumps([str(clip.video.resolve()) for clip in sources])
    made_of, noted = hashlib.sha256(names.encode()).hexdigest()[:16], _sources_of(folder)
    for number, clip in enumerate(clips):
        path = folder / f"{clip.clip_id}.mp4"
        if path.is_file() and noted.get(clip.clip_id) == made_of:
            continue
        try:
            samples, rate_hz = read_audio(clip.audio)
            length = len(read_video(clip.video))
            frames = frames_of(clip, number)
            frames = frames[np.minimum(np.arange(length), len(frames) - 1)]
            sound = np.stack([fit_length(channel, length * rate_hz // FPS) for channel in samples.T], 1)
            write_video(path, frames, audio=(sound, rate_hz), comment=COMMENT.format(what))
            noted[clip.clip_id] = made_of
            write_bytes(folder / SOURCES, json.dumps(noted, indent=1).encode())
        except PahaError as error:
            failed[clip.clip_id] = str(error)
            say(f"{what}: without {clip.clip_id}, {error}")
    say(f"{what}: {len(clips) - len(failed)} videos")
    return failed


def _sources_of(folder: Path) -> dict[str, str]:
    """clip -> what its video was made of; empty where nothing is noted."""
    try:
        noted = json.loads((folder / SOURCES).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return noted if isinstance(noted, dict) else {}
