"""From a client's form to a queued job: everything is checked and written anew before it is in the queue."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from typing import Any

from paha.errors import PahaError
from paha.guidance.face_box import parse_face_box
from paha.motion.strength import MotionStrength
from paha.serve.settings import ServeSettings
from paha.serve.store import JobStore
from paha.serve.uploads import keep_image, keep_samples, keep_speech

MAX_SEED = 2**63 - 1
MIN_SIZE = 64
TITLE_CHARACTERS = 80


@dataclass(frozen=True)
class Asked:
    """A form. image, audio: bytes as they came. The rest: plain values, not yet checked."""

    image: bytes
    audio: bytes | None
    text: str
    language: str
    voice: str
    seed: int
    size: int
    head: float
    hands: float
    mouth: float
    guidance: str
    face_box: str
    label: bool


def submit(
    asked: Asked, settings: ServeSettings, store: JobStore, guidance: list[str], *, address: str, client: str
) -> str:
    """Queue a job; returns its name. guidance: the kinds that the model has classifiers for. Raises PahaError for what
    cannot be used, QueueFullError."""
    limits = {"max_queued": settings.max_queued, "max_per_client": settings.max_per_client}
    store.check_room(address, **limits)
    plain = checked(asked, settings, guidance)
    job_id = store.new_id()
    folder = store.files(job_id)
    try:
        _, scale = keep_image(asked.image, folder, max_side=2 * settings.max_size)
        if plain["face_box"]:
            plain["face_box"] = [scale * value for value in plain["face_box"]]
        if asked.audio:
            keep_speech(asked.audio, folder, max_seconds=settings.max_seconds)
        else:
            from paha.dataset.synth.spoken_text import speak

            spoken = speak(asked.text, language=asked.language or None, voice=asked.voice or None)
            keep_samples(*spoken, folder, max_seconds=settings.max_seconds)
        store.add(job_id, plain, address=address, client=client, **limits)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return job_id


def checked(asked: Asked, settings: ServeSettings, guidance: list[str]) -> dict[str, Any]:
    """The plain values of a job. Raises PahaError."""
    if bool(asked.audio) == bool(asked.text.strip()):
        raise PahaError("give either a recording or a text, not both" if asked.audio else "give a recording or a text")
    if not 0 <= asked.seed <= MAX_SEED:
        raise PahaError(f"the seed is out of range; give 0 to {MAX_SEED}")
    if not MIN_SIZE <= asked.size <= settings.max_size:
        raise PahaError(f"the size is out of range; give {MIN_SIZE} to {settings.max_size} pixels")
    if asked.guidance not in guidance:
        raise PahaError(f"guidance '{asked.guidance[:20]}' is not to be had; give one of: {', '.join(guidance)}")
    strength = MotionStrength(asked.head, asked.hands, asked.mouth)
    title = re.sub(r"\s+", " ", asked.text).strip() or "Recording"
    return {
        "seed": asked.seed,
        "size": asked.size,
        "strength": [strength.head, strength.hands, strength.mouth],
        "guidance": asked.guidance,
        "face_box": list(parse_face_box(asked.face_box)) if asked.face_box else None,
        "label": asked.label,
        "title": title[:TITLE_CHARACTERS],
    }
