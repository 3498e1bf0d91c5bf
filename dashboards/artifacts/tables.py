"""Markdown tables for artifacts."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

# What CommonMark or GitHub's tables would read as markup inside a cell.
_SPECIAL = re.compile(r"([\\`*_\[\]|~])")


def markdown_table(
    rows: Sequence[Mapping[str, object]], columns: Mapping[str, str] | Sequence[str]
) -> str:
    """Return a Markdown table of ``rows``; its cells show exactly their values.

    Args:
        rows: a mapping a row; a missing key is an empty cell.
        columns: the keys to show, in order; as a mapping, each with its title.

    Raises:
        ValueError: there are no columns.
    """
    titles = dict(columns) if isinstance(columns, Mapping) else {name: name for name in columns}
    if not titles:
        raise ValueError("a table needs at least one column, but got none")
    numeric = {name for name in titles if rows and all(_is_number(row.get(name)) for row in rows)}
    lines = [
        "| " + " | ".join(markdown_text(title) for title in titles.values()) + " |",
        "| " + " | ".join("---:" if name in numeric else "---" for name in titles) + " |",
    ]
    lines += ["| " + " | ".join(_cell(row.get(name)) for name in titles) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def markdown_text(value: object) -> str:
    """Return ``value`` as one line of Markdown that shows it letter for letter."""
    line = " ".join(str(value).split())
    escaped = _SPECIAL.sub(r"\\\1", line)
    return escaped.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.4g}"
    return markdown_text(value)


def _is_number(value: object) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))
