"""Tables 1, 2, 3, 5, 6 and 7 of the paper in motion latents, on people of the rig whom nobody was trained on.

python -m experiments.paper.run --out OUT --model MODEL --instrument FACE [1 2 3 5 6 7] [--people 24] [--speech DIR]

No picture is drawn: keypoints are the reference's, moved as decoded latents say. Everybody has the same noise in every
row, a row that several tables have is sampled once (OUT/arms), and a killed run goes on where it was. OUT/table_N.md,
.json and .png come out, each with the paper's numbers beside ours and a line for every claim.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch is imported

import typer

from experiments.guidance.guidance_sweep import load
from experiments.guidance.motion_guidance import Protocol
from experiments.guidance.rig_people import RigPerson, draw_people
from experiments.guidance.sync_instrument import load as load_instrument
from experiments.guidance.sync_instrument import model_config
from experiments.paper.arms import Arm, Arms
from experiments.paper.baselines import baseline_motions
from experiments.paper.motion_scores import MotionRow, MotionScores, motion_instruments
from experiments.paper.motion_tables import WITH_PAR, WITHOUT_PAR, Wanted, make_table, wanted_rows
from paha.errors import PahaError
from paha.evaluation.metrics.cost import machine
from paha.evaluation.tables.render import Table, to_markdown, write_table
from paha.guidance.choice import preset_guidance
from paha.guidance.classifier_gradient import GuidanceOptions
from paha.motion.person import PersonMotion
from paha.pipeline.loading import SHIPPED_MODEL, load_pipeline
from paha.pipeline.pipeline import PahaPipeline

SEED, LIBRARY_SEED = 780_000, 781_000
TABLES = ("1", "2", "3", "5", "6", "7")


class Paper:
    """Rows of all tables, each measured once. par_pairs: models trained for the same short time, with and without
    PAR. no_augmentation: a model folder with such classifiers."""

    def __init__(self, arms: Arms, scores: MotionScores, base: GuidanceOptions, par_pairs: Sequence[str]) -> None:
        self.arms, self.scores, self.base, self.par_pairs = arms, scores, base, par_pairs
        self._rows: dict[str, MotionRow] = {}

    def table(self, number: str, library: Sequence[RigPerson] = ()) -> Table:
        """A table of the paper. library: where Table 1's retrieval takes motion from."""
        rows: list[tuple[Wanted, MotionRow | None]] = [(Wanted("true motion", {}), self._truth())]
        if number == "1":
            made = baseline_motions(self.scores.people, library)
            rows += [(Wanted(name, {}), self._measured(name, motions)) for name, motions in made.items()]
        rows += [self._row(wanted) for wanted in wanted_rows(number, self.base)]
        if number == "3" and self.par_pairs:
            rows += [self._short(name, kind) for kind, name in (("par", WITH_PAR), ("no_par", WITHOUT_PAR))]
        return make_table(number, rows, self._notes())

    def _truth(self) -> MotionRow:
        return self._measured("true motion", [person.motion() for person in self.scores.people])

    def _measured(self, name: str, motions: Sequence[PersonMotion]) -> MotionRow:
        if name not in self._rows:
            self._rows[name] = self.scores.row(motions)
        return self._rows[name]

    def _row(self, wanted: Wanted) -> tuple[Wanted, MotionRow | None]:
        arm, reason = wanted.arm, wanted.absent
        if arm is None or (reason := self._absent(arm)):
            return replace(wanted, absent=reason), None
        if arm.name not in self._rows:
            sampled = self.arms.sampled(arm)
            motions = [p.motion(z) for p, z in zip(self.scores.people, sampled.latents, strict=True)]
            self._rows[arm.name] = self.scores.row(motions, sampled.seconds)
        return wanted, self._rows[arm.name]

    def _absent(self, arm: Arm) -> str:
        if arm.variant not in self.arms.pipelines:
            return "its model was not given"
        try:
            for region in arm.options.regions if arm.options.active else ():
                self.arms.pipelines[arm.variant].classifier(region)
        except PahaError as error:
            return str(error)
        return ""

    def _short(self, name: str, kind: str) -> tuple[Wanted, MotionRow]:
        """All seeds of one kind of short training, unguided, as one row."""
        motions: list[PersonMotion] = []
        for pair in self.par_pairs:
            latents = self.arms.sampled(Arm(GuidanceOptions(), f"{pair}_{kind}")).latents
            motions += [p.motion(z) for p, z in zip(self.scores.people, latents, strict=True)]
        return Wanted(name, {}), self._measured(name, motions)

    def _notes(self) -> list[str]:
        p, g = self.arms.protocol, self.base
        return [
            f"{len(self.scores.people)} people, held-out voices, {p.segments} segments, {p.steps} steps, "
            f"audio guidance {p.cfg_scale:g}; {machine()}; intervals of 95 % over people",
            f"scales {g.non_face_scale:g}, {g.face_scale:g}, {g.diff_scale:g} stand for the paper's 1, 0.1, 0.25; "
            f"{g.rate:.0%} of the steps guided{', not the first' if g.skip_first else ''}",
        ]


