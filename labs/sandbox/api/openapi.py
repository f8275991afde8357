"""OpenAPI v3 as far as kubectl reads it: `apply` (what PATCH takes) and `explain` (types and their descriptions).

The descriptions are Kubernetes' own (Apache-2.0), see `tools/make_schemas.py`.
"""

from __future__ import annotations

import gzip
import json
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

from labs.sandbox.api import schema
from labs.sandbox.api.discovery import groups
from labs.sandbox.api.kinds import KINDS

if TYPE_CHECKING:
    from grader.ports import Manifest
    from labs.sandbox.api.kinds import Kind

SWAGGER_MEDIA = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
NO_SWAGGER = b"\x0a\x032.0"
"""/openapi/v2 without definitions: kubectl asks for it before it sends a `List`, and then leaves checking to us."""

_LONG = {
    "meta.": "io.k8s.apimachinery.pkg.apis.meta.",
    "util.": "io.k8s.apimachinery.pkg.util.",
    "pkg.": "io.k8s.apimachinery.pkg.",
}
_SCALARS: dict[str, Manifest] = {
    "string": {"type": "string"},
    "bytes": {"type": "string", "format": "byte"},
    "bool": {"type": "boolean"},
    "int32": {"type": "integer", "format": "int32"},
    "int64": {"type": "integer", "format": "int64"},
    "double": {"type": "number", "format": "double"},
    "any": {"type": "object"},
}
_NAMED = {
    "intstr": (
        "io.k8s.apimachinery.pkg.util.intstr.IntOrString",
        {"format": "int-or-string", "oneOf": [{"type": "integer"}, {"type": "string"}]},
    ),
    "quantity": (
        "io.k8s.apimachinery.pkg.api.resource.Quantity",
        {"oneOf": [{"type": "string"}, {"type": "number"}]},
    ),
    "time": ("io.k8s.apimachinery.pkg.apis.meta.v1.Time", {"type": "string", "format": "date-time"}),
    "microtime": ("io.k8s.apimachinery.pkg.apis.meta.v1.MicroTime", {"type": "string", "format": "date-time"}),
}
"""Values that have a type of their own: its name, and what it is."""

_DEFAULTS: dict[str, object] = {"string": "", "int32": 0, "int64": 0, "bool": False, "double": 0}


def index() -> Manifest:
    """The answer to /openapi/v3."""
    paths = ["api/v1", *(f"apis/{name}/{version}" for name, version in groups())]
    return {"paths": {path: {"serverRelativeURL": f"/openapi/v3/{path}?hash=netdojo"} for path in paths}}


@cache
def document(group: str, version: str) -> bytes | None:
    """The answer to /openapi/v3/…, as JSON; None when there is no such group and version."""
    mine = [kind for kind in KINDS if (kind.group, kind.version) == (group, version)]
    if not mine and (group, version) not in groups():
        return None
    root = f"/apis/{group}/{version}" if group else f"/api/{version}"
    paths: Manifest = {}
    for kind in mine:
        where = f"{root}/namespaces/{{namespace}}/{kind.plural}" if kind.namespaced else f"{root}/{kind.plural}"
        paths[where] = {"post": _operation(kind, "post")}
        paths[f"{where}/{{name}}"] = {verb: _operation(kind, verb) for verb in ("get", "put", "patch", "delete")}
    body = {
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes", "version": "v1.37.2"},
        "paths": paths,
        "components": {"schemas": _schemas(mine)},
    }
    return json.dumps(body, separators=(",", ":")).encode()


def _operation(kind: Kind, verb: str) -> Manifest:
    names = {"get": (), "delete": ("dryRun",)}.get(verb, ("dryRun", "fieldManager", "fieldValidation"))
    return {
        "parameters": [{"name": name, "in": "query", "schema": {"type": "string"}} for name in names],
        "responses": {"200": {"description": "OK"}},
        "x-kubernetes-group-version-kind": {"group": kind.group, "version": kind.version, "kind": kind.kind},
    }


def _schemas(mine: list[Kind]) -> Manifest:
    texts = _texts()
    owners = {kind.type: kind for kind in mine}
    made: Manifest = dict(_NAMED.values())
    todo = list(owners)
    while todo:
        name = todo.pop()
        if _long(name) in made:
            continue
        description, of_fields = texts.get(name, ("", {}))
        found: list[str] = []
        properties = {
            field: _described(fact, of_fields.get(field, ""), found) for field, fact in schema.fields(name).items()
        }
        body: Manifest = {"description": description, "type": "object"}
        required = [field for field, fact in schema.fields(name).items() if fact.required]
        if required:
            body["required"] = required
        body["properties"] = properties
        if name in owners:
            kind = owners[name]
            body["x-kubernetes-group-version-kind"] = [
                {"group": kind.group, "kind": kind.kind, "version": kind.version}
            ]
        if schema.is_atomic(name):
            body["x-kubernetes-map-type"] = "atomic"
        made[_long(name)] = body
        todo += found
    return made


def _described(fact: schema.Field, description: str, found: list[str]) -> Manifest:
    made: Manifest = {"description": description}
    if fact.type.startswith("@") or fact.type in _NAMED:
        made["allOf"] = [_type(fact.type, found)]
        if fact.type.startswith("@"):
            made["default"] = {}
    else:
        made |= _type(fact.type, found)
        if fact.required and fact.type in _DEFAULTS:
            made["default"] = _DEFAULTS[fact.type]
    if fact.map_keys:
        made |= {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": list(fact.map_keys)}
    elif fact.is_set:
        made["x-kubernetes-list-type"] = "set"
    elif fact.type.startswith("[]"):
        made["x-kubernetes-list-type"] = "atomic"
    if fact.merge_key:
        made |= {"x-kubernetes-patch-merge-key": fact.merge_key, "x-kubernetes-patch-strategy": "merge"}
    if fact.atomic:
        made["x-kubernetes-map-type"] = "atomic"
    return made


def _type(kind: str, found: list[str]) -> Manifest:
    if kind.startswith("[]"):
        return {"type": "array", "items": _item(kind[2:], found)}
    if kind.startswith("{}"):
        return {"type": "object", "additionalProperties": _item(kind[2:], found)}
    if kind.startswith("@"):
        found.append(kind[1:])
        return {"$ref": f"#/components/schemas/{_long(kind[1:])}"}
    if kind in _NAMED:
        return {"$ref": f"#/components/schemas/{_NAMED[kind][0]}"}
    return dict(_SCALARS[kind])


def _item(kind: str, found: list[str]) -> Manifest:
    if kind.startswith("@"):
        return {"allOf": [_type(kind, found)], "default": {}}
    return _type(kind, found)


def _long(name: str) -> str:
    for short, long in _LONG.items():
        if name.startswith(short):
            return long + name.removeprefix(short)
    return f"io.k8s.api.{name}"


@cache
def _texts() -> dict[str, Any]:
    raw = (resources.files("labs.sandbox.api") / "data" / "texts.json.gz").read_bytes()
    texts: dict[str, Any] = json.loads(gzip.decompress(raw))
    return texts
