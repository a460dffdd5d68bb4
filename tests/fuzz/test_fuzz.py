"""Wrong calls of every command: one line, a status that says so, nothing lost, nothing left, in bounded time.

A thousand here, ten thousand in `make test-slow`. A call that fails is printed as a person would type it.
"""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import shutil
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from bad_values import write_bad_files
from calls import Call, calls
from killed import run
from reel import Reel, loop, speaker
from toy import toy_audio, toy_image, toy_pipeline

from paha.cli import main as cli
from paha.media.audio_io import write_wav
from paha.media.image_io import save_png
from paha.media.video_writer import write_video

LIMIT_S = 120
OF_PYTHON = re.compile(
    r"\b(Type|Key|Index|Attribute|Value|Assertion|Runtime|ZeroDivision|UnboundLocal|Name|Overflow|Recursion|Import)"
    r"Error: [^\n]{,150}"
)


@pytest.fixture(scope="module")
def good(tmp_path_factory) -> Path:
    """Everything that a call needs, small."""
    folder = tmp_path_factory.mktemp("fuzz") / "good"
    toy_pipeline().save_pretrained(folder / "model")
    save_png(folder / "image.png", toy_image())
    write_wav(folder / "speech.wav", *toy_audio(0.4))
    frames, samples = speaker(11)
    write_video(folder / "film.mp4", frames[:10], audio=(samples[: 10 * 640], 16_000))
    reel = Reel()
    reel.add(loop(frames[60:], 20), samples[60 * 640 : 80 * 640])
    (folder / "raw").mkdir()
    reel.write(folder / "raw" / "a.mkv")
    assert (
        run(("synth", folder / "data", "--clips", 2, "--size", 32, "--seconds", 0.6, 0.8, "--workers", 1)).status == 0
    )
    assert run(("features", folder / "data", "--preset", "debug", "--codec", folder / "model/codec")).status == 0
    for name in ("a", "b"):
        write_video(folder / "methods" / name / "clip.mp4", frames[:3])
    return folder


class Hashes:
    """Hashes of all files below some folders, taken again where inode, size or times have changed.

    Features, kept with their data, and the certificate that --sign makes are no inputs.
    """

    def __init__(self, folders: Sequence[Path]) -> None:
        self.folders = folders
        self.known: dict[Path, tuple[tuple[int, ...], str]] = {}

    def take(self) -> dict[str, str]:
        paths = [path for folder in self.folders for path in folder.rglob("*") if path.is_file()]
        own = [path for path in paths if "features" not in path.parts and path.suffix != ".pem"]
        return {str(path): self.of(path) for path in own}

    def of(self, path: Path) -> str:
        now = path.stat()
        mark = (now.st_ino, now.st_size, now.st_mtime_ns, now.st_ctime_ns)
        if self.known.get(path, ((), ""))[0] != mark:
            self.known[path] = mark, hashlib.sha256(path.read_bytes()).hexdigest()
        return self.known[path][1]


@contextmanager
def limited(seconds: int) -> Iterator[None]:
    """TimeoutError where it computes for longer, however busy the machine is, or waits for ten times as long.

    Only waiting is cut short: a signal of the processor's time killed the whole run of the tests once.
    """

    def stop(*_: object) -> None:
        raise TimeoutError(f"waits for over {10 * seconds} s")

    before, began = signal.signal(signal.SIGALRM, stop), time.process_time()
    signal.alarm(10 * seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
        if time.process_time() - began > seconds:
            raise TimeoutError(f"computes for over {seconds} s")


def faults_of(call: Call, capfd, out: Path) -> list[str]:
    """What is wrong with how a call ended."""
    capfd.readouterr()
    status: object = None
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        patch.setattr(sys, "argv", ["paha", *call.words])
        patch.chdir(out)
        try:
            with limited(LIMIT_S):
                cli.main()
        except SystemExit as ended:
            status = ended.code
        except BaseException as error:
            last = traceback.extract_tb(error.__traceback__)[-1]
            return [f"traceback: {type(error).__name__}: {str(error)[:150]} ({Path(last.filename).name}:{last.lineno})"]
    told = capfd.readouterr().err
    lines = [line for line in told.replace("\r", "\n").splitlines() if line.strip()]
    faults = ["Traceback on stderr"] if "Traceback" in told else []
    # One of many clips or jobs must not stop the others, so that its exception is told by its class: a fault of ours.
    faults += [f"told as {found[0]!r}" for found in OF_PYTHON.finditer(told)]
    if status not in (0, None):
        if not lines or not lines[-1].startswith("paha: error: "):
            faults.append(f"status {status}, but the last line is {lines[-1:]}")
        left = sorted(str(path.relative_to(out)) for path in out.rglob("*"))
        if left and not may_leave(call, told):
            faults.append(f"left over: {left[:5]}")
    return faults


def may_leave(call: Call, told: str) -> bool:
    """Work that was done in part on purpose, and says so: of many clips some failed."""
    return any(
        word in told
        for word in (
            "no file could be used",
            "were left out",
            "clips failed",
            "shards failed",
            "jobs failed",
            "may pass",
        )
    )


def check(count: int, seed: int, good: Path, tmp_path: Path, capfd) -> None:
    """Make that many wrong calls; all that went wrong is listed."""
    torch.set_num_threads(1)
    bad, out = write_bad_files(good.parent / f"bad{seed}", good), good.parent / "cwd"
    empty = bad["empty folder"]  # that a call may write into where it is OUT
    inputs = Hashes([good, *[p for p in bad.values() if p.parent.name == f"bad{seed}" and p != empty]])
    before, faults, slow = inputs.take(), [], []
    for call in calls(good, bad, out, count=count, seed=seed):
        for folder in (out, empty):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
        began = time.monotonic()
        found = faults_of(call, capfd, out)
        slow.append((time.monotonic() - began, call.wrong))
        after = inputs.take()
        if after != before:
            changed = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
            found.append(f"inputs changed: {sorted(changed)[:3]}")
            before = after
        faults += [f"{call.wrong}\n    {fault}\n    paha {shlex.join(call.words)}" for fault in found]
    if "PAHA_FUZZ_LOG" in os.environ:
        Path(os.environ["PAHA_FUZZ_LOG"]).write_text("\n".join(f"{s:.2f} {w}" for s, w in sorted(slow, reverse=True)))
    assert not faults, f"{len(faults)} of {count} calls:\n" + "\n".join(faults)


@pytest.mark.parametrize("seed", range(4))
def test_a_thousand_wrong_calls(seed, good, tmp_path, capfd):
    """In four parts, so that they can run side by side."""
    check(int(os.environ.get("PAHA_FUZZ_CALLS", 252)), seed, good, tmp_path, capfd)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4, 14))
def test_ten_thousand_wrong_calls(seed, good, tmp_path, capfd):
    check(1007, seed, good, tmp_path, capfd)
