"""`paha` called in this process, as a person types it, and how the call ended."""

from __future__ import annotations

import sys
import warnings
from dataclasses import dataclass

import pytest

from paha.cli import main as cli


@dataclass(frozen=True)
class Ended:
    """How a call of `paha` ended."""

    status: int
    out: str
    err: str

    def error(self, *naming: object) -> str:
        """The one line of a failed call; checks that it is the only one and names what it should."""
        lines = self.err.strip().splitlines()
        assert self.status not in (0, None)
        assert len(lines) == 1, self.err
        assert lines[0].startswith("paha: error: ")
        for name in naming:
            assert str(name) in lines[0]
        return lines[0]

    @property
    def last_error(self) -> str:
        """The last line of a call that failed after progress bars."""
        line = self.err.strip().splitlines()[-1]
        assert self.status != 0
        assert line.startswith("paha: error: ")
        assert "Traceback" not in self.err
        return line

    def done(self) -> str:
        """What a successful call printed."""
        assert self.status == 0, self.err
        return self.out


def call(capsys, *arguments: object) -> Ended:
    """`paha ARGUMENTS` in this process."""
    capsys.readouterr()
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.resetwarnings()
        warnings.simplefilter("default")  # Python's own, not pytest's
        patch.setattr(sys, "argv", ["paha", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
    printed = capsys.readouterr()
    return Ended(ended.value.code, printed.out, printed.err)  # pyright: ignore[reportArgumentType]
