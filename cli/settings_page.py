"""Writes docs/settings.md: ``python -m cli.settings_page > docs/settings.md``."""

from __future__ import annotations

from typing import get_args

from pydantic.fields import FieldInfo

from platforms import Settings

_HEAD = """\
# The settings

Written by `python -m cli.settings_page` from `platforms/settings.py`.

Settings are environment variables. Set them in the shell in which you type `whippet`; `whippet up`
hands its own to the worker that it starts ([operate.md](operate.md)). A relative path starts at the
project's folder. A value that cannot be right is an error before anything starts.

| variable | default | meaning |
|---|---|---|
"""


def page() -> str:
    """Return the page."""
    return _HEAD + "".join(_row(name, each) for name, each in Settings.model_fields.items())


def _row(name: str, field: FieldInfo) -> str:
    default = "-" if field.default_factory or not field.default else f"`{field.default}`"
    values = [each for each in get_args(field.annotation) if isinstance(each, str)]
    choice = f" One of {', '.join(f'`{each}`' for each in values)}." if values else ""
    return f"| `WHIPPET_{name.upper()}` | {default} | {field.description}{choice} |\n"


if __name__ == "__main__":
    print(page(), end="")
