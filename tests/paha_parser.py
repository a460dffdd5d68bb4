"""What the command line's own parser makes of a command, without running it."""

from __future__ import annotations

import re
from typing import Any

from typer.main import get_command

from paha.cli.main import app

PLACEHOLDER = re.compile(r"^[A-Z][A-Z0-9_]*$")
"""`N`, `DIR`, `MODEL`: something to be filled in."""


class UnknownVerbError(Exception):
    """A verb that the command line does not have."""

    def format_message(self) -> str:
        """As the parser's own exceptions have it."""
        return f"no command '{self}'"


def find(words: list[str]) -> tuple[Any, list[str]]:
    """The command or group that the words name, and its arguments. Raises UnknownVerbError."""
    command: Any = get_command(app)
    words = list(words)
    while subcommands(command) and words and not words[0].startswith("-"):
        if words[0] not in subcommands(command):
            raise UnknownVerbError(words[0])
        command, words = subcommands(command)[words[0]], words[1:]
    return command, words


def subcommands(command: Any) -> dict[str, Any]:
    """The verbs of a group, none of a command. (typer brings a click of its own: no class to ask for.)"""
    return getattr(command, "commands", {})


def parse_error(words: list[str], *, whole: bool) -> str | None:
    """What is wrong with a command; None for nothing. whole: arguments may not be missing, nor be placeholders."""
    if not whole and PLACEHOLDER.match(words[0]):
        return None
    try:
        command, arguments = find(words)
        if arguments != ["--help"] and not (subcommands(command) and not arguments):
            command.make_context("paha", arguments)
    except Exception as error:
        message = getattr(error, "format_message", None)
        if message is None:
            raise
        kinds = {kind.__name__ for kind in type(error).__mro__}
        if not whole and kinds & {
            "MissingParameter",
            "BadOptionUsage",
        }:  # an argument, or an option's value, is left out
            return None
        if not whole and "BadParameter" in kinds and any(PLACEHOLDER.match(word) for word in words):
            return None
        return message()
    return None


def leaves(command: Any = None, names: tuple[str, ...] = ()) -> dict[tuple[str, ...], Any]:
    """Every command and group by the words that name it: () for `paha` itself."""
    command = get_command(app) if command is None else command
    found = {names: command}
    for name, sub in subcommands(command).items():
        found |= leaves(sub, (*names, name))
    return found


def all_options() -> set[str]:
    """The options of all verbs."""
    parameters = [parameter for command in leaves().values() for parameter in command.params]
    return {name for parameter in parameters for name in [*parameter.opts, *parameter.secondary_opts]}
