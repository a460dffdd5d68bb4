"""The `encoder` tag of an mp4, which FFmpeg's muxer writes with its own name or not at all."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO

PLACEHOLDER = "grouping"
"""The metadata key to write the encoder's name under; `name_encoder` turns it into `encoder`."""
_GROUPING, _ENCODER = b"\xa9grp", b"\xa9too"


def name_encoder(path: Path, name: str) -> None:
    """Rename the tag `grouping` = name to `encoder`, four bytes in place. The mp4's index must come first (faststart).

    Raises ValueError if there is no such tag.
    """
    entry = _entry(name.encode())
    with path.open("r+b") as file:
        moov_at = struct.unpack(">I", file.read(4))[0]  # the ftyp box comes first; its size is where moov starts
        file.seek(moov_at)
        size = struct.unpack(">I", file.read(4))[0]
        at = file.read(size - 4).rfind(entry)
        if at < 0:
            raise ValueError(f"no tag '{PLACEHOLDER}' in {path}")
        file.seek(moov_at + 4 + at)
        file.write(_ENCODER)


class FragmentSink:
    """An output that a muxer writes a fragmented mp4 to: each piece goes on at once; the tag is renamed in passing."""

    def __init__(self, file: BinaryIO, name: str) -> None:
        self._file, self._name, self._named = file, name.encode(), False

    def write(self, data: bytes) -> int:
        """Hand on a piece. The index, which has the tags, comes in one piece at the beginning."""
        data = bytes(data)
        if not self._named:
            entry = _entry(self._name)
            self._named = entry in data
            data = data.replace(entry, _ENCODER + entry[4:])
        self._file.write(data)
        self._file.flush()
        return len(data)


def _entry(value: bytes) -> bytes:
    return _GROUPING + struct.pack(">I4sII", len(value) + 16, b"data", 1, 0) + value
