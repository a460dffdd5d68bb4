"""2, 3: datasets never shrink by accident, and a failure that may pass is not remembered as the file's fault."""

from __future__ import annotations

import json
import os
import signal
from contextlib import suppress
from pathlib import Path

import psutil

from experiments.fault_reproductions.processes import Limits, expect
from experiments.fault_reproductions.trial import PREPARE, Trial, contents, same


def clips(folder: Path) -> list[str]:
    """Names of the clips in a dataset's manifest."""
    path = folder / "manifest.jsonl"
    return [json.loads(line)["clip_id"] for line in path.read_text().splitlines()] if path.is_file() else []


def synth(trial: Trial, name: str) -> list[str]:
    """One drawn clip in a folder of that name; the manifest's clips."""
    trial.paha("synth", name, "--clips", 1, "--size", 32, "--seconds", 0.4, 0.5, "--workers", 1).done()
    return clips(trial / name)


def a_second_day(trial: Trial) -> None:
    """`prepare day1 DS`, then `prepare day2 DS`: the first day is out of the manifest"""
    first, second = trial.inputs.days
    trial.paha("prepare", first, "set", *PREPARE).done()
    before = clips(trial / "set")
    expect(before, f"{trial.told()}; no clip of the first day")
    trial.paha("prepare", second, "set", *PREPARE)
    lost = [name for name in before if name not in clips(trial / "set")]
    expect(not lost, f"{trial.told()}; {', '.join(lost)} of the first day is out of the manifest")


def prepare_into_synth(trial: Trial) -> None:
    """`synth c`, then `prepare raw c`: the drawn clips are out of the manifest"""
    before = synth(trial, "c")
    trial.paha("prepare", trial.inputs.days[0], "c", *PREPARE)
    lost = [name for name in before if name not in clips(trial / "c")]
    expect(not lost, f"{trial.told()}; {', '.join(lost)} is out of the manifest")


def synth_into_another(trial: Trial) -> None:
    """`synth` into another dataset: its manifest is replaced"""
    trial.paha("prepare", trial.inputs.days[0], "set", *PREPARE).done()
    before = contents(trial / "set")
    trial.paha("synth", "set", "--clips", 1, "--size", 32, "--seconds", 0.4, 0.5, "--workers", 1)
    same(before, contents(trial / "set"), f"{trial.told()}; changed")


def a_full_disk(trial: Trial) -> None:
    """prepare on a full disk: the footage counts as unusable, also once there is room"""
    trial.paha("prepare", trial.inputs.days[0], "set", *PREPARE, limits=Limits(file_bytes=9000))
    full = trial.told()
    trial.paha("prepare", trial.inputs.days[0], "set", *PREPARE).done()
    expect(clips(trial / "set"), f"full: {full}; with room: {trial.ended[-1].out.strip()}")


def missing_weights(trial: Trial) -> None:
    """prepare --pose mediapipe without its weights, offline: the footage counts as unusable"""
    nowhere = "http://127.0.0.1:9"
    env = {"PAHA_WEIGHTS": str(trial / "w"), "XDG_CACHE_HOME": str(trial / "w"), "HF_HOME": str(trial / "w")}
    env |= {"HTTPS_PROXY": nowhere, "HTTP_PROXY": nowhere, "https_proxy": nowhere, "http_proxy": nowhere}
    (trial / "w").mkdir()
    words = ("prepare", trial.inputs.days[0], "set", "--pose", "mediapipe", *PREPARE[2:])
    trial.paha(*words, limits=Limits(env=env)).refused("weights")
    remembered = [path.name for path in (trial / "set").rglob("*.json*") if "weights" in path.read_text().lower()]
    expect(not remembered, f"remembered in {', '.join(sorted(remembered))}; {trial.told()}")


def a_killed_worker(trial: Trial) -> None:
    """prepare --workers 2, one of whose workers is killed twice: its footage counts as unusable, exit 0"""
    known: set[int] = set()
    killed = 0

    def kill_two() -> bool:
        """One of the first two, and the next one, which tries the same file alone."""
        nonlocal killed
        new = workers() - known
        if killed < 2 and len(new) == 2 - killed:
            os.kill(min(new), signal.SIGKILL)
            known.update(new)
            killed += 1
        return False

    words = ("prepare", *trial.inputs.days, "set", *PREPARE[:-3], "--workers", 2, "--no-presence")
    ended = trial.paha(*words, limits=Limits(stop=kill_two))
    expect(killed == 2, f"{killed} of 2 workers were killed in time")
    expect(ended.status != 0, f"{ended.saw}; {ended.out.strip()}")
    trial.paha(*words).done()
    expect(len(clips(trial / "set")) > 1, f"{ended.saw}; later: {trial.ended[-1].out.strip()}")


def workers() -> set[int]:
    """Processes of a pool, below this one."""
    found = set()
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):  # it has ended meanwhile
            if "spawn_main" in " ".join(process.cmdline()):
                found.add(process.pid)
    return found


def retry(trial: Trial) -> None:
    """no --retry for files that could not be used"""
    (trial / "raw").mkdir()
    (trial / "raw" / "letter.mp4").write_text("Dear sir,")
    trial.copy(trial.inputs.days[0], "raw/day1.mp4")
    trial.paha("prepare", "raw", "set", *PREPARE).done()
    trial.paha("prepare", "raw", "set", *PREPARE, "--retry").done()
    expect("1 files new" in trial.ended[-1].out, trial.ended[-1].out.strip())


FAULTS = {
    "2": (a_second_day, prepare_into_synth, synth_into_another),
    "3": (a_full_disk, missing_weights, a_killed_worker, retry),
}
