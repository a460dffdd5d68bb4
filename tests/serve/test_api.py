"""The API against a real server with a toy model."""

from __future__ import annotations

import io
import json
import socket
import threading
import zipfile
import zlib
from pathlib import Path
from urllib.parse import urlsplit

import av
import pytest
from toy import toy_audio, toy_image, toy_pipeline

from experiments.serve.server_process import Server, multipart
from paha.media.audio_io import write_wav
from paha.media.image_io import save_png

pytest.importorskip("fastapi")
pytest.importorskip("multipart")
TOKEN = "correct-horse-battery"


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("model") / "debug"
    toy_pipeline().save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> dict[str, tuple[str, bytes]]:
    folder = tmp_path_factory.mktemp("files")
    save_png(folder / "i.png", toy_image())
    write_wav(folder / "s.wav", *toy_audio(0.4))
    write_wav(folder / "l.wav", *toy_audio(4.0))
    return {
        "image": ("../../evil.png", (folder / "i.png").read_bytes()),
        "audio": ("/etc/passwd", (folder / "s.wav").read_bytes()),
        "long": ("x", (folder / "l.wav").read_bytes()),
    }


@pytest.fixture(scope="module")
def server(model, tmp_path_factory):
    limits = ("--max-upload-mb", "8", "--max-seconds", "20", "--max-size", "256")
    with Server(tmp_path_factory.mktemp("srv") / "data", "--model", str(model), "--device", "cpu", *limits) as running:
        yield running


def submit(server: Server, files, **fields) -> dict:
    audio = fields.pop("audio", files["audio"])
    form = {"image": files["image"], "audio": audio, "size": "64"} | fields
    status, job = server.ask("POST", "/api/jobs", form={k: v for k, v in form.items() if v is not None})
    assert status == 202, job
    return job


def test_from_upload_to_video(server, files):
    job = submit(server, files, seed="3")
    assert job["state"] == "queued"
    ended = server.wait(job["id"])
    assert (ended["state"], ended["done"], ended["total"]) == ("done", 10, 10), ended
    status, data = server.ask("GET", ended["video"])
    assert status == 200
    with av.open(io.BytesIO(data), "r") as container:
        assert "AI-generated video" in container.metadata["comment"]
        assert sum(1 for _ in container.decode(video=0)) == 10
    status, part = server.ask("GET", ended["video"], headers={"Range": "bytes=0-99"})
    assert (status, len(part)) == (206, 100)
    assert [path.name for path in (server.folder / "jobs" / job["id"]).glob("*.mp4")] == ["video.mp4"]


def test_events_end_with_the_job(server, files):
    job = submit(server, files)
    status, data = server.ask("GET", f"/api/jobs/{job['id']}/events")
    told = [json.loads(line[6:]) for line in data.decode().splitlines() if line.startswith("data: ")]
    assert status == 200
    assert told[-1]["state"] == "done"
    assert len({json.dumps(status) for status in told}) == len(told)


def test_what_is_made_plays_while_the_rest_is_made(server, files):
    job = submit(server, files, audio=files["long"])
    server.wait(job["id"], "running", "done")
    status, data = server.ask("GET", f"/api/jobs/{job['id']}/stream")
    ended = server.wait(job["id"])
    if status == 409:
        pytest.skip("it was done before the stream was asked for")
    with av.open(io.BytesIO(data), "r") as container:
        assert sum(1 for _ in container.decode(video=0)) == ended["total"] == 100
    assert server.ask("GET", f"/api/jobs/{job['id']}/stream")[0] == 409


def test_cancel_and_delete(server, files):
    running, waiting = submit(server, files, audio=files["long"]), submit(server, files, audio=files["long"])
    assert server.ask("POST", f"/api/jobs/{waiting['id']}/cancel")[1]["state"] == "cancelled"
    server.wait(running["id"], "running", "done")
    assert server.ask("DELETE", f"/api/jobs/{running['id']}")[0] == 204
    assert server.ask("GET", f"/api/jobs/{running['id']}")[0] == 404
    assert server.wait(submit(server, files)["id"])["state"] == "done", "the worker goes on"
    assert not (server.folder / "jobs" / running["id"]).exists()


def test_a_gallery_is_its_browsers_own(server, files):
    mine, other = {"Cookie": f"paha_client={'a' * 32}"}, {"Cookie": f"paha_client={'b' * 32}"}
    form = {"image": files["image"], "audio": files["audio"], "size": "64"}
    job = server.ask("POST", "/api/jobs", form=form, headers=mine)[1]
    assert job["id"] in {j["id"] for j in server.ask("GET", "/api/jobs", headers=mine)[1]}
    assert job["id"] not in {j["id"] for j in server.ask("GET", "/api/jobs", headers=other)[1]}


