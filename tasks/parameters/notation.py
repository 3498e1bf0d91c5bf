"""How options that may be repeated are written, ``NAME=…``, in both directions."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping

from pydantic import JsonValue, ValidationError

from platforms.errors import ParameterError, without_pydantics_words
from sm_entrypoints.contract import SPLITS
from sm_entrypoints.contract.wire import Value
from tasks.parameters.ranges import CategoricalRange, ContinuousRange, IntegerRange

# What to write, and an example of it, by the notation of an option.
_FORMS = {
    "assignment": ("NAME=VALUE", "optimizer=adamw"),
    "rule": ("NAME=ACTION", "ExplodingTensor=stop"),
    "split": ("train=FOLDER, valid=FOLDER or test=FOLDER", "train=Training"),
    "range": (
        "NAME=LOW:HIGH, NAME=LOW:HIGH:log or NAME=A,B,C",
        "lr=1e-4:1e-2:log --range batch_size=16,32",
    ),
}
_SCALES = {"": "Auto", ":log": "Logarithmic", ":linear": "Linear"}


def read_pair(text: str, notation: str, flag: str) -> tuple[str, JsonValue]:
    """Return the name and the value of ``NAME=…``.

    Raises:
        ParameterError: it is not of the option's form; says how it is written, and an example.
    """
    name, _, written = text.partition("=")
    is_name = name in SPLITS if notation == "split" else name
    value = _READ[notation](written, f"{flag} {text!r}") if is_name and written else None
    if value is None:
        form, example = _FORMS[notation]
        raise ParameterError(f"{flag} {text!r}: write {form}, such as {flag} {example}")
    return name, value


def write_pair(name: str, value: JsonValue) -> str:
    """Return the text that :func:`read_pair` reads."""
    if not isinstance(value, Mapping):
        return f"{name}={_text(value)}"
    values = value.get("values")
    if isinstance(values, list):
        return f"{name}={','.join(map(_text, values))}"
    words = {scaling: word for word, scaling in _SCALES.items()}
    scale = words.get(str(value.get("scaling")), "")
    return f"{name}={_text(value['min'])}:{_text(value['max'])}{scale}"


def _range(text: str, where: str) -> JsonValue:
    low, *rest = text.split(":")
    if rest:
        return _bounds(low, *rest, where=where) if len(rest) <= 2 else None
    values = text.split(",")
    if not all(values):
        return None
    return CategoricalRange(values=[_number(value) for value in values]).model_dump()


def _bounds(low: str, high: str, scale: str | None = None, *, where: str) -> JsonValue:
    span = {"min": _number(low), "max": _number(high)}
    if any(isinstance(bound, str | bool) for bound in span.values()):
        raise ParameterError(f"{where}: the bounds must be numbers")
    scaling = _SCALES.get("" if scale is None else f":{scale}")
    if scaling is None:
        raise ParameterError(f"{where}: the scale is log or linear")
    is_whole = all(isinstance(bound, int) for bound in span.values())
    kind = IntegerRange if is_whole else ContinuousRange
    try:
        return kind.model_validate({**span, "scaling": scaling}).model_dump()
    except ValidationError as error:
        reasons = "; ".join(without_pydantics_words(each["msg"]) for each in error.errors())
        raise ParameterError(f"{where}: {reasons}") from error


def _number(text: str) -> Value:
    for read in (json.loads, float):  # JSON first: 1 is whole, true is a truth value
        try:
            value = read(text)
        except ValueError:
            continue
        if isinstance(value, bool | int | float):
            return value
    return text


def _text(value: JsonValue) -> str:
    return value if isinstance(value, str) else json.dumps(value)


_READ: dict[str, Callable[[str, str], JsonValue]] = {
    "assignment": lambda text, _: _number(text),
    "rule": lambda text, _: text,
    "split": lambda text, _: text,
    "range": _range,
}
