"""The presenter images and the recording that `make demo` uses: held-out characters, text of our own.

python benchmarks/demo_inputs.py paha/assets/presenter_images
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from paha.data.audio_io import write_wav
from paha.data.image_io import save_png
from paha.synth.character import sample_character
from paha.synth.clip import ClipPlan, plan_scene
from paha.synth.renderer import Renderer
from paha.synth.speech import speak
from paha.types import SAMPLE_RATE_HZ

PRESENTERS = {"amara": 900_126, "boris": 900_110, "chen": 900_104, "dalia": 900_119}
TEXT = "Good evening. I am a picture that has learned to speak. Give me a voice, and I will talk with my hands."


def resting_frame(seed: int, *, size: int = 256) -> np.ndarray:
    """A frame of that presenter with a closed mouth, open eyes and the hands as high as they come then."""
    rig = plan_scene(ClipPlan(seed=seed, character_seed=seed, size=size, seconds=(8.0, 8.0), languages=("en",))).rig
    height = np.minimum(rig.left_wrist[:, 1], rig.right_wrist[:, 1])
    best = int(np.argmin(height + 10 * rig.mouth_open + 10 * rig.blink))
    return Renderer(sample_character(seed), size=size).draw(rig, best).image


def main(out: Path) -> None:
    """Write the images and speech.wav into `out`."""
    for name, seed in PRESENTERS.items():
        save_png(out / f"{name}.png", resting_frame(seed))
    speech = speak(TEXT, voice="en-us+f2", rate_wpm=160, pitch=50)
    write_wav(out / "speech.wav", speech.samples, SAMPLE_RATE_HZ)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
