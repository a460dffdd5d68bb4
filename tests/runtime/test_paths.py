"""What may be read and where may be written: the rule of `paha.runtime.paths`, and that every command keeps it."""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from paha_parser import leaves, subcommands

from paha.errors import PahaError
from paha.runtime.atomic import remove_stale, reserved, temporary_name, write_bytes
from paha.runtime.paths import Input, Output, place_of, remove_empty

FILE, FOLDER = Output("file", endings=(".mp4",)), Output("folder", marks=("mark",), results=("result",))


def spellings(path: Path) -> dict[str, Path]:
    """One file under other names."""
    path.with_name("link.mp4").symlink_to(path)
    path.with_name("hard.mp4").hardlink_to(path)
    (path.parent / "below").mkdir()
    path.parent.with_name("other").symlink_to(path.parent)
    return {
        "itself": path,
        "dots": path.parent / "below" / ".." / path.name,
        "link": path.with_name("link.mp4"),
        "hard link": path.with_name("hard.mp4"),
        "folder link": path.parent.with_name("other") / path.name,
    }


@pytest.mark.parametrize("spelling", ["itself", "dots", "link", "hard link", "folder link"])
def test_an_input_is_refused_under_any_name_even_with_overwrite(tmp_path, spelling):
    source = tmp_path / "folder" / "in.mp4"
    source.parent.mkdir()
    source.write_text("precious")
    with pytest.raises(PahaError, match="input"):
        FILE.check(spellings(source)[spelling], inputs=[source], overwrite=True)


def test_two_spellings_of_a_file_that_is_not_there_are_one_place(tmp_path):
    (tmp_path / "a").mkdir()
    assert place_of(tmp_path / "a" / ".." / "o.mp4") == place_of(tmp_path / "o.mp4")
    assert place_of(tmp_path / "p.mp4") != place_of(tmp_path / "o.mp4")


def test_an_existing_file_needs_overwrite(tmp_path):
    (tmp_path / "o.mp4").touch()
    with pytest.raises(PahaError, match="--overwrite"):
        FILE.check(tmp_path / "o.mp4")
    FILE.check(tmp_path / "o.mp4", overwrite=True)
    FILE.check(tmp_path / "new" / "o.mp4")
    (tmp_path / "dangling.mp4").symlink_to(tmp_path / "nowhere")
    with pytest.raises(PahaError, match="--overwrite"):
        FILE.check(tmp_path / "dangling.mp4")


@pytest.mark.parametrize("name", ["o.avi", "o.png", "o", ".mp4", "o.mp4.txt"])
def test_a_name_that_promises_another_format_is_refused(tmp_path, name):
    with pytest.raises(PahaError, match=r"\.mp4"):
        FILE.check(tmp_path / name)


@pytest.mark.parametrize("kind", ["fifo", "device", "folder"])
def test_what_is_no_file_is_never_replaced(tmp_path, kind):
    path = tmp_path / "o.mp4"
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/null")
    else:
        path.mkdir()
    for refuse in (lambda: FILE.check(path, overwrite=True), lambda: temporary_name(path)):
        with pytest.raises(PahaError, match="cannot write"):
            refuse()


def test_a_name_that_is_no_text_is_refused_in_words_that_can_be_printed(tmp_path):
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/o\xff.mp4"))
    for refuse in (lambda: FILE.check(path), lambda: FOLDER.check(path), lambda: write_bytes(path, b"")):
        with pytest.raises(PahaError, match="UTF-8") as raised:
            refuse()
        str(raised.value).encode()


def test_a_folder_is_ours_empty_or_refused(tmp_path):
    FOLDER.check(tmp_path / "new")
    (tmp_path / ".hidden").touch()
    FOLDER.check(tmp_path)
    (tmp_path / "thesis.docx").touch()
    for overwrite in (False, True):
        with pytest.raises(PahaError, match=r"thesis\.docx"):
            FOLDER.check(tmp_path, overwrite=overwrite)
    (tmp_path / "mark").touch()
    FOLDER.check(tmp_path)
    (tmp_path / "result").touch()
    with pytest.raises(PahaError, match="--overwrite"):
        FOLDER.check(tmp_path)
    FOLDER.check(tmp_path, overwrite=True)
    with pytest.raises(PahaError, match="input"):
        FOLDER.check(tmp_path, overwrite=True, inputs=[tmp_path / "result"])


