"""The fields of each type: what is unknown, what has the wrong type, and how lists are merged.

The tables in `data/fields.json.gz` come from Kubernetes' OpenAPI definitions (see `tools/make_schemas.py`).
`decode` does to an object what a round trip through the server's Go types does: unknown fields go, nulls and empty
optional values go, quantities take their canonical form.
"""

from __future__ import annotations

import base64
import binascii
import gzip
import json
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

from labs.sandbox.api import quantity
from labs.sandbox.api.status import bad_request

if TYPE_CHECKING:
    from grader.ports import Manifest

MAX_DEPTH = 64
"""Nesting that no honest manifest reaches."""


class RepeatedDict(dict[str, Any]):
    """A JSON object in which keys were given twice; `again` names them."""

    again: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Field:
    """A field's type in the tables' notation, and how a patch or an apply merges it.

    Attributes:
        type: `string`, `int32`, `@core.v1.Container`, `[]…`, `{}…`, …
        required: it is always there when its type is.
        merge_key: strategic merge patches match a list's items by it.
        merged: a list of plain values is merged, not replaced.
        retain_keys: the patch may say which keys stay.
        map_keys: server-side apply owns a list's items by them.
        is_set: server-side apply owns a list's plain values.
        atomic: server-side apply owns it as a whole.
        omits_zero: zero is the same as absent (Go keeps it as a plain value with `omitempty`).
        number: its field number in protobuf; with a dot, that of the message around it first.
    """

    type: str
    required: bool = False
    merge_key: str = ""
    merged: bool = False
    retain_keys: bool = False
    map_keys: tuple[str, ...] = ()
    is_set: bool = False
    atomic: bool = False
    omits_zero: bool = False
    number: str = ""


@cache
def _tables() -> dict[str, dict[str, str]]:
    raw = (resources.files("labs.sandbox.api") / "data" / "fields.json.gz").read_bytes()
    tables: dict[str, dict[str, str]] = json.loads(gzip.decompress(raw))
    return tables


@cache
def fields(type_name: str) -> dict[str, Field]:
    """The fields of a type; empty for one that is not known."""
    return {name: _field(text) for name, text in _tables().get(type_name, {}).items() if name != "*"}


@cache
def is_atomic(type_name: str) -> bool:
    """Whether server-side apply owns this type as a whole."""
    return "*" in _tables().get(type_name, {})


def _field(text: str) -> Field:
    required = text.endswith("!")
    kind, *facts = text.removesuffix("!").split(" ")
    number = next((fact[1:] for fact in facts if fact.startswith("#")), "")
    known = {name: value for name, _, value in (fact[1:].partition("=") for fact in facts)}
    return Field(
        type=kind,
        required=required,
        merge_key=known.get("key", ""),
        merged="merge" in known or "key" in known,
        retain_keys="retain" in known,
        map_keys=tuple(known["map"].split(",")) if "map" in known else (),
        is_set="set" in known,
        atomic="atomic" in known,
        omits_zero="omit" in known,
        number=number,
    )


def refuse_depth(value: object) -> None:
    """Refuse what is nested deeper than any honest object, before anything walks it by recursion.

    Raises:
        ApiError: 400.
    """
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [
            inner
            for item in level
            if isinstance(item, dict | list)
            for inner in (item.values() if isinstance(item, dict) else item)
        ]
        if not level:
            return
    raise bad_request("json: exceeded max depth")


def decode(manifest: Manifest, type_name: str, what: str) -> tuple[Manifest, list[str]]:
    """The object as its type knows it, and what strict decoding says about the rest.

    Args:
        manifest: the body of a request.
        type_name: in the tables' notation, `core.v1.Pod`.
        what: how a refusal begins, `Pod in version "v1" cannot be handled as a Pod`.

    Raises:
        ApiError: 400, a value has the wrong type.
    """
    decoder = _Decoder(what)
    decoded = decoder.struct(manifest, type_name, "", "", 0)
    return decoded, decoder.complaints


