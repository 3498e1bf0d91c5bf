"""AWS's query protocol: a request is a form (``Action``, ``Version``, members), answers are XML."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl
from xml.etree import ElementTree

from botocore.model import ListShape, MapShape, OperationModel, Shape, StructureShape
from botocore.utils import parse_to_aware_datetime

from platforms.errors import WhippetError

Form = Mapping[str, str]

_NUMBERED = re.compile(r"(\d{1,4})(?:\.|$)")
# More fields than any request of these services has.
_MOST_FIELDS = 20_000


class QueryError(WhippetError):
    """Raised when a form is not written as the protocol has it."""


def read_form(body: bytes) -> dict[str, str]:
    """Return the fields of a form.

    Raises:
        QueryError: it is not a form, or has too many fields.
    """
    try:
        fields = parse_qsl(
            body.decode("utf-8"), keep_blank_values=True, max_num_fields=_MOST_FIELDS
        )
    except ValueError as error:
        raise QueryError(f"The body is not a valid form: {error}") from error
    return dict(fields)


def from_form(form: Form, shape: Shape | None) -> dict[str, Any]:
    """Return the members of a request as boto3's caller would have passed them.

    Fields that the operation does not have stay unchanged: validation names them.

    Raises:
        QueryError: an invalid number, time or boolean.
    """
    members = {key: text for key, text in form.items() if key not in {"Action", "Version"}}
    if not isinstance(shape, StructureShape):
        return dict(members)
    names = {key.split(".")[0] for key in members} & set(shape.members)
    unknown = {key: text for key, text in members.items() if key.split(".")[0] not in names}
    values = {key: _value(members, key, shape.members[key]) for key in sorted(names)}
    return {**values, **unknown}


def _value(form: Form, prefix: str, shape: Shape) -> Any:
    if isinstance(shape, StructureShape):
        names = {key.split(".")[0] for key in _below(form, prefix)} & set(shape.members)
        return {name: _value(form, f"{prefix}.{name}", shape.members[name]) for name in names}
    if isinstance(shape, ListShape):
        where = f"{prefix}.member"
        return [_value(form, f"{where}.{n}", shape.member) for n in _numbers(form, where)]
    if isinstance(shape, MapShape):
        where = f"{prefix}.entry"
        return {
            form.get(f"{where}.{n}.key", ""): _value(form, f"{where}.{n}.value", shape.value)
            for n in _numbers(form, where)
        }
    return _scalar(prefix, form.get(prefix, ""), shape.type_name)


def _below(form: Form, prefix: str) -> list[str]:
    return [key[len(prefix) + 1 :] for key in form if key.startswith(f"{prefix}.")]


def _numbers(form: Form, prefix: str) -> list[int]:
    matches = [_NUMBERED.match(key) for key in _below(form, prefix)]
    return sorted({int(match.group(1)) for match in matches if match})


def _scalar(name: str, text: str, kind: str) -> Any:
    try:
        if kind in {"integer", "long"}:
            return int(text)
        if kind in {"double", "float"}:
            return float(text)
        if kind == "boolean":
            return {"true": True, "false": False}[text.lower()]
        if kind == "timestamp":
            return parse_to_aware_datetime(text)
        return base64.b64decode(text, validate=True) if kind == "blob" else text
    # A RuntimeError is a time that no clock has.
    except (ValueError, KeyError, OverflowError, RuntimeError, binascii.Error) as error:
        raise QueryError(f"{name}={text!r} is not a valid {kind}") from error


def answer_xml(model: OperationModel, answer: Mapping[str, Any], request_id: str) -> bytes:
    """Return the answer of an operation; members that it does not have are left out."""
    root = ElementTree.Element(f"{model.name}Response")
    namespace = model.service_model.metadata.get("xmlNamespace")
    if namespace:
        root.set("xmlns", namespace)
    shape = model.output_shape
    if shape is not None:
        wrapper = shape.serialization.get("resultWrapper", f"{model.name}Result")
        _write(ElementTree.SubElement(root, wrapper), answer, shape)
    return _closed(root, ElementTree.SubElement(root, "ResponseMetadata"), request_id)


def error_xml(code: str, message: str, status: int, request_id: str) -> bytes:
    """Return an error as the protocol has it."""
    root = ElementTree.Element("ErrorResponse")
    error = ElementTree.SubElement(root, "Error")
    side = "Sender" if status < 500 else "Receiver"
    for name, text in (("Type", side), ("Code", code), ("Message", message)):
        ElementTree.SubElement(error, name).text = _printable(text)
    return _closed(root, root, request_id)


def _closed(root: ElementTree.Element, where: ElementTree.Element, request_id: str) -> bytes:
    ElementTree.SubElement(where, "RequestId").text = request_id
    written: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return written


def _write(node: ElementTree.Element, value: Any, shape: Shape) -> None:
    if isinstance(shape, StructureShape):
        for key, member in shape.members.items():
            if value.get(key) is not None:
                _write(ElementTree.SubElement(node, key), value[key], member)
    elif isinstance(shape, ListShape):
        for item in value:
            _write(ElementTree.SubElement(node, "member"), item, shape.member)
    elif isinstance(shape, MapShape):
        for key, item in value.items():
            entry = ElementTree.SubElement(node, "entry")
            _write(ElementTree.SubElement(entry, "key"), key, shape.key)
            _write(ElementTree.SubElement(entry, "value"), item, shape.value)
    else:
        node.text = _text(value)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return _printable(str(value))


def _printable(text: str) -> str:
    # XML has no way to write these, not even escaped.
    return re.sub(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "\ufffd", text)
