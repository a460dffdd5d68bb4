"""safetensors files with the rights of any new file: the library's own are for their writer alone (mode 0600)."""

from __future__ import annotations

import stat
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def save_tensors(tensors: Mapping[str, Tensor], path: Path, *, metadata: dict[str, str] | None = None) -> None:
    """Write tensors, copied to the CPU in one piece each; others may read the file as the umask says.

    Not atomic: give a temporary name (`paha.runtime.atomic.atomic_path`). Raises OSError or SafetensorError.
    """
    from safetensors.torch import save_file

    path.touch()
    mode = stat.S_IMODE(path.stat().st_mode)  # before save_file puts a file of its own in this one's place
    save_file({name: value.detach().cpu().contiguous() for name, value in tensors.items()}, path, metadata=metadata)
    path.chmod(mode)
