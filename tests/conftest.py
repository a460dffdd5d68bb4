"""Fixtures that every test can use. Nothing of the package is imported here."""

import os

# Before torch is imported anywhere: spinning threads of one process starve every other on a small machine.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # numpy's own, as `paha.cli` has it

import atexit
import shutil
import tempfile
import wave
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import settings

# What an earlier run, or the person's own work, kept in the cache must not answer for the code under test.
_CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
os.environ.setdefault("MPLCONFIGDIR", str(_CACHE / "matplotlib"))  # its list of fonts takes seconds to make
os.environ["XDG_CACHE_HOME"] = tempfile.mkdtemp(prefix="paha-cache-")
atexit.register(shutil.rmtree, os.environ["XDG_CACHE_HOME"], ignore_errors=True)

# One where several processes share the machine (pytest-xdist).
torch.set_num_threads(1 if "PYTEST_XDIST_WORKER" in os.environ else 2)

# No deadlines: a busy machine is no fault. Derandomised: the same examples in every run, so that a failure is news.
settings.register_profile("paha", deadline=None, derandomize=True, max_examples=50)
settings.load_profile("paha")

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real media beside the project; the test is skipped where it is missing."""
    if not (SHARED / "media").is_dir():
        pytest.skip("no real media: ../shared/media is missing")
    return SHARED


@pytest.fixture(scope="session")
def speech_samples() -> np.ndarray:
    """1.2 s at 16 kHz, (N,) float32: five voiced syllables (gliding pitch, two formants), pauses between."""
    rate = 16_000
    t = np.arange(int(1.2 * rate)) / rate
    pitch = 120 + 20 * np.sin(2 * np.pi * 1.5 * t)
    phase = 2 * np.pi * np.cumsum(pitch) / rate
    voice = np.zeros_like(t)
    for k in range(1, 25):
        formants = sum(1 / (1 + ((k * pitch - centre) / 150) ** 2) for centre in (600, 1500))
        voice += formants * np.sin(k * phase)
    syllables = np.clip(np.sin(2 * np.pi * 4.2 * t), 0, 1)
    return (0.4 * voice * syllables / np.abs(voice).max()).astype(np.float32)


@pytest.fixture(scope="session")
def speech_wav(speech_samples, tmp_path_factory) -> Path:
    """`speech_samples` as a 16-bit mono WAV."""
    path = tmp_path_factory.mktemp("speech") / "speech.wav"
    with wave.open(str(path), "wb") as wav:
        wav.setnchannels(1)
        wav.setsampwidth(2)
        wav.setframerate(16_000)
        wav.writeframes(np.rint(speech_samples * 32767).astype("<i2").tobytes())
    return path