def test_a_killed_worker_loses_nothing(server, files):
    job = submit(server, files, audio=files["long"])
    server.wait(job["id"], "running", "done")
    (worker,) = server.workers()
    worker.kill()
    ended = server.wait(job["id"])
    assert ended["state"] == "done"
    assert ended["attempt"] in (1, 2)


@pytest.mark.slow
def test_a_killed_server_goes_on_where_it_was(model, files, tmp_path):
    options = ("--model", str(model), "--device", "cpu")
    with Server(tmp_path / "data", *options) as first:
        jobs = [submit(first, files, audio=files["long"]) for _ in range(3)]
        first.wait(jobs[0]["id"], "running", "done")
        (worker,) = first.workers()
        first.kill()
        worker.wait(120)
    with Server(tmp_path / "data", *options) as second:
        assert [second.wait(job["id"])["state"] for job in jobs] == ["done"] * 3


def test_the_documents_of_the_api_need_no_network(server):
    status, answer = server.ask("GET", "/openapi.json")
    assert status == 200
    assert {"/api/jobs", "/api/jobs/{job_id}", "/api/jobs/{job_id}/events", "/api/preview"} <= set(answer["paths"])
    assert server.ask("GET", "/docs")[0] == 404
    page = b"".join(server.ask("GET", path)[1] for path in ("/", "/page.js", "/page.css"))
    assert b"http://" not in page
    assert b"https://" not in page


# ---- requests of people who mean no good ----


def bomb(side: int) -> bytes:
    """A PNG of side x side pixels in a few kilobytes."""
    row = zlib.compress(b"\0" * (side * 3 + 1) * min(side, 64))
    chunk = lambda kind, data: (  # noqa: E731
        len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")
    )
    head = side.to_bytes(4, "big") * 2 + bytes([8, 2, 0, 0, 0])
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", row) + chunk(b"IEND", b"")


def zipped() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x", b"\0" * 50_000_000)
    return file.getvalue()


PLAYLIST = b"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n"
SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>'
FORMS = {
    "no picture": {"image": None},
    "empty picture": {"image": ("a", b"")},
    "a text as picture": {"image": ("a.png", b"hello")},
    "half a picture": {"image": "half"},
    "a picture bomb": {"image": ("a.png", bomb(60_000))},
    "a zip bomb as picture": {"image": ("a.png", zipped())},
    "an svg that reads files": {"image": ("a.svg", SVG)},
    "postscript": {"image": ("a.eps", b"%!PS\n(/etc/passwd) run\n")},
    "a field instead of a file": {"image": "text"},
    "no speech": {"audio": None},
    "empty speech": {"audio": ("a", b"")},
    "a text as speech": {"audio": ("a.wav", b"RIFFhello")},
    "a playlist": {"audio": ("a.m3u8", PLAYLIST)},
    "a concat script": {"audio": ("a.txt", b"ffconcat version 1.0\nfile /etc/passwd\n")},
    "a zip bomb as speech": {"audio": ("a.wav", zipped())},
    "both": {"text": "hello"},
    "an endless text": {"audio": None, "text": "a " * 15_000},
    "an unknown language": {"audio": None, "text": "a", "language": "../../etc/passwd"},
    "an unknown voice": {"audio": None, "text": "a", "voice": "../../../etc/passwd"},
    "a seed of words": {"seed": "'; DROP TABLE jobs; --"},
    "a negative seed": {"seed": "-1"},
    "a huge seed": {"seed": "9" * 40},
    "a huge size": {"size": "100000"},
    "a size of nothing": {"size": "0"},
    "infinite strength": {"head": "inf"},
    "strength that is no number": {"mouth": "nan"},
    "unknown guidance": {"guidance": "root"},
    "guidance without classifiers": {"guidance": "sg"},
    "a face box of words": {"face_box": "a,b,c,d"},
    "an endless face box": {"face_box": "1," * 100},
}


@pytest.mark.parametrize("name", FORMS)
def test_hostile_forms_are_refused(server, files, name):
    form = {"image": files["image"], "audio": files["audio"], "size": "64"} | FORMS[name]
    if form["image"] == "half":
        form["image"] = ("a.png", files["image"][1][:1500])
    before = outside(server)
    status, answer = server.ask("POST", "/api/jobs", form={k: v for k, v in form.items() if v is not None})
    assert 400 <= status < 500, answer
    assert_plain(answer)
    assert outside(server) == before
    assert server.ask("GET", "/api/offer")[0] == 200


PATHS = [
    "/../../etc/passwd",
    "/%2e%2e/%2e%2e/etc/passwd",
    "/page.js/../../../settings.py",
    "/api/jobs/../../../../etc/passwd",
    "/api/jobs/%2e%2e%2fjobs.sqlite3",
    "/api/jobs/" + "0" * 32 + "/video",
    "/api/jobs/" + "A" * 5000,
    "/api/jobs/0%00/video",
    "/jobs.sqlite3",
]


