"""From the options of a command to the parameters that they stand for, and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pydantic import JsonValue

from platforms.errors import ParameterError
from tasks.parameters.notation import read_pair, write_pair
from tasks.parameters.option import Option
from tasks.parameters.typed_path import TypedPath, expanded

# What argparse makes of an option; of a repeatable one, a list, with None for its alias.
Argument = str | int | float | bool | list[str | None] | None


def parameters_of(
    options: Sequence[Option], arguments: Mapping[str, Argument]
) -> dict[str, dict[str, JsonValue]]:
    """Return by group the parameters that parsed arguments stand for: those that were given.

    Raises:
        ParameterError: one cannot be read; says how it is written.
    """
    groups: dict[str, dict[str, JsonValue]] = {}
    for option in options:
        given = arguments[option.name]
        for parameter in option.parameters.split():
            group, _, name = parameter.partition(".")
            values = groups.setdefault(group, {})
            if given is not None:
                values |= _named(name, _read(option, given), option)
    return groups


def words_of(
    options: Sequence[Option], groups: Mapping[str, Mapping[str, JsonValue]]
) -> list[str] | None:
    """Return the words that stand for parameters which differ from their defaults, by group.

    None where they cannot be said: one has no option, or those of one option differ.
    """
    left = {f"{group}.{name}": each for group in groups for name, each in groups[group].items()}
    words: list[str] = []
    for option in options:
        values = [left.pop(parameter, None) for parameter in option.parameters.split()]
        if any(value != values[0] for value in values):
            return None
        if values[0] is not None:
            words += _words(option, values[0])
    return None if left else words


def _read(option: Option, given: Argument) -> JsonValue:
    if not isinstance(given, list):
        return option.words.get(given, given) if isinstance(given, str) else given
    if option.notation == "list":
        return [*given]
    if None in given:  # the alias
        if any(given):
            raise ParameterError("--no-splits says that there are none: leave out --split")
        return {}
    return dict(read_pair(text, option.notation, option.flag) for text in given if text is not None)


def _named(name: str, value: JsonValue, option: Option) -> dict[str, JsonValue]:
    """Return a parameter; of a path that is there, the absolute one, and how it was typed.

    A run may be resumed from another folder.
    """
    is_path = option.notation == "path" and value and value not in option.words
    if not is_path or not isinstance(value, str) or not expanded(value).exists():
        return {name: value}
    typed = TypedPath.here(value)
    if typed.resolved == value:
        return {name: value}
    return {name: typed.resolved, f"{name}_typed": typed.model_dump()}


def _words(option: Option, value: JsonValue) -> list[str]:
    if option.notation == "switch":
        return [option.flag] if value else []
    if option.is_repeatable:
        if not value and option.alias:
            return [option.alias.flag]
        if isinstance(value, list):
            return [word for each in value for word in (option.flag, str(each))]
        pairs = value.items() if isinstance(value, dict) else ()
        return [word for item in pairs for word in (option.flag, write_pair(*item))]
    words = {meaning: word for word, meaning in option.words.items()}
    text = words.get(str(value), str(value))
    # What begins like an option is read as one, unless it is glued to its own.
    return [f"{option.flag}={text}"] if text.startswith("-") else [option.flag, text]
