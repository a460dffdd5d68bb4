"""What guidance costs (design section 8): seconds and U-Net evaluations for none, SG and DG, as ratios in one run.

python benchmarks/guidance.py --model MODEL     rates 0 to 100 %, then each speed-up at 50 %

One segment is sampled. Every timing stands beside an unguided one taken right before it, so that other load on the
machine hits both. Costs do not depend on weights: classifiers are untrained, shaped as the model's own if it has any.
"""

from __future__ import annotations

import json
import os
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch is imported

import torch
import typer

from paha.errors import PahaError
from paha.evaluation.metrics.cost import machine
from paha.guidance.classifier_gradient import ClassifierGradient, GuidanceOptions, make_guidance
from paha.pce.classifier import CLASSIFIERS, ClassifierConfig, PCEClassifier
from paha.pce.regions import REGIONS
from paha.pipeline.loading import SHIPPED_MODEL, load_pipeline
from paha.pipeline.pipeline import PahaPipeline
from paha.planning.plan import example_inputs
from paha.runtime.atomic import write_bytes
from paha.sampling.sampler import sample

BOX = torch.tensor([0.37, 0.19, 0.62, 0.43])
"""A presenter's face (the mean of the corpus)."""
FAST = {"reuse": 2, "share_deep": True}
"""`--guidance-reuse 2 --reuse-deep`."""
RATES = (0.0, 0.25, 0.5, 0.75, 1.0)


@dataclass(frozen=True)
class Cost:
    """One setting. seconds, unguided: median of the repeats. ratio: between the two. evaluations: U-Nets' worth."""

    name: str
    kind: str
    rate: float
    seconds: float
    unguided: float
    ratio: float
    evaluations: float


