"""One worker process a device, started again when it dies."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time

from paha.serve.settings import ServeSettings
from paha.serve.store import JobStore

WATCH_S = 0.1
MAX_FAILED_STARTS = 3


class Workers:
    """Starts the workers of a server and watches them. Use as a context."""

    def __init__(self, settings: ServeSettings, store: JobStore) -> None:
        self.settings, self.store = settings, store
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.failed_starts: dict[str, int] = {}
        self.ready: dict[str, bool] = {}
        self.guidance = ["none"]
        """Kinds of guidance that the model has classifiers for, as a worker says that has loaded it."""
        self._stop = threading.Event()

    def __enter__(self) -> Workers:
        self.store.requeue()
        for index, device in enumerate(self.settings.devices):
            self._start(f"{index}:{device}", device)
        self._watcher = threading.Thread(target=self._watch, daemon=True)
        self._watcher.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._watcher.join()
        for process in self.processes.values():
            process.kill()
            process.wait()

    @property
    def state(self) -> str:
        """ "ready", "starting", or "failed" where no worker can be started."""
        if any(self.ready.values()):
            return "ready"
        failed = [self.failed_starts.get(name, 0) >= MAX_FAILED_STARTS for name in self.processes]
        return "failed" if failed and all(failed) else "starting"

    def _start(self, name: str, device: str) -> None:
        folder, model = str(self.settings.folder), self.settings.model
        command = [sys.executable, "-m", "paha.serve.worker", "--folder", folder, "--device", device, "--name", name]
        command += [] if model is None else ["--model", str(model)]
        command += [] if self.settings.sign is None else ["--sign", str(self.settings.sign)]
        command += [] if self.settings.mark is None else ["--mark", str(self.settings.mark)]
        self.ready[name] = False
        environment = os.environ | {"OMP_WAIT_POLICY": "PASSIVE"}
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)
        self.processes[name] = process
        threading.Thread(target=self._listen, args=(name, process), daemon=True).start()

    def _listen(self, name: str, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            words = line.decode("utf-8", "replace").split()
            if words[:1] == ["ready"] and self.processes[name] is process:
                self.guidance = words[1:]
                self.ready[name], self.failed_starts[name] = True, 0

    def _watch(self) -> None:
        while not self._stop.wait(WATCH_S):
            for name, process in list(self.processes.items()):
                if process.poll() is None or self.failed_starts.get(name, 0) >= MAX_FAILED_STARTS:
                    continue
                if not self.ready[name]:
                    self.failed_starts[name] = self.failed_starts.get(name, 0) + 1
                self.ready[name] = False
                self.store.requeue(name)
                if self.failed_starts.get(name, 0) < MAX_FAILED_STARTS:
                    self._start(name, name.partition(":")[2])

    def wait_ready(self, timeout_s: float) -> bool:
        """Whether a worker was ready within that time."""
        end = time.monotonic() + timeout_s
        while self.state == "starting" and time.monotonic() < end:
            time.sleep(WATCH_S)
        return self.state == "ready"
