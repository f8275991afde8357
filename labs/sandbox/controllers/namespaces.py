"""Namespaces: what a new one holds, and how one ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

from labs.sandbox.api import kinds
from labs.sandbox.api.status import ApiError

if TYPE_CHECKING:
    from grader.ports import Manifest
    from labs.sandbox.controllers.context import Context

_ACCOUNTS = kinds.BY_RESOURCE["serviceaccounts"]
_CONFIG_MAPS = kinds.BY_RESOURCE["configmaps"]
_ROOT_CA = "kube-root-ca.crt"
_DESCRIPTION = (
    "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the "
    "internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes "
    "clusters."
)


def reconcile(context: Context) -> None:
    """Give each namespace its ServiceAccount and ConfigMap; empty those that end."""
    for namespace in context.store.list("namespaces"):
        name = namespace["metadata"]["name"]
        if namespace["metadata"].get("deletionTimestamp"):
            _end(context, namespace)
            continue
        if context.store.get("serviceaccounts", name, "default") is None:
            context.resources.create(_ACCOUNTS, name, {"metadata": {"name": "default"}})
        if context.store.get("configmaps", name, _ROOT_CA) is None:
            metadata = {"name": _ROOT_CA, "annotations": {"kubernetes.io/description": _DESCRIPTION}}
            data = {"ca.crt": "# The sandbox's API speaks plain HTTP on loopback: it has no certificate.\n"}
            context.resources.create(_CONFIG_MAPS, name, {"metadata": metadata, "data": data})


def _end(context: Context, namespace: Manifest) -> None:
    name = namespace["metadata"]["name"]
    left = 0
    for resource in tuple(context.store.resources()):
        kind = kinds.BY_RESOURCE.get(resource)
        if kind is None or not kind.namespaced:
            continue
        for item in context.store.list(resource, name):
            try:
                context.delete(kind, item, grace=0)
            except ApiError:
                left += 1
        left += len(context.store.list(resource, name))
    if not left and not namespace["metadata"].get("finalizers"):
        context.store.remove("namespaces", "", name)
