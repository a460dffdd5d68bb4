"""Classifier guidance on the command line."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from paha.guidance.choice import GuidanceChoice


class Guidance(StrEnum):
    """Classifier guidance."""

    none = "none"
    sg = "sg"
    dg = "dg"


class DgForm(StrEnum):
    """Readings of Eq. 12 (`paha.guidance.equations.differential_step`)."""

    compensate = "compensate"
    literal = "literal"
    normalised = "normalised"
    printed_convex = "printed_convex"


@dataclass(frozen=True)
class GuidanceFlags:
    """Classifier guidance on the command line. Scales, smoothing and reuse are the model's preset's where not given."""

    guidance: Annotated[
        Guidance, typer.Option(help="Guide by the classifiers: none, sg (Sequential) or dg (Differential).")
    ] = Guidance.none
    guidance_rate: Annotated[float, typer.Option(help="Guided share of the steps, from the first.", min=0, max=1)] = 0.5
    guidance_scales: Annotated[
        str | None, typer.Option(metavar="NON_FACE,FACE[,DIFF]", help="The scales (the model's own by default).")
    ] = None
    dg_form: Annotated[DgForm, typer.Option(help="Reading of Eq. 12.")] = DgForm.compensate
    guidance_reuse: Annotated[
        int | None,
        typer.Option(help="Gradients anew only every so many guided steps (the model's own by default).", min=1),
    ] = None
    reuse_deep: Annotated[
        bool, typer.Option("--reuse-deep", help="DG: deep features once for its three solver steps; approximate.")
    ] = False
    redetect_face: Annotated[
        int, typer.Option(help="Find the face again every so many guided steps (0: as it is in IMAGE).", min=0)
    ] = 0
    skip_first: Annotated[
        bool, typer.Option("--skip-first", help="Leave the step from pure noise unguided (the presenter always does).")
    ] = False
    guidance_smoothing: Annotated[
        float | None,
        typer.Option(
            metavar="FRAMES", help="Blur the non-face gradient over time (the model's own by default).", min=0
        ),
    ] = None

    def choice(self, face_box: tuple[float, float, float, float] | None = None) -> GuidanceChoice | None:
        """What `paha.guidance.choice.guide` takes; None for no guidance. face_box: by hand, in pixels of the image.

        Raises PahaError for what cannot be meant.
        """
        from paha.guidance.choice import SCALES, GuidanceChoice, parse_scales
        from paha.guidance.classifier_gradient import GuidanceOptions

        options = GuidanceOptions(
            kind=self.guidance.value,
            rate=self.guidance_rate,
            dg_form=self.dg_form.value,
            reuse=self.guidance_reuse or 1,
            share_deep=self.reuse_deep,
            redetect=self.redetect_face,
            skip_first=self.skip_first,
            smoothing=self.guidance_smoothing or 0.0,
        )
        scales = {} if self.guidance_scales is None else parse_scales(self.guidance_scales)
        options = replace(options, **scales)
        by_preset = tuple(name for name in SCALES if name not in scales)
        by_preset += () if self.guidance_smoothing is not None else ("smoothing",)
        # A face that is found again every so many steps wants gradients as often.
        by_preset += () if self.guidance_reuse is not None or self.redetect_face else ("reuse",)
        return GuidanceChoice(options, face_box, by_preset=by_preset) if options.active else None
