"""The quick start: PyTorch's library is there before its import, and collecting garbage goes on afterwards."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import gc, sys
from pathlib import Path
from paha.runtime.quick_start import open_torch, quick_start

maps = Path("/proc/self/maps")
assert "libtorch_cpu" not in maps.read_text()
with quick_start():
    assert not gc.isenabled()
    assert open_torch()  # waits for the other thread
    assert "libtorch_cpu" in maps.read_text() and "torch" not in sys.modules
    import torch
assert gc.isenabled() and gc.get_freeze_count() > 10_000
print(float(torch.ones(3).sum()))
gc.disable()
with quick_start():
    pass
assert not gc.isenabled()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux opens the library ahead")
def test_the_library_is_opened_ahead_of_the_import():
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    ran = subprocess.run([sys.executable, "-c", SCRIPT], env=environment, capture_output=True, text=True)
    assert (ran.returncode, ran.stdout) == (0, "3.0\n"), ran.stderr
