"""`paha study serve`: the study as plain web pages, by the standard library. No scripts, third parties or cookies.

A participant's address, /p/TOKEN, is all that is needed to come back to the page where they stopped.
"""

from __future__ import annotations

import mimetypes
import re
import urllib.parse
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from string import ascii_uppercase

from paha.errors import PahaError
from paha.evaluation.study.answers import Answer, Answers
from paha.evaluation.study.plan import ANSWERS, CHECK, VIDEOS, Page, expected_place, load_study, pages
from paha.runtime.pages import render_page

_MAX_FORM = 16_384
_RANGE = re.compile(r"bytes=(\d*)-(\d*)$")


class StudyServer(ThreadingHTTPServer):
    """Serves one study; `serve_forever` until interrupted. port 0 takes a free one (see `server_port`)."""

    daemon_threads = True

    def __init__(self, folder: Path, *, host: str = "127.0.0.1", port: int = 8765) -> None:
        self.folder, self.study = folder, load_study(folder)
        self.answers = Answers(folder / ANSWERS)
        try:
            super().__init__((host, port), partial(_Handler))
        except OSError as error:
            raise PahaError(f"cannot serve on {host}:{port}: {error.strerror}; choose another --port") from error


class _Handler(BaseHTTPRequestHandler):
    server: StudyServer  # pyright: ignore[reportIncompatibleVariableOverride]
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:
        """Nothing is logged about participants."""

    def do_GET(self) -> None:
        path = urllib.parse.urlsplit(self.path).path
        if path == "/":
            num_pages = sum(item.name != CHECK for item in self.server.study.items)
            self._page("welcome", num_pages=num_pages)
        elif path.startswith("/p/"):
            self._participant(path.removeprefix("/p/"))
        elif path.startswith("/v/"):
            self._video(path.removeprefix("/v/"))
        else:
            self._message("There is no such page.", HTTPStatus.NOT_FOUND)

    def do_POST(self) -> None:
        path, form = urllib.parse.urlsplit(self.path).path, self._form()
        if form is None:
            return
        if path == "/join":
            _, token = self.server.answers.join()
            self._redirect(f"/p/{token}")
        elif path.startswith("/p/"):
            self._answer(path.removeprefix("/p/"), form)
        else:
            self._message("There is no such page.", HTTPStatus.NOT_FOUND)

    def _participant(self, token: str) -> None:
        found = self._next(token)
        if found is None:
            return
        _, page, done, total = found
        if page is None:
            self._message("Thank you, that was all. You may close this page.")
        else:
            letters = ascii_uppercase[: len(page.order)]
            expected = expected_place(self.server.study, page)
            self._page("questions", page=page, letters=letters, expected=expected, done=done, total=total)

    def _answer(self, token: str, form: dict[str, str]) -> None:
        found = self._next(token)
        if found is None:
            return
        participant, page, _, _ = found
        # A form that was sent twice, or from an old tab: the page shown next says where things stand.
        if page is not None and form.get("item") == page.item:
            places = {q: form.get(q, "") for q in self.server.study.questions}
            if not all(value.isdecimal() and int(value) < len(page.order) for value in places.values()):
                self._message("Please answer every question; go back to do so.", HTTPStatus.BAD_REQUEST)
                return
            chosen = [
                Answer(participant, page.item, question, page.order[int(place)], int(place))
                for question, place in places.items()
            ]
            self.server.answers.save(chosen)
        self._redirect(f"/p/{token}")

    def _next(self, token: str) -> tuple[int, Page | None, int, int] | None:
        """(participant, first unanswered page, answered, total), or None after telling that the token is unknown."""
        participant = self.server.answers.participant(token)
        if participant is None:
            self._message("This address belongs to no participant.", HTTPStatus.NOT_FOUND)
            return None
        planned, done = pages(self.server.study, participant), self.server.answers.done(participant)
        page = next((page for page in planned if page.item not in done), None)
        return participant, page, len(done), len(planned)

    def _form(self) -> dict[str, str] | None:
        length = self.headers.get("Content-Length", "0")
        if not length.isdecimal() or int(length) > _MAX_FORM:
            self.close_connection = True
            self._message("That is no answer.", HTTPStatus.BAD_REQUEST)
            return None
        body = self.rfile.read(int(length)).decode("utf-8", "replace")
        return {name: values[-1] for name, values in urllib.parse.parse_qs(body).items()}

    def _video(self, name: str) -> None:
        path = self.server.folder / VIDEOS / name
        known = {file for item in self.server.study.items for file in item.videos.values()}
        if name not in known or not path.is_file():
            self._message("There is no such video.", HTTPStatus.NOT_FOUND)
            return
        data = path.read_bytes()
        first, last = _byte_range(self.headers.get("Range", ""), len(data))
        whole = (first, last) == (0, len(data) - 1)
        self.send_response(HTTPStatus.OK if whole else HTTPStatus.PARTIAL_CONTENT)
        self.send_header("Content-Type", mimetypes.guess_type(name)[0] or "video/mp4")
        self.send_header("Accept-Ranges", "bytes")
        if not whole:
            self.send_header("Content-Range", f"bytes {first}-{last}/{len(data)}")
        self.send_header("Content-Length", str(last - first + 1))
        self.end_headers()
        self.wfile.write(data[first : last + 1])

    def _message(self, text: str, status: HTTPStatus = HTTPStatus.OK) -> None:
        self._page("message", status, text=text)

    def _page(self, name: str, status: HTTPStatus = HTTPStatus.OK, **values: object) -> None:
        text = render_page(f"study_{name}.html", study=self.server.study, **values).encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(text)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("Content-Security-Policy", "default-src 'self'; style-src 'unsafe-inline'")
        self.end_headers()
        self.wfile.write(text)

    def _redirect(self, path: str) -> None:
        self.send_response(HTTPStatus.SEE_OTHER)
        self.send_header("Location", path)
        self.send_header("Content-Length", "0")
        self.end_headers()


def _byte_range(header: str, size: int) -> tuple[int, int]:
    """First and last byte of a Range header; all of them where there is none or it is nonsense. Browsers seek by it."""
    found = _RANGE.match(header.strip())
    if not found or found.groups() == ("", ""):
        return 0, size - 1
    start, end = found.groups()
    if not start:
        return max(0, size - int(end)), size - 1
    first, last = int(start), min(int(end) if end else size - 1, size - 1)
    return (first, last) if first <= last else (0, size - 1)
