"""Commands as documents write them: calls in shell blocks, and mentions in a sentence."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.sources import ROOT, relative, tracked

DOCUMENTS = [path for path in tracked() if path.suffix == ".md"]
README = (ROOT / "README.md").read_text("utf-8")
_BLOCK = re.compile(r"^ *```sh\n(.*?)^ *```", re.M | re.S)
_FENCE = re.compile(r"^ *```(\w*)\s*$")
_COMMENT = re.compile(r"\s*(?:^|\s)#\s.*$")
_MENTION = re.compile(r"(`|bin/|^|\s)whippet ([a-z][a-z-]*)([^\n`#|]*)", re.M)
_OPTION = re.compile(r"(?<![\w-])--[a-z][a-z0-9-]*")


@dataclass(frozen=True)
class Call:
    """A call of a program in a shell block of a document."""

    document: str
    arguments: list[str]

    def __str__(self) -> str:
        return f"{self.document}: {' '.join(self.arguments)}"


@dataclass(frozen=True)
class Mention:
    """The words ``whippet command`` anywhere; ``marked`` where they can only be the program."""

    document: str
    command: str
    options: list[str]
    marked: bool


@dataclass(frozen=True)
class Command:
    """A command of a shell block, as it is written, and the title above it."""

    document: str
    section: str
    line: str

    def __str__(self) -> str:
        return f"{self.document}: {self.line}"


@dataclass(frozen=True)
class Fence:
    """A fenced block: its language, the title above it, its lines."""

    document: str
    section: str
    language: str
    lines: list[str]


def fences() -> Iterator[Fence]:
    """Yield every fenced block of every document."""
    for path in DOCUMENTS:
        section, found = "", None
        for line in text_of(path).splitlines():
            fence = _FENCE.match(line)
            if fence and found is None:
                found = Fence(relative(path), section, fence[1], [])
            elif fence and found is not None:
                yield found
                found = None
            elif found is not None:
                found.lines.append(line.strip())
            elif line.startswith("#"):
                section = line.lstrip("# ")


def commands() -> list[Command]:
    """Return every command of every shell block, without its comment, in their order."""
    return [
        Command(each.document, each.section, command)
        for each in fences()
        if each.language == "sh"
        for line in each.lines
        if (command := _COMMENT.sub("", line).strip())
    ]


def text_of(path: Path) -> str:
    """Return a document with the lines joined that a backslash continues."""
    return path.read_text("utf-8").replace("\\\n", " ")


def calls(program: str, document: str | None = None) -> list[Call]:
    """Return the calls of a program in the shell blocks of a document, or of all."""
    paths = [path for path in DOCUMENTS if document in (None, relative(path))]
    return [
        Call(relative(path), words[1:])
        for path in paths
        for words in _shell_lines(text_of(path))
        if words[0] in (program, f".venv/bin/{program}")
    ]


def _shell_lines(text: str) -> Iterator[list[str]]:
    for line in "\n".join(_BLOCK.findall(text)).splitlines():
        words = shlex.split(line.partition(" > ")[0], comments=True)
        if words:
            yield words[:-1] if words[-1] == "&" else words


def mentions() -> Iterator[Mention]:
    """Yield every mention of a command of `whippet`, in shell blocks too."""
    for path in DOCUMENTS:
        for before, command, rest in _MENTION.findall(text_of(path)):
            marked = before in ("`", "bin/")
            yield Mention(relative(path), command, _OPTION.findall(rest), marked)
