"""From trained classifiers to a guidance for the pipeline: gradients, masks, options (section 4.2; design rows 12-16).

`paha.guidance.equations` has the equations, without networks; here `PCEClassifier`s on a segment give the gradients.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, fields
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from paha.errors import PahaError
from paha.guidance.equations import (
    DIFF_FORMS,
    DiffForm,
    Gradient,
    GuidedRegion,
    Observe,
    differential_guidance,
    reused_gradient,
    sequential_guidance,
    smoothed_gradient,
)
from paha.guidance.face_following import Detect, following
from paha.pce.regions import Region, grow_box, region_mask, select_region
from paha.sampling.sampler import Guidance
from paha.sampling.schedule import Schedule
from paha.univdm.conditioning import Conditioning

if TYPE_CHECKING:
    from paha.pce.classifier import PCEClassifier
    from paha.pipeline.options import GuidanceFactory

GuidanceKind = Literal["none", "sg", "dg"]
DEFAULT_RATE = 0.5


@dataclass(frozen=True)
class GuidanceOptions:
    """How a video is guided. The defaults are the paper's (5.1).

    kind: none, sg (Sequential) or dg (Differential). rate: share of the steps, from the first. *_scale: lambda.
    dg_form: reading of Eq. 12. skip_first: leave the step from pure noise alone. Speed: batched, DG's three solver
    steps in one call (the same up to rounding); share_deep, in DG's three solver steps the network's deep features are
    computed once (approximate); reuse, gradients and DG's difference computed only every so many guided steps
    (approximate). smoothing: the non-face gradient is blurred over time by a Gaussian of so many frames (0: not; not in
    the paper). redetect: find the face again every so many guided steps (a multiple of reuse, which starts anew with
    each new mask); 0: its place in the reference image is kept.
    """

    kind: GuidanceKind = "none"
    rate: float = DEFAULT_RATE
    non_face_scale: float = 1.0
    face_scale: float = 0.1
    diff_scale: float = 0.25
    dg_form: DiffForm = "compensate"
    skip_first: bool = False
    batched: bool = True
    share_deep: bool = False
    reuse: int = 1
    smoothing: float = 0.0
    redetect: int = 0

    def __post_init__(self) -> None:
        if self.kind not in ("none", "sg", "dg"):
            raise PahaError(f"guidance '{self.kind}' is not known; give none, sg or dg")
        if self.dg_form not in DIFF_FORMS:
            raise PahaError(f"the form '{self.dg_form}' of DG is not known; give one of {', '.join(DIFF_FORMS)}")
        if not 0 <= self.rate <= 1:
            raise PahaError(f"the guidance rate is {self.rate}; give 0 to 1")
        if self.reuse < 1:
            raise PahaError(f"guidance reuse is {self.reuse}; give at least 1")
        if not 0 <= self.smoothing < math.inf:
            raise PahaError(f"guidance smoothing is {self.smoothing}; give 0 or more frames")
        if self.redetect < 0 or self.redetect % self.reuse:
            raise PahaError(
                f"the face is to be found every {self.redetect} steps; give 0 or a multiple of {self.reuse}"
            )
        bad = [f.name for f in fields(self) if f.name.endswith("_scale") and not math.isfinite(getattr(self, f.name))]
        if bad:
            raise PahaError(f"the guidance's {bad[0]} is not finite")

    @property
    def active(self) -> bool:
        """Whether anything is guided at all."""
        return self.kind != "none" and self.rate > 0 and bool(self.regions)

    @property
    def regions(self) -> tuple[Region, ...]:
        """The regions whose classifier is needed."""
        scales: dict[Region, float] = {"non_face": self.non_face_scale, "face": self.face_scale}
        return tuple(region for region, scale in scales.items() if scale != 0) if self.kind != "none" else ()

    def settings(self) -> dict[str, object]:
        """Plain values, for a resume's comparison and for provenance."""
        return asdict(self)


