"""The jobs of a server in SQLite, and their folders: what is there survives any process's end.

A job goes queued -> running -> done, failed or cancelled. A worker that dies leaves its job running; `requeue` gives it
back, and the next worker goes on at the segment that was under way.
"""

from __future__ import annotations

import json
import secrets
import shutil
import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MAX_DEATHS = 6
"""A job whose worker dies so often without a frame more than ever before is what kills it."""
VIDEO = "video.mp4"
"""The whole video in a job's folder."""
ENDED = ("done", "failed", "cancelled")
_TABLE = """CREATE TABLE IF NOT EXISTS jobs (
id TEXT PRIMARY KEY, address TEXT NOT NULL, client TEXT NOT NULL, created REAL NOT NULL, state TEXT NOT NULL,
settings TEXT NOT NULL, attempt INTEGER NOT NULL DEFAULT 0, worker TEXT NOT NULL DEFAULT '',
done INTEGER NOT NULL DEFAULT 0, total INTEGER NOT NULL DEFAULT 0, message TEXT NOT NULL DEFAULT '',
warnings TEXT NOT NULL DEFAULT '[]', began REAL, ended REAL, endings INTEGER NOT NULL DEFAULT 0,
best INTEGER NOT NULL DEFAULT 0, deaths INTEGER NOT NULL DEFAULT 0)"""


def stream_name(attempt: int | str) -> str:
    """The file that grows while a job is made. A new worker begins a new one: players hold the old one open."""
    return f"stream-{attempt}.mp4"


class QueueFullError(Exception):
    """Too many jobs wait already."""


@dataclass(frozen=True)
class Job:
    """One row. settings: plain values of what was asked. done, total: frames. began, ended: seconds since the epoch.
    endings: how often it ended; never more than once. best: the most frames that any attempt came to. deaths: of
    workers in a row that did not come further."""

    id: str
    address: str
    client: str
    created: float
    state: str
    settings: dict[str, Any]
    attempt: int
    worker: str
    done: int
    total: int
    message: str
    warnings: list[str]
    began: float | None
    ended: float | None
    endings: int
    best: int
    deaths: int

    @classmethod
    def of_row(cls, row: sqlite3.Row) -> Job:
        """From the database."""
        values = dict(row)
        return cls(**values | {name: json.loads(values[name]) for name in ("settings", "warnings")})


