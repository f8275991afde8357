"""One HTTP request to the API, read: what its path names, what its query says, and its body."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from labs.sandbox.api import kinds, protobuf, schema, status
from labs.sandbox.api.resources import Options
from labs.sandbox.api.status import ApiError, FieldErrors, bad_request

if TYPE_CHECKING:
    from collections.abc import Mapping

    from grader.ports import Manifest
    from labs.sandbox.api.kinds import Kind

BODY_LIMIT = 3 * 1024 * 1024
"""Bytes; what etcd's limits let a real server take."""


@dataclass(frozen=True, slots=True)
class Target:
    """What a path names: a collection (no name), an object, or a subresource of one."""

    kind: Kind
    namespace: str = ""
    name: str = ""
    subresource: str = ""
    watch: bool = False
    scoped: bool = True
    """Whether the path names the namespace of a namespaced kind (or the kind has none)."""


def target(path: str) -> Target | None:
    """The target of a path below `/api/v1` or `/apis/GROUP/VERSION`; None for a path of another form.

    Raises:
        ApiError: 404, no such resource.
    """
    parts = [part for part in path.split("/") if part]
    if len(parts) >= 2 and parts[0] == "api":
        group, version, rest = "", parts[1], parts[2:]
    elif len(parts) >= 3 and parts[0] == "apis":
        group, version, rest = parts[1], parts[2], parts[3:]
    else:
        return None
    watch = bool(rest) and rest[0] == "watch"
    rest = rest[1:] if watch else rest
    if not rest:
        return None
    namespace, scoped = "", False
    if rest[0] == "namespaces" and len(rest) >= 3 and not (rest[2] in {"status", "finalize"} and len(rest) == 3):
        namespace, scoped, rest = rest[1], True, rest[2:]
    kind = kinds.at_path(group, version, rest[0])
    if kind is None or len(rest) > 3 or (scoped and not kind.namespaced):
        raise status.no_such_path()
    name, subresource = (*rest[1:], "", "")[:2]
    if kind.namespaced and name and not scoped:
        raise status.no_such_path()
    return Target(kind, namespace, name, subresource, watch, scoped or not kind.namespaced)


def options(query: Mapping[str, str], what: str) -> Options:
    """How a write is meant. `what` is the option object's kind, for messages: `CreateOptions`.

    Raises:
        ApiError: 422, an option has no such value.
    """
    errors = FieldErrors()
    if "dryRun" in query and query["dryRun"] != "All":
        errors.unsupported("dryRun", [query["dryRun"]], ("All",))
    validation = query.get("fieldValidation", "")
    if validation not in {"", "Ignore", "Strict", "Warn"}:
        errors.unsupported("fieldValidation", validation, ("", "Ignore", "Strict", "Warn"))
    errors.raise_for(what, "meta.k8s.io", "")
    return Options(dry_run="dryRun" in query, validation=validation or "Warn")


def number(query: Mapping[str, str], name: str) -> int:
    """A number in the query; 0 when it is not there.

    Raises:
        ApiError: 400.
    """
    text = query.get(name, "")
    if not text:
        return 0
    try:
        return int(text)
    except ValueError:
        raise bad_request(f'strconv.ParseInt: parsing "{text}": invalid syntax') from None


def body(raw: bytes, content_type: str, kind: Kind, type_name: str = "") -> Manifest:
    """The object in a body, as JSON, YAML or protobuf; `type_name` when it is not of the kind's own type.

    Raises:
        ApiError: it is neither (400), or something else is declared (415).
    """
    media = content_type.partition(";")[0].strip()
    if media == protobuf.MEDIA:
        return protobuf.decode(raw, type_name or kind.type)
    if media in {"", "application/json"}:
        found = _from_json(raw, kind)
    elif media in {"application/yaml", "text/yaml"}:
        found = from_yaml(raw)
    else:
        raise ApiError(
            415,
            "UnsupportedMediaType",
            "the body of the request was in an unknown format - accepted media types include: application/json, "
            "application/yaml, application/vnd.kubernetes.protobuf",
        )
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise _unrecognized(kind, f"json: cannot unmarshal {_word(found)} into Go value of type {_GO}", raw.hex())
    return found


_GO = r'struct { APIVersion string "json:\"apiVersion,omitempty\""; Kind string "json:\"kind,omitempty\"" }'


def _word(value: object) -> str:
    if isinstance(value, list):
        return "array"
    return "string" if isinstance(value, str) else "number"


def _unrecognized(kind: Kind, why: str, shown: str) -> ApiError:
    return bad_request(
        f"the object provided is unrecognized (must be of type {kind.kind}): couldn't get version/kind; "
        f"json parse error: {why} ({shown[:1024]})"
    )


def _from_json(raw: bytes, kind: Kind) -> Any:  # noqa: ANN401 - JSON
    try:
        return parse_json(raw)
    except ValueError as error:
        if not raw.strip():
            raise _unrecognized(kind, "unexpected end of JSON input", "<empty>") from None
        text = raw.decode("utf-8", "replace")
        at = error.pos if isinstance(error, json.JSONDecodeError) else 0
        letter = text[at : at + 1]
        why = f"invalid character '{letter}' {_looking(str(error))}" if letter else "unexpected end of JSON input"
        raise _unrecognized(kind, why, text) from None


def _looking(message: str) -> str:
    return (
        "looking for beginning of object key string" if "property name" in message else "looking for beginning of value"
    )


def parse_json(raw: bytes) -> Any:  # noqa: ANN401 - JSON
    """JSON in which keys that are given twice are remembered, and nesting has an end.

    Raises:
        ValueError: it is no JSON.
        ApiError: 400, it is too deep.
    """
    try:
        found = json.loads(raw, object_pairs_hook=_pairs)
    except RecursionError:
        raise bad_request("json: exceeded max depth") from None
    schema.refuse_depth(found)
    return found


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) == len(pairs):
        return made
    names = [name for name, _ in pairs]
    repeated = schema.RepeatedDict(made)
    repeated.again = tuple(sorted({name for name in names if names.count(name) > 1}))
    return repeated


def from_yaml(raw: bytes) -> Any:  # noqa: ANN401 - JSON
    """One YAML document, read with limits.

    Raises:
        ApiError: 400.
    """
    from content.errors import BrokenContentError
    from content.yamlio import read_documents

    try:
        documents = read_documents(raw.decode())
    except (BrokenContentError, UnicodeDecodeError) as error:
        raise bad_request(f"error decoding YAML: {error}") from None
    found = documents[0].value if documents else None
    schema.refuse_depth(found)
    return found
