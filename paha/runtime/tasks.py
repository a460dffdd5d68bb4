"""Runs one task of many and keeps its result or the reason of its failure, which stops no other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from paha.errors import PahaError
from paha.runtime.faults import explain

Outcome = tuple[int, Any, str]
"""(index of the task, its result or None, why it failed or an empty string)"""


def attempt(function: Callable[..., object], task: tuple) -> tuple[object, str]:
    """(result, "") or (None, why it failed)."""
    try:
        return function(*task), ""
    except PahaError as error:
        return None, str(error)
    except Exception as error:  # one file out of many, whatever a decoder or the memory did with it
        return None, explain(error) or f"{type(error).__name__}: {' '.join(str(error).split())}"
