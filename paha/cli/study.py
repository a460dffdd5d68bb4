"""`paha study`: the user study of section 5.4."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from paha.cli.options import FOLDER, Overwrite, tell
from paha.cli.tables import named_folder
from paha.errors import PahaError
from paha.runtime.paths import Output

Folder = Annotated[Path, typer.Argument(metavar="STUDY", help="Folder of `paha study create`."), FOLDER]
STUDY = Output("folder", marks=("study.json", "videos"))
TABLE = Output("folder", marks=("table_4.*",), results=("table_4.*",))


def create(
    out: Annotated[Path, typer.Argument(metavar="STUDY", help="Folder to make."), STUDY],
    method: Annotated[list[str], typer.Option(metavar="NAME=FOLDER", help="A method's folder of videos; repeat.")],
    videos: Annotated[int, typer.Option(help="Clips, drawn from those that all methods have.", min=1)] = 10,
    raters: Annotated[int, typer.Option(help="How many are planned.", min=1)] = 16,
    title: Annotated[str, typer.Option(help="Heading of the pages.")] = "Talking people",
    seed: Annotated[int, typer.Option(help="Of the clips and of all orders.", min=0)] = 0,
    check: Annotated[bool, typer.Option(help="Add an attention check.")] = True,
) -> None:
    """Make a self-contained folder: videos under hidden names, questions, balanced orders."""
    from paha.evaluation.study.plan import create_study

    folders = dict(named_folder(text, "--method") for text in method)
    if len(folders) < len(method):
        raise PahaError("two --method have the same name; give each another")
    made = create_study(folders, out, videos=videos, raters=raters, title=title, seed=seed, check=check)
    count = len(made.items) - check
    typer.echo(f"{out}: {count} videos x {len(made.methods)} methods; run `paha study serve {out}`")


def serve(
    folder: Folder,
    host: Annotated[str, typer.Option(help="Address; 0.0.0.0 lets other machines in.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port; 0 takes a free one.", min=0, max=65535)] = 8765,
) -> None:
    """Run the study in browsers; answers go to STUDY/answers.sqlite3, and participants come back by their address."""
    from paha.evaluation.study.server import StudyServer

    with StudyServer(folder, host=host, port=port) as server:
        typer.echo(f"http://{host}:{server.server_port}/ (Ctrl-C ends it; answers are in {folder})")
        server.serve_forever()


def report(
    folder: Folder,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Folder for table_4.* (STUDY/report)."), TABLE] = None,
    overwrite: Overwrite = False,
) -> None:
    """Preference percentages with intervals and the agreement between raters (Table 4)."""
    from paha.evaluation.study.report import report_study
    from paha.evaluation.tables.render import to_markdown

    if out is None:
        out = folder / "report"
        TABLE.check(out, overwrite=overwrite)
    typer.echo(to_markdown(report_study(folder, out)))
    tell(f"table_4.* in {out}")
