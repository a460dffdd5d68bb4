"""Pictures of drawn presenters with exact keypoints and masks, so that the estimator reads drawings too."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from paha.training.report import say

_SIZE = 320
_SECONDS = (1.0, 2.0)
_SAY_EVERY = 50


def draw_stills(out: Path, *, characters: int) -> None:
    """Two pictures of each of `characters` presenters as OUT/NNNN_K.png, with the rig's points (133, 2) px, scores
    (133,) and mask (S, S) in OUT/truth/NNNN_K.npz. Pictures that are there are kept."""
    (out / "truth").mkdir(parents=True, exist_ok=True)
    for number in range(characters):
        if not (out / "truth" / f"{number:04d}_1.npz").is_file():
            _draw(out, number)
        if number % _SAY_EVERY == 0:
            say(f"drawn presenters: {number} of {characters}")


def _draw(out: Path, number: int) -> None:
    from paha.dataset.synth.character import sample_character
    from paha.dataset.synth.clip import ClipPlan, plan_scene
    from paha.dataset.synth.renderer import Renderer

    plan = ClipPlan(seed=number, character_seed=number, size=_SIZE, seconds=_SECONDS, languages=("en",))
    rig = plan_scene(plan).rig
    renderer = Renderer(sample_character(number), size=_SIZE)
    mouth = np.asarray(rig.to_dict()["mouth_open"])
    for k, t in enumerate((int(mouth.argmax()), len(mouth) // 2)):
        frame = renderer.draw(rig, t)
        Image.fromarray(frame.image).save(out / f"{number:04d}_{k}.png")
        mask = np.where(frame.background, 0, 255).astype(np.uint8)
        np.savez(out / "truth" / f"{number:04d}_{k}.npz", points=frame.points, scores=frame.scores, mask=mask)
