"""The application and the worker's jobs in this process: what each answer and each end of a job is."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path

import pytest
from toy import toy_audio, toy_image, toy_pipeline

from experiments.serve.server_process import Server
from paha.media.audio_io import write_wav
from paha.media.image_io import save_png
from paha.media.provenance import read_provenance
from paha.pipeline.loading import SHIPPED_MODEL, load_pipeline
from paha.pipeline.segment_store import SegmentStore
from paha.serve.settings import ServeSettings
from paha.serve.store import VIDEO, Job, JobStore
from paha.serve.uploads import IMAGE, SPEECH
from paha.serve.worker import guidance_kinds, run_job, warm_up

uvicorn = pytest.importorskip("uvicorn")
pytest.importorskip("fastapi")
pytest.importorskip("multipart")
TOKEN = "correct-horse-battery"


class Served:
    """The application in a thread, without a worker: tests run the jobs themselves."""

    def __init__(self, folder: Path, **options) -> None:
        from paha.serve.api import make_app
        from paha.serve.workers import Workers

        self.settings = ServeSettings(folder, max_size=256, **options)
        self.store = JobStore(folder)
        app = make_app(self.settings, self.store, Workers(self.settings, self.store))
        self.server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error", lifespan="off"))
        self.thread = threading.Thread(target=self.server.run, daemon=True)
        self.thread.start()
        while not self.server.started:
            time.sleep(0.01)
        port = self.server.servers[0].sockets[0].getsockname()[1]
        self.client = Server(folder)
        self.client.address = f"http://127.0.0.1:{port}/" + (
            f"?token={self.settings.token}" if self.settings.token else ""
        )

    def close(self) -> None:
        self.server.should_exit = True
        self.thread.join(20)


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    running = Served(tmp_path_factory.mktemp("app") / "data")
    yield running
    running.close()


@pytest.fixture(scope="module")
def pipeline():
    return toy_pipeline()


@pytest.fixture
def form(tmp_path) -> dict:
    save_png(tmp_path / "i.png", toy_image())
    write_wav(tmp_path / "s.wav", *toy_audio(0.4))
    return {
        "image": ("x", (tmp_path / "i.png").read_bytes()),
        "audio": ("y", (tmp_path / "s.wav").read_bytes()),
        "size": "64",
    }


def submitted(served: Served, form: dict, **more) -> Job:
    status, job = served.client.ask("POST", "/api/jobs", form={k: v for k, v in (form | more).items() if v is not None})
    assert status == 202, job
    claimed = served.store.claim("test")
    assert claimed is not None
    assert claimed.id == job["id"]
    return claimed


def test_a_job_from_form_to_file(served, pipeline, form, tmp_path):
    pytest.importorskip("c2pa")
    job = submitted(served, form, face_box="5,5,30,30", seed="7", label="true", text="")
    assert job.settings == {
        "seed": 7,
        "size": 64,
        "strength": [1.0, 1.0, 1.0],
        "guidance": "none",
        "face_box": [5.0, 5.0, 30.0, 30.0],
        "label": True,
        "title": "y",
    }
    run_job(pipeline, served.store, job, sign=tmp_path / "me")
    status, answer = served.client.ask("GET", f"/api/jobs/{job.id}")
    assert (status, answer["state"], answer["done"], answer["message"]) == (200, "done", 10, "")
    assert read_provenance(served.store.files(job.id) / VIDEO).manifest == "valid"
    status, picture = served.client.ask("GET", answer["picture"])
    assert (status, picture[:4]) == (200, b"\x89PNG")
    assert served.client.ask("GET", answer["video"], headers={"Range": "bytes=0-9"})[0] == 206
    assert served.client.ask("GET", f"/api/jobs/{job.id}/stream")[0] == 409
    events = served.client.ask("GET", f"/api/jobs/{job.id}/events")[1].decode()
    assert json.loads(events.partition("data: ")[2])["state"] == "done"
    # A worker that died at the very end: the file is there, it is not made again.
    before = (served.store.files(job.id) / VIDEO).stat().st_mtime_ns
    with served.store._database() as database:
        database.execute("UPDATE jobs SET state = 'queued' WHERE id = ?", (job.id,))
    again = served.store.claim("test")
    run_job(pipeline, served.store, again)
    assert served.store.get(job.id).state == "done"
    assert (served.store.files(job.id) / VIDEO).stat().st_mtime_ns == before
    assert served.client.ask("DELETE", f"/api/jobs/{job.id}")[0] == 204
    assert served.client.ask("GET", f"/api/jobs/{job.id}/video")[0] == 404


def test_a_job_that_another_version_began_is_made_anew(served, pipeline, form):
    job = submitted(served, form)
    store = SegmentStore(served.store.files(job.id) / "segments")
    store.open({"config": "of another version"}, resume=False)
    run_job(pipeline, served.store, job)
    assert served.store.get(job.id).state == "done", served.store.get(job.id).message


def test_a_stream_follows_the_job(served, pipeline, form):
    job = submitted(served, form)
    got: list[bytes] = []
    reader = threading.Thread(target=lambda: got.append(served.client.ask("GET", f"/api/jobs/{job.id}/stream")[1]))
    reader.start()
    run_job(pipeline, served.store, job)
    reader.join(300)
    assert b"moof" in got[0] or b"is done" in json.dumps(str(got[0])).encode()


def test_a_title_is_one_line_of_what_can_be_read():
    from paha.serve.requests import Asked, JobForm, checked

    settings = ServeSettings(Path("nowhere"))

    def title(text: str, name: str) -> str:
        recording = None if text else b"sound"
        return checked(Asked(JobForm(text=text), b"", recording, name), settings, ["none"])["title"]

    assert title("", "C:\\sounds\\a\tb\x1b[31m.wav") == "a b [31m.wav"
    assert title("", "../../etc/passwd") == "passwd"
    assert title("", "") == title("", "\u202e/") == "Recording"
    assert title("word " * 40, "") == ("word " * 40)[:79] + "…"


def test_a_worker_warms_up_without_a_file_and_leaves_large_models_alone(pipeline, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    warm_up(load_pipeline(None))
    began = time.monotonic()
    warm_up(pipeline)
    assert time.monotonic() - began < 0.05
    assert not list(tmp_path.iterdir())


def test_words_are_spoken(served, form):
    pytest.importorskip("espeakng_loader")
    job = submitted(served, form, audio=None, text="  Good   morning. ", language="en-us", voice="m3")
    assert job.settings["title"] == "Good morning."
    assert (served.store.files(job.id) / SPEECH).stat().st_size > 10_000
    served.store.cancel(job.id)


def test_every_end_of_a_job(served, pipeline, form, capfd):
    broken, odd, cancelled, deleted = (submitted(served, form) for _ in range(4))
    (served.store.files(broken.id) / IMAGE).write_bytes(b"no picture")
    run_job(pipeline, served.store, broken)
    said = served.store.get(broken.id)
    assert (said.state, str(served.store.folder) in said.message) == ("failed", False)
    odd.settings.pop("guidance")
    run_job(pipeline, served.store, odd)
    assert served.store.get(odd.id).message == "it could not be made (KeyError)"
    served.store.cancel(cancelled.id)
    run_job(pipeline, served.store, cancelled)
    assert served.store.get(cancelled.id).state == "cancelled"
    served.store.delete(deleted.id)
    run_job(pipeline, served.store, deleted)
    assert not served.store.files(deleted.id).exists()
    assert "KeyError" in capfd.readouterr().err


def test_the_preview_says_what_will_move(served, tmp_path):
    picture = SHIPPED_MODEL.with_name("presenter_images") / "astronaut.png"
    status, found = served.client.ask("POST", "/api/preview", form={"image": ("a", picture.read_bytes())})
    assert status == 200, found
    x0, y0, x1, y1 = found["face"]
    assert 0 < x0 < x1 < found["width"] == 512
    assert 0 < y0 < y1 < 256
    assert found["picture"].startswith("data:image/jpeg;base64,")
    save_png(tmp_path / "n.png", toy_image(height=100, width=100))
    status, answer = served.client.ask("POST", "/api/preview", form={"image": ("n", (tmp_path / "n.png").read_bytes())})
    assert status == 422
    assert "no face was found" in answer["detail"]


def test_the_page_its_cookie_and_the_offer(served, pipeline, form):
    assert b"<title>PAHA</title>" in served.client.ask("GET", "/")[1]
    assert served.client.ask("GET", "/page.js")[0] == served.client.ask("GET", "/page.css")[0] == 200
    status, offer = served.client.ask("GET", "/api/offer")
    assert (status, offer["worker"], offer["guidance"], offer["max_size"]) == (200, "starting", ["none"], 256)
    assert guidance_kinds(pipeline) == ["none"]
    mine = {"Cookie": f"paha_client={'c' * 32}"}
    job = served.client.ask("POST", "/api/jobs", form=form, headers=mine)[1]
    assert [j["id"] for j in served.client.ask("GET", "/api/jobs", headers=mine)[1]] == [job["id"]]
    assert served.client.ask("POST", f"/api/jobs/{job['id']}/cancel")[1]["state"] == "cancelled"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"size": "5000"}, "size is out of range"),
        ({"seed": "-1"}, "seed is out of range"),
        ({"guidance": "dg"}, "is not to be had"),
        ({"text": "also"}, "not both"),
        ({"audio": None}, "give a recording or a text"),
        ({"head": "nan"}, "is no number"),
        ({"head": "3"}, "out of range"),
        ({"image": ("a", b"x")}, "the picture is no picture"),
        ({"audio": ("a", b"x")}, "the recording is no audio"),
        ({"seed": "word"}, "seed"),
    ],
)
def test_what_cannot_be_used_is_said(served, form, changes, message):
    asked = {k: v for k, v in (form | changes).items() if v is not None}
    status, answer = served.client.ask("POST", "/api/jobs", form=asked)
    assert status == 422
    assert message in answer["detail"]


def test_who_may_come(tmp_path, form):
    served = Served(tmp_path / "data", token=TOKEN, max_per_client=1, max_upload_mb=1)
    ask = served.client.ask
    assert ask("GET", "/api/offer", headers={"Authorization": "Bearer wrong"})[0] == 401
    assert ask("GET", "/api/offer", headers={"Authorization": "x", "Cookie": f"paha_token={TOKEN}"})[0] == 200
    assert ask("GET", f"/?token={TOKEN}", headers={"Authorization": "x"})[0] == 200
    assert ask("GET", "/api/offer", headers={"Origin": "https://evil.example"})[0] == 403
    assert ask("GET", "/api/offer", headers={"Host": "evil.example"})[0] == 400
    assert ask("POST", "/api/jobs", headers={"Content-Length": str(10**9)})[0] == 413
    assert ask("POST", "/api/jobs", form=form)[0] == 202
    assert ask("POST", "/api/jobs", form=form)[0] == 429
    served.close()
