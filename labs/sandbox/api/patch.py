"""JSON patch, merge patch and strategic merge patch.

Source of strategic merging: k8s.io/apimachinery `pkg/util/strategicpatch`.
"""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any

from labs.sandbox.api import schema
from labs.sandbox.api.status import ApiError, bad_request

if TYPE_CHECKING:
    from grader.ports import Manifest

_MAX_OPERATIONS = 10_000
_MAX_COPIED = 3 << 20
"""Bytes of JSON that a patch's copies may add: a copy of what was copied before doubles. The real server's limit
(`pkg/server/config.go`, JSONPatchMaxCopyBytes)."""
_REJECTED = "the server rejected our request due to an error in our request"


def merge(target: Any, patch: Any, depth: int = 0) -> Any:  # noqa: ANN401 - JSON
    """A JSON merge patch (RFC 7386) applied."""
    if depth > schema.MAX_DEPTH:
        raise bad_request("json: exceeded max depth")
    if not isinstance(patch, dict):
        return patch
    made = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            made.pop(key, None)
        else:
            made[key] = merge(made.get(key), value, depth + 1)
    return made


def json_patch(target: Manifest, operations: Any) -> Manifest:  # noqa: ANN401 - JSON
    """A JSON patch (RFC 6902) applied.

    Raises:
        ApiError: it is no patch (400), or it does not fit the object or copies too much (422).
    """
    import jsonpatch
    from jsonpointer import JsonPointerException, resolve_pointer

    if not isinstance(operations, list):
        raise bad_request(
            "error decoding patch: json: cannot unmarshal object into Go value of type []handlers.jsonPatchOp"
        )
    if len(operations) > _MAX_OPERATIONS:
        detail = f"The allowed maximum operations in a JSON patch is {_MAX_OPERATIONS}, got {len(operations)}"
        raise ApiError(413, "RequestEntityTooLarge", detail)
    made: Manifest = copy.deepcopy(target)
    copied = 0
    try:
        for operation in operations:
            if isinstance(operation, dict) and operation.get("op") == "copy":
                copied += len(json.dumps(resolve_pointer(made, operation["from"])))
                if copied > _MAX_COPIED:
                    told = f"the accumulated size increase of copy is {copied}, exceeding the limit {_MAX_COPIED}"
                    raise ApiError(422, "Invalid", f"Unable to copy, {told}", {})
            made = jsonpatch.apply_patch(made, [operation], in_place=True)
    except jsonpatch.JsonPatchTestFailed as error:
        raise ApiError(422, "Invalid", _REJECTED, {}) from error
    except (jsonpatch.JsonPatchException, JsonPointerException, TypeError, KeyError) as error:
        raise ApiError(422, "Invalid", _REJECTED, {}) from error
    return made


def strategic(target: Manifest, patch: Any, type_name: str) -> Manifest:  # noqa: ANN401 - JSON
    """A strategic merge patch applied to an object of a known type.

    Raises:
        ApiError: 400, the patch has not the object's form.
    """
    if not isinstance(patch, dict):
        raise bad_request("json: cannot unmarshal array into Go value of type map[string]interface {}")
    return _map(target, patch, type_name, 0)


def _map(target: Manifest, patch: Manifest, type_name: str, depth: int) -> Manifest:
    if depth > schema.MAX_DEPTH:
        raise bad_request("json: exceeded max depth")
    directive = patch.get("$patch")
    if directive == "replace":
        return {key: value for key, value in patch.items() if key != "$patch"}
    if directive == "delete":
        return {}
    if directive not in {None, "merge"}:
        raise bad_request(f"Unknown patch type found: {directive}")
    made = dict(target)
    retained = patch.get("$retainKeys")
    if isinstance(retained, list):
        made = {key: value for key, value in made.items() if key in retained}
    known = schema.fields(type_name)
    for key, value in patch.items():
        if key.startswith("$"):
            _drop_from_list(made, key, value)
        elif value is None:
            made.pop(key, None)
        else:
            field = known.get(key, schema.Field("any"))
            made[key] = _value(made.get(key), value, field, depth + 1)
            if field.merge_key and isinstance(value, list) and f"$setElementOrder/{key}" not in patch:
                made[key] = _ordered(made[key], value, target.get(key) or [], field)
    _set_orders(made, patch, target, known)
    return made


def _set_orders(made: Manifest, patch: Manifest, target: Manifest, known: dict[str, schema.Field]) -> None:
    for key, order in patch.items():
        directive, _, name = key.partition("/")
        if directive == "$setElementOrder" and isinstance(made.get(name), list) and isinstance(order, list):
            made[name] = _ordered(made[name], order, target.get(name) or [], known.get(name, schema.Field("any")))


def _drop_from_list(made: Manifest, key: str, value: Any) -> None:  # noqa: ANN401 - JSON
    """The directive that takes plain values out of a list; the others are read elsewhere."""
    directive, _, name = key.partition("/")
    if directive == "$deleteFromPrimitiveList" and isinstance(made.get(name), list) and isinstance(value, list):
        made[name] = [item for item in made[name] if item not in value]


def _value(current: Any, patch: Any, field: schema.Field, depth: int) -> Any:  # noqa: ANN401 - JSON
    if isinstance(patch, dict):
        inner = field.type[1:] if field.type.startswith("@") else ""
        if field.type.startswith(("{}", "any")) and not any(key.startswith("$") for key in patch):
            return merge(current, patch, depth)
        return _map(current if isinstance(current, dict) else {}, patch, inner, depth)
    if isinstance(patch, list) and field.merged:
        return _list(current if isinstance(current, list) else [], patch, field, depth)
    return patch


def _list(current: list[Any], patch: list[Any], field: schema.Field, depth: int) -> list[Any]:
    if not field.merge_key:
        return [*current, *(item for item in patch if item not in current)]
    if any(isinstance(item, dict) and item.get("$patch") == "replace" for item in patch):
        return [item for item in patch if not (isinstance(item, dict) and "$patch" in item)]
    made, key, inner = list(current), field.merge_key, field.type.removeprefix("[]@")
    for item in patch:
        if not isinstance(item, dict):
            raise bad_request(f"expected a map in a list merged by {key}")
        if key not in item and item.get("$patch") != "delete":
            raise bad_request(f"map: {item} does not contain declared merge key: {key}")
        place = next((n for n, old in enumerate(made) if old.get(key) == item.get(key)), None)
        if item.get("$patch") == "delete":
            made = [old for old in made if old.get(key) != item.get(key)]
        elif place is None:
            made.append(_map({}, item, inner, depth))
        else:
            made[place] = _map(made[place], item, inner, depth)
    return made


def _ordered(items: list[Any], order: list[Any], before: list[Any], field: schema.Field) -> list[Any]:
    """What the patch names in its order, new items first; what it does not name keeps its place among the old ones."""
    key = field.merge_key

    def identity(item: Any) -> Any:  # noqa: ANN401 - JSON
        return item.get(key) if key and isinstance(item, dict) else item

    wanted, old = [identity(item) for item in order], [identity(item) for item in before]
    named = sorted((item for item in items if identity(item) in wanted), key=lambda item: wanted.index(identity(item)))
    others = [item for item in items if identity(item) not in wanted]

    def place(item: Any) -> int:  # noqa: ANN401 - JSON
        return old.index(identity(item)) if identity(item) in old else -1

    made: list[Any] = []
    while named and others:
        made.append(others.pop(0) if place(others[0]) < place(named[0]) else named.pop(0))
    return [*made, *named, *others]