class ClassifierGradient:
    """grad of -log s of one classifier on one segment, as `paha.guidance.equations` asks for it.

    audio: (B, T, 2m+1, L, D). box: (B, 4) in [0, 1], grown. The weights take no gradients (`load_part` freezes them).
    """

    def __init__(self, classifier: PCEClassifier, *, audio: Tensor, box: Tensor, schedule: Schedule) -> None:
        self.classifier, self.schedule = classifier, schedule
        self.audio, self.box = audio.to(classifier.dtype), box

    def loss(self, z_t: Tensor, t: Tensor) -> Tensor:
        """-log s summed over the batch (design row 12), a scalar in float32 or better; s = sigmoid(logit)."""
        return F.softplus(-self.logits(z_t, t)).sum()

    def logits(self, z_t: Tensor, t: Tensor) -> Tensor:
        """(B,) logits of s(z_t, a, t), the other region masked away."""
        own = self.classifier
        shown = select_region(z_t, self.box, own.region, crop=own.crop, widen=own.widen)
        time = self.schedule.time_input(t).to(own.dtype)
        logits = own.logits(own.encode_video(shown.to(own.dtype), time, self.audio), self._audio_tokens)
        return logits.to(torch.promote_types(logits.dtype, torch.float32))

    @cached_property
    def _audio_tokens(self) -> Tensor:
        """What the head hears, the same at every step of a segment."""
        with torch.no_grad():
            return self.classifier.encode_audio(self.audio)

    def __call__(self, z_t: Tensor, t: Tensor) -> Tensor:
        """The gradient, of z_t's shape; exactly zero outside the region."""
        with torch.enable_grad():
            z = z_t.detach().requires_grad_()
            (gradient,) = torch.autograd.grad(self.loss(z, t), z)
        return gradient


def make_guidance(
    options: GuidanceOptions,
    classifiers: dict[Region, Any],
    *,
    box: Tensor,
    schedule: Schedule,
    latent_size: tuple[int, int],
    observe: Observe | None = None,
    detect: Detect | None = None,
    gradient_class: type[ClassifierGradient] = ClassifierGradient,
) -> GuidanceFactory:
    """What `PahaPipeline` takes as `guidance`: a segment's conditioning to a guidance of its own.

    classifiers: those of `options.regions`. box: (4,), the reference image's face box in [0, 1], not grown yet; (B, 4)
    where every clip of a batch has its own. latent_size: height and width. observe: called with the sizes of the
    updates. detect: finds the faces again where the options ask for it. gradient_class: another way to the gradient,
    for benchmarks. Raises PahaError where a classifier or the detector is missing.
    """
    missing = [region for region in options.regions if region not in classifiers]
    if missing:
        raise PahaError(f"guidance of the {missing[0]} region needs its classifier; give it, or set its scale to 0")

    if options.redetect and detect is None:
        raise PahaError("the face is to be found again while sampling, but nothing was given that finds it")

    def factory(conditioning: Conditioning) -> Guidance:
        audio = conditioning.audio
        own_box = box.to(audio.device).float().reshape(-1, 4).expand(len(audio), -1)
        if not options.redetect or detect is None:
            return around(own_box, audio)
        found = partial(detect, conditioning)
        return following(partial(around, audio=audio), own_box, found, schedule=schedule, every=options.redetect)

    def around(box_B4: Tensor, audio: Tensor) -> Guidance:
        """The guidance with the regions of these face boxes."""
        grown = grow_box(box_B4)
        height, width = latent_size

        def region(name: Region, scale: float) -> GuidedRegion:
            mask = region_mask(grown, name, height=height, width=width)
            if name not in classifiers or scale == 0:
                return GuidedRegion(_no_gradient, mask, 0.0)
            gradient: Gradient = gradient_class(classifiers[name], audio=audio, box=grown, schedule=schedule)
            if name == "non_face":
                gradient = smoothed_gradient(gradient, options.smoothing)
            return GuidedRegion(reused_gradient(gradient, options.reuse), mask, scale)

        regions = {
            "non_face": region("non_face", options.non_face_scale),
            "face": region("face", options.face_scale),
        }
        common = {"schedule": schedule, "skip_first": options.skip_first, "observe": observe}
        if options.kind == "sg":
            return sequential_guidance(**regions, **common)
        own = {"diff_scale": options.diff_scale, "form": options.dg_form, "reuse": options.reuse}
        speed = {"batched": options.batched, "share_deep": options.share_deep}
        return differential_guidance(**regions, **own, **speed, **common)

    return factory


def _no_gradient(z_t: Tensor, t: Tensor) -> Tensor:
    raise AssertionError("a region of scale 0 has no gradient")
