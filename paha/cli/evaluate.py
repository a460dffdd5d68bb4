"""What `paha evaluate`, `paha tables 1`, `paha train pose-autoencoder` and `paha study` do, once parsed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch
import typer

from paha.cli.univdm import parse_settings
from paha.config import PahaConfig, override
from paha.errors import PahaError
from paha.pipeline.options import SampleOptions
from paha.presets import preset as preset_by_name


def evaluate(
    real: Path,
    fake: Path,
    out: Path,
    *,
    name: str,
    pairs: Path | None,
    pose: str,
    pose_autoencoder: Path | None,
    syncnet: Path | None,
    i3d: Path | None,
    fvd_protocol: Path | None,
    limit: int | None,
    workers: int | None,
    engine: str,
    seed: int,
    ceilings: bool,
    replicates: int,
) -> None:
    """Measure, write the report, say where it is. Raises PahaError at the end where videos could not be read."""
    from paha.evaluation.metrics.evaluate import evaluate as run
    from paha.evaluation.metrics.evaluate_parts import measure_in_parts
    from paha.evaluation.metrics.fvd import load_protocol
    from paha.evaluation.metrics.instruments import load_instruments
    from paha.evaluation.metrics.report import write_report

    chosen: dict[str, Any] = {
        "pose": pose,
        "real": real,
        "autoencoder": pose_autoencoder,
        "syncnet": syncnet,
        "i3d": i3d,
        "fvd_protocol": load_protocol(fvd_protocol),
    }
    instruments = load_instruments(**chosen, replicates=replicates)
    workers = share_cores(workers)
    if engine != "local":
        sides = {"pairs": pairs, "limit": limit, "ceilings": ceilings}
        measure_in_parts(real, fake, out, chosen, sides, workers=workers, engine=engine, say=tell)
    evaluation = run(
        real,
        fake,
        out,
        instruments,
        name=name or fake.resolve().name,
        pairs=pairs,
        limit=limit,
        workers=workers,
        seed=seed,
        ceilings=ceilings,
        say=tell,
    )
    files = write_report(evaluation, out)
    typer.echo(files[0].read_text(encoding="utf-8"))
    typer.echo(f"written: {', '.join(str(file) for file in files)}", err=True)
    failed = [f"{clip}: {why}" for found in evaluation.failed.values() for clip, why in found.items()]
    if failed:
        raise PahaError(f"{len(failed)} videos could not be read and were left out: {'; '.join(failed)}")


def share_cores(workers: int | None) -> int:
    """Clips measured at a time, one a core by default; each works on one thread, or they would fight for the cores."""
    workers = workers or len(os.sched_getaffinity(0))
    torch.set_num_threads(max(1, len(os.sched_getaffinity(0)) // workers))
    return workers


def tell(line: str) -> None:
    """Progress, on stderr."""
    typer.echo(line, err=True)


def train_pose_autoencoder(
    data: Path,
    out: Path,
    settings: list[str],
    *,
    fps: float,
    frames: int,
    steps: int | None,
    stop_after_minutes: float | None,
) -> None:
    """Train FGD's autoencoder on a dataset's keypoints; OUT/model is then its folder."""
    from paha.training.loop import fit
    from paha.training.pose_autoencoder import POSE_AUTOENCODER_TRAIN, pose_autoencoder_job

    config: PahaConfig = preset_by_name("presenter").model_copy(update={"train": POSE_AUTOENCODER_TRAIN})
    config = override(config, parse_settings(settings) | ({"train.steps": steps} if steps else {}))
    job = pose_autoencoder_job(data, batch_size=config.train.batch_size, fps=fps, num_frames=frames)
    fit(job, config.train, out, stop_after_s=None if stop_after_minutes is None else 60 * stop_after_minutes)


def make_table_1(
    data: Path,
    out: Path,
    *,
    data_name: str,
    also: list[str],
    methods: list[str],
    library: Path | None,
    model: Path | None,
    no_par_model: Path | None,
    clips: int,
    start: int,
    steps: int | None,
    seed: int,
    scales: str | None,
    dg_form: str,
    instruments: dict[str, Any],
    workers: int | None,
    device: str | None,
    models: bool,
) -> None:
    """Table 1 into OUT: the built-in baselines, the methods given, the models."""
    from paha.evaluation.metrics.instruments import load_instruments
    from paha.evaluation.tables.ablations import pick_records
    from paha.evaluation.tables.render import to_markdown
    from paha.evaluation.tables.table1 import Table1Run, run_table_1

    datasets = {data_name: data} | dict(_named_folder(text, "--also") for text in also)
    run = Table1Run(
        datasets=datasets,
        methods=_methods(methods, list(datasets)),
        models=_models(model, no_par_model, scales, dg_form, device) if models else [],
        records=pick_records(data, start=start, clips=clips),
        library=library,
        limit=clips,
        sample=SampleOptions(steps=steps, seed=seed),
        workers=share_cores(workers),
    )
    table = run_table_1(run, load_instruments(real=data, **instruments), out, say=tell)
    typer.echo(to_markdown(table))
    tell(f"videos, measurements and table_1.* in {out}")


def _named_folder(text: str, option: str) -> tuple[str, Path]:
    name, equals, folder = text.partition("=")
    if not equals or not name or not folder:
        raise PahaError(f"{option} {text}: give NAME=FOLDER")
    return name, Path(folder)


def _methods(texts: list[str], datasets: list[str]) -> list[Any]:
    from paha.evaluation.tables.table1 import Method, parse_method

    found: dict[str, Method] = {}
    for text in texts:
        name, dataset, kind, folder = parse_method(text, datasets)
        before = found.get(name, Method(name, {}, kind))
        if before.kind != kind or dataset in before.folders:
            raise PahaError(f"--method {text}: '{name}' was given before with another kind or for the same dataset")
        found[name] = Method(name, {**before.folders, dataset: folder}, kind)
    return list(found.values())


def _models(model: Path | None, no_par: Path | None, scales: str | None, dg_form: str, device: str | None) -> list[Any]:
    """Unguided, SG and DG of the model, and the model without PAR and classifiers; absent ones with the reason."""
    from paha.evaluation.tables.table1 import Model
    from paha.guidance.choice import preset_guidance
    from paha.guidance.classifier_gradient import GuidanceOptions
    from paha.pipeline.loading import load_pipeline

    whole = load_pipeline(model, device=device)
    given = preset_guidance(whole.preset.sample, scales)
    plain = Model("PAHA without PAR and classifiers", None, GuidanceOptions(), "give --no-par-model")
    if no_par is not None:
        plain = Model(plain.name, load_pipeline(no_par, device=device), GuidanceOptions())
    made = [plain, Model("PAHA without classifiers", whole, GuidanceOptions())]
    for kind in ("sg", "dg"):
        options = GuidanceOptions(kind=kind, dg_form=dg_form, **given)  # type: ignore[arg-type]
        try:
            for region in options.regions:
                whole.classifier(region)
        except PahaError as error:
            made.append(Model(f"PAHA-{kind.upper()}", None, options, str(error)))
        else:
            made.append(Model(f"PAHA-{kind.upper()}", whole, options))
    return made


def study_create(
    methods: list[str], out: Path, *, videos: int, raters: int, title: str, seed: int, check: bool
) -> None:
    """Make a study's folder and say how to go on."""
    from paha.evaluation.study.plan import create_study

    folders = dict(_named_folder(text, "--method") for text in methods)
    if len(folders) < len(methods):
        raise PahaError("two --method have the same name; give each another")
    study = create_study(folders, out, videos=videos, raters=raters, title=title, seed=seed, check=check)
    count = len(study.items) - check
    typer.echo(f"{out}: {count} videos x {len(study.methods)} methods; run `paha study serve {out}`")


def study_serve(folder: Path, *, host: str, port: int) -> None:
    """Serve until interrupted."""
    from paha.evaluation.study.server import StudyServer

    with StudyServer(folder, host=host, port=port) as server:
        typer.echo(f"http://{host}:{server.server_port}/ (Ctrl-C ends it; answers are in {folder})")
        server.serve_forever()


def study_report(folder: Path, out: Path | None) -> None:
    """Print and write Table 4 of a study."""
    from paha.evaluation.study.report import report_study
    from paha.evaluation.tables.render import to_markdown

    out = out or folder / "report"
    typer.echo(to_markdown(report_study(folder, out)))
    tell(f"table_4.* in {out}")
