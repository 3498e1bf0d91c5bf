"""Marks that no text for people may have: a sentence's end twice, or an end that goes on."""

from __future__ import annotations

import re

# Outside of quotes, where names, regexes and folders stand: '..', "a..b", `x.;`.
_QUOTED = re.compile(r"'[^'\n]*'|\"[^\"\n]*\"|`[^`\n]*`|<[^<>\n]*>|\S*://\S*|\S*/\.\.\S*")
_WRONG = re.compile(
    r"(?<![.\w/])\.\.(?![./\w])"  # two of them alone
    r"|\w\.\.(?![./\w])"  # twice
    r"|[^\S\n]\.(?=\s|$)"  # a space before it
    r"|[.?!…,;:] ?\.(?=\s|$)(?<!\.\.\.)"  # behind another mark
    r"|\.[;:,](?=\s|$)"  # before another mark
)
_ABBREVIATED = re.compile(r"\b(?:etc|e\.g|i\.e|vs|No|approx)\.")


def doubled(text: str) -> list[str]:
    """Return what is wrong in ``text``, each with the words around it."""
    bare = _ABBREVIATED.sub("abbreviated", _QUOTED.sub("quoted", text))
    return [bare[max(0, m.start() - 40) : m.end() + 20] for m in _WRONG.finditer(bare)]
