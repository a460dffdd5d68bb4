"""The JSON that the HTTP API answers with, as typed models (docs/serve.md, /openapi.json)."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel

from paha.serve.store import Job

State = Literal["queued", "running", "done", "failed", "cancelled"]


class Status(BaseModel):
    """A job. done, total: frames. seconds_left: estimated, while it runs. ahead: jobs before it, while it waits.
    picture: the address of its photograph; stream: of what is made already, while it runs; video: of the whole, when it
    is done. attempt: how often a worker began it; a stream of an earlier attempt has ended."""

    id: str
    state: State
    created: float
    done: int
    total: int
    seconds_left: float | None
    ahead: int | None
    attempt: int
    message: str
    warnings: list[str]
    title: str
    picture: str
    stream: str | None
    video: str | None


class Offer(BaseModel):
    """What this server takes: its limits, the voices of a text (voice: the best one), the guidance its model has
    classifiers for."""

    max_upload_mb: int
    max_seconds: float
    max_size: int
    guidance: list[str]
    languages: list[str]
    voices: list[str]
    voice: str
    worker: str


class Preview(BaseModel):
    """What will move. face: x0 y0 x1 y1, pixels of the picture. picture: a JPEG with it drawn, as a data address."""

    width: int
    height: int
    face: list[float]
    left_hand: bool
    right_hand: bool
    warnings: list[str]
    landmarks: str
    picture: str


def status_of(job: Job, *, ahead: int | None, now: float) -> Status:
    """The answer about a job. now: seconds since the epoch."""
    left = None
    if job.state == "running" and job.done and job.began is not None:
        left = round((now - job.began) / job.done * (job.total - job.done), 1)
    base = f"/api/jobs/{job.id}"
    return Status(
        id=job.id,
        state=job.state,  # type: ignore[arg-type]
        created=job.created,
        done=job.done,
        total=job.total,
        seconds_left=left,
        ahead=ahead,
        attempt=job.attempt,
        message=job.message,
        warnings=job.warnings,
        title=job.settings["title"],
        picture=f"{base}/picture",
        stream=f"{base}/stream" if job.state == "running" else None,
        video=f"{base}/video" if job.state == "done" else None,
    )
