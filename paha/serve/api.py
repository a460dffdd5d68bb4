"""The HTTP API and the page (docs/serve.md)."""

from __future__ import annotations

import asyncio
import base64
import re
import secrets
import shutil
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated

import fastapi
from fastapi import Depends, FastAPI, File, Form, HTTPException, Request, Response, UploadFile
from fastapi.responses import FileResponse, JSONResponse, StreamingResponse

from paha import __version__
from paha.errors import PahaError
from paha.guidance.face_box import parse_face_box
from paha.serve import following
from paha.serve.guard import TOKEN_COOKIE, Guard
from paha.serve.models import Offer, Preview, Status
from paha.serve.preview import preview
from paha.serve.requests import Asked, JobForm, submit
from paha.serve.settings import ServeSettings
from paha.serve.store import VIDEO, Job, JobStore, QueueFullError
from paha.serve.uploads import IMAGE, keep_image
from paha.serve.workers import Workers

PAGE = Path(__file__).parents[1] / "assets" / "serve"
CLIENT_COOKIE = "paha_client"
_ID = re.compile(r"[0-9a-f]{32}")
_YEAR_S = 365 * 24 * 3600


def make_app(settings: ServeSettings, store: JobStore, workers: Workers) -> Guard:
    """The ASGI application. What it writes lies in the settings' folder."""
    app = FastAPI(title="PAHA", version=__version__, docs_url=None, redoc_url=None)  # their pages come from a CDN
    # Starlette puts large uploads into temporary files: inside our own folder.
    temporary = settings.folder / "uploads"
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    tempfile.tempdir = str(temporary)

    @app.exception_handler(PahaError)
    async def _unusable(_: Request, error: PahaError) -> JSONResponse:
        return JSONResponse({"detail": " ".join(str(error).split())}, 422)

    @app.exception_handler(QueueFullError)
    async def _full(_: Request, error: QueueFullError) -> JSONResponse:
        return JSONResponse({"detail": str(error)}, 429)

    @app.exception_handler(fastapi.exceptions.RequestValidationError)
    async def _malformed(_: Request, error: fastapi.exceptions.RequestValidationError) -> JSONResponse:
        lines = [f"{'.'.join(str(p) for p in e['loc'][1:])}: {e['msg']}"[:200] for e in error.errors()[:3]]
        return JSONResponse({"detail": "; ".join(lines)}, 422)

    def known(job_id: str) -> Job:
        job = store.get(job_id) if _ID.fullmatch(job_id) else None
        if job is None:
            raise HTTPException(404, "there is no such job")
        return job

    _add_submission(app, settings, store, workers, known)
    _add_jobs(app, store, known)
    _add_page(app, settings, workers)
    return Guard(app, settings)


def client_of(request: Request, response: Response) -> str:
    """The browser's own name, a cookie that is set here: whose gallery it is."""
    client = request.cookies.get(CLIENT_COOKIE, "")
    if not _ID.fullmatch(client):
        client = secrets.token_hex(16)
        response.set_cookie(CLIENT_COOKIE, client, max_age=_YEAR_S, httponly=True, samesite="strict")
    return client


def _add_submission(
    app: FastAPI, settings: ServeSettings, store: JobStore, workers: Workers, known: Callable[[str], Job]
) -> None:
    """Submit, list."""

    @app.post("/api/jobs", status_code=202)
    async def submit_job(
        request: Request,
        client: Annotated[str, Depends(client_of)],
        form: Annotated[JobForm, Depends()],
        image: Annotated[UploadFile, File(description="A picture of a person.")],
        audio: Annotated[UploadFile | None, File(description="Speech: any audio, or a video with sound.")] = None,
    ) -> Status:
        """Queue a video."""
        if workers.state == "failed":
            raise HTTPException(503, "no worker can be started; the server's log says why")
        speech = None if audio is None else await audio.read()
        asked = Asked(form, await image.read(), speech, name="" if audio is None else audio.filename or "")
        address = request.client.host if request.client else ""
        queue = partial(submit, asked, settings, store, workers.guidance, address=address, client=client)
        return following.told(store, known(await asyncio.to_thread(queue)))

    @app.get("/api/jobs")
    def list_jobs(client: Annotated[str, Depends(client_of)]) -> list[Status]:
        """The jobs that this browser submitted, newest first."""
        return [following.told(store, job) for job in store.of_client(client)]


