"""Options that several verbs have, and how a dataclass of options becomes a verb's command line."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar, get_type_hints

import typer

from paha.errors import PahaError, StoppedError
from paha.runtime.paths import Input, Output

if TYPE_CHECKING:
    from paha.config import PahaConfig, TrainConfig
    from paha.media.audio_io import AudioInput

FILE, FOLDER, MODEL, SOURCE, STREAM_IN = (Input(kind) for kind in ("file", "folder", "model", "source", "stream"))


class Split(StrEnum):
    """Which clips of a dataset (`paha.dataset.splits`)."""

    train = "train"
    test = "test"
    all = "all"


SplitChoice = Annotated[Split, typer.Option("--split", help="Which clips of the dataset's splits.json.")]
PresetName = Annotated[str, typer.Option("--preset", help="debug, presenter or paper.")]
Settings = Annotated[
    list[str], typer.Option("--set", metavar="NAME=VALUE", help="Override an option, e.g. --set train.batch_size=4.")
]
Steps = Annotated[int | None, typer.Option(help="Training steps (the preset's by default).", min=1)]
SampleSteps = Annotated[int | None, typer.Option(help="DDIM steps (the model's by default).", min=1, max=1000)]
Data = Annotated[Path, typer.Option("--data", help="Dataset folder (manifest.jsonl)."), FOLDER]
RUN = Output("folder", marks=("stats.jsonl", "checkpoint", "checkpoint.*", "data"))
Run = Annotated[Path, typer.Option("--out", "-o", help="Run folder; an interrupted run there goes on."), RUN]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace what is at OUT already.")]
Minutes = Annotated[float | None, typer.Option(help="Save a checkpoint and stop after so many minutes.", min=0.0)]
Speech = Annotated[
    Path | None, typer.Option(help="Motion latents: a folder of aligned speech, beside espeak-ng's."), FOLDER
]
Engine = Annotated[Literal["local", "ray"], typer.Option(help="local, or ray for a cluster.")]
Init = Annotated[Path | None, typer.Option(help="Start from earlier weights (a folder or safetensors file)."), SOURCE]
ModelFolder = Annotated[Path | None, typer.Option(help="Model folder; the shipped presenter by default."), MODEL]
CodecFolder = Annotated[Path | None, typer.Option(help="Codec folder; the shipped one by default."), MODEL]
Sign = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="Sign a C2PA manifest by DIR/certificate.pem and key.pem, made there if missing."),
    Output("folder", marks=("certificate.pem", "key.pem")),
]
Mark = Annotated[
    int | None,
    typer.Option(help="Hide this number in the picture; `paha verify` finds it again.", min=0, max=2**32 - 1),
]
Device = Annotated[str | None, typer.Option(help="cpu, cuda, mps ...; the best there is by default.")]


@dataclass(frozen=True)
class TextOptions:
    """Words instead of a recording."""

    text: Annotated[
        str | None, typer.Option(help="Words to speak instead of AUDIO, by espeak-ng or Kokoro (paha[synth]).")
    ] = None
    language: Annotated[
        str | None, typer.Option(help="Of --text: en-us, cmn, de ... (by its letters).", show_default=False)
    ] = None
    voice: Annotated[
        str | None,
        typer.Option(help="Of --text: f1 to f5, m1 to m8 ... (f2); af_heart ... where Kokoro is.", show_default=False),
    ] = None

    def speech(self, audio: Path | None) -> AudioInput:
        """The recording, or the text spoken. Raises PahaError for both, neither, and what cannot be spoken."""
        if (audio is None) == (self.text is None):
            raise PahaError("give either AUDIO or --text, not both" if audio else "give AUDIO, or words by --text")
        if self.text is None:
            if self.language or self.voice:
                raise PahaError("--language and --voice are of --text; give a text, or leave them out")
            assert audio is not None
            return audio
        from paha.dataset.synth.spoken_text import speak

        return speak(self.text, language=self.language, voice=self.voice)


Function = TypeVar("Function", bound=Callable[..., None])


def verb(app: typer.Typer, name: str | None = None) -> Callable[[Function], Function]:
    """Make a function a verb of `app`. Each parameter whose type is a dataclass stands for the dataclass's fields.

    typer reads options from a signature; a dataclass whose fields have the same annotations says them once, and goes on
    whole to what the verb calls. Paths that are marked as `Input` or `Output` are checked before the function is
    called, and so before anything heavy is imported; `overwrite` is the option of that name where the verb has it.
    """

    def register(function: Function) -> Function:
        shown, groups = [], {}
        for parameter in inspect.signature(function, eval_str=True).parameters.values():
            if is_dataclass(parameter.annotation):
                groups[parameter.name] = parameter.annotation
                shown += _options(parameter.annotation)
            else:
                shown.append(parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY))

        paths = {parameter.name: mark for parameter in shown if (mark := _mark(parameter.annotation))}

        def run(**values: Any) -> None:
            try:
                with ExitStack() as stack:
                    _check_numbers(values)
                    _claim_paths(stack, paths, values)
                    for group, kind in groups.items():
                        values[group] = kind(**{field.name: values.pop(field.name) for field in fields(kind)})
                    function(**values)
            except KeyboardInterrupt as interrupt:  # typer would end without a word
                raise StoppedError(str(interrupt) or "interrupted") from interrupt

        run.__name__, run.__doc__ = function.__name__, function.__doc__
        run.paths = paths  # type: ignore[attr-defined]
        run.__annotations__ = {parameter.name: parameter.annotation for parameter in shown}
        run.__signature__ = inspect.Signature(shown)  # type: ignore[attr-defined]
        app.command(name)(run)
        return function

    return register


def _mark(annotation: Any) -> Input | Output | None:
    return next((note for note in getattr(annotation, "__metadata__", ()) if isinstance(note, Input | Output)), None)


def _check_numbers(values: dict[str, Any]) -> None:
    """Raises PahaError for an option that is no finite number: a range lets nan and infinity through."""
    for name, value in values.items():
        for number in value if isinstance(value, tuple) else (value,):
            if isinstance(number, float) and not math.isfinite(number):
                raise PahaError(f"--{name.replace('_', '-')} {number}: give a number")


def _claim_paths(stack: ExitStack, marks: dict[str, Input | Output], values: dict[str, Any]) -> None:
    """Check every path that was given; the outputs stay claimed until the stack ends."""
    given = {name: value if isinstance(value, list) else [value] for name, value in values.items() if value is not None}
    inputs = [path for name, mark in marks.items() if isinstance(mark, Input) for path in given.get(name, [])]
    for name, mark in marks.items():
        for path in given.get(name, []):
            if isinstance(mark, Input):
                mark.check(path)
            else:
                overwrite, resume = values.get("overwrite", False), values.get("resume", False)
                stack.enter_context(mark.claimed(path, inputs=inputs, overwrite=overwrite or resume))


def _options(kind: Any) -> list[inspect.Parameter]:
    hints = get_type_hints(kind, include_extras=True)
    only = inspect.Parameter.KEYWORD_ONLY
    return [inspect.Parameter(f.name, only, default=_default(f), annotation=hints[f.name]) for f in fields(kind)]


def _default(field: Field[Any]) -> Any:
    if field.default_factory is not MISSING:
        return field.default_factory()
    return inspect.Parameter.empty if field.default is MISSING else field.default


def parse_size(text: str | None) -> tuple[int | None, int | None]:
    """'128' or '512x896' to (width, height). Raises PahaError for anything else."""
    if text is None:
        return None, None
    sides = text.lower().split("x")
    if len(sides) > 2 or not all(side.isdecimal() for side in sides):
        raise PahaError(f"--size {text}: give N or WIDTHxHEIGHT in pixels, e.g. 512x896")
    return int(sides[0]), int(sides[-1])


def parse_settings(settings: list[str], *, steps: int | None = None) -> dict[str, object]:
    """['train.seed=1', ...] to {'train.seed': 1, ...}; values are YAML scalars or lists. steps: `train.steps`, goes
    over the settings."""
    import yaml

    changes: dict[str, object] = {}
    for setting in settings:
        name, equals, value = setting.partition("=")
        if not equals:
            raise PahaError(f"--set {setting}: give NAME=VALUE")
        try:
            changes[name.strip()] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise PahaError(f"--set {setting}: '{value}' is no value") from error
    return changes | ({} if steps is None else {"train.steps": steps})


def configuration(
    preset: str, settings: list[str], *, steps: int | None = None, train: TrainConfig | None = None
) -> PahaConfig:
    """A preset with NAME=VALUE changes, on other training options than its own where `train` is given. Raises PahaError
    for unknown names and bad values."""
    from paha.config import override
    from paha.presets import preset as preset_by_name

    config = preset_by_name(preset)
    config = config if train is None else config.model_copy(update={"train": train})
    return override(config, parse_settings(settings, steps=steps))


def parse_part(text: str, option: str) -> tuple[int, int]:
    """'2/8' to (2, 8): the third of eight parts. Raises PahaError for anything else."""
    part, slash, parts = text.partition("/")
    if not (slash and part.isdecimal() and parts.isdecimal() and int(part) < int(parts)):
        raise PahaError(f"{option} {text}: give I/N with I from 0 to N-1, e.g. 0/4 to 3/4 on four machines")
    return int(part), int(parts)


def seconds(minutes: float | None) -> float | None:
    """Of --stop-after-minutes."""
    return None if minutes is None else 60 * minutes


def tell(line: str) -> None:
    """Progress, on stderr."""
    typer.echo(line, err=True)