class NaiveGradient(ClassifierGradient):
    """The gradient as one would write it first: backward through everything, weights included."""

    def __call__(self, z_t: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        with torch.enable_grad():
            z = z_t.detach().requires_grad_()
            self.loss(z, t).backward()
        for parameter in self.classifier.parameters():
            parameter.grad = None
        assert z.grad is not None
        return z.grad


def main(
    model: Annotated[Path, typer.Option(help="Model folder.")] = SHIPPED_MODEL,
    steps: Annotated[int, typer.Option(help="Solver steps of a timing (the ratios hardly depend on it).", min=2)] = 10,
    repeats: Annotated[int, typer.Option(help="Of each timing; the median counts.", min=1)] = 3,
    only: Annotated[str | None, typer.Option(help="Only speed-ups with this in their name, and no rates.")] = None,
    out: Annotated[Path | None, typer.Option("--json", help="File for the numbers.")] = None,
    device: Annotated[str | None, typer.Option(help="cpu, cuda ...; the best there is by default.")] = None,
) -> None:
    """Print Markdown tables of the costs."""
    pipeline = load_pipeline(model, device=device)
    bench = Bench(pipeline, steps=steps, repeats=repeats)
    rates = RATES if only is None else ()
    costs = [bench.cost("exact speed-ups", kind, rate=rate) for rate in rates for kind in ("sg", "dg")]
    if costs:
        report("By rate, exact speed-ups on", costs)
    parts = bench.speed_ups(only or "")
    report("Speed-ups one after the other, half of the steps guided", parts)
    if out is not None:
        known = {"machine": machine(), "threads": torch.get_num_threads(), "steps": steps, "repeats": repeats}
        write_bytes(out, json.dumps(known | {"costs": [asdict(c) for c in [*costs, *parts]]}, indent=1).encode())


class Bench:
    """Times segments of one model with fixed inputs."""

    def __init__(self, pipeline: PahaPipeline, *, steps: int, repeats: int) -> None:
        self.pipeline, self.steps, self.repeats = pipeline, steps, repeats
        config, device = pipeline.preset, pipeline.device
        z, _, conditioning = example_inputs(config, batch_size=1)
        generator = torch.Generator().manual_seed(0)
        self.z_T = torch.randn(z.shape, generator=generator).to(device)
        tensors = {k: v for k, v in vars(conditioning).items() if v is not None}
        filled = {k: torch.randn(v.shape, generator=generator).to(device) for k, v in tensors.items()}
        self.conditioning = replace(conditioning, **filled)
        self.predict = pipeline.predictor(self.conditioning, 1.0)
        self.run(None, 0.0)  # warm up

    def speed_ups(self, only: str = "") -> list[Cost]:
        """The naive build and each speed-up on top of the ones before, then the approximate ones."""
        whole = {"face_crop": 0}
        naive: dict[str, Any] = {"gradient": NaiveGradient, "config": whole}  # attention to constants in full, too
        rows: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
            ("naive", {"batched": False}, naive),
            ("no weight gradients", {"batched": False}, {"config": whole}),
            ("+ face classifier on a crop", {"batched": False}, {}),
            ("+ DG's solver steps in one batch (exact, default)", {}, {}),
            ("approximate: reuse 2", {"reuse": 2}, {}),
            ("approximate: reuse 3", {"reuse": 3}, {}),
            ("approximate: reuse 5", {"reuse": 5}, {}),
            ("approximate: deep features shared in DG", {"share_deep": True}, {}),
            ("approximate: encoder cut after 2 levels", {}, {"config": {"num_levels": 2}}),
            ("approximate: cut after 1 level", {}, {"config": {"num_levels": 1}}),
            ("approximate: cut after 1 level, reuse 3", {"reuse": 3}, {"config": {"num_levels": 1}}),
        ]
        if self.pipeline.preset.sample.guidance_skip_first:
            rows += [
                ("the preset's default: first step left alone (exact)", {"skip_first": True}, {}),
                ("fast: + reuse 2, deep features shared", {"skip_first": True} | FAST, {}),
                ("fastest: the face classifier alone", {"skip_first": True, "non_face_scale": 0.0} | FAST, {}),
            ]
        return [
            self.cost(name, kind, rate=0.5, options=options, **parts)
            for name, options, parts in rows
            if only in name
            for kind in ("sg", "dg")
        ]

    def cost(
        self,
        name: str,
        kind: Any,
        *,
        rate: float,
        options: dict[str, Any] | None = None,
        config: dict[str, Any] | None = None,
        gradient: Any = ClassifierGradient,
    ) -> Cost:
        """Time one setting against unguided sampling."""
        settings = GuidanceOptions(kind=kind, rate=rate, **(options or {}))
        factory = self.factory(settings, config or {}, gradient)
        pairs = [(self.run(None, 0.0), self.run(factory, rate)) for _ in range(self.repeats)]
        unguided, seconds = (statistics.median(times) for times in zip(*pairs, strict=True))
        ratio = statistics.median(guided / plain for plain, guided in pairs)
        return Cost(name, kind, rate, seconds, unguided, ratio, ratio * self.steps)

    def factory(self, options: GuidanceOptions, changes: dict[str, Any], gradient: Any) -> Callable[[Any], Any]:
        """Guidance with untrained classifiers of the model's own shape, changed by `changes`."""
        config = self.own_shape().model_copy(update=changes)
        torch.manual_seed(0)
        classifiers: dict[Any, Any] = {}
        for region in REGIONS:
            made: Any = PCEClassifier.from_univdm(self.pipeline.univdm, config, region=region).eval()
            made.to(self.pipeline.device)
            classifiers[region] = made.requires_grad_(gradient is NaiveGradient)
        size = (self.z_T.shape[3], self.z_T.shape[4])
        common = {"box": BOX, "schedule": self.pipeline.schedule, "latent_size": size}
        return make_guidance(options, classifiers, gradient_class=gradient, **common)

    def own_shape(self) -> ClassifierConfig:
        """That of the model's classifiers, or its preset's where it has none."""
        try:
            own = {region: self.pipeline.classifier(region).config for region in REGIONS}
        except PahaError:
            return CLASSIFIERS.get(self.pipeline.preset.name, ClassifierConfig())
        shape = {name: own["non_face"][name] for name in ClassifierConfig.model_fields if name != "face_crop"}
        return ClassifierConfig(**shape, face_crop=own["face"]["crop"])

    @torch.no_grad()
    def run(self, factory: Callable[[Any], Any] | None, rate: float) -> float:
        """Seconds of one segment."""
        guidance = None if factory is None else factory(self.conditioning)
        self._wait()
        begin = time.perf_counter()
        sample(
            self.predict,
            self.z_T,
            steps=self.steps,
            schedule=self.pipeline.schedule,
            prediction_type=self.pipeline.preset.diffusion.prediction_type,
            guidance=guidance,
            guidance_rate=rate,
        )
        self._wait()
        return time.perf_counter() - begin

    def _wait(self) -> None:
        if self.pipeline.device.type == "cuda":
            torch.cuda.synchronize()


def report(title: str, costs: list[Cost]) -> None:
    """A Markdown table: SG and DG side by side."""
    typer.echo(f"\n### {title}\n\n| | guided | SG ratio | DG ratio | SG U-Nets | DG U-Nets | unguided s |")
    typer.echo("|---|---|---|---|---|---|---|")
    for sg, dg in zip(costs[0::2], costs[1::2], strict=True):
        cells = [sg.name, f"{sg.rate:.0%}", f"{sg.ratio:.2f}", f"{dg.ratio:.2f}", f"{sg.evaluations:.1f}"]
        typer.echo("| " + " | ".join([*cells, f"{dg.evaluations:.1f}", f"{sg.unguided:.2f}"]) + " |")


if __name__ == "__main__":
    try:
        typer.run(main)
    except PahaError as error:
        raise SystemExit(f"guidance: error: {error}") from error
