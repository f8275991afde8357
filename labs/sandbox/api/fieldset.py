"""Sets of fields, as `metadata.managedFields` writes them.

A path is a tuple of elements in FieldsV1's own form: `f:spec`, `k:{"name":"main"}`, `v:"x"`; `.` ends the path of a
list's item as such. Source: sigs.k8s.io/structured-merge-diff `fieldpath`.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from labs.sandbox.api import schema

if TYPE_CHECKING:
    from collections.abc import Iterable

    from grader.ports import Manifest

Path = tuple[str, ...]

_DEFAULT_KEYS = {"protocol": "TCP"}
_UNOWNED = frozenset({
    "name", "namespace", "uid", "resourceVersion", "creationTimestamp", "generation", "managedFields", "selfLink",
    "deletionTimestamp", "deletionGracePeriodSeconds",
})  # fmt: skip


def flatten(manifest: Manifest, type_name: str) -> dict[Path, Any]:
    """Every field that somebody can own, with its value."""
    found: dict[Path, Any] = {}
    for name, value in manifest.items():
        if name in {"apiVersion", "kind"}:
            continue
        field = schema.fields(type_name).get(name, schema.Field("any"))
        if name == "metadata":
            owned = {key: item for key, item in value.items() if key not in _UNOWNED}
            if owned:
                _struct(owned, "meta.v1.ObjectMeta", ("f:metadata",), found)
        else:
            _value(value, field, (f"f:{name}",), found)
    return found


def _struct(value: Manifest, type_name: str, path: Path, found: dict[Path, Any]) -> None:
    known = schema.fields(type_name)
    for name, item in value.items():
        _value(item, known.get(name, schema.Field("any")), (*path, f"f:{name}"), found)


def _value(value: Any, field: schema.Field, path: Path, found: dict[Path, Any]) -> None:  # noqa: ANN401 - JSON
    kind = field.type
    if field.atomic or value in ({}, []) or value is None:
        found[path] = value
    elif kind.startswith("@") and isinstance(value, dict):
        if schema.is_atomic(kind[1:]):
            found[path] = value
        else:
            _struct(value, kind[1:], path, found)
    elif kind.startswith("{}") and isinstance(value, dict):
        for name, item in value.items():
            _value(item, schema.Field(kind[2:]), (*path, f"f:{name}"), found)
    elif field.map_keys and isinstance(value, list):
        for item in value:
            here = (*path, element(item, field.map_keys))
            found[(*here, ".")] = None
            _struct(item, kind.removeprefix("[]@"), here, found)
    elif field.is_set and isinstance(value, list):
        for item in value:
            found[(*path, f"v:{json.dumps(item)}")] = item
    else:
        found[path] = value


def element(item: Manifest, keys: Iterable[str]) -> str:
    """A list's item by its keys."""
    chosen = {key: item.get(key, _DEFAULT_KEYS.get(key)) for key in sorted(keys)}
    return "k:" + json.dumps({k: v for k, v in chosen.items() if v is not None}, separators=(",", ":"))


def to_json(paths: Iterable[Path]) -> Manifest:
    """As FieldsV1."""
    made: Manifest = {}
    for path in sorted(paths):
        node = made
        for part in path:
            node = node.setdefault(part, {})
    return made


def from_json(fields: Any) -> set[Path]:  # noqa: ANN401 - JSON
    """From FieldsV1; what has another form is left out."""
    found: set[Path] = set()

    def walk(node: Any, path: Path) -> None:  # noqa: ANN401 - JSON
        if not isinstance(node, dict) or len(path) > schema.MAX_DEPTH:
            return
        if not node and path:
            found.add(path)
        for part, inner in node.items():
            walk(inner, (*path, part))

    walk(fields, ())
    return found


def show(path: Path) -> str:
    """As a message names it: `.spec.template.spec.containers[name="main"].image`."""
    made = ""
    for part in path:
        kind, _, rest = part.partition(":")
        if kind == "f":
            made += f".{rest}"
        elif kind == "k":
            keys = json.loads(rest)
            made += "[" + ",".join(f"{key}={json.dumps(value)}" for key, value in sorted(keys.items())) + "]"
        elif kind == "v":
            made += f"[={rest}]"
    return made


def remove(manifest: Manifest, path: Path) -> None:
    """Take a field out of an object (which is changed)."""
    node: Any = manifest
    for depth, part in enumerate(path):
        if part == ".":
            return
        last = depth == len(path) - 1 or path[depth + 1] == "."
        kind, _, rest = part.partition(":")
        if kind == "f" and isinstance(node, dict):
            if last:
                node.pop(rest, None)
                return
            node = node.get(rest)
        elif isinstance(node, list):
            found = next((n for n, item in enumerate(node) if _is(item, kind, rest)), None)
            if found is None:
                return
            if last:
                del node[found]
                return
            node = node[found]
        else:
            return


def _is(item: Any, kind: str, rest: str) -> bool:  # noqa: ANN401 - JSON
    wanted = json.loads(rest)
    if kind == "v":
        return bool(item == wanted)
    return isinstance(item, dict) and all(item.get(key, _DEFAULT_KEYS.get(key)) == v for key, v in wanted.items())
