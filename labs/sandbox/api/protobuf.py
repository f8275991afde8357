"""Bodies in Kubernetes' protobuf form, which some kubectl commands send (`create namespace`, `create deployment`, …).

Read only: answers are JSON, which every client takes. The field numbers are in the field tables.
Source of the form: k8s.io/apimachinery `pkg/runtime/serializer/protobuf`.
"""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any

from labs.sandbox.api import schema
from labs.sandbox.api.status import bad_request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from grader.ports import Manifest

MEDIA = "application/vnd.kubernetes.protobuf"
_MAGIC = b"k8s\x00"

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


def decode(raw: bytes, type_name: str) -> Manifest:
    """The object in a body.

    Raises:
        ApiError: 400, it is not in that form.
    """
    if not raw.startswith(_MAGIC):
        raise bad_request("provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]")
    try:
        envelope = dict(_fields(raw[len(_MAGIC) :]))
        declared = dict(_fields(envelope.get(1, b"")))
        made = _message(envelope.get(2, b""), type_name, 0)
        for name, number in (("apiVersion", 1), ("kind", 2)):
            if declared.get(number):
                made[name] = declared[number].decode()
    except (ValueError, IndexError, TypeError, AttributeError, OverflowError):
        raise bad_request("the protobuf body cannot be decoded") from None
    return made


@cache
def _numbers(type_name: str) -> dict[int, tuple[str, schema.Field] | dict[int, tuple[str, schema.Field]]]:
    """Fields by number; those of a message around some of them are a dictionary of their own."""
    made: dict[int, Any] = {}
    for name, field in schema.fields(type_name).items():
        outer, dot, inner = field.number.partition(".")
        if dot:
            made.setdefault(int(outer), {})[int(inner)] = (name, field)
        elif outer:
            made[int(outer)] = (name, field)
    return made


def _message(raw: bytes, type_name: str, depth: int) -> Manifest:
    return _collect(raw, _numbers(type_name), depth)


def _collect(raw: bytes, numbers: dict[int, Any], depth: int) -> Manifest:
    if depth > schema.MAX_DEPTH:
        raise ValueError("too deep")
    made: Manifest = {}
    for number, value in _fields(raw):
        known = numbers.get(number)
        if known is None:
            continue
        if isinstance(known, dict):
            made |= _collect(value, known, depth + 1)
            continue
        name, field = known
        if field.type.startswith("[]"):
            made.setdefault(name, []).append(_value(value, field.type[2:], depth))
        elif field.type.startswith("{}"):
            entry = dict(_fields(value))
            made.setdefault(name, {})[entry.get(1, b"").decode()] = _value(entry.get(2, b""), field.type[2:], depth)
        else:
            made[name] = _value(value, field.type, depth)
    return made


def _value(value: Any, kind: str, depth: int) -> Any:  # noqa: ANN401 - JSON
    if kind.startswith("@"):
        return _message(value, kind[1:], depth + 1)
    return _SCALARS[kind](value)


def _signed(value: int) -> int:
    return value - (1 << 64) if value >= 1 << 63 else value


def _number_or_name(value: bytes) -> int | str:
    parts = dict(_fields(value))
    return parts.get(3, b"").decode() if parts.get(1) else int(parts.get(2, 0))


def _time(value: bytes) -> str | None:
    seconds = dict(_fields(value)).get(1)
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if seconds else None


_SCALARS: dict[str, Callable[[Any], Any]] = {
    "int32": _signed,
    "int64": _signed,
    "bool": bool,
    "string": lambda value: value.decode(),
    "bytes": lambda value: base64.b64encode(value).decode(),
    "quantity": lambda value: dict(_fields(value)).get(1, b"0").decode(),
    "intstr": _number_or_name,
    "time": _time,
    "microtime": _time,
    "any": lambda _: None,
    "double": lambda _: None,
}


def _fields(raw: bytes) -> Iterator[tuple[int, Any]]:
    """Number and value of each field: an integer or bytes.

    Raises:
        ValueError: the bytes end too early, or have another form.
    """
    at = 0
    while at < len(raw):
        tag, at = _varint(raw, at)
        number, wire = tag >> 3, tag & 7
        if wire == _VARINT:
            value, at = _varint(raw, at)
            yield number, value
            continue
        if wire == _BYTES:
            length, at = _varint(raw, at)
        elif wire in {_FIXED32, _FIXED64}:
            length = 4 if wire == _FIXED32 else 8
        else:
            raise ValueError("unknown wire type")
        if at + length > len(raw):
            raise ValueError("cut off")
        yield number, raw[at : at + length]
        at += length


def _varint(raw: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = raw[at]
        value |= (byte & 0x7F) << shift
        at += 1
        if byte < 0x80:
            return value & (1 << 64) - 1, at
        shift += 7
        if shift > 63:
            raise ValueError("number too long")
