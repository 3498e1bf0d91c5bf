"""How parameters are shown in a form: one control a field, what is common first.

A form is drawn from a JSON schema, and the server checks by it before a run exists. The form of a
model shows its common fields; the others are below them, by :mod:`tasks.parameters.groups`. The
server takes them in both places.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from pydantic import BaseModel, Field

# Marks of fields, which are taken out of the schema.
ADVANCED = "advanced"
HIDDEN = "hidden"
_NUMBERS = ("integer", "number")


def as_form(schema: dict[str, Any]) -> None:
    """Turn a model's JSON schema into that of its form."""
    shown: dict[str, Any] = {}
    unseen: dict[str, Any] = {}
    for name, described in schema["properties"].items():
        if described.pop(HIDDEN, False) | described.pop(ADVANCED, False):
            unseen[f"^{name}$"] = deepcopy(described)
        else:
            shown[name] = one_control(described, position=len(shown))
    schema["properties"] = shown
    if unseen:
        schema["patternProperties"] = unseen


def advanced_form(model: type[BaseModel]) -> dict[str, Any]:
    """Return the schema of the fields that :func:`as_form` left out, by name."""
    schema = model.model_json_schema()
    unseen = _inlined(schema["patternProperties"], schema.get("$defs", {}))
    names = [name for name in model.model_fields if is_marked(model, name, ADVANCED)]
    return {n: one_control(unseen[f"^{n}$"], position=at) for at, n in enumerate(names)}


def _inlined(schema: Any, definitions: Mapping[str, Any]) -> Any:
    """Return a schema without references: it goes into another one."""
    if isinstance(schema, list):
        return [_inlined(each, definitions) for each in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return _inlined(definitions[schema["$ref"].rpartition("/")[2]], definitions)
    # Tells of references, and the choices themselves say as much.
    kept = {name: each for name, each in schema.items() if name != "discriminator"}
    return {name: _inlined(each, definitions) for name, each in kept.items()}


def defaults_of(model: type[BaseModel], *, advanced: bool) -> dict[str, Any]:
    """Return the defaults of a model's fields as forms show them; what has none is left out."""
    values = model().model_dump(mode="json", exclude_none=True)
    return {
        name: value
        for name, value in values.items()
        if value not in ({}, [])
        and is_marked(model, name, ADVANCED) == advanced
        and not is_marked(model, name, HIDDEN)
    }


def is_marked(model: type[BaseModel], name: str, mark: str) -> bool:
    """Say whether a field is advanced, or hidden."""
    extra = model.model_fields[name].json_schema_extra
    return isinstance(extra, dict) and bool(extra.get(mark))


def group(title: str, text: str, default: Mapping[str, Any] | None = None) -> Any:
    """Return what to annotate a flow's parameter with: its title, its text, what is filled in."""
    shown: dict[str, Any] = {"title": title, "description": text}
    if default is not None:
        shown["default"] = dict(default)
    return Field(json_schema_extra=shown)


def one_control(described: Mapping[str, Any], *, position: int) -> dict[str, Any]:
    """Return a field's schema with one type: an optional one is left empty, not set to null."""
    kept = {name: value for name, value in described.items() if name != "anyOf"}
    if kept.get("default", ...) is None:
        del kept["default"]
    kinds = [each for each in described.get("anyOf", []) if each.get("type") != "null"]
    # A sum of money may be a number or a text; people give a number.
    numbers = [each for each in kinds if each.get("type") in _NUMBERS]
    chosen = {**(numbers or kinds or [{}])[0], **kept}
    for bound in ("minimum", "maximum"):
        exclusive = f"exclusive{bound.capitalize()}"
        if exclusive in chosen:  # forms know the other only
            chosen.setdefault(bound, chosen[exclusive])
    # Databases do not keep the order of names.
    return {**chosen, "position": position}
