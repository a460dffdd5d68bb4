"""The commands that README and docs/*.md name: in fenced blocks, and in code spans of the text.

A paragraph (and the block that follows it) which says "at commit 1234567" speaks of an older state and is left out.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
HISTORY = (ROOT / "docs/log.md", ROOT / "docs/history_pixel_presenter.md")
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
PROGRAMS = ("paha", "python", "pytest", "make", "torchrun", "pip")
FENCE = re.compile(r"^( *)```.*?^\1```[^\n]*$", re.MULTILINE | re.DOTALL)
SPAN = re.compile(r"(?<!`)`([^`]+)`(?!`)")
OLD = re.compile(r"at\s+commit\s+[0-9a-f]{7}", re.IGNORECASE)
ASSIGNMENT = re.compile(r"^([A-Z_]+)=(.*)$", re.DOTALL)


@dataclass(frozen=True)
class Command:
    """One command as a document has it. whole: from a block, with everything that it needs; else a mention in the text,
    which may leave arguments out or have capital letters in their place."""

    document: str
    words: tuple[str, ...]
    whole: bool

    def __str__(self) -> str:
        return f"{self.document}: {shlex.join(self.words)}"


def blocks(text: str) -> Iterator[tuple[str, bool]]:
    """(text, fenced) of the paragraphs and blocks that speak of today's state."""
    skip, place = False, 0
    for match in [*FENCE.finditer(text), None]:
        end = len(text) if match is None else match.start()
        for paragraph in re.split(r"\n\s*\n", text[place:end]):
            if paragraph.strip():
                skip = OLD.search(paragraph) is not None
                if not skip:
                    yield paragraph, False
        if match is not None:
            place = match.end()
            if not skip:
                yield match[0], True


def statements(text: str) -> Iterator[list[str]]:
    """The words of each command of shell lines; variables that they set are filled in."""
    variables: dict[str, str] = {}
    for line in text.replace("\\\n", " ").split("\n"):
        lexer = shlex.shlex(line, posix=True, punctuation_chars=";&|<>")
        lexer.whitespace_split = True
        command: list[str] = []
        try:
            words = [*lexer, ";"]
        except ValueError:  # a drawing, or an apostrophe: no line of a shell
            continue
        for word in words:
            if not set(word) <= set(";&|<>"):
                filled = re.sub(r"\$\{?(\w+)\}?", lambda match: variables.get(match[1], match[0]), word)
                command += shlex.split(filled) if word.startswith("$") else [filled]
                continue
            while command and (found := ASSIGNMENT.match(command[0])):
                variables[found[1]] = found[2]
                command = command[1:]
            if command:
                yield command
            command = []


def commands() -> list[Command]:
    """All of them but those of the documents that are history."""
    found = []
    for path in DOCUMENTS:
        if path in HISTORY:
            continue
        name = str(path.relative_to(ROOT))
        for block, fenced in blocks(path.read_text("utf-8")):
            texts = [block.partition("\n")[2]] if fenced else [" ".join(span.split()) for span in SPAN.findall(block)]
            lines = (words for shell in texts for words in statements(shell))
            found += [Command(name, tuple(words), fenced) for words in lines if words[0] in PROGRAMS and words[1:]]
    return list(dict.fromkeys(found))


def lone_options() -> list[tuple[str, str]]:
    """(document, option) of the code spans that name an option without its command, such as `--size 256`."""
    return sorted(
        {
            (str(path.relative_to(ROOT)), word.partition("=")[0])
            for path in DOCUMENTS
            if path not in HISTORY
            for block, fenced in blocks(path.read_text("utf-8"))
            if not fenced
            for span in SPAN.findall(block)
            if span.startswith("--")
            for word in span.split()
            if word.startswith("--") and len(word) > 2
        }
    )
