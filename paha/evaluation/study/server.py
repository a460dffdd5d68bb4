"""`paha study serve`: the study as plain web pages, by the standard library. No scripts, third parties or cookies.

A participant's address, /p/TOKEN, is all that is needed to come back to the page where they stopped.
"""

from __future__ import annotations

import html
import mimetypes
import re
import urllib.parse
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from paha.errors import PahaError
from paha.evaluation.study.answers import Answer, Answers
from paha.evaluation.study.plan import ANSWERS, CHECK, VIDEOS, Page, Study, expected_place, load_study, pages

_MAX_FORM = 16_384
_RANGE = re.compile(r"bytes=(\d*)-(\d*)$")
_STYLE = """
body{font:18px/1.5 system-ui,sans-serif;max-width:80rem;margin:0 auto;padding:1rem 1.5rem;color:#1a1a1a;background:#fff}
h1{font-size:1.4rem}fieldset{border:1px solid #ccc;border-radius:.4rem;margin:1rem 0;padding:.6rem 1rem}
.row{display:flex;flex-wrap:wrap;gap:1rem}.row figure{flex:1 1 12rem;margin:0}video{width:100%;background:#000}
figcaption{text-align:center;font-weight:600}label{margin-right:1.5rem;white-space:nowrap}
button{font:inherit;padding:.5rem 1.4rem;border:0;border-radius:.4rem;background:#1450a0;color:#fff;cursor:pointer}
progress{width:100%}.note{background:#f2f5fa;padding:.6rem 1rem;border-radius:.4rem}
"""


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
            self._page(_welcome(self.server.study))
        elif path.startswith("/p/"):
            self._participant(path.removeprefix("/p/"))
        elif path.startswith("/v/"):
            self._video(path.removeprefix("/v/"))
        else:
            self._page(_message("There is no such page."), HTTPStatus.NOT_FOUND)

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
            self._page(_message("There is no such page."), HTTPStatus.NOT_FOUND)

    def _participant(self, token: str) -> None:
        found = self._next(token)
        if found is None:
            return
        _, page, done, total = found
        if page is None:
            self._page(_message("Thank you, that was all. You may close this page."))
        else:
            self._page(_questions(self.server.study, page, done, total))

    def _answer(self, token: str, form: dict[str, str]) -> None:
        found = self._next(token)
        if found is None:
            return
        participant, page, _, _ = found
        # A form that was sent twice, or from an old tab: the page shown next says where things stand.
        if page is not None and form.get("item") == page.item:
            places = {q: form.get(q, "") for q in self.server.study.questions}
            if not all(value.isdecimal() and int(value) < len(page.order) for value in places.values()):
                self._page(_message("Please answer every question; go back to do so."), HTTPStatus.BAD_REQUEST)
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
            self._page(_message("This address belongs to no participant."), HTTPStatus.NOT_FOUND)
            return None
        planned, done = pages(self.server.study, participant), self.server.answers.done(participant)
        page = next((page for page in planned if page.item not in done), None)
        return participant, page, len(done), len(planned)

    def _form(self) -> dict[str, str] | None:
        length = self.headers.get("Content-Length", "0")
        if not length.isdecimal() or int(length) > _MAX_FORM:
            self.close_connection = True
            self._page(_message("That is no answer."), HTTPStatus.BAD_REQUEST)
            return None
        body = self.rfile.read(int(length)).decode("utf-8", "replace")
        return {name: values[-1] for name, values in urllib.parse.parse_qs(body).items()}

    def _video(self, name: str) -> None:
        path = self.server.folder / VIDEOS / name
        known = {file for item in self.server.study.items for file in item.videos.values()}
        if name not in known or not path.is_file():
            self._page(_message("There is no such video."), HTTPStatus.NOT_FOUND)
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

    def _page(self, body: str, status: HTTPStatus = HTTPStatus.OK) -> None:
        title = html.escape(self.server.study.title)
        text = (
            f'<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
            f"<title>{title}</title><style>{_STYLE}</style><h1>{title}</h1>{body}</html>"
        ).encode()
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


def _welcome(study: Study) -> str:
    count = sum(item.name != CHECK for item in study.items)
    return (
        f"<p>You will see {count} pages with {len(study.methods)} videos each, and answer {len(study.questions)} "
        f'questions about them.</p><p class="note">{html.escape(study.instruction)}</p>'
        "<p>Your answers are kept without your name. Keep the address of the next page: with it you can stop and come "
        'back.</p><form method="post" action="/join"><button id="start">Start</button></form>'
    )


def _message(text: str) -> str:
    return f'<p id="message">{html.escape(text)}</p>'


def _questions(study: Study, page: Page, done: int, total: int) -> str:
    letters = [chr(ord("A") + place) for place in range(len(page.order))]
    figures = "".join(
        f'<figure><video controls playsinline preload="metadata" src="/v/{urllib.parse.quote(name)}"></video>'
        f"<figcaption>{letter}</figcaption></figure>"
        for letter, name in zip(letters, page.videos, strict=True)
    )
    place = expected_place(study, page)
    note = study.instruction
    if place is not None:
        note = f"This page checks that you read it: please choose {letters[place]} for every question."
    asked = "".join(_question(key, text, letters) for key, text in study.questions.items())
    return (
        f'<progress value="{done}" max="{total}"></progress><p>Page {done + 1} of {total}</p>'
        f'<p class="note">{html.escape(note)}</p><div class="row">{figures}</div><form method="post">'
        f'<input type="hidden" name="item" value="{html.escape(page.item, quote=True)}">{asked}'
        '<button id="next">Next</button></form>'
    )


def _question(key: str, text: str, letters: list[str]) -> str:
    choices = "".join(
        f'<label><input type="radio" name="{html.escape(key, quote=True)}" value="{place}" required> {letter}</label>'
        for place, letter in enumerate(letters)
    )
    return f"<fieldset><legend>{html.escape(text)}</legend>{choices}</fieldset>"
