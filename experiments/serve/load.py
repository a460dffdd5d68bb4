"""A server under load, its workers killed on the way; and how soon the first second of a video is there.

python -m experiments.serve.load --out out/serve_load

Part 1, a toy model: clients submit jobs and wait for them while workers are killed (SIGKILL) at random moments. Every
job must end once, none be lost; memory of the worker and the server before and after. Part 2, the shipped model: from
the request to 25 frames in the stream, with the server waiting; and from the start of a process.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import psutil

from experiments.serve.server_process import Server
from paha.pipeline.loading import SHIPPED_MODEL

PICTURE = SHIPPED_MODEL.with_name("presenter_images") / "astronaut.png"
SPEECH = SHIPPED_MODEL.with_name("presenter_images") / "astronaut_speech.ogg"
FIRST_FRAMES = 25


def toy_model(folder: Path) -> Path:
    """The debug preset with random weights, as a model folder."""
    sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))
    from toy import toy_pipeline

    toy_pipeline().save_pretrained(folder)
    return folder


def toy_files(folder: Path) -> dict[str, Any]:
    """A picture of noise and a third of a second of noise: two segments."""
    from toy import toy_audio, toy_image

    from paha.media.audio_io import write_wav
    from paha.media.image_io import save_png

    save_png(folder / "i.png", toy_image())
    write_wav(folder / "s.wav", *toy_audio(0.3))
    return {"image": ("i", (folder / "i.png").read_bytes()), "audio": ("s", (folder / "s.wav").read_bytes())}


def load(folder: Path, *, jobs: int, clients: int, kills: int) -> dict[str, Any]:
    """Part 1. Raises AssertionError where a job is lost or ends twice."""
    model, form = toy_model(folder / "model"), toy_files(folder)
    with Server(folder / "data", "--model", str(model), "--device", "cpu", "--max-per-client", str(jobs)) as server:
        before = memory_mb(server)
        submitted: list[str] = []
        threads = [
            threading.Thread(target=_client, args=(server, form, jobs // clients, submitted)) for _ in range(clients)
        ]
        begin = time.monotonic()
        for thread in threads:
            thread.start()
        killed = _kill_workers(server, threads, kills, jobs)
        for thread in threads:
            thread.join()
        seconds = time.monotonic() - begin
        ended = _endings(server.folder)
        after = memory_mb(server)
    assert len(submitted) == len(set(submitted)) == jobs
    assert ended == dict.fromkeys(submitted, ("done", 1))
    left = sorted(path.name for path in server.folder.iterdir())
    return {
        "jobs": jobs,
        "clients": clients,
        "workers killed": killed,
        "done, each once": len(ended),
        "seconds": round(seconds, 1),
        "memory before, MB": before,
        "memory after, MB": after,
        "in the folder": left,
    }


def _client(server: Server, form: dict[str, Any], jobs: int, submitted: list[str]) -> None:
    """Submits one job after another and waits for each."""
    for number in range(jobs):
        status, job = server.ask("POST", "/api/jobs", form=form | {"size": "64", "seed": str(number)})
        assert status == 202, job
        submitted.append(job["id"])
        ended = server.wait(job["id"], timeout=7200, every_s=1)  # eight that ask all the time take the worker's core
        assert ended["state"] == "done", ended


def _kill_workers(server: Server, clients: list[threading.Thread], kills: int, jobs: int) -> int:
    """Kill the worker at random moments while it is at work, evenly over all jobs; returns how often."""
    chance, killed = random.Random(0), 0
    while killed < kills and any(thread.is_alive() for thread in clients):
        time.sleep(chance.uniform(0.1, 1.0))
        if len(_endings(server.folder)) < (killed + 0.5) * jobs / kills or server.offer().get("worker") != "ready":
            continue
        for worker in server.workers():
            worker.kill()
            killed += 1
    return killed


def _endings(folder: Path) -> dict[str, tuple[str, int]]:
    """Of each job that ended its state, and how often it ended."""
    query = "SELECT id, state, endings FROM jobs WHERE endings > 0"
    with sqlite3.connect(folder / "jobs.sqlite3") as database:
        return {row[0]: (row[1], row[2]) for row in database.execute(query)}


def memory_mb(server: Server) -> dict[str, int]:
    """Resident memory of the server and its worker."""
    own = psutil.Process(server.process.pid).memory_info().rss
    return {"server": own >> 20, "worker": sum(p.memory_info().rss for p in server.workers()) >> 20}


def first_second(folder: Path, *, size: int, times: int) -> dict[str, Any]:
    """Part 2: seconds to the first 25 frames at a waiting server, and of a process from its start; and the seconds of
    CPU that the worker or the process used meanwhile, which a busy machine changes less."""
    form = {"image": ("i", PICTURE.read_bytes()), "audio": ("s", SPEECH.read_bytes()), "size": str(size)}
    waited, used = [], []
    with Server(folder / "latency", "--device", "cpu") as server:
        for number in range(times + 1):
            begin, cpu = time.monotonic(), _cpu_s(server.workers())
            status, job = server.ask("POST", "/api/jobs", form=form | {"seed": str(number)})
            assert status == 202, job
            while server.ask("GET", f"/api/jobs/{job['id']}")[1]["done"] < FIRST_FRAMES:
                time.sleep(0.02)
            waited.append(round(time.monotonic() - begin, 2))
            used.append(round(_cpu_s(server.workers()) - cpu, 2))
            server.wait(job["id"])
    return {
        "size": size,
        "first job, s": waited[0],
        "later jobs, s": waited[1:],
        "worker's CPU of each, s": used,
        "fresh process, s": [_fresh(size) for _ in range(times + 1)][1:],  # the first may compile Python's files
        "load": [round(value, 1) for value in os.getloadavg()],
    }


def _cpu_s(processes: list[psutil.Process]) -> float:
    """Seconds of CPU that they have used."""
    return sum(sum(process.cpu_times()[:2]) for process in processes)


def _fresh(size: int) -> dict[str, float]:
    """Seconds from the start of `paha animate -o -` to its first byte and to a second of video."""
    command = [
        sys.executable,
        "-m",
        "paha.cli.main",
        "animate",
        str(PICTURE),
        str(SPEECH),
        "-o",
        "-",
        "--size",
        str(size),
    ]
    # As a person's shell has it: what Python compiled is kept.
    own = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    begin, fragments, first = time.monotonic(), 0, 0.0
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=own) as process:
        assert process.stdout is not None
        while data := os.read(process.stdout.fileno(), 1 << 16):
            first = first or time.monotonic() - begin
            fragments += data.count(b"moof")
            if fragments >= 5:  # a fragment is a fifth of a second
                break
        second, cpu = time.monotonic() - begin, _cpu_s([psutil.Process(process.pid)])
        process.kill()
    return {"first byte": round(first, 2), "first second": round(second, 2), "CPU": round(cpu, 2)}


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--jobs", type=int, default=200)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--times", type=int, default=5)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    report: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        if args.jobs:
            report["load"] = load(Path(folder), jobs=args.jobs, clients=args.clients, kills=args.kills)
            print(json.dumps(report["load"], indent=1), flush=True)
        if args.times:
            report["first second"] = first_second(Path(folder), size=args.size, times=args.times)
            print(json.dumps(report["first second"], indent=1))
    (args.out / "report.json").write_text(json.dumps(report, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
