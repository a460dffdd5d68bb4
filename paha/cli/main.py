"""The command line: verbs and their errors. Nothing heavy is imported before a verb needs it."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from typing import Annotated

import typer

from paha.cli.animate import animate
from paha.cli.classifier import train_classifier
from paha.cli.doctor import doctor
from paha.cli.dub import dub
from paha.cli.evaluate import evaluate
from paha.cli.features import features
from paha.cli.inspect import inspect
from paha.cli.negatives import negatives
from paha.cli.options import verb
from paha.cli.prepare import prepare
from paha.cli.presenter import (
    train_acoustic_model,
    train_codec,
    train_keypoint_estimator,
    train_lip_reader,
    train_pose_autoencoder,
    train_pose_reader,
)
from paha.cli.serve import serve
from paha.cli.study import create, report
from paha.cli.study import serve as serve_study
from paha.cli.synth import synth
from paha.cli.tables import tables
from paha.cli.univdm import train_univdm
from paha.cli.verify import verify
from paha.errors import PahaError, StoppedError
from paha.runtime.faults import explain, without_temporary_names

app = typer.Typer(
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
    help="PAHA: one reference image and one speech recording become a video of that person speaking.",
)
train = typer.Typer(
    no_args_is_help=True, help="Train UniVDM, a PCE classifier, or one of the small networks beside them."
)
study = typer.Typer(no_args_is_help=True, help="The user study of section 5.4: create, serve, report.")


def say_version(wanted: bool) -> None:
    """Of --version."""
    if wanted:
        from paha import __version__

        typer.echo(f"paha {__version__}")
        raise typer.Exit


for _function in (animate, dub, serve, verify, synth, prepare, features, inspect, negatives, tables, doctor, evaluate):
    verb(app)(_function)
app.add_typer(train, name="train")
for _name, _function in {
    "classifier": train_classifier,
    "codec": train_codec,
    "keypoint-estimator": train_keypoint_estimator,
    "acoustic-model": train_acoustic_model,
    "lip-reader": train_lip_reader,
    "pose-reader": train_pose_reader,
    "pose-autoencoder": train_pose_autoencoder,
    "univdm": train_univdm,
}.items():
    verb(train, _name)(_function)
app.add_typer(study, name="study")
for _function in (create, serve_study, report):
    verb(study)(_function)


@app.callback()
def common(
    version: Annotated[
        bool, typer.Option("--version", help="Say which version this is.", callback=say_version, is_eager=True)
    ] = False,
) -> None:
    """PAHA: one reference image and one speech recording become a video of that person speaking."""


def main() -> None:
    """Entry point: one line on stderr and a non-zero status for everything that a person can mend."""
    # Two processes with spinning OpenMP threads slow each other down ten times; must be set before torch is imported.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    # What libraries tell their developers; must be set before they are imported.
    os.environ.setdefault("DIFFUSERS_VERBOSITY", "error")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    warnings.showwarning = _show_warning
    logging.getLogger("bitsandbytes").setLevel(
        logging.ERROR
    )  # where it is installed, diffusers imports it, and it talks
    # Python shows a warning once for each place in the code; here every row of a list may deserve its own.
    warnings.filterwarnings("always", module=r"paha\.")
    try:
        status = app(prog_name="paha", standalone_mode=False)
    except StoppedError as error:
        status = fail(str(error), status=130)
    except PahaError as error:
        status = fail(str(error))
    except KeyboardInterrupt:
        status = fail("interrupted", status=130)
    except Exception as error:
        # Wrong options: the parser's own exceptions know a one-line message.
        message = getattr(error, "format_message", None)
        known = explain(error)
        if message is None and known is None:
            raise
        if message is None:
            sys.exit(fail(str(known)))
        context = getattr(error, "ctx", None)
        status = fail(f"{message() or 'give a command'} (see {context.command_path if context else 'paha'} --help)")
    sys.exit(status if isinstance(status, int) else 0)


def fail(message: str, *, status: int = 2) -> int:
    """Tell what went wrong in one line on stderr; returns the exit status."""
    if "LOCAL_RANK" in os.environ:  # one of many processes: they fail together, and one tells
        from paha.training.distributed import first_to_say

        if not first_to_say(message):
            return status
    message = without_temporary_names(" ".join(message.split())).encode("utf-8", "replace").decode()
    typer.echo(f"paha: error: {message}", err=True)
    return status


def _show_warning(message: Warning | str, category: type[Warning], *_: object) -> None:
    # Libraries' deprecation notes are for developers, who run the tests.
    if category.__module__.startswith("paha"):
        typer.echo(f"paha: warning: {' '.join(str(message).split())}", err=True)


if __name__ == "__main__":
    main()
