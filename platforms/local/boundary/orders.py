"""The file that tells ``enter.py`` what to run, and in which view.

It is not JSON: its reader starts before every job, and importing a JSON reader would take longer
than everything else the reader does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from platforms.errors import WhippetError
from platforms.local.boundary.steps import Step, fields


def write_order(
    file: Path, *, head: Mapping[str, str], argv: Sequence[str], steps: Sequence[Step]
) -> None:
    """Write an order; ``head`` holds what concerns the whole of it.

    Raises:
        WhippetError: an argument or a path holds a NUL character, which cannot be passed to a
        process.
    """
    arguments = {str(number): text for number, text in enumerate(argv)}
    words: list[str] = []
    for group in (head, arguments, *(fields(step) for step in steps)):
        words.append(str(len(group)))
        for key, value in group.items():
            words += [key, value]
    if any("\0" in word for word in words):
        raise WhippetError(
            f"{argv[0]!r} cannot be run: an argument or a path holds a NUL character"
        )
    text = "".join(f"{word}\0" for word in words)
    file.write_text(text, encoding="utf-8", errors="surrogateescape", newline="")
