"""Writes docs/parameters.md: ``python -m cli.documentation > docs/parameters.md``."""

from __future__ import annotations

import json
from typing import Any

from tasks.parameters.form import ADVANCED, HIDDEN, is_marked, one_control
from tasks.parameters.options import option_of
from tasks.parameters.resources import Parameters
from tasks.parameters.run import RUN_PARAMETERS

_HEAD = """\
# The parameters of a run

Written by `python -m cli.documentation` from the table that also makes
`whippet run --help` and the form of `release-model` in the Prefect UI.

**Bold** parameters are the first ten of the form; the others are below them, under *Advanced*. In
the parameters of a deployment, give them by group: `{"data": {"path": "…", "valid_share": 0.2}}`.
The server refuses a value of the wrong kind, out of its bounds or with an unknown name before a run
exists, and names the field. The flows `sync-data`, `tune-model`, `train-model` and `deploy-model`
take the groups that they need.
"""
_AMONG = """
The form has one more field, *Networks to choose among* (`advanced.model.among`): several networks
with commas, as `--model` takes them. A deployment takes them in this field only.
"""


def page() -> str:
    """Return the page."""
    parts = [_HEAD]
    for name, model in RUN_PARAMETERS.items():
        parts.append(f"\n## `{name}`: {model.form_title}\n")
        parts.append(
            "\n| parameter | option | value | default | meaning |\n|---|---|---|---|---|\n"
        )
        properties = _schema(model)
        parts += [_row(name, each, model, properties[each]) for each in _shown(model)]
        if model.form_only:
            parts.append(_AMONG)
    return "".join(parts)


def _shown(model: type[Parameters]) -> list[str]:
    names = [n for n in model.model_fields if not is_marked(model, n, HIDDEN)]
    return sorted(names, key=lambda name: is_marked(model, name, ADVANCED))


def _schema(model: type[Parameters]) -> dict[str, dict[str, Any]]:
    schema = model.model_json_schema()
    unseen = {name.strip("^$"): each for name, each in schema["patternProperties"].items()}
    every = {**schema["properties"], **unseen}
    return {name: one_control(each, position=0) for name, each in every.items()}


def _row(group: str, name: str, model: type[Parameters], schema: dict[str, Any]) -> str:
    option = option_of(f"{group}.{name}")
    shown = f"`{name}`" if is_marked(model, name, ADVANCED) else f"**`{name}`**"
    default = f"`{json.dumps(schema['default'])}`" if "default" in schema else "-"
    cells = [shown, f"`{option.flag}`", _value(schema, name), default, option.sentence]
    return f"| {' | '.join(cells)} |\n"


def _value(schema: dict[str, Any], name: str) -> str:
    if name == "architecture":
        return "`auto`, or a torchvision classifier"
    if "enum" in schema:
        return ", ".join(f"`{each}`" for each in schema["enum"])
    kind = {"string": "text", "number": "number", "integer": "whole number", "boolean": "yes or no"}
    words = kind.get(schema["type"], "several")
    low, high = (_bound(schema, each) for each in ("minimum", "maximum"))
    return " ".join(each for each in (words, low, high) if each)


def _bound(schema: dict[str, Any], which: str) -> str:
    exclusive = schema.get(f"exclusive{which.capitalize()}")
    if exclusive is not None:
        return f"{'above' if which == 'minimum' else 'below'} {exclusive:g}"
    value = schema.get(which)
    if value is None:
        return ""
    return f"{'from' if which == 'minimum' else 'to'} {value:,}"


if __name__ == "__main__":
    print(page(), end="")
