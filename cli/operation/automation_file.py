"""Read ``automations.yaml``, strictly: Prefect itself drops a key that it does not know."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import yaml
from jinja2 import Environment, TemplateSyntaxError
from prefect.events.schemas.automations import AutomationCore
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from platforms.errors import ParameterError, without_pydantics_words
from platforms.settings import PROJECT_ROOT
from sm_entrypoints.contract.sentences import clause, did_you_mean, joined, nearest
from tasks.telling.limits import Limits

FILE = PROJECT_ROOT / "automations.yaml"
NOTIFY = "notify"
# Stands for what only a server knows, while the file is read without one.
_SOME_ID = UUID(int=0)
_NOTHING = {"type": "do-nothing"}


class AutomationFile(BaseModel):
    """The file: limits, anything for YAML's anchors, and automations as Prefect describes them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    limits: Limits = Limits()
    definitions: dict[str, Any] = Field(default_factory=dict)
    automations: list[dict[str, Any]]


class Known(NamedTuple):
    """What a server knows by ids: deployments by ``flow/name``, the blocks that are to be told."""

    deployments: Mapping[str, UUID]
    blocks: list[UUID]


def read_automations(file: Path = FILE) -> AutomationFile:
    """Return the file's content, each automation checked as far as that needs no server.

    Raises:
        ParameterError: it cannot be read, a key is not known, a value is not one of Prefect's, or
            a name is there twice; says where.
    """
    try:
        found = AutomationFile.model_validate(yaml.safe_load(file.read_text("utf-8")))
    except (OSError, yaml.YAMLError) as error:
        raise ParameterError(f"{file} cannot be read: {clause(error)}") from error
    except ValidationError as error:
        raise ParameterError(f"{file}: {_first(error)}") from error
    names = [str(each.get("name", "")) for each in found.automations]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ParameterError(f"{file}: two automations are called {twice[0]!r}: rename one")
    for each in found.automations:
        automation_of(each, None, file)
    return found


def automation_of(
    described: Mapping[str, Any], known: Known | None, file: Path = FILE
) -> AutomationCore:
    """Return an automation for a server; without ``known``, one that is only checked.

    Raises:
        ParameterError: as :func:`read_automations`, or a deployment is not on the server.
    """
    name = str(described.get("name", "without a name"))
    where = f"{file.name}: automation {name!r}"
    values = deepcopy(dict(described))
    for list_name in ("actions", "actions_on_trigger", "actions_on_resolve"):
        if list_name in values:
            actions = [
                spelt for each in values[list_name] for spelt in _spelt_out(each, known, where)
            ]
            values[list_name] = actions or [_NOTHING]
    try:
        automation = AutomationCore.model_validate(values)
    except ValidationError as error:
        raise ParameterError(f"{where}: {_first(error)}") from error
    _require_templates(values, where)
    for place, key, keys in _unknown(values, automation.model_dump(mode="json")):
        meant = did_you_mean(nearest(key, keys))
        raise ParameterError(joined(f"{where}: {place} has no key {key!r}", meant))
    return automation


def _require_templates(values: Mapping[str, Any], where: str) -> None:
    """Check the texts of messages, which Prefect checks only when it sends one."""
    for action in values["actions"]:
        for name in ("subject", "body", "payload"):
            try:
                Environment(autoescape=True).parse(str(action.get(name, "")))
            except TemplateSyntaxError as error:
                said = clause(error)
                raise ParameterError(f"{where}: its {name} is no template: {said}") from error


def _first(error: ValidationError) -> str:
    problem = error.errors(include_url=False)[0]
    place = ".".join(map(str, problem["loc"])) or "all of it"
    return f"{place}: {without_pydantics_words(problem['msg'])} (given: {problem['input']!r})"


def _spelt_out(action: Any, known: Known | None, where: str) -> Iterator[Any]:
    """Yield an action in Prefect's own words: ours name blocks and deployments."""
    if not isinstance(action, dict):
        yield action
    elif action.get("type") == NOTIFY:
        rest = {key: value for key, value in action.items() if key != "type"}
        for block in [_SOME_ID] if known is None else known.blocks:
            yield {**rest, "type": "send-notification", "block_document_id": str(block)}
    elif "deployment" in action:
        rest = {key: value for key, value in action.items() if key != "deployment"}
        found = _SOME_ID if known is None else known.deployments.get(action["deployment"])
        if found is None:
            names = known.deployments if known else {}
            meant = did_you_mean(nearest(str(action["deployment"]), names))
            raise ParameterError(
                joined(f"{where}: there is no deployment {action['deployment']!r}", meant)
            )
        yield {**rest, "source": "selected", "deployment_id": str(found)}
    else:
        yield action


def _unknown(given: Any, known: Any, place: str = "it") -> Iterator[tuple[str, str, list[str]]]:
    """Yield the place and name of each key that was given and that the model does not have."""
    if isinstance(given, dict) and isinstance(known, dict):
        for key, value in given.items():
            if key not in known:
                yield place, str(key), list(known)
            else:
                inner = str(key) if place == "it" else f"{place}.{key}"
                yield from _unknown(value, known[key], inner)
    elif isinstance(given, list) and isinstance(known, list) and len(given) == len(known):
        for number, (one, other) in enumerate(zip(given, known, strict=True)):
            yield from _unknown(one, other, f"{place}.{number}")