@pytest.mark.parametrize("path", PATHS)
def test_hostile_paths_lead_nowhere(server, path):
    status, answer = server.ask("GET", path)
    assert 400 <= status < 500
    assert_plain(answer)


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"Origin": "https://evil.example"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Host": "evil.example"}, 400),
        ({"Content-Length": str(10**9)}, 413),
        ({"Content-Length": "-5"}, 400),
        ({"X-Large": "a" * 300_000}, 400),
    ],
)
def test_hostile_headers_are_refused(server, headers, expected):
    lines = {"Host": urlsplit(server.address).netloc} | headers
    assert raw(server, "POST /api/jobs HTTP/1.1", lines) == expected


def test_a_body_without_a_length_ends_at_the_limit(server, files):
    url = urlsplit(server.address)
    body, kind = multipart({"image": ("a", b"\0" * 12_000_000)})
    with socket.create_connection((url.hostname, url.port), timeout=120) as connection:
        lines = [
            "POST /api/jobs HTTP/1.1",
            f"Host: {url.netloc}",
            "Transfer-Encoding: chunked",
            f"Content-Type: {kind}",
        ]
        connection.sendall("\r\n".join([*lines, "", ""]).encode())
        try:
            for at in range(0, len(body), 1 << 16):
                piece = body[at : at + (1 << 16)]
                connection.sendall(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
        except OSError:
            pass  # it hung up while we were still talking
        assert b" 413 " in connection.recv(1000)[:20]


def test_a_garbled_form_is_refused(server):
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    status, answer = server.ask("POST", "/api/jobs", body=b"--x\r\nnonsense", headers=headers)
    assert 400 <= status < 500
    assert_plain(answer)


@pytest.mark.slow
def test_the_token_is_asked_for(model, files, tmp_path):
    options = (
        "--model",
        str(model),
        "--device",
        "cpu",
        "--host",
        "127.0.0.1",
        "--token",
        TOKEN,
        "--max-per-client",
        "2",
    )
    with Server(tmp_path / "data", *options) as server:
        for headers in (
            {"Authorization": "Basic x"},
            {"Authorization": "Bearer wrong-wrong-wrong-wrong"},
            {"Authorization": "Bearer ", "Cookie": "paha_token=" + TOKEN[:-1]},
            {"Authorization": "Bearer " + "a" * 5000},
        ):
            assert server.ask("GET", "/api/offer", headers=headers)[0] == 401
        assert server.ask("GET", "/?token=wrong", headers={"Authorization": "x"})[0] == 401
        assert server.ask("GET", f"/api/offer?token={TOKEN}", headers={"Authorization": "x"})[0] == 401
        assert (
            server.ask("GET", "/api/offer", headers={"Authorization": "x", "Cookie": f"paha_token={TOKEN}"})[0] == 200
        )
        assert server.ask("GET", f"/?token={TOKEN}", headers={"Authorization": "x"})[0] == 200
        for _ in range(2):
            submit(server, files, audio=files["long"])
        form = {"image": files["image"], "audio": files["audio"], "size": "64"}
        status, answer = server.ask("POST", "/api/jobs", form=form)
        assert status == 429, answer


@pytest.mark.slow
def test_one_folder_one_server(server, model):
    with pytest.raises(RuntimeError, match="is served already"), Server(server.folder, "--model", str(model)):
        pass


def outside(server: Server) -> set[str]:
    """What lies beside the server's folder, and what is in it beside jobs."""
    inside = {str(p) for p in server.folder.iterdir() if not p.name.startswith("jobs.sqlite3")}
    return inside | {str(p) for p in server.folder.parent.iterdir()} | {p.name for p in Path("/tmp").glob("upload*")}


def assert_plain(answer) -> None:
    text = answer.decode("utf-8", "replace") if isinstance(answer, bytes) else json.dumps(answer)
    assert "Traceback" not in text
    assert "/tmp" not in text
    assert "root:" not in text
    assert len(text) < 3000


def raw(server: Server, line: str, headers: dict[str, str]) -> int:
    """The status of a request as it is written here."""
    url = urlsplit(server.address)
    with socket.create_connection((url.hostname, url.port), timeout=120) as connection:
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        connection.sendall(f"{line}\r\n{head}\r\n".encode())
        return int(connection.recv(64).split()[1])


def test_eight_clients_at_once(server, files):
    found: list[str] = []

    def client(number: int) -> None:
        found.append(server.wait(submit(server, files, seed=str(number))["id"])["state"])

    threads = [threading.Thread(target=client, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == ["done"] * 8