def _add_jobs(app: FastAPI, store: JobStore, known: Callable[[str], Job]) -> None:
    """Status, events, picture, stream, video, cancel, delete."""

    @app.get("/api/jobs/{job_id}")
    def read_status(job_id: str) -> Status:
        """How far a job is."""
        return following.told(store, known(job_id))

    @app.get("/api/jobs/{job_id}/events")
    def read_events(job_id: str) -> StreamingResponse:
        """Server-sent events: the status whenever it changes, until the job ended."""
        known(job_id)
        headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
        return StreamingResponse(following.events(store, job_id), media_type="text/event-stream", headers=headers)

    @app.get("/api/jobs/{job_id}/picture")
    def read_picture(job_id: str) -> FileResponse:
        """The photograph of a job, a PNG."""
        return FileResponse(store.files(known(job_id).id) / IMAGE, media_type="image/png")

    @app.get("/api/jobs/{job_id}/stream")
    def read_stream(job_id: str) -> StreamingResponse:
        """The video of a running job as it is made: a fragmented mp4."""
        job = known(job_id)
        if job.state != "running":
            raise HTTPException(409, f"the job is {job.state}")
        headers = {"cache-control": "no-store"}
        return StreamingResponse(following.growing(store, job), media_type="video/mp4", headers=headers)

    @app.get("/api/jobs/{job_id}/video")
    def read_video(job_id: str) -> FileResponse:
        """The video of a job that is done; ranges are answered."""
        job = known(job_id)
        if job.state != "done":
            raise HTTPException(409, f"the job is {job.state}")
        return FileResponse(
            store.files(job.id) / VIDEO, media_type="video/mp4", filename="paha.mp4", content_disposition_type="inline"
        )

    @app.post("/api/jobs/{job_id}/cancel")
    def cancel_job(job_id: str) -> Status:
        """End a job that waits or runs."""
        store.cancel(known(job_id).id)
        return following.told(store, known(job_id))

    @app.delete("/api/jobs/{job_id}", status_code=204)
    def delete_job(job_id: str) -> None:
        """Forget a job and its files."""
        store.delete(known(job_id).id)


def _add_page(app: FastAPI, settings: ServeSettings, workers: Workers) -> None:
    """The page, what it offers, and the preview."""

    @app.post("/api/preview")
    async def preview_picture(
        image: Annotated[UploadFile, File(description="A picture of a person.")],
        face_box: Annotated[str, Form(description="x0,y0,x1,y1: which of several people.", max_length=80)] = "",
    ) -> Preview:
        """What of a picture will move, before anything is made."""
        data = await image.read()

        def read() -> Preview:
            box = parse_face_box(face_box) if face_box else None
            with tempfile.TemporaryDirectory() as folder:
                picture, scale = keep_image(data, Path(folder), max_side=2 * settings.max_size)
            found, jpeg = preview(picture, scale, box)
            return Preview(**found, picture="data:image/jpeg;base64," + base64.b64encode(jpeg).decode())

        return await asyncio.to_thread(read)

    @app.get("/api/offer")
    def read_offer() -> Offer:
        """The limits, voices and guidance of this server."""
        from paha.dataset.synth import spoken_text

        try:
            languages, voices = list(spoken_text.languages()), list(spoken_text.voices())
        except PahaError:
            languages, voices = [], []
        return Offer(
            max_upload_mb=settings.max_upload_mb,
            max_seconds=settings.max_seconds,
            max_size=settings.max_size,
            guidance=workers.guidance,
            languages=languages,
            voices=voices,
            voice=spoken_text.default_voice(),
            worker=workers.state,
        )

    @app.get("/", include_in_schema=False)
    def page(client: Annotated[str, Depends(client_of)], response: Response, token: str = "") -> Response:
        answer = FileResponse(PAGE / "index.html", headers={"cache-control": "no-store"})
        for name, value in response.headers.items():
            if name == "set-cookie":
                answer.headers.append(name, value)
        if token:  # the guard has looked at it
            answer.set_cookie(TOKEN_COOKIE, token, max_age=_YEAR_S, httponly=True, samesite="strict")
        return answer

    for name in ("page.js", "page.css"):
        app.get(f"/{name}", include_in_schema=False)(lambda name=name: FileResponse(PAGE / name))
