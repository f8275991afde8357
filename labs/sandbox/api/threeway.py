"""The three-way merge of `kubectl apply`: live object, what was applied last, what is applied now."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from labs.sandbox.api import schema

if TYPE_CHECKING:
    from grader.ports import Manifest


def three_way(live: Manifest, last: Manifest, wanted: Manifest, type_name: str) -> Manifest:
    """The live object with what was applied last and is wanted no more taken out, and what is wanted put in."""
    known = schema.fields(type_name)
    made = dict(live)
    for key in last:
        if key not in wanted or wanted[key] is None:
            made.pop(key, None)
    for key, value in wanted.items():
        if value is None:
            continue
        made[key] = _value(live.get(key), last.get(key), value, known.get(key, schema.Field("any")))
    return made


def _value(live: Any, last: Any, wanted: Any, field: schema.Field) -> Any:  # noqa: ANN401 - JSON
    if isinstance(wanted, dict) and isinstance(live, dict):
        inner = field.type[1:] if field.type.startswith("@") else ""
        return three_way(live, last if isinstance(last, dict) else {}, wanted, inner)
    if isinstance(wanted, list) and isinstance(live, list) and field.merged:
        return _list(live, last if isinstance(last, list) else [], wanted, field)
    return wanted


def _list(live: list[Any], last: list[Any], wanted: list[Any], field: schema.Field) -> list[Any]:
    key = field.merge_key
    if not key:
        return [*wanted, *(item for item in live if item not in wanted and item not in last)]
    inner = schema.Field(field.type.removeprefix("[]"))

    def by_key(items: list[Any]) -> dict[Any, Any]:
        return {_identity(key, item): item for item in items if isinstance(item, dict)}

    now, before, new = by_key(live), by_key(last), by_key(wanted)
    made = [_value(now.get(name), before.get(name), item, inner) for name, item in new.items()]
    return [*made, *(item for name, item in now.items() if name not in new and name not in before)]


def _identity(key: str, item: dict[str, Any]) -> Any:  # noqa: ANN401 - JSON
    """What tells an entry from its neighbours: ports of two protocols may share a number, as in server-side apply."""
    return (item.get(key), item.get("protocol", "TCP")) if key in {"containerPort", "port"} else item.get(key)
