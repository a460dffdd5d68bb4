"""The `encoder` tag of an mp4, which FFmpeg's muxer writes with its own name or not at all."""

from __future__ import annotations

import struct
from pathlib import Path

PLACEHOLDER = "grouping"
"""The metadata key to write the encoder's name under; `name_encoder` turns it into `encoder`."""
_GROUPING, _ENCODER = b"\xa9grp", b"\xa9too"


def name_encoder(path: Path, name: str) -> None:
    """Rename the tag `grouping` = name to `encoder`, four bytes in place. The mp4's index must come first (faststart).

    Raises ValueError if there is no such tag.
    """
    value = name.encode()
    entry = _GROUPING + struct.pack(">I4sII", len(value) + 16, b"data", 1, 0) + value
    with path.open("r+b") as file:
        moov_at = struct.unpack(">I", file.read(4))[0]  # the ftyp box comes first; its size is where moov starts
        file.seek(moov_at)
        size = struct.unpack(">I", file.read(4))[0]
        at = file.read(size - 4).rfind(entry)
        if at < 0:
            raise ValueError(f"no tag '{PLACEHOLDER}' in {path}")
        file.seek(moov_at + 4 + at)
        file.write(_ENCODER)
