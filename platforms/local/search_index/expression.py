"""Search expressions over described resources: filters, nested filters, sub-expressions. Pure.

A property is a path of member names (``ResourceConfig.InstanceType``). If the path passes a list,
the property has the values of all items; ``Tags.team`` and ``Metrics.loss`` look up a key and a
metric's name.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from botocore.utils import parse_to_aware_datetime

from platforms.errors import WhippetError

Entity = Mapping[str, Any]
Test = Callable[[Entity], bool]

_ORDERED: dict[str, Callable[[Any, Any], bool]] = {
    "GreaterThan": operator.gt,
    "GreaterThanOrEqualTo": operator.ge,
    "LessThan": operator.lt,
    "LessThanOrEqualTo": operator.le,
}
_WITHOUT_VALUE = ("Exists", "NotExists")


class SearchError(WhippetError):
    """Raised when an expression cannot be read; says which part."""


def search_test(expression: Mapping[str, Any]) -> Test:
    """Return what tells whether an entity matches an expression; an empty one matches all.

    Raises:
        SearchError: a filter lacks its value, or compares with what cannot be compared.
    """
    tests = [
        *(_filter(each) for each in expression.get("Filters", ())),
        *(_nested(each) for each in expression.get("NestedFilters", ())),
        *(search_test(each) for each in expression.get("SubExpressions", ())),
    ]
    if not tests:
        return lambda entity: True
    either = expression.get("Operator", "And") == "Or"
    return lambda entity: (any if either else all)(test(entity) for test in tests)


def values_of(entity: Any, name: str) -> Iterator[Any]:
    """Yield all values that a property has: none where it is not there."""
    if name == "":
        yield entity
    elif isinstance(entity, list):
        for item in entity:
            yield from values_of(item, name)
    elif isinstance(entity, Mapping):
        yield from _members(entity, name)


def _members(entity: Entity, name: str) -> Iterator[Any]:
    key, _, rest = name.partition(".")
    if key == "Tags" and rest:
        yield from (each["Value"] for each in entity.get("Tags", ()) if each["Key"] == rest)
    elif key == "Metrics" and rest:
        metrics = entity.get("FinalMetricDataList", ())
        yield from (each["Value"] for each in metrics if each["MetricName"] == rest)
    elif name in entity:  # A hyperparameter may have a full stop in its name.
        value = entity[name]
        yield from value if isinstance(value, list) else [value]
    elif key in entity:
        yield from values_of(entity[key], rest)


def _nested(nested: Mapping[str, Any]) -> Test:
    """Return the test that one item of a list passes all filters."""
    where = nested["NestedPropertyName"]
    tests = [
        _filter({**each, "Name": each["Name"].removeprefix(f"{where}.")})
        for each in nested["Filters"]
    ]
    return lambda entity: any(
        all(test(item) for test in tests)
        for value in values_of(entity, where)
        for item in (value if isinstance(value, list) else [value])
        if isinstance(item, Mapping)
    )


def _filter(each: Mapping[str, str]) -> Test:
    name, how, wanted = each["Name"], each.get("Operator", "Equals"), each.get("Value")
    if how in _WITHOUT_VALUE:
        exists = how == "Exists"
        return lambda entity: any(True for _ in values_of(entity, name)) is exists
    if wanted is None:
        raise SearchError(f"filter {name!r}: {how} needs a Value")
    if how in _ORDERED:
        _require_order(name, how, wanted)
        return lambda entity: any(
            _ordered(value, wanted, _ORDERED[how]) for value in values_of(entity, name)
        )
    if how == "NotEquals":
        return lambda entity: not any(_equal(value, wanted) for value in values_of(entity, name))
    tests: dict[str, Callable[[Any], bool]] = {
        "Equals": lambda value: _equal(value, wanted),
        "Contains": lambda value: wanted in _text(value),
        "In": lambda value: any(_equal(value, part.strip()) for part in wanted.split(",")),
    }
    return lambda entity: any(map(tests[how], values_of(entity, name)))


def _require_order(name: str, how: str, wanted: str) -> None:
    if _number(wanted) is None and _moment(wanted) is None:
        raise SearchError(f"filter {name!r}: {how} needs a number or a time, not {wanted!r}")


def _ordered(found: Any, wanted: str, than: Callable[[Any, Any], bool]) -> bool:
    if isinstance(found, datetime):
        moment = _moment(wanted)
        return moment is not None and than(found, moment)
    have, want = _number(found), _number(wanted)
    return have is not None and want is not None and than(have, want)


def _equal(found: Any, wanted: str) -> bool:
    if isinstance(found, datetime):
        return found == _moment(wanted)
    if isinstance(found, int | float) and not isinstance(found, bool):
        return _number(found) == _number(wanted)
    return _text(found) == wanted


def _text(found: Any) -> str:
    return str(found).lower() if isinstance(found, bool) else str(found)


def _number(value: Any) -> float | None:
    # The SDKs write hyperparameters as JSON: a string of digits has quotation marks of its own.
    text = value.strip().strip('"') if isinstance(value, str) else value
    try:
        return float(text)
    except (TypeError, ValueError):
        return None


def _moment(text: str) -> datetime | None:
    try:
        moment: datetime = parse_to_aware_datetime(text)
    except (ValueError, OverflowError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
