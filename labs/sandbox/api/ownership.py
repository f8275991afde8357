"""Who owns which field, and server-side apply.

Source: k8s.io/apimachinery `pkg/util/managedfields`, sigs.k8s.io/structured-merge-diff `merge`.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from labs.sandbox.api import ages, fieldset, schema
from labs.sandbox.api.status import ApiError, bad_request

if TYPE_CHECKING:
    from collections.abc import Iterable

    from grader.ports import Manifest
    from labs.sandbox.api.fieldset import Path
    from labs.sandbox.api.kinds import Kind
    from labs.sandbox.api.requests import Target
    from labs.sandbox.api.resources import Options, Resources, Written


def keep(body: Manifest, old: Manifest) -> Manifest:
    """A body that says nothing of managed fields leaves them as they are."""
    metadata = body.get("metadata")
    if not isinstance(metadata, dict) or "managedFields" in metadata or "managedFields" not in old["metadata"]:
        return body
    return {**body, "metadata": {**metadata, "managedFields": old["metadata"]["managedFields"]}}


def changed(old: Manifest | None, new: Manifest, manager: str, kind: Kind, subresource: str = "") -> Manifest:
    """The new state, with what differs from the old one owned by this manager."""
    before = fieldset.flatten(old, kind.type) if old else {}
    after = fieldset.flatten(new, kind.type)
    touched = {path for path, value in after.items() if path not in before or before[path] != value}
    gone = set(before) - set(after)
    if not touched and not gone:
        return new
    entries = [(entry, paths - touched - gone) for entry, paths in _entries(new)]
    for entry, paths in entries:
        if _is(entry, manager, "Update", subresource):
            paths.update(touched)
            entry["time"] = ages.now_text()
            break
    else:
        if touched:
            entries.append((_entry(manager, "Update", kind, subresource), touched))
    return _with(new, entries)


def apply(
    resources: Resources, target: Target, given: Manifest, manager: str, options: Options, *, force: bool
) -> Written:
    """Server-side apply.

    Raises:
        ApiError: it is refused; 409 when somebody else owns a field that would change.
    """
    kind = target.kind
    if given.get("apiVersion") != kind.api_version or given.get("kind") != kind.kind:
        version, name = given.get("apiVersion", ""), given.get("kind", "")
        shown = version if "/" in version or not version else f"/{version}"
        raise bad_request(f"invalid object type: {shown or '/'}, Kind={name}")
    metadata = given.get("metadata") or {}
    if metadata.get("managedFields"):
        raise bad_request("metadata.managedFields must be nil")
    _check_fields(target, given)
    given = copy.deepcopy(given)
    live = resources.store.get(kind.resource, target.namespace, target.name)
    applied = fieldset.flatten({**given, "metadata": metadata}, kind.type)
    if live is None:
        if not metadata.get("name"):
            raise bad_request(
                f"the name of the object ({target.name} based on URL) was undeterminable: name must be provided"
            )
        made = _with(given, [(_entry(manager, "Apply", kind, ""), set(applied))])
        return resources.create(kind, target.namespace, made, options)
    entries = _conflicts(live, applied, manager, kind, force=force)
    if metadata.get("name", target.name) != target.name:
        raise bad_request(
            f"the name of the object ({metadata['name']}) does not match the name on the URL ({target.name})"
        )
    made = _merged(live, given, kind.type)
    mine = next((paths for entry, paths in entries if _is(entry, manager, "Apply", "")), set())
    others = set().union(*(paths for entry, paths in entries if not _is(entry, manager, "Apply", "")))
    for path in sorted(mine - set(applied), reverse=True):
        if path not in others and not (path[-1] == "." and any(p[: len(path) - 1] == path[:-1] for p in others)):
            fieldset.remove(made, path)
    rest = [(entry, paths) for entry, paths in entries if not _is(entry, manager, "Apply", "")]
    same = mine == set(applied)
    entry = next((entry for entry, _ in entries if _is(entry, manager, "Apply", "")), None) if same else None
    if applied:
        rest.insert(0, (entry or _entry(manager, "Apply", kind, ""), set(applied)))
    made = _with(made, rest)
    made["metadata"].pop("resourceVersion", None)
    if metadata.get("resourceVersion"):
        made["metadata"]["resourceVersion"] = metadata["resourceVersion"]
    return resources.update(kind, target.namespace, target.name, made, options, subresource=target.subresource)


def _check_fields(target: Target, given: Manifest) -> None:
    """Unknown fields, in the words of the typed converter."""
    kind = target.kind
    _, complaints = schema.decode(given, kind.type, f'{kind.kind} in version "{kind.version}"')
    unknown = [text.removeprefix('unknown field "').rstrip('"') for text in complaints if text.startswith("unknown")]
    if unknown:
        where = f"{target.namespace}/{target.name}" if target.namespace else f"/{target.name}"
        told = "\n".join(f".{path}: field not declared in schema" for path in unknown)
        told = told if len(unknown) == 1 else f"errors:\n  {told}"
        raise ApiError(
            500, "", f"failed to create typed patch object ({where}; {kind.api_version}, Kind={kind.kind}): {told}"
        )


def _conflicts(
    live: Manifest, applied: dict[Path, Any], manager: str, kind: Kind, *, force: bool
) -> list[tuple[Manifest, set[Path]]]:
    """The owners, after those who lose a field by force have lost it.

    Raises:
        ApiError: 409, others own fields that would change, and no force is used.
    """
    now = fieldset.flatten(live, kind.type)
    differing = {path for path, value in applied.items() if path[-1] != "." and now.get(path, _MISSING) != value}
    entries = _entries(live)
    causes = []
    for entry, paths in entries:
        if _is(entry, manager, "Apply", ""):
            continue
        lost = sorted(paths & differing)
        if force:
            paths.difference_update(lost)
            continue
        using = f" using {entry.get('apiVersion', '')}" if entry.get("operation") == "Update" else ""
        if entry.get("subresource"):
            using = f' with subresource "{entry["subresource"]}"{using}'
        causes += [
            {
                "reason": "FieldManagerConflict",
                "message": f'conflict with "{entry.get("manager", "")}"{using}',
                "field": fieldset.show(path),
            }
            for path in lost
        ]
    if causes:
        raise ApiError(409, "Conflict", _told(causes), {"causes": causes})
    return entries


_MISSING = object()


def _told(causes: list[dict[str, str]]) -> str:
    if len(causes) == 1:
        return f"Apply failed with 1 conflict: {causes[0]['message']}: {causes[0]['field']}"
    by_manager: dict[str, list[str]] = {}
    for cause in causes:
        by_manager.setdefault(cause["message"], []).append(cause["field"])
    parts = []
    for message, fields in by_manager.items():
        if len(fields) == 1:
            parts.append(f"{message}: {fields[0]}")
        else:
            listed = "".join(f"\n- {field}" for field in fields)
            parts.append(f"{message.replace('conflict', 'conflicts', 1)}:{listed}")
    return f"Apply failed with {len(causes)} conflicts: " + "\n".join(parts)


def _merged(live: Manifest, given: Manifest, type_name: str) -> Manifest:
    known = schema.fields(type_name)
    made = copy.deepcopy(live)
    for name, value in given.items():
        made[name] = _merge(made.get(name), value, known.get(name, schema.Field("any")))
    return made


def _merge(current: Any, given: Any, field: schema.Field) -> Any:  # noqa: ANN401 - JSON
    kind = field.type
    if isinstance(given, dict) and isinstance(current, dict) and not field.atomic:
        if kind.startswith("@") and not schema.is_atomic(kind[1:]):
            return _merged(current, given, kind[1:])
        if kind.startswith("{}"):
            return {**current, **given}
    if isinstance(given, list) and isinstance(current, list):
        if field.is_set:
            return [*current, *(item for item in given if item not in current)]
        if field.map_keys:
            return _merge_list(current, given, field)
    return given


def _merge_list(current: list[Any], given: list[Any], field: schema.Field) -> list[Any]:
    inner = field.type.removeprefix("[]@")
    made = {fieldset.element(item, field.map_keys): item for item in current}
    for item in given:
        key = fieldset.element(item, field.map_keys)
        made[key] = _merged(made.get(key, {}), item, inner)
    return list(made.values())


def _entries(manifest: Manifest) -> list[tuple[Manifest, set[Path]]]:
    found = manifest["metadata"].get("managedFields") or []
    return [(dict(entry), fieldset.from_json(entry.get("fieldsV1"))) for entry in found if isinstance(entry, dict)]


def _entry(manager: str, operation: str, kind: Kind, subresource: str) -> Manifest:
    made: Manifest = {
        "manager": manager,
        "operation": operation,
        "apiVersion": kind.api_version,
        "time": ages.now_text(),
        "fieldsType": "FieldsV1",
    }
    return made | ({"subresource": subresource} if subresource else {})


def _is(entry: Manifest, manager: str, operation: str, subresource: str) -> bool:
    return (
        entry.get("manager") == manager
        and entry.get("operation") == operation
        and entry.get("subresource", "") == subresource
    )


def _with(manifest: Manifest, entries: Iterable[tuple[Manifest, set[Path]]]) -> Manifest:
    written = [{**entry, "fieldsV1": fieldset.to_json(paths)} for entry, paths in entries if paths]
    metadata = {key: value for key, value in (manifest.get("metadata") or {}).items() if key != "managedFields"}
    return {**manifest, "metadata": metadata | ({"managedFields": written} if written else {})}
