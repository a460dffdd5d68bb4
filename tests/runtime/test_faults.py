"""What libraries raise of the machine, in one line; and that all progress is on stderr."""

from __future__ import annotations

import errno
import os
import resource
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import save_file

import paha
from paha.errors import MediaError, PahaError, media_error
from paha.evaluation.metrics.fvd import load_i3d
from paha.evaluation.metrics.syncnet import load_syncnet
from paha.extractors.pretrained import load_pretrained
from paha.media.image_io import read_image, save_png
from paha.runtime.atomic import atomic_path
from paha.runtime.extras import EXTRAS, need
from paha.runtime.faults import explain, without_temporary_names
from paha.runtime.progress import tracked


def raised(call) -> BaseException:
    with pytest.raises(Exception) as caught:  # noqa: PT011
        call()
    return caught.value


def test_want_of_memory_is_one_line_whoever_says_it():
    for call in (
        lambda: torch.empty(10**15),
        lambda: bytearray(10**15),
        lambda: os.open("/", os.O_RDONLY) and (_ for _ in ()).throw(OSError(errno.ENOMEM, "Cannot allocate memory")),
    ):
        assert "out of memory" in (explain(raised(call)) or ""), call
    for text in ("libtorch_cpu.so: failed to map segment from shared object", "can't start new thread"):
        assert "out of memory" in (explain(ImportError(text)) or "")
    assert "out of memory" in (explain(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")) or "")


LOADERS = {
    "torch.load": lambda path: load_syncnet(path),
    "torch.jit.load": lambda path: load_i3d(path),
    "PIL.Image.open": lambda path: read_image(path),
    "transformers.Dinov2Model.from_pretrained": lambda path: load_pretrained("Dinov2Model", path, remedy="fetch it"),
}


@pytest.mark.parametrize("loader", LOADERS)
def test_want_of_memory_is_not_told_as_a_broken_file(tmp_path, monkeypatch, loader):
    """A loader takes whatever a library raises of a file for the file's fault; memory is none."""
    path = tmp_path / "file.png"
    save_png(path, np.zeros((32, 32, 3), np.uint8))

    def full(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr(loader, full)
    assert explain(raised(lambda: LOADERS[loader](path))) == explain(MemoryError())


def test_a_missing_extra_is_named():
    for package, (extra, _) in EXTRAS.items():
        error = ModuleNotFoundError(f"No module named '{package}'", name=f"{package}.part")
        assert f"pip install 'paha[{extra}]'" in (explain(error) or "")
    need("pytest")
    with pytest.raises(PahaError, match=r"pip install 'paha\[all\]'"):
        need("no_such_package_at_all")


def test_a_fault_of_ours_is_not_explained_away():
    for error in (TypeError("x"), KeyError("x"), ModuleNotFoundError("no paha.x", name="paha.x"), AssertionError()):
        assert explain(error) is None


def test_hidden_names_are_not_shown():
    assert (
        without_temporary_names("cannot write /a/.out.mp4.0123456789ab.partial: full")
        == "cannot write /a/out.mp4: full"
    )


def test_a_full_disk_is_one_line_that_names_the_file(tmp_path):
    def fill(path: Path) -> None:
        """A limit on the size of files stands for a full disk: the system refuses the same call."""
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        try:
            resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
            with atomic_path(path) as temporary:
                save_file({"x": torch.zeros(10_000)}, temporary)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)

    with pytest.raises(PahaError, match=r"cannot write .*x\.safetensors"):
        fill(tmp_path / "x.safetensors")
    assert list(tmp_path.iterdir()) == []
    assert explain(SafetensorError("I/O error: No space left on device (os error 28)"))


def test_what_the_system_says_of_itself_is_no_fault_of_a_file():
    for number in (errno.ENOSPC, errno.EMFILE, errno.EACCES, errno.ENOMEM):
        assert type(media_error("x", OSError(number, "no"))) is PahaError
    assert type(media_error("x", ValueError("bad bytes"))) is MediaError


def test_bars_are_made_in_one_place_and_go_to_stderr(capsys):
    assert list(tracked([1, 2], "work", total=2)) == [1, 2]
    printed = capsys.readouterr()
    assert "2/2" in printed.err
    assert printed.out == ""
    root = Path(paha.__file__).parent
    sources = {path.relative_to(root).as_posix(): path.read_text() for path in root.rglob("*.py")}
    own = {name for name, text in sources.items() if "rich.progress" in text and "import" in text}
    assert own <= {"runtime/progress.py", "training/report.py", "cli/dub.py"}  # a column, a type
