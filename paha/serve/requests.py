"""From a client's form to a queued job: everything is checked and written anew before it is in the queue."""

# Annotations are objects here, no strings: FastAPI looks at those of JobForm.
import math
import re
import shutil
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from fastapi import Form

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
class JobForm:
    """The fields of a form beside its files: plain values, not yet checked."""

    text: Annotated[str, Form(description="Words instead of a recording.", max_length=20_000)] = ""
    language: Annotated[str, Form(description="Of the text, e.g. en-us.", max_length=40)] = ""
    voice: Annotated[str, Form(description="Of the text, e.g. f2.", max_length=40)] = ""
    seed: Annotated[int, Form(description="The same seed gives the same video.")] = 0
    size: Annotated[int, Form(description="Longer side of the video, pixels.")] = 512
    head: Annotated[float, Form(description="Strength of the head's motion, 0 to 2.")] = 1.0
    hands: Annotated[float, Form(description="Of the hands'.")] = 1.0
    mouth: Annotated[float, Form(description="Of the mouth's.")] = 1.0
    guidance: Annotated[Literal["none", "sg", "dg"], Form(description="By classifiers.")] = "none"
    face_box: Annotated[str, Form(description="x0,y0,x1,y1: which of several people.", max_length=80)] = ""
    label: Annotated[bool, Form(description="Draw 'AI-generated' on the picture.")] = False


@dataclass(frozen=True)
class Asked:
    """A form with its files, bytes as they came. name: of the recording at the client, to be shown, never opened."""

    form: JobForm
    image: bytes
    audio: bytes | None
    name: str = ""


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

            form = asked.form
            spoken = speak(form.text, language=form.language or None, voice=form.voice or None)
            keep_samples(*spoken, folder, max_seconds=settings.max_seconds)
        store.add(job_id, plain, address=address, client=client, **limits)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return job_id


def checked(asked: Asked, settings: ServeSettings, guidance: list[str]) -> dict[str, Any]:
    """The plain values of a job. Raises PahaError."""
    form = asked.form
    if bool(asked.audio) == bool(form.text.strip()):
        raise PahaError("give either a recording or a text, not both" if asked.audio else "give a recording or a text")
    if not 0 <= form.seed <= MAX_SEED:
        raise PahaError(f"the seed is out of range; give 0 to {MAX_SEED}")
    if not MIN_SIZE <= form.size <= settings.max_size:
        raise PahaError(f"the size is out of range; give {MIN_SIZE} to {settings.max_size} pixels")
    if form.guidance not in guidance:
        raise PahaError(f"guidance '{form.guidance[:20]}' is not to be had; give one of: {', '.join(guidance)}")
    if not all(math.isfinite(value) for value in (form.head, form.hands, form.mouth)):
        raise PahaError("the motion strength is no number")
    strength = MotionStrength(form.head, form.hands, form.mouth)
    return {
        "seed": form.seed,
        "size": form.size,
        "strength": [strength.head, strength.hands, strength.mouth],
        "guidance": form.guidance,
        "face_box": list(parse_face_box(form.face_box)) if form.face_box else None,
        "label": form.label,
        "title": _title(form.text) or _title(re.split(r"[/\\]", asked.name)[-1]) or "Recording",
    }


def _title(text: str) -> str:
    """One line of what can be read, shortened."""
    line = re.sub(r"\s+", " ", "".join(c if c.isprintable() else " " for c in text)).strip()
    return line if len(line) <= TITLE_CHARACTERS else line[: TITLE_CHARACTERS - 1].rstrip() + "…"
