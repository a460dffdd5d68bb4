"""Whatever is killed when: the same command ends in the same bytes, with no file too many.

A handful of moments here; a hundred in `make test-slow`.
"""

from __future__ import annotations

import random
import shutil
import signal
from dataclasses import dataclass
from pathlib import Path

import pytest
from killed import Moment, contents, import_what, moments, run
from reel import Reel, loop, speaker
from toy import toy_audio, toy_image, toy_pipeline

from paha.media.audio_io import write_wav
from paha.media.image_io import save_png


@dataclass(frozen=True)
class Work:
    """A command that writes into a folder. again: what is added to it after a kill. without: files whose bytes or names
    tell of the clock."""

    command: tuple[object, ...]
    again: tuple[object, ...] = ()
    without: tuple[str, ...] = ()


@pytest.fixture(scope="module")
def inputs(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("kills")
    toy_pipeline().save_pretrained(folder / "model")
    save_png(folder / "image.png", toy_image())
    write_wav(folder / "speech.wav", *toy_audio(0.6))
    assert run(("synth", folder / "data", "--clips", 2, "--size", 32, "--seconds", 1, 1.2, "--workers", 1)).status == 0
    assert run(("features", folder / "data", "--preset", "debug", "--codec", folder / "model/codec")).status == 0
    frames, samples = speaker(11)
    reel = Reel()
    reel.add(loop(frames[60:], 30), samples[60 * 640 : 90 * 640])
    (folder / "raw").mkdir()
    reel.write(folder / "raw" / "a.mkv")
    return folder


VERBS = ("animate", "prepare", "train", "negatives", "synth")


def work_of(verb: str, inputs: Path, out: Path) -> Work:
    """A small piece of that work into OUT."""
    model, data = inputs / "model", inputs / "data"
    if verb == "animate":
        beside = ("--save-frames", out / "frames", "--contact-sheet", "--model", model, "--steps", 1)
        command = ("animate", inputs / "image.png", inputs / "speech.wav", "-o", out / "out.mp4", *beside)
        return Work(command, again=("--resume",))
    if verb == "prepare":
        options = ("--pose", "presenter", "--no-hands", "--size", 64, "--seconds", 0.5, 5, "--workers", 1)
        return Work(("prepare", inputs / "raw", out / "set", *options))
    if verb == "train":
        options = ("--preset", "debug", "--steps", 2, "--set", "train.checkpoint_every=1", "--codec", model / "codec")
        # TensorBoard writes a file a start, named by the clock.
        return Work(("train", "univdm", "--data", data, "-o", out / "run", *options), without=("run/tensorboard",))
    if verb == "negatives":
        options = ("--count", 4, "--shard-size", 2, "--lengths", "4,8", "--steps", 1)
        return Work(("negatives", "--data", data, "--model", model, "-o", out / "set", *options))
    return Work(("synth", out / "set", "--clips", 2, "--size", 32, "--seconds", 0.6, 0.8, "--workers", 1))


def survives(verb: str, inputs: Path, folder: Path, *, count: int, seed: int) -> None:
    """Kill at `count` moments, now and then several times in a row, and compare with the run that nobody killed."""
    whole = folder / "whole"
    work = work_of(verb, inputs, whole)
    ended = run(work.command)
    assert ended.status == 0
    import_what(ended)
    wanted, given = contents(whole, without=work.without), contents(inputs)
    assert wanted
    out, rng, fresh, killed = folder / "killed", random.Random(seed), True, 0
    work = work_of(verb, inputs, out)
    for moment in moments(count, ended, seed):
        again = () if fresh else work.again
        fresh = False
        if run((*work.command, *again), moment).status is None:
            killed += 1
            if rng.random() < 0.4:
                continue  # killed again before it is done
        done = run((*work.command, *work.again))
        assert done.status == 0, moment
        assert contents(out, without=work.without) == wanted, moment
        shutil.rmtree(out)
        fresh = True
    assert run((*work.command, *(() if fresh else work.again))).status == 0
    assert contents(out, without=work.without) == wanted
    assert contents(inputs) == given
    assert killed > count / 2


@pytest.mark.parametrize("verb", VERBS)
def test_a_few_kills(verb, inputs, tmp_path):
    survives(verb, inputs, tmp_path, count=4, seed=1)


@pytest.mark.parametrize("verb", VERBS)
def test_a_person_who_stops_it_is_told_how_to_go_on(verb, inputs, tmp_path):
    whole = run(work_of(verb, inputs, tmp_path / "whole").command)
    work = work_of(verb, inputs, tmp_path / "stopped")
    stopped = run(work.command, Moment(event=whole.events // 2, number=signal.SIGINT))
    assert stopped.status == 130
    assert "Traceback" not in stopped.told
    (line,) = [line for line in stopped.told.splitlines() if line.startswith("paha: error: ")]
    # Where nothing was finished, nothing is left, and there is nothing to go on with.
    kept = contents(tmp_path / "stopped", without=work.without)
    assert ("--resume goes on" if verb == "animate" else "goes on") in line or not kept
    if verb == "animate":
        refused = run(work.command)
        assert refused.status == 2
        assert "--resume, or start anew with --overwrite" in refused.told
    assert run((*work.command, *work.again)).status == 0
    found = contents(tmp_path / "stopped", without=work.without)
    assert found == contents(tmp_path / "whole", without=work.without)


@pytest.mark.slow
@pytest.mark.parametrize("verb", VERBS)
def test_a_hundred_kills(verb, inputs, tmp_path):
    survives(verb, inputs, tmp_path, count=100, seed=2)
