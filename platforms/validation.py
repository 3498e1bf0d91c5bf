"""Check a request against botocore's own model of the service before it is sent or carried out.

botocore checks required members, types and minima; SageMaker also checks maxima, enums and
patterns, but only when the request arrives. Here both checks run on every platform, with the errors
that each of the two would raise.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import regex  # type: ignore[import-untyped]  # Java's \p{...} classes, which ``re`` lacks.
from botocore.exceptions import ParamValidationError
from botocore.loaders import Loader
from botocore.model import ListShape, MapShape, ServiceModel, Shape, StructureShape
from botocore.validate import ParamValidator

from platforms.client_errors import client_error
from sm_entrypoints.contract.sentences import ended, nearest

_MANY_CHOICES = 20
_LONG_VALUE = 200
_SURROGATES = re.compile(r"\\u(D[89AB][0-9A-F]{2})\\u(D[C-F][0-9A-F]{2})", re.IGNORECASE)
_QUANTIFIED_ANCHOR = re.compile(r"\$\{\d+,\d+\}")


def validate(operation: str, request: Mapping[str, Any], service: str = "sagemaker") -> None:
    """Check the request of an operation (``CreateTrainingJob``), all problems at once.

    Raises:
        ParamValidationError: a member is missing, unknown, of a wrong type or below its minimum;
            what boto3 raises without asking the service.
        ClientError: ``ValidationException``: a maximum, enum or pattern is not kept; what the
            service answers.

    Example:
        >>> from platforms.validation import validate
        >>> validate("StopTrainingJob", {"TrainingJobName": "pets-3f2a-train"})
        >>> validate("StopTrainingJob", {"TrainingJobName": "pets_train"})
        Traceback (most recent call last):
        botocore.exceptions.ClientError: ...'pets_train' at 'trainingJobName' failed to satisfy...
    """
    shape = service_model(service).operation_model(operation).input_shape
    if shape is None:
        return
    try:
        report = ParamValidator().validate(dict(request), shape)
    except (RuntimeError, OverflowError) as error:  # a time that no clock has
        raise client_error(operation, "ValidationException", ended(error)) from error
    if report.has_errors():
        raise ParamValidationError(report=report.generate_report())
    problems = list(_problems(request, shape, ""))
    if problems:
        many = "s" if len(problems) > 1 else ""
        message = f"{len(problems)} validation error{many} detected: " + "; ".join(problems)
        raise client_error(operation, "ValidationException", message)


@cache
def service_model(service: str) -> ServiceModel:
    """Return botocore's model of a service; needs no client, region or credentials."""
    return ServiceModel(Loader().load_service_model(service, "service-2"), service)


@cache
def java_pattern(pattern: str) -> regex.Pattern[str]:
    """Compile a pattern of the model, which is written for Java, for a full match.

    Raises:
        regex.error: it uses something that has no counterpart here.
    """
    # Java reads a pair of surrogates as the one character that it encodes in UTF-16.
    translated = _SURROGATES.sub(_join_surrogates, pattern)
    # Java lets an anchor be repeated, which changes nothing.
    translated = _QUANTIFIED_ANCHOR.sub("$", translated)
    # \d, \w and \s are ASCII in Java; the flag would also narrow \p{...}.
    flags = 0 if r"\p" in translated else regex.ASCII
    return regex.compile(translated, flags)


def _join_surrogates(match: re.Match[str]) -> str:
    high, low = int(match.group(1), 16), int(match.group(2), 16)
    return f"\\U{0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00):08x}"


def _problems(value: Any, shape: Shape, name: str) -> Iterator[str]:
    """Yield SageMaker's sentence for each constraint that ``value`` does not keep."""
    constraints = list(_broken(value, shape))
    for constraint in constraints:
        yield f"Value '{_shown(value)}' at '{name}' failed to satisfy constraint: {constraint}"
    if isinstance(shape, StructureShape):
        for key, member in value.items():
            yield from _problems(member, shape.members[key], _join(name, key))
    elif isinstance(shape, ListShape):
        for index, item in enumerate(value, 1):
            yield from _problems(item, shape.member, f"{name}.{index}.member")
    elif isinstance(shape, MapShape):
        for key, item in value.items():
            yield from _entry_problems(key, item, shape, name)


def _entry_problems(key: Any, value: Any, shape: MapShape, name: str) -> Iterator[str]:
    for kind, part, part_shape in (("key", key, shape.key), ("value", value, shape.value)):
        broken = list(_broken(part, part_shape))
        if broken:
            # Named by its entry: SageMaker prints the whole map.
            entry = f"{{{_shown(key)}={_shown(value)}}}"
            yield (
                f"Value '{entry}' at '{name}' failed to satisfy constraint: "
                f"Map {kind} must satisfy constraint: [{', '.join(broken)}]"
            )


def _join(name: str, key: str) -> str:
    """Append a member's name as SageMaker spells it: ``resourceConfig.instanceType``."""
    member = key[:1].lower() + key[1:]
    return f"{name}.{member}" if name else member


def _broken(value: Any, shape: Shape) -> Iterator[str]:
    """Yield the constraints of ``shape`` itself that ``value`` does not keep."""
    yield from _broken_range(value, shape)
    if shape.type_name != "string":
        return
    allowed = shape.metadata.get("enum")
    if allowed and value not in allowed:
        yield f"Member must satisfy enum value set: [{_choices(value, allowed)}]"
    pattern = shape.metadata.get("pattern")
    if pattern and not java_pattern(pattern).fullmatch(value):
        yield f"Member must satisfy regular expression pattern: {pattern}"


def _choices(value: str, allowed: list[str]) -> str:
    """List an enum; of a long one (there are 260 instance types) what the user may have meant."""
    if len(allowed) <= _MANY_CHOICES:
        return ", ".join(allowed)
    near = nearest(value, allowed, most=5, cutoff=0.5) or allowed[:5]
    return f"{', '.join(near)}, ... ({len(allowed)} in all)"


def _shown(value: Any) -> str:
    text = str(value)
    return text if len(text) <= _LONG_VALUE else f"{text[:_LONG_VALUE]}..."


def _broken_range(value: Any, shape: Shape) -> Iterator[str]:
    sized = shape.type_name in {"string", "list", "map", "blob"}
    if shape.type_name not in {"integer", "long", "float", "double"} and not sized:
        return
    size = len(value) if sized and hasattr(value, "__len__") else value
    if sized and size is value:  # A file-like blob: its length is not known.
        return
    noun = "length" if sized else "value"
    if "max" in shape.metadata and size > shape.metadata["max"]:
        yield f"Member must have {noun} less than or equal to {shape.metadata['max']}"
    if "min" in shape.metadata and size < shape.metadata["min"]:
        yield f"Member must have {noun} greater than or equal to {shape.metadata['min']}"
