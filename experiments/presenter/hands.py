"""Hands of half-bodies: how far the wrists wander and how they tremble, against the rig's at the same speech."""

from __future__ import annotations

from typing import Any

import numpy as np

from experiments.presenter import scores
from experiments.presenter.people import Case, since_photograph
from experiments.presenter.setup import Setup, pipeline_of
from experiments.presenter.tables import Line
from experiments.presenter.videos import encode, reference_of, sample_latents
from paha.errors import PahaError
from paha.media.image_io import read_image
from paha.types import SAMPLE_RATE_HZ

WRISTS = slice(4, 6)
"""Of the eight parts of `PersonMotion`."""


def measure_hands(setup: Setup, case: Case) -> dict[str, Any]:
    """Off the latents, as a renderer may hold a hand that holds something; true motion goes through the codec too."""
    pipeline = pipeline_of(setup.model)
    try:
        inputs = encode(setup, read_image(case.still.path), (case.speech.samples, SAMPLE_RATE_HZ))
    except PahaError as error:
        return {"refused": str(error)}
    reference, margin = reference_of(inputs), pipeline.preset.model.audio_margin
    seen = reference.geometry.parts_seen[WRISTS]
    if not seen.any():
        return {"refused": "no wrist is seen"}
    options = setup.options(case.number).of_preset(pipeline.preset.sample)
    assert options.steps is not None
    assert options.cfg_scale is not None
    latents = sample_latents(
        pipeline,
        lambda segment: inputs.conditioning(segment, audio_margin=margin),
        inputs.segments,
        seeds=[options.seed],
        steps=options.steps,
        cfg_scale=options.cfg_scale,
    )[0]
    true = reference.grid.paint(since_photograph(case.motion.frames(slice(0, len(latents))), reference))
    made, rig = (reference.grid.read(z).parts[:, WRISTS][:, seen].astype(float) for z in (latents, true))
    return {
        "wrists": int(np.sum(seen)),
        "spread": scores.spread(made),
        "spread true": scores.spread(rig),
        "jerk": scores.jerk(made),
        "jerk true": scores.jerk(rig),
    }


def hand_lines(rows: dict[str, dict[str, Any]]) -> list[Line]:
    """Ratios of means over people: a single person's hands rest or not by chance."""
    kept = [row for row in rows.values() if "refused" not in row]
    if not kept:
        return [Line("people", "none")]
    ratios = {
        what: scores.ratio_of_means([row[what] for row in kept], [row[f"{what} true"] for row in kept])
        for what in ("spread", "jerk")
    }
    lines = [Line(f"{what} of the wrists over the rig's", ratio, 0.5, 1.5) for what, ratio in ratios.items()]
    return [
        *lines,
        Line("spread of the rig's wrists, face heights", float(np.mean([row["spread true"] for row in kept]))),
    ]
