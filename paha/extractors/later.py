"""Modules that a library imports for parts of it that we never call: imported when somebody asks them for something."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType
from typing import Any


class _Later(ModuleType):
    """Stands for a module until it is asked for something."""

    def __getattr__(self, name: str) -> Any:
        real = import_module(self.__name__)
        if real is self:  # still inside `imported_later`
            raise AttributeError(name)
        return getattr(real, name)


@contextmanager
def imported_later(*names: str) -> Iterator[None]:
    """What is imported in this block gets stand-ins for these modules, parents named before their parts.

    The stand-ins turn to the modules themselves when they are used. Afterwards an import gives the real ones, and those
    that were there before are left alone. Only for whole modules (`import a.b as c`), not for names out of them.
    """
    stand_ins = {name: _Later(name) for name in names if name not in sys.modules}
    for name, module in stand_ins.items():
        sys.modules[name] = module
        parent, _, part = name.rpartition(".")
        if parent in stand_ins:
            setattr(stand_ins[parent], part, module)
    try:
        yield
    finally:
        for name, module in stand_ins.items():
            if sys.modules.get(name) is module:
                del sys.modules[name]
