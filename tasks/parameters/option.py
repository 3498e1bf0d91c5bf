"""An option of the command line that stands for parameters. Standard library only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

Notation = Literal["value", "switch", "path", "list", "split", "range", "assignment", "rule"]
ValueType = type[str] | type[int] | type[float]
_REPEATABLE = ("list", "split", "range", "assignment", "rule")


class Alias(NamedTuple):
    """Another flag of an option, for one thing that it may say; None is what no text says."""

    flag: str
    value: str | None
    help: str


class Option(NamedTuple):
    """What people type, the parameters that it stands for, and what both mean.

    ``usage`` is the flag and, where argparse's own would not do, the name of its value;
    ``parameters`` are separated by spaces, each as ``group.name``. ``default`` is shown, and what
    the parameter is when nobody sets it; ``words`` are the parameter's values by what
    people type for them, where that is another word, or would else be a path. ``title`` is what a
    form calls it, with its unit; a form shows the others below those that are common.
    """

    usage: str
    parameters: str
    help: str
    default: str | int | float | None = None
    type: ValueType | None = None
    choices: tuple[str, ...] = ()
    words: Mapping[str, str] = {}
    notation: Notation = "value"
    alias: Alias | None = None
    title: str = ""
    is_common: bool = False

    @property
    def flag(self) -> str:
        """What people type, such as ``--max-jobs``."""
        return self.usage.partition(" ")[0]

    @property
    def metavar(self) -> str | None:
        """How help calls the value; None for the flag's own name."""
        return self.usage.partition(" ")[2] or None

    @property
    def name(self) -> str:
        """The option's name among the parsed arguments."""
        return self.flag.removeprefix("--").replace("-", "_")

    @property
    def is_repeatable(self) -> bool:
        """Whether it may be given several times."""
        return self.notation in _REPEATABLE

    @property
    def value_type(self) -> ValueType:
        """What the text of a value becomes."""
        return self.type or (str if self.default is None else type(self.default))

    @property
    def value(self) -> str | int | float | None:
        """The parameter's default."""
        if self.notation == "switch":
            return False
        return self.words.get(str(self.default), self.default)

    @property
    def text(self) -> str:
        """What ``--help`` says."""
        spec = "" if isinstance(self.default, str) else "g"
        default = "" if self.default is None else f" (default {self.default:{spec}})"
        return f"{self.help}{default}{'; repeatable' if self.is_repeatable else ''}"

    @property
    def sentence(self) -> str:
        """What a form says."""
        return f"{self.help[0].upper()}{self.help[1:]}."
