"""The answers of a study in SQLite: who takes part, and what was chosen on which page for which question."""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from paha.errors import PahaError

_SCHEMA = """
CREATE TABLE IF NOT EXISTS participants (number INTEGER PRIMARY KEY, token TEXT UNIQUE NOT NULL, joined TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS answers (
    participant INTEGER NOT NULL REFERENCES participants(number), item TEXT NOT NULL, question TEXT NOT NULL,
    method TEXT NOT NULL, place INTEGER NOT NULL, given TEXT NOT NULL, PRIMARY KEY (participant, item, question));
"""


@dataclass(frozen=True)
class Answer:
    """One choice. place: where the method's video stood, from 0."""

    participant: int
    item: str
    question: str
    method: str
    place: int


class Answers:
    """The database file. Each call opens it anew, so that any thread may use it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with self._open() as connection:
            connection.executescript(_SCHEMA)

    def join(self) -> tuple[int, str]:
        """A new participant: number from 0 on, and the secret token under which they come back."""
        token = secrets.token_urlsafe(12)
        with self._open() as connection:
            connection.execute("BEGIN IMMEDIATE")
            number = connection.execute("SELECT COALESCE(MAX(number), -1) + 1 FROM participants").fetchone()[0]
            connection.execute("INSERT INTO participants VALUES (?, ?, datetime('now'))", (number, token))
        return number, token

    def participant(self, token: str) -> int | None:
        """The number of a participant, None for an unknown token."""
        with self._open() as connection:
            row = connection.execute("SELECT number FROM participants WHERE token = ?", (token,)).fetchone()
        return None if row is None else int(row[0])

    def save(self, answers: list[Answer]) -> None:
        """Keep the answers of a page; given again they replace the earlier ones."""
        rows = [(a.participant, a.item, a.question, a.method, a.place) for a in answers]
        with self._open() as connection:
            connection.executemany("INSERT OR REPLACE INTO answers VALUES (?, ?, ?, ?, ?, datetime('now'))", rows)

    def done(self, participant: int) -> set[str]:
        """Items that a participant has answered."""
        with self._open() as connection:
            rows = connection.execute("SELECT DISTINCT item FROM answers WHERE participant = ?", (participant,))
            return {row[0] for row in rows}

    def all(self) -> list[Answer]:
        """Every answer, by participant."""
        query = "SELECT participant, item, question, method, place FROM answers ORDER BY participant, rowid"
        with self._open() as connection:
            return [Answer(*row) for row in connection.execute(query)]

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        try:
            with closing(sqlite3.connect(self.path, timeout=30)) as connection, connection:
                yield connection
        except sqlite3.Error as error:
            raise PahaError(f"cannot use the answers {self.path}: {error}; check the folder and its rights") from error
