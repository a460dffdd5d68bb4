"""Streams to a client while a job runs: its events, and the bytes of the video that grows."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

from paha.serve.models import Status, status_of
from paha.serve.store import ENDED, Job, JobStore, stream_name

POLL_S = 0.15
_BLOCK = 1 << 16


def told(store: JobStore, job: Job) -> Status:
    """A job's status now."""
    return status_of(job, ahead=store.ahead(job) if job.state == "queued" else None, now=time.time())


async def events(store: JobStore, job_id: str) -> AsyncIterator[str]:
    """Server-sent events: the status as JSON whenever it changes, until the job ended or is gone."""
    last, quiet = "", 0.0
    while True:
        job = store.get(job_id)
        if job is None:
            yield "event: gone\ndata: {}\n\n"
            return
        status = told(store, job).model_dump_json(exclude={"seconds_left"})
        if status != last:
            last, quiet = status, 0.0
            yield f"data: {told(store, job).model_dump_json()}\n\n"
        if job.state in ENDED:
            return
        await asyncio.sleep(POLL_S)
        quiet += POLL_S
        if quiet > 15:
            quiet = 0.0
            yield ": still here\n\n"


async def growing(store: JobStore, job: Job) -> AsyncIterator[bytes]:
    """The bytes of a running job's video as they are written, until it ended or another worker took it over."""
    path: Path = store.files(job.id) / stream_name(job.attempt)
    while not path.is_file():
        if not _at_work(store, job):
            return
        await asyncio.sleep(POLL_S)
    with path.open("rb") as file:
        while True:
            at_work = _at_work(store, job)
            while block := file.read(_BLOCK):
                yield block
            if not at_work:
                return
            await asyncio.sleep(POLL_S)


def _at_work(store: JobStore, job: Job) -> bool:
    now = store.get(job.id)
    return now is not None and now.state == "running" and now.attempt == job.attempt
