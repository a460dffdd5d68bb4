"""MediaPipe starts without what it draws and records with, and both are there for whoever wants them."""

import subprocess
import sys

import pytest

pytest.importorskip("mediapipe", reason="MediaPipe is not installed: pip install 'paha[extract]'")


def run(code):
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()


def test_mediapipe_brings_neither_its_plots_nor_its_microphone():
    code = (
        "import sys; from paha.extractors.mediapipe_tasks import vision_tasks; vision_tasks(); "
        "print(*sorted({'matplotlib', 'matplotlib.pyplot', 'sounddevice'} & sys.modules.keys()), 'end')"
    )
    assert run(code) == ["end"]


def test_its_plots_work_for_a_program_that_has_both():
    code = (
        "from paha.extractors.mediapipe_tasks import vision_tasks; vision, _ = vision_tasks(); "
        "import matplotlib; matplotlib.use('Agg'); import matplotlib.pyplot as plt; "
        "own = vision.drawing_utils.plt; print(own.figure is plt.figure, own is plt)"
    )
    assert run(code) == ["True", "False"]


def test_modules_that_are_there_are_left_alone():
    code = (
        "import json.decoder as before; from paha.extractors.later import imported_later\n"
        "with imported_later('json', 'json.decoder', 'colorsys'):\n"
        "    import json.decoder as inside, colorsys as later\n"
        "import colorsys\n"
        "print(inside is before, later is colorsys, later.rgb_to_hsv is colorsys.rgb_to_hsv)"
    )
    assert run(code) == ["True", "False", "True"]
