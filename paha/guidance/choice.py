"""The guidance of a video: the user's options and the preset's, for one pipeline and reference image."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from paha.config import SampleConfig
from paha.errors import PahaError
from paha.extractors.choose import PRESENTER_READER
from paha.guidance.classifier_gradient import GuidanceOptions, make_guidance
from paha.guidance.equations import Observe
from paha.guidance.face_box import FaceBox, find_face_box
from paha.guidance.face_following import face_detector, find_faces_like
from paha.media.image_io import ImageInput, as_image
from paha.pce.classifier import PCEClassifier
from paha.pce.regions import Region
from paha.pipeline.inputs import frame_size
from paha.pipeline.options import GuidanceFactory, SampleOptions
from paha.pipeline.reference import Reading, ReferenceOptions, make_reference
from paha.runtime.fingerprint import model_fingerprint

if TYPE_CHECKING:
    from paha.pipeline.pipeline import PahaPipeline


SCALES = ("non_face_scale", "face_scale", "diff_scale")
"""The scales of `GuidanceOptions`, in the order of the command line and of a preset."""


@dataclass(frozen=True)
class GuidanceChoice:
    """Guidance of `paha animate`. face_box: by hand, in pixels of the reference image; None finds it. by_preset: what
    of the options is to be the model's preset's instead."""

    options: GuidanceOptions
    face_box: tuple[float, float, float, float] | None = None
    by_preset: tuple[str, ...] = ()


def preset_guidance(sample: SampleConfig, scales: str | None = None) -> dict[str, Any]:
    """The options of `GuidanceOptions` that a preset has its own values for; scales: those given by hand instead."""
    own: dict[str, Any] = dict(zip(SCALES, sample.guidance_scales, strict=True))
    own |= {"skip_first": sample.guidance_skip_first, "smoothing": sample.guidance_smoothing}
    own["reuse"] = sample.guidance_reuse
    return own if scales is None else own | parse_scales(scales)


PAPER_STEPS = 30
"""5.1; guidance was measured with as many (docs/results.md)."""
MAX_SCALE = 1e6
"""Of the classifiers: gradients of small models are small (`SampleConfig.guidance_scales`)."""


def parse_scales(text: str) -> dict[str, float]:
    """'1,0.1,0.25' to the three scales; the third may be left out. Raises PahaError for anything else."""
    try:
        values = [float(part) for part in text.split(",")]
    except ValueError as error:
        raise PahaError(f"--guidance-scales {text}: give NON_FACE,FACE[,DIFF], e.g. 1,0.1,0.25") from error
    if len(values) not in (2, 3):
        raise PahaError(f"--guidance-scales {text}: give two or three numbers, NON_FACE,FACE[,DIFF]")
    if not all(0 <= value <= MAX_SCALE for value in values):
        raise PahaError(f"--guidance-scales {text}: each from 0 to {MAX_SCALE:g}")
    return dict(zip(SCALES, values, strict=False))


def guide(
    sample: SampleOptions,
    pipeline: PahaPipeline,
    image: ImageInput,
    choice: GuidanceChoice | None,
    *,
    width: int | None = None,
    height: int | None = None,
    reading: Reading | None = None,
    observe: Observe | None = None,
    say: Callable[[str], None] | None = None,
) -> SampleOptions:
    """The options with the chosen guidance for one reference image; as they are where none was chosen.

    reading: of that image, where it has begun. say: called with a line on where the face is and what found it. Raises
    PahaError where a classifier is not in the model folder, no face is found, or no step would be guided.
    """
    if choice is None:
        return sample
    preset = preset_guidance(pipeline.preset.sample)
    own = {name: preset[name] for name in choice.by_preset}
    options = replace(choice.options, skip_first=choice.options.skip_first or preset["skip_first"], **own)
    sample = _with_guided_steps(sample, options, pipeline.preset.sample.steps)
    classifiers: dict[Region, PCEClassifier] = {region: pipeline.classifier(region) for region in options.regions}
    guidance, box = build_guidance(
        pipeline, image, options, by_hand=choice.face_box, width=width, height=height, reading=reading, observe=observe
    )
    if say is not None:
        corners = ", ".join(f"{value:.2f}" for value in box.box)
        say(f"guidance {options.kind}: face at {corners} of the frame, found by {box.source}")
    settings = options.settings() | {
        "face_box": [round(float(value), 6) for value in box.box],
        "classifiers": model_fingerprint(*classifiers.values()),
    }
    return replace(sample, guidance=guidance, guidance_rate=options.rate, guidance_settings=settings)


def _with_guided_steps(sample: SampleOptions, options: GuidanceOptions, preset_steps: int) -> SampleOptions:
    """With the paper's steps, and no guidance on the audio, where none are given and the preset's are too few.

    Raises PahaError where those given are: the first step is left alone and there is no other to guide.
    """
    steps = sample.steps or preset_steps
    if not (options.active and options.skip_first and options.rate * steps <= 1):
        return sample
    if sample.steps is not None or options.rate * PAPER_STEPS <= 1:
        raise PahaError(
            f"--guidance {options.kind}: none of the {steps} steps would be guided, as the first is left alone; give "
            f"--steps {PAPER_STEPS} (the paper's), or --guidance-rate 1"
        )
    return replace(sample, steps=PAPER_STEPS, cfg_scale=1.0 if sample.cfg_scale is None else sample.cfg_scale)


def build_guidance(
    pipeline: PahaPipeline,
    image: ImageInput,
    options: GuidanceOptions,
    *,
    by_hand: tuple[float, float, float, float] | None = None,
    width: int | None = None,
    height: int | None = None,
    reading: Reading | None = None,
    observe: Observe | None = None,
) -> tuple[GuidanceFactory, FaceBox]:
    """(what `SampleOptions.guidance` takes, the face box that its masks are drawn from)."""
    wanted = ReferenceOptions(width, height, by_hand, reading=reading)
    box = _face_box(pipeline, as_image(image), wanted)
    if pipeline.preset.codec.kind == "motion":
        width = height = None  # the grid about the person, whatever the size of the picture
    width, height = frame_size(pipeline.preset, width, height)
    reader = PRESENTER_READER
    down = pipeline.preset.codec.downsample
    classifiers: dict[Region, PCEClassifier] = {region: pipeline.classifier(region) for region in options.regions}
    detect = face_detector(pipeline, find_faces_like(box, reader)) if options.redetect else None
    guidance = make_guidance(
        options,
        classifiers,
        box=torch.from_numpy(box.box),
        schedule=pipeline.schedule,
        latent_size=(height // down, width // down),
        observe=observe,
        detect=detect,
    )
    return guidance, box


def _face_box(pipeline: PahaPipeline, image: np.ndarray, wanted: ReferenceOptions) -> FaceBox:
    """The face in [0, 1] of what the latents cover: the grid about the person, or the frame."""
    if pipeline.preset.codec.kind == "motion":
        reference: Any = make_reference(pipeline.codec, image, pipeline.preset, wanted)
        return FaceBox(reference.face_box, f"landmarks ({reference.landmarks.source})")
    width, height = frame_size(pipeline.preset, wanted.width, wanted.height)
    return find_face_box(image, width=width, height=height, pose_reader=PRESENTER_READER, by_hand=wanted.face_box)