class _Decoder:
    def __init__(self, what: str) -> None:
        self.what = what
        self.complaints: list[str] = []

    def struct(self, value: Manifest, type_name: str, path: str, go_path: str, depth: int) -> Manifest:
        """One object of a known type."""
        if depth > MAX_DEPTH:
            raise bad_request(f"{self.what}: json: exceeded max depth")
        known = fields(type_name)
        self.complaints += [f'duplicate field "{path + name}"' for name in getattr(value, "again", ()) if name in known]
        made: Manifest = {}
        for name, item in value.items():
            field = known.get(name)
            if field is None:
                self.complaints.append(f'unknown field "{path}{name}"')
                continue
            if item is None and not (field.required and field.type.startswith("@")):
                continue
            owner = (type_name.rsplit(".", 1)[-1], go_path + name)
            kept = self.value({} if item is None else item, field.type, path + name, owner, depth + 1)
            if not _is_absent(kept, field):
                made[name] = kept
        return made

    def value(self, value: Any, kind: str, path: str, owner: tuple[str, str], depth: int) -> Any:  # noqa: ANN401 - JSON
        """A value of any type."""
        if kind.startswith("[]"):
            if not isinstance(value, list):
                raise self.mismatch(value, kind, owner)
            return [
                self.value(_zero(kind[2:]) if item is None else item, kind[2:], f"{path}[{n}]", owner, depth + 1)
                for n, item in enumerate(value)
            ]
        if kind.startswith("{}"):
            if not isinstance(value, dict):
                raise self.mismatch(value, kind, owner)
            self.complaints += [f'duplicate field "{path}.{name}"' for name in getattr(value, "again", ())]
            return {
                name: self.value(
                    _zero(kind[2:]) if item is None else item, kind[2:], f"{path}.{name}", owner, depth + 1
                )
                for name, item in value.items()
            }
        if kind.startswith("@"):
            if not isinstance(value, dict):
                raise self.mismatch(value, kind, owner)
            return self.struct(value, kind[1:], f"{path}.", f"{owner[1]}.", depth)
        return self.scalar(value, kind, owner)

    def scalar(self, value: Any, kind: str, owner: tuple[str, str]) -> Any:  # noqa: ANN401 - JSON
        """A string, number, boolean, quantity or time."""
        if kind == "any":
            return value
        if kind == "quantity":
            if not isinstance(value, str | int | float) or isinstance(value, bool):
                raise bad_request(f"{self.what}: quantities must match the regular expression '{quantity.PATTERN}'")
            try:
                return quantity.canonical(str(value))
            except ValueError as error:
                raise bad_request(f"{self.what}: {error}") from None
        if kind == "bytes" and isinstance(value, str):
            _check_base64(value, self.what)
            return value
        if not _SCALARS[kind](value):
            raise self.mismatch(value, kind, owner)
        return value

    def mismatch(self, value: object, kind: str, owner: tuple[str, str]) -> Exception:
        """The refusal in the words of Go's encoding/json."""
        struct, go_path = owner
        found = f"number {value}" if isinstance(value, float) and kind in {"int32", "int64"} else _json_type(value)
        return bad_request(
            f"{self.what}: json: cannot unmarshal {found} into Go struct field {struct}.{go_path} of type {_go(kind)}"
        )


_SCALARS = {
    "string": lambda value: isinstance(value, str),
    "bytes": lambda value: isinstance(value, str),
    "time": lambda value: isinstance(value, str),
    "microtime": lambda value: isinstance(value, str),
    "bool": lambda value: isinstance(value, bool),
    "int32": lambda value: isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**31,
    "int64": lambda value: isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63,
    "double": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "intstr": lambda value: isinstance(value, str | int) and not isinstance(value, bool),
}


def _check_base64(text: str, what: str) -> None:
    try:
        base64.b64decode(text, validate=True)
    except binascii.Error:
        alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
        bad = next((n for n, letter in enumerate(text) if letter not in alphabet), len(text) - len(text) % 4)
        raise bad_request(f"{what}: illegal base64 data at input byte {bad}") from None


def _is_absent(value: object, field: Field) -> bool:
    if not field.omits_zero or (field.type.startswith("@") and isinstance(value, dict)):
        return False
    return value in ("", 0, False, [], {})


def _zero(kind: str) -> object:
    if kind.startswith(("@", "{}")):
        return {}
    return [] if kind.startswith("[]") else "" if kind in {"string", "bytes", "time"} else 0


def _json_type(value: object) -> str:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, str):
        return "string"
    return "array" if isinstance(value, list) else "object"


def _go(kind: str) -> str:
    if kind.startswith("[]"):
        return "[]" + _go(kind[2:])
    if kind.startswith("{}"):
        return "map[string]" + _go(kind[2:])
    if kind.startswith("@"):
        _group, version, name = kind[1:].rsplit(".", 2)
        return f"{version}.{name}"
    return {"intstr": "intstr.IntOrString", "bytes": "[]uint8", "double": "float64"}.get(kind, kind)
