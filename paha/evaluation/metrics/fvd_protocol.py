"""The protocol of FVD, which stands beside every value: numbers of two of them cannot be compared."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, cast

import yaml

from paha.errors import PahaError


@dataclass(frozen=True)
class FvdProtocol:
    """All that decides a number but for the weights and the clips.

    name: of the preset. frames: of a window. stride: frames between two frames of a window. windows_per_clip: from the
    clip's start on, one after the other; 0 for all. size: the network's. fit: `crop` brings the shorter side to it and
    cuts the middle out, `stretch` brings both sides to it. antialias: of that bilinear resizing. low, high: the
    values of black and white that the network gets. bn_eps: of the batch norms of a state dict (a torchscript has its
    own). covariance: `n-1` or `n`, what the scatter is divided by. resize_inside: leave resizing and values to a
    torchscript that does both; with another file it is done here.
    """

    name: str = "paha"
    frames: int = 16
    stride: int = 1
    windows_per_clip: int = 1
    size: int = 224
    fit: str = "crop"
    antialias: bool = True
    low: float = -1.0
    high: float = 1.0
    bn_eps: float = 1e-3
    covariance: str = "n-1"
    resize_inside: bool = False


_PUBLIC: dict[str, Any] = {"fit": "stretch", "antialias": False, "covariance": "n"}
PROTOCOLS = {
    "paha": FvdProtocol(),
    "stylegan-v": FvdProtocol("stylegan-v", resize_inside=True, **_PUBLIC),
    "cd-fvd": FvdProtocol("cd-fvd", bn_eps=1e-5, **_PUBLIC),
}
"""Ours, and the arithmetic of the two public implementations (docs/metrics.md); their N is 2,048 videos."""
_CHOICES = {"fit": ("crop", "stretch"), "covariance": ("n-1", "n")}
MAX_OF_PROTOCOL = 100_000


def load_protocol(choice: Path | str | None) -> FvdProtocol:
    """The protocol of that name, or of a YAML file, whose `name` may be the preset it changes; the default for None.

    Raises PahaError that names an unknown key, value or protocol.
    """
    if choice is None or str(choice) in PROTOCOLS:
        return PROTOCOLS[str(choice or "paha")]
    path = Path(choice)
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
        known = {f.name: type(f.default) for f in fields(FvdProtocol)}
        if not isinstance(data, dict):
            names = ", ".join(sorted(known))
            raise PahaError(f"cannot read the FVD protocol {path}: it holds no names with values; known: {names}")
        unknown = sorted(str(name) for name in set(data) - known.keys())
        if unknown:
            raise PahaError(f"{path}: unknown '{unknown[0]}'; known: {', '.join(sorted(known))}")
        for name, value in data.items():
            _check_value(path, name, value, known[name])
        protocol = replace(PROTOCOLS.get(data.get("name", "paha"), FvdProtocol()), **data)
    except (OSError, yaml.YAMLError, TypeError, UnicodeDecodeError) as error:
        presets = f"give one of {', '.join(PROTOCOLS)}, or a YAML file"
        raise PahaError(f"cannot read the FVD protocol {path}: {error}; {presets}") from error
    if min(protocol.frames, protocol.stride, protocol.size) < 1 or protocol.windows_per_clip < 0:
        raise PahaError(f"{path}: frames, stride and size must be 1 or more, windows_per_clip 0 or more")
    for key, values in _CHOICES.items():
        if getattr(protocol, key) not in values:
            raise PahaError(f"{path}: {key} is {getattr(protocol, key)!r}; give {' or '.join(values)}")
    return protocol


def _check_value(path: Path, name: str, value: object, kind: type) -> None:
    """Raises PahaError for another type than the protocol's, and for numbers beyond all sense."""
    whole = type(value) is int and kind in (int, float)
    fits = whole or type(value) is kind
    if not fits or (kind in (int, float) and not abs(cast(float, value)) <= MAX_OF_PROTOCOL):
        wanted = {int: "a whole number", float: "a number", bool: "true or false", str: "a word"}[kind]
        raise PahaError(f"{path}: '{name}' is {value!r}; give {wanted}")