def test_a_missing_input_is_named_with_the_nearest_name(tmp_path):
    (tmp_path / "portrait.png").touch()
    with pytest.raises(PahaError, match=r"potrait\.png does not exist; did you mean .*portrait\.png\?"):
        Input("file").check(tmp_path / "potrait.png")
    with pytest.raises(PahaError, match="is a folder; give a file"):
        Input("file").check(tmp_path)
    with pytest.raises(PahaError, match="is a file; give a folder"):
        Input("folder").check(tmp_path / "portrait.png")
    with pytest.raises(PahaError, match="device"):
        Input("stream").check(Path("/dev/null"))
    Input("model").check(Path("owner/name"))
    Input("stream").check(Path("-"))
    os.mkfifo(tmp_path / "pipe")
    Input("file").check(tmp_path / "pipe")


def test_a_failed_call_takes_its_empty_folders_away_and_no_others(tmp_path):
    (tmp_path / "mine").mkdir()

    def work(out: Path, *, leave: bool) -> None:
        with FOLDER.claimed(out):
            (out / "clips" / "deep").mkdir(parents=True)
            if leave:
                (out / "half").touch()
            raise PahaError("no")

    def fail(out: Path, *, leave: bool) -> None:
        with pytest.raises(PahaError, match="no"):
            work(out, leave=leave)

    fail(tmp_path / "a" / "b", leave=False)
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
    fail(tmp_path / "a" / "b", leave=True)
    assert (tmp_path / "a" / "b" / "half").exists()
    remove_empty([tmp_path / "mine"])
    assert not (tmp_path / "mine").exists()


@given(name=st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=40))
def test_any_name_that_the_system_takes_can_be_written_and_leaves_nothing_beside_it(tmp_path_factory, name):
    folder = tmp_path_factory.mktemp("names")
    if name in (".", ".."):
        return
    write_bytes(folder / name, b"x")
    assert [path.name for path in folder.iterdir()] == [name]


def test_what_killed_processes_left_goes_and_what_is_being_written_stays(tmp_path):
    script = (
        "import sys, time; from pathlib import Path; from paha.runtime.atomic import *\n"
        f"p = temporary_name(Path({str(tmp_path / 'a.mp4')!r}))\n"
        "with reserved(p): print('held', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        (held,) = tmp_path.iterdir()
        foreign = tmp_path / ".notes.partial"
        foreign.touch()
        remove_stale(tmp_path)
        assert held.exists()
        other.kill()
    for _ in range(50):
        remove_stale(tmp_path, "b.mp4")
        assert held.exists()
        remove_stale(tmp_path, "a.mp4")
        if not held.exists():
            break
        time.sleep(0.1)  # the system gives a killed process's locks back in its own time
    assert [path.name for path in tmp_path.iterdir()] == [".notes.partial"]
    with reserved(temporary_name(tmp_path / "c")):
        pass


def holds_path(annotation: object) -> bool:
    """Path, Path | None, list[Path] ..."""
    return annotation is Path or any(map(holds_path, get_args(annotation)))


def test_every_path_of_every_command_says_whether_it_is_read_or_written():
    paths = {
        (verb, parameter.name)
        for verb, command in leaves().items()
        if not subcommands(command)
        for parameter in inspect.signature(command.callback).parameters.values()
        if holds_path(parameter.annotation)
    }
    assert len(paths) > 50
    marked = {(verb, name) for verb, command in leaves().items() for name in getattr(command.callback, "paths", {})}
    assert paths - marked == {EXCEPTION}


EXCEPTION = (("prepare",), "paths")
"""RAW... OUT: one list, which the command divides itself."""


def test_every_command_that_writes_has_marks_and_what_replaces_has_the_option():
    for verb, command in leaves().items():
        outputs = [mark for mark in getattr(command.callback, "paths", {}).values() if isinstance(mark, Output)]
        for mark in outputs:
            assert mark.kind == "file" or mark.marks, verb
            if mark.results or mark.kind == "file":
                assert "overwrite" in {parameter.name for parameter in command.params}, verb
