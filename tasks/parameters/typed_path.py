"""A path as typed by the user, for display, beside the resolved path, for work.

A run may continue in another folder, or in a worker's, so its parameters hold paths that mean the
same everywhere. People recognise the paths they typed.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, JsonValue, ValidationError

_SUFFIX = "_typed"


class TypedPath(BaseModel):
    """The text that was typed, and the folder that it was typed in."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    text: str
    folder: str

    @classmethod
    def here(cls, text: str) -> Self:
        """Return a path that is being typed in the current folder."""
        return cls(text=text, folder=str(Path.cwd()))

    @property
    def resolved(self) -> str:
        """The same path from anywhere; links and ``..`` are left as they are."""
        return str(Path(self.folder) / expanded(self.text))

    @property
    def is_relative(self) -> bool:
        """Whether it means something else in another folder."""
        return not expanded(self.text).is_absolute()


def expanded(path: str) -> Path:
    """Return a path with the home folder that ``~`` means; of an unknown user it stays."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        return Path(path)


def as_typed(path: str, typed: TypedPath | None) -> str:
    """Return what to show for a path: what was typed, unless the path has been changed since."""
    return typed.text if typed is not None and typed.resolved == path else path


def with_typed(values: Mapping[str, JsonValue]) -> tuple[dict[str, JsonValue], set[str]]:
    """Return recorded parameters with their paths as they were typed.

    With them come the folders that the relative ones were typed in.
    """
    shown = {name: value for name, value in values.items() if not name.endswith(_SUFFIX)}
    folders = set()
    for name in shown:
        typed = _recorded(values.get(name + _SUFFIX))
        if typed is not None and typed.resolved == shown[name]:
            shown[name] = typed.text
            folders |= {typed.folder} if typed.is_relative else set()
    return shown, folders


def _recorded(value: JsonValue) -> TypedPath | None:
    try:
        return TypedPath.model_validate(value)
    except ValidationError:  # none, or of another version
        return None
