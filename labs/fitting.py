"""Answers that fit the cluster at hand: what only a running cluster knows is filled in, other clusters' objects go.

A lab's manifests may contain `$(API_SERVER_HOST)` and `$(API_SERVER_PORT)`: where the API server itself listens, not
its Service (which a dataplane may have to be told before it can serve Services). An object annotated `netdojo/calico`
with `operator` or `manifests` is for clusters on which Calico was installed that way, and is left out on others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from grader.errors import InfrastructureError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from grader.ports import Manifest

ANNOTATION = "netdojo/calico"
_HOST, _PORT = "$(API_SERVER_HOST)", "$(API_SERVER_PORT)"


def fit(objects: Iterable[Manifest], snapshot: Sequence[Manifest]) -> list[Manifest]:
    """The objects as this cluster takes them.

    Raises:
        InfrastructureError: they ask for the API server's address, and the cluster does not tell it.
    """
    here = installed_by(snapshot)
    chosen = [_without_mark(item) for item in objects if _mark(item) in ("", here)]
    if not any(_mentions(item) for item in chosen):
        return chosen
    known = _api_server(snapshot)
    return [_filled(item, known) for item in chosen]


def installed_by(snapshot: Iterable[Manifest]) -> str:
    """How Calico came into a cluster: `operator` where there is an Installation, else `manifests`."""
    return "operator" if any(item.get("kind") == "Installation" for item in snapshot) else "manifests"


def _annotations(item: Manifest) -> Mapping[str, Any]:
    return (item.get("metadata") or {}).get("annotations") or {}


def _mark(item: Manifest) -> str:
    return str(_annotations(item).get(ANNOTATION, ""))


def _without_mark(item: Manifest) -> Manifest:
    if not _mark(item):
        return item
    left = {name: value for name, value in _annotations(item).items() if name != ANNOTATION}
    metadata = {name: value for name, value in item["metadata"].items() if name != "annotations"}
    return {**item, "metadata": metadata | ({"annotations": left} if left else {})}


def _mentions(value: object) -> bool:
    if isinstance(value, dict):
        return any(_mentions(each) for each in value.values())
    if isinstance(value, list):
        return any(_mentions(each) for each in value)
    return isinstance(value, str) and (_HOST in value or _PORT in value)


def _filled(value: Any, known: tuple[str, str]) -> Any:  # noqa: ANN401 - any JSON
    if isinstance(value, dict):
        return {name: _filled(each, known) for name, each in value.items()}
    if isinstance(value, list):
        return [_filled(each, known) for each in value]
    return value.replace(_HOST, known[0]).replace(_PORT, known[1]) if isinstance(value, str) else value


def _api_server(snapshot: Iterable[Manifest]) -> tuple[str, str]:
    """The first endpoint of the Service `kubernetes`, which the API server keeps itself."""
    for item in snapshot:
        metadata = item.get("metadata") or {}
        service = (metadata.get("labels") or {}).get("kubernetes.io/service-name")
        if item.get("kind") == "EndpointSlice" and (metadata.get("namespace"), service) == ("default", "kubernetes"):
            for endpoint, port in zip(item.get("endpoints") or (), item.get("ports") or (), strict=False):
                return str(endpoint["addresses"][0]), str(port["port"])
    raise InfrastructureError(
        "the cluster does not tell where its API server is: the Service kubernetes has no endpoint",
        remedy="look at: kubectl get endpointslices -n default",
    )
