"""Wrong calls of every command: a call that would do, with one or two values that will not."""

from __future__ import annotations

import inspect
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, get_args

from bad_values import NUMBERS, SETTINGS, TEXTS
from paha_parser import leaves, subcommands

from paha.runtime.paths import Output

FREE_TEXTS = {"name", "title", "licence", "identity", "language", "data_name", "token"}
"""What may be any text."""


@dataclass(frozen=True)
class Call:
    """The words after `paha`, and what is wrong with them."""

    words: tuple[str, ...]
    wrong: str


def bases(good: Path) -> dict[tuple[str, ...], dict[str, Any]]:
    """For every command values by parameter that make a small call of it, but for the output: below OUT."""
    data, model, raw = good / "data", good / "model", good / "raw"
    image, audio, film = good / "image.png", good / "speech.wav", good / "film.mp4"
    methods = [f"{name}={good / 'methods' / name}" for name in ("a", "b")]
    debug = {"preset": "debug", "steps": 1, "settings": "train.batch_size=2"}
    one = {"data": data, "out": "OUT", "clips": 1, "steps": 1}
    small = {"steps": 1, "settings": "train.batch_size=2", "data": data, "out": "OUT"}
    training = {**small, "region": "face", "model": model, "negatives": raw}
    return {
        ("animate",): {"image": image, "audio": audio, "out": "OUT.mp4", "model": model, "steps": 1},
        ("dub",): {"video": film, "audio": audio, "out": "OUT.mp4", "steps": 1},
        ("verify",): {"file": film},
        ("serve",): {"folder": film},  # no folder: else it would serve
        ("synth",): {"out": "OUT", "clips": 1, "size": 32, "seconds": (0.4, 0.5), "workers": 1},
        ("prepare",): {"paths": [raw, "OUT"], "pose": "presenter", "no_hands": True, "size": 64, "workers": 1},
        ("features",): {"data": data, "preset": "debug", "codec": model / "codec"},
        ("inspect",): {"source": data, "out": "OUT", "par": True, "clips": 1, "frames": 5, "seconds": 0.2},
        ("negatives",): {"data": data, "model": model, "out": "OUT", "count": 2, "lengths": "4", "steps": 1},
        ("tables",): {**one, "number": "2", "pose": "exact", "model": model},
        ("doctor",): {"model": raw},
        ("evaluate",): {"real": data, "fake": data, "out": "OUT", "pose": "exact", "replicates": 10, "workers": 1},
        ("train", "acoustic-model"): {"out": "OUT", "speech": raw, "steps": 1},
        ("train", "lip-reader"): {"out": "OUT", "speech": raw, "steps": 1},
        ("train", "classifier"): training,
        ("train", "codec"): {"data": data, "out": "OUT", **debug},
        ("train", "keypoint-estimator"): {"stills": raw, "out": "OUT", "steps": 1},
        ("train", "pose-reader"): small,
        ("train", "pose-autoencoder"): {**small, "frames": 12},
        ("train", "univdm"): {"data": data, "out": "OUT", "codec": model / "codec", **debug},
        ("study", "create"): {"out": "OUT", "method": methods, "videos": 1},
        ("study", "serve"): {"folder": raw},  # what is no study: else it would serve
        ("study", "report"): {"folder": raw, "out": "OUT"},
    }


def calls(good: Path, bad: Mapping[str, Path], out: Path, *, count: int, seed: int) -> Iterator[Call]:
    """`count` wrong calls, in turn over all commands; a function of the seed."""
    verbs, rng = bases(good), random.Random(seed)
    commands = {verb: command for verb, command in leaves().items() if not subcommands(command)}
    assert commands.keys() == verbs.keys(), "a new command needs a base here"
    for number in range(count):
        verb = list(verbs)[number % len(verbs)]
        yield _call(verb, commands[verb], dict(verbs[verb]), bad, out, rng)


def _call(
    verb: tuple[str, ...], command: Any, values: dict[str, Any], bad: Mapping[str, Path], out: Path, rng: random.Random
) -> Call:
    annotations = {p.name: p.annotation for p in inspect.signature(command.callback).parameters.values()}
    wrong, harmless = [], {name for name, kind in annotations.items() if _holds(kind, bool) or name in FREE_TEXTS}
    # A server stays with a folder that it refuses: with a good one it would serve, and no call would follow.
    fixed = {"folder"} if verb[-1] == "serve" else set()
    open_to_change = sorted(annotations.keys() - harmless - fixed)
    chosen = rng.sample(open_to_change, k=rng.choice((1, 1, 2)) if len(open_to_change) > 2 else 1)
    for name in chosen + (rng.sample(sorted(harmless), k=1) if harmless and rng.random() < 0.2 else []):
        value = _bad_value(name, annotations[name], values.get(name), bad, rng)
        values[name] = value
        wrong.append(f"{name}={str(value)[:60]!r}")
    return Call((*verb, *_words(command, values, out)), f"{' '.join(verb)}: {', '.join(wrong)}")


def _bad_value(name: str, annotation: Any, value: Any, bad: Mapping[str, Path], rng: random.Random) -> Any:
    if name == "paths":
        return rng.choice(
            [[rng.choice(list(bad.values())), "OUT"], [value[0], rng.choice(list(bad.values()))], value[:1], []]
        )
    if _holds(annotation, Path):
        mark = next((note for note in getattr(annotation, "__metadata__", ()) if isinstance(note, Output)), None)
        beside = mark is not None and rng.random() < 0.3
        return rng.choice(["INPUT", "OUT.avi", "OUT/a/b"] if beside else list(bad.values()))
    if name == "settings":
        return rng.choice(SETTINGS.split())
    if _holds(annotation, bool):
        return not value
    if _holds(annotation, tuple):
        return (rng.choice(NUMBERS), rng.choice(NUMBERS))
    return rng.choice(NUMBERS if _holds(annotation, int) or _holds(annotation, float) else TEXTS + NUMBERS)


def _holds(annotation: Any, kind: type) -> bool:
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return False
    origin = getattr(annotation, "__origin__", None)
    return annotation is kind or origin is kind or any(_holds(argument, kind) for argument in get_args(annotation))


def _words(command: Any, values: Mapping[str, Any], out: Path) -> list[str]:
    words: list[str] = []
    for parameter in command.params:
        value = values.get(parameter.name)
        if value is None:
            continue
        name = parameter.opts[0] if parameter.opts[0].startswith("-") else None
        if value is True or value is False:
            no = next((opt for opt in parameter.secondary_opts), None)
            words += [parameter.opts[0]] if value else ([no] if no else [])
            continue
        several = isinstance(value, list | tuple)
        shown = [_shown(item, out) for item in (value if several else [value])]
        if name is None or isinstance(value, tuple):
            words += ([] if name is None else [name]) + shown
        else:
            words += [word for item in shown for word in (name, item)]
    return words


def _shown(value: Any, out: Path) -> str:
    text = str(value)
    if text == "INPUT":
        return str(out.parent / "good" / "image.png")
    return str(out / "out") + text[3:] if text.startswith("OUT") else text
