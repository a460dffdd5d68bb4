"""One fault's try: a fresh folder, small inputs, and the commands of the tree that is tried."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from experiments.fault_reproductions.inputs import Inputs
from experiments.fault_reproductions.processes import Ended, FaultError, Limits, expect, in_process

PREPARE = ("--pose", "presenter", "--no-hands", "--size", 64, "--seconds", 0.5, 5, "--workers", 1, "--no-presence")
"""Options of `paha prepare` for drawn heads."""


def command_line(words: tuple[object, ...]) -> None:
    """`paha WORDS`, as the console script calls it."""
    from paha.cli import main as cli

    sys.argv = ["paha", *map(str, words)]
    cli.main()


@contextmanager
def piped(path: Path) -> Iterator[int]:
    """The end of a pipe out of which a file comes, as a shell makes one."""
    end, into = os.pipe()
    os.set_inheritable(end, True)
    with subprocess.Popen(["cat", path], stdout=into) as writer:
        os.close(into)
        yield end
        writer.terminate()
    os.close(end)


@dataclass
class Trial:
    """tree: whose code is tried. folder: this try's own. ended: all calls so far."""

    tree: Path
    folder: Path
    inputs: Inputs
    ended: list[Ended] = field(default_factory=list)

    def __truediv__(self, name: str) -> Path:
        return self.folder / name

    def paha(self, *words: object, limits: Limits = Limits()) -> Ended:
        """`paha WORDS`, in this try's folder."""
        return self.python(lambda: command_line(words), limits=limits)

    def animate(self, *words: object, limits: Limits = Limits()) -> Ended:
        """`paha animate` by the small model, in one step."""
        return self.paha("animate", *words, "--model", self.inputs.model, "--steps", 1, limits=limits)

    def python(self, work: Callable[[], object], *, limits: Limits = Limits()) -> Ended:
        """Python code that a person might write."""
        self.ended.append(in_process(work, self.folder, limits))
        return self.ended[-1]

    def shell(self, command: str, *, seconds: float = 1200.0, env: dict[str, str] | None = None) -> Ended:
        """A line of bash, in which `paha` starts from nothing."""
        line = f'paha() {{ "{sys.executable}" -m paha.cli.main "$@"; }}; {command}'
        environment = os.environ | {"PYTHONPATH": str(self.tree)} | (env or {})
        try:
            run = subprocess.run(
                ["bash", "-c", line], capture_output=True, text=True, cwd=self.folder, timeout=seconds, env=environment
            )
            ended = Ended(run.returncode, run.stdout, run.stderr)
        except subprocess.TimeoutExpired as late:
            ended = Ended(None, "", (late.stderr or b"").decode(errors="replace"))
        self.ended.append(ended)
        return ended

    def copy(self, source: Path, name: str) -> Path:
        """A copy of an input that a try may lose."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(source.read_bytes())
        return path

    @property
    def data(self) -> Path:
        """Where `own_data` puts it."""
        return self.folder.with_name(f"{self.folder.name}_data")

    def own_data(self) -> Path:
        """A copy of the dataset, beside this try's folder, in which features may be made."""
        return shutil.copytree(self.inputs.data, self.data)

    @contextmanager
    def kept(self, *paths: Path) -> Iterator[None]:
        """Raises FaultError where one of these files is another one afterwards."""
        before = [path.read_bytes() for path in paths]
        fault = ""
        try:
            yield
        except FaultError as error:
            fault = str(error)
        for path, data in zip(paths, before, strict=True):
            whole = path.is_file() and not path.is_symlink() and path.read_bytes() == data
            fault += "" if whole else f"{'' if fault else self._last()}; {path.name} was lost"
        expect(not fault, fault)

    def holds_only(self, *names: str) -> None:
        """Raises FaultError where the folder has other files or folders than these."""
        found = {path.name for path in self.folder.iterdir()}
        expect(found <= {*names}, f"{self._last()}; left over: {', '.join(sorted(found - {*names}))}")

    def told(self) -> str:
        """What the last call ended in, without the names of this try's folders."""
        return self.short(self._last())

    def short(self, text: str) -> str:
        """Without the names of this try's folders."""
        for folder, name in (
            (self.data, "data"),
            (self.folder, "."),
            (self.inputs.folder, "inputs"),
            (self.tree, "tree"),
        ):
            text = text.replace(str(folder), name)
        return text

    def _last(self) -> str:
        return self.ended[-1].saw if self.ended else ""


def same(files: dict[str, bytes], others: dict[str, bytes], what: str) -> None:
    """Raises FaultError where two folders differ."""
    if files != others:
        names = sorted(name for name in files.keys() | others.keys() if files.get(name) != others.get(name))
        raise FaultError(f"{what}: {', '.join(names[:3])}")


def contents(folder: Path) -> dict[str, bytes]:
    """All files below a folder, hidden ones too."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