def par_pipelines(texts: Sequence[str]) -> dict[str, PahaPipeline]:
    """'WITH,WITHOUT' model folders to pipelines by variant. Raises PahaError for anything else."""
    made = {}
    for number, text in enumerate(texts):
        folders = text.split(",")
        if len(folders) != 2:
            raise PahaError(f"--par-pair {text}: give two model folders, WITH,WITHOUT")
        names = (f"short{number}_{kind}" for kind in ("par", "no_par"))
        made |= {n: load_pipeline(Path(folder), device="cpu") for n, folder in zip(names, folders, strict=True)}
    return made


def main(
    tables: Annotated[list[str] | None, typer.Argument(help="1, 2, 3, 5, 6, 7; all of them by default.")] = None,
    *,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the run; goes on there.")],
    instrument: Annotated[Path, typer.Option(help="Folder of sync_instrument (face).")],
    model: Annotated[Path, typer.Option(help="Model folder with both classifiers.")] = SHIPPED_MODEL,
    classifier: Annotated[list[Path], typer.Option(help="A classifier's folder, in place of the model's own.")] = [],  # noqa: B006
    no_par_model: Annotated[Path | None, typer.Option(help="Table 3: model trained without PAR.")] = None,
    no_augmentation_model: Annotated[Path | None, typer.Option(help="Table 3: its classifiers were.")] = None,
    par_pair: Annotated[list[str], typer.Option(help="Table 3: WITH,WITHOUT, equally short trainings; repeat.")] = [],  # noqa: B006
    scales: Annotated[str | None, typer.Option(help="NON_FACE,FACE,DIFF; the model's own by default.")] = None,
    skip_first: Annotated[bool, typer.Option(help="Leave the step from pure noise unguided.")] = False,
    people: Annotated[int, typer.Option(help="How many.", min=2)] = 24,
    segments: Annotated[int, typer.Option(help="Of each video.", min=2)] = 2,
    steps: Annotated[int, typer.Option(help="Solver steps.", min=1)] = 30,
    cfg_scale: Annotated[float, typer.Option(help="Audio guidance; 1 is none, as in the paper.", min=1)] = 1.0,
    library: Annotated[int, typer.Option(help="Table 1: training people that the retrieval takes from.", min=1)] = 48,
    speech: Annotated[Path | None, typer.Option(help="Folder of aligned natural speech.")] = None,
    seed: Annotated[int, typer.Option(help="Of the people.", min=0)] = SEED,
) -> None:
    """Sample what OUT has not, measure, write the tables."""
    wanted = tables or list(TABLES)
    if unknown := set(wanted) - set(TABLES):
        raise PahaError(f"table {min(unknown)} is not one of {', '.join(TABLES)}")
    whole = load(model, classifier, "cpu")
    pipelines = {"whole": whole} | par_pipelines(par_pair)
    for variant, folder in {"no_par": no_par_model, "no_augmentation": no_augmentation_model}.items():
        if folder is not None:
            pipelines[variant] = load_pipeline(folder, device="cpu")
    frames = segments * (whole.preset.num_frames - 1) + 1
    config, voice = model_config(model), {"num_frames": frames, "speech": speech, "hands": True}
    drawn = draw_people(config, people, seed=seed, held_out=True, **voice)
    protocol = Protocol(steps, cfg_scale, segments, seed)
    own = preset_guidance(whole.preset.sample, scales) | ({"skip_first": True} if skip_first else {})
    arms = Arms(out, drawn, protocol, pipelines, speech is not None, say=lambda text: typer.echo(text, err=True))
    scores = MotionScores(drawn, motion_instruments(), load_instrument(instrument, model=model))
    paper = Paper(arms, scores, replace(GuidanceOptions(kind="dg"), **own), [f"short{i}" for i in range(len(par_pair))])
    for number in wanted:
        known = draw_people(config, library, seed=LIBRARY_SEED, held_out=False, **voice) if number == "1" else []
        table = paper.table(number, known)
        write_table(table, out)
        typer.echo(to_markdown(table))


if __name__ == "__main__":
    try:
        typer.run(main)
    except PahaError as error:
        raise SystemExit(f"paper: error: {error}") from error
