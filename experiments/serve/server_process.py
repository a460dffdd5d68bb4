"""A real server in a process of its own, and a client of the standard library."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
import threading
import time
import uuid
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil

ROOT = Path(__file__).parents[2]


class Server:
    """`paha serve` on a free port. Use as a context."""

    def __init__(self, folder: Path, *options: str, ready_s: float = 900) -> None:
        self.folder, self.options, self.ready_s = folder, options, ready_s
        self.log: list[str] = []

    def __enter__(self) -> Server:
        command = [sys.executable, "-m", "paha.cli.main", "serve", "--folder", str(self.folder), "--port", "0"]
        environment = os.environ | {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE", "PYTHONPATH": str(ROOT)}
        self.process = subprocess.Popen(
            [*command, *self.options], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment, text=True
        )
        assert self.process.stdout is not None
        self.address = ""
        threading.Thread(target=self._listen, daemon=True).start()
        end = time.monotonic() + self.ready_s
        while not self.address or self.offer().get("worker") != "ready":
            if self.process.poll() is not None or time.monotonic() > end:
                self.__exit__()
                raise RuntimeError(f"no server: {self.log}")
            time.sleep(0.1)
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def _listen(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.log.append(line.rstrip())
            if line.startswith("http://"):
                self.address = line.split()[0]

    def kill(self) -> None:
        """The server, without a word. Its workers end as their pipe closes."""
        self.process.kill()
        self.process.wait()

    def workers(self) -> list[psutil.Process]:
        """Its worker processes."""
        found = []
        for process in psutil.Process(self.process.pid).children():
            with suppress(psutil.Error):  # one that just died
                found += [process] if "paha.serve.worker" in " ".join(process.cmdline()) else []
        return found

    def offer(self) -> dict[str, Any]:
        """/api/offer; empty where it cannot be had."""
        try:
            return self.ask("GET", "/api/offer")[1]
        except OSError:
            return {}

    def ask(
        self,
        method: str,
        path: str,
        *,
        form: dict[str, Any] | None = None,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
        timeout: float = 300,
    ) -> tuple[int, Any]:
        """(status, answer). form: fields, str or (file name, bytes). The answer is JSON's value, or bytes."""
        url = urlsplit(self.address)
        connection = http.client.HTTPConnection(url.hostname or "", url.port, timeout=timeout)
        headers = dict(headers or {})
        if form is not None:
            body, headers["Content-Type"] = multipart(form)
        if "?token=" in self.address and "Authorization" not in headers:
            headers["Authorization"] = "Bearer " + self.address.partition("?token=")[2]
        try:
            connection.request(method, path, body=body, headers={k: v for k, v in headers.items() if v})
            answer = connection.getresponse()
            data = answer.read()
            return answer.status, json.loads(data) if data and "json" in answer.headers.get(
                "content-type", ""
            ) else data
        finally:
            connection.close()

    def wait(self, job_id: str, *states: str, timeout: float = 900, every_s: float = 0.05) -> dict[str, Any]:
        """The job's status once it is in one of the states (ended, by default), asked for every so many seconds."""
        states = states or ("done", "failed", "cancelled")
        end = time.monotonic() + timeout
        while True:
            status, job = self.ask("GET", f"/api/jobs/{job_id}")
            if status == 200 and job["state"] in states:
                return job
            if time.monotonic() > end:
                raise TimeoutError(f"job {job_id}: {job}; log {self.log[-20:]}")
            time.sleep(every_s)


def multipart(form: dict[str, Any]) -> tuple[bytes, str]:
    """(body, content type) of fields."""
    boundary, parts = uuid.uuid4().hex, []
    for name, value in form.items():
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"'
        if isinstance(value, tuple):
            parts.append(f'{head}; filename="{value[0]}"\r\n\r\n'.encode() + value[1] + b"\r\n")
        else:
            parts.append(f"{head}\r\n\r\n{value}\r\n".encode())
    return b"".join(parts) + f"--{boundary}--\r\n".encode(), f"multipart/form-data; boundary={boundary}"