class JobStore:
    """folder: jobs.sqlite3, and jobs/ID with a job's files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "jobs").mkdir(parents=True, exist_ok=True)
        with self._database() as database:
            database.execute("PRAGMA journal_mode=WAL")
            database.execute(_TABLE)

    @contextmanager
    def _database(self) -> Iterator[sqlite3.Connection]:
        """A connection of its own, inside one immediate transaction: processes and threads take turns."""
        database = sqlite3.connect(self.folder / "jobs.sqlite3", timeout=30, isolation_level=None)
        database.row_factory = sqlite3.Row
        try:
            yield database
        finally:
            database.close()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._database() as database:
            database.execute("BEGIN IMMEDIATE")
            try:
                yield database
            except BaseException:
                database.execute("ROLLBACK")
                raise
            database.execute("COMMIT")

    def files(self, job_id: str) -> Path:
        """The folder of a job that is in the database."""
        return self.folder / "jobs" / job_id

    def new_id(self) -> str:
        """An unguessable name, and its folder."""
        job_id = secrets.token_hex(16)
        self.files(job_id).mkdir()
        return job_id

    def check_room(self, address: str, *, max_queued: int, max_per_client: int) -> None:
        """Raises QueueFullError where no job of this address may be added."""
        with self._database() as database:
            _check_room(database, address, max_queued, max_per_client)

    def add(
        self,
        job_id: str,
        settings: Mapping[str, Any],
        *,
        address: str,
        client: str,
        max_queued: int,
        max_per_client: int,
    ) -> None:
        """Queue a job whose files are in place. Raises QueueFullError."""
        with self._transaction() as database:
            _check_room(database, address, max_queued, max_per_client)
            row = (job_id, address, client, time.time(), "queued", json.dumps(dict(settings)))
            database.execute(
                "INSERT INTO jobs (id, address, client, created, state, settings) VALUES (?,?,?,?,?,?)", row
            )

    def get(self, job_id: str) -> Job | None:
        """The job of that name."""
        with self._database() as database:
            row = database.execute("SELECT * FROM jobs WHERE id = ?", (job_id,)).fetchone()
        return None if row is None else Job.of_row(row)

    def of_client(self, client: str, limit: int = 100) -> list[Job]:
        """A client's jobs, newest first."""
        query = "SELECT * FROM jobs WHERE client = ? ORDER BY created DESC LIMIT ?"
        with self._database() as database:
            return [Job.of_row(row) for row in database.execute(query, (client, limit))]

    def ahead(self, job: Job) -> int:
        """Jobs that come before a queued one."""
        query = "SELECT count(*) FROM jobs WHERE state = 'running' OR (state = 'queued' AND created < ?)"
        with self._database() as database:
            return int(database.execute(query, (job.created,)).fetchone()[0])

    def claim(self, worker: str) -> Job | None:
        """The oldest queued job, now running at this worker; None where none waits."""
        with self._transaction() as database:
            row = database.execute(
                "UPDATE jobs SET state = 'running', worker = ?, attempt = attempt + 1, done = 0, began = ? WHERE id = "
                "(SELECT id FROM jobs WHERE state = 'queued' ORDER BY created LIMIT 1) RETURNING *",
                (worker, time.time()),
            ).fetchone()
        return None if row is None else Job.of_row(row)

    def progress(self, job: Job, *, done: int, total: int, warnings: list[str]) -> bool:
        """Tell how far a running job is; returns whether it shall go on (False: it was cancelled or taken away)."""
        values = (done, total, json.dumps(warnings), job.id, job.attempt)
        query = "UPDATE jobs SET done = ?, total = ?, warnings = ? WHERE id = ? AND attempt = ? AND state = 'running'"
        with self._transaction() as database:
            return database.execute(query, values).rowcount == 1

    def end(self, job: Job, state: str, message: str = "") -> bool:
        """A running job is done or failed; returns False where it was cancelled or taken away."""
        query = (
            "UPDATE jobs SET state = ?, message = ?, ended = ?, endings = endings + 1 "
            "WHERE id = ? AND attempt = ? AND state = 'running'"
        )
        with self._transaction() as database:
            return database.execute(query, (state, message, time.time(), job.id, job.attempt)).rowcount == 1

    def cancel(self, job_id: str) -> bool:
        """End a job that waits or runs; returns whether it did."""
        query = (
            "UPDATE jobs SET state = 'cancelled', ended = ?, endings = endings + 1 "
            "WHERE id = ? AND state IN ('queued', 'running')"
        )
        with self._transaction() as database:
            return database.execute(query, (time.time(), job_id)).rowcount == 1

    def requeue(self, worker: str | None = None) -> int:
        """Give back what a dead worker was at (of all workers by default); returns how many jobs those were."""
        whose = "" if worker is None else " AND worker = ?"
        values = () if worker is None else (worker,)
        with self._transaction() as database:
            database.execute(
                "UPDATE jobs SET deaths = CASE WHEN done > best THEN 0 ELSE deaths + 1 END, best = max(best, done) "
                f"WHERE state = 'running'{whose}",
                values,
            )
            database.execute(
                "UPDATE jobs SET state = 'failed', message = 'its worker died again and again', ended = ?, "
                f"endings = endings + 1 WHERE state = 'running' AND deaths >= ?{whose}",
                (time.time(), MAX_DEATHS, *values),
            )
            return database.execute(f"UPDATE jobs SET state = 'queued' WHERE state = 'running'{whose}", values).rowcount

    def delete(self, job_id: str) -> bool:
        """Forget a job and its files; a running one is cancelled first. Returns whether there was one."""
        self.cancel(job_id)
        with self._transaction() as database:
            gone = database.execute("DELETE FROM jobs WHERE id = ?", (job_id,)).rowcount == 1
        if gone:
            shutil.rmtree(self.files(job_id), ignore_errors=True)
        return gone

    def sweep(self) -> None:
        """Remove folders that belong to no job: uploads that a crash cut off, files written after a deletion."""
        with self._database() as database:
            known = {row["id"] for row in database.execute("SELECT id FROM jobs")}
        for path in (self.folder / "jobs").iterdir():
            if path.name not in known:
                shutil.rmtree(path, ignore_errors=True)


def _check_room(database: sqlite3.Connection, address: str, max_queued: int, max_per_client: int) -> None:
    waiting = int(database.execute("SELECT count(*) FROM jobs WHERE state = 'queued'").fetchone()[0])
    query = "SELECT count(*) FROM jobs WHERE address = ? AND state IN ('queued', 'running')"
    own = int(database.execute(query, (address,)).fetchone()[0])
    if waiting >= max_queued:
        raise QueueFullError(f"{waiting} jobs wait already; come back later")
    if own >= max_per_client:
        raise QueueFullError(f"{own} of your jobs wait or run, no more are taken; cancel one or wait")
