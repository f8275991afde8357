"""All objects that decide traffic, by list calls; netdojo's own canary is not among them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from grader.errors import InfrastructureError
from labs.kube.api import Refused
from labs.kube.canary import is_canary
from labs.kube.resources import CALICO_GROUPS, deciding

if TYPE_CHECKING:
    from collections.abc import Mapping

    from grader.ports import Manifest
    from labs.kube.api import Api, Resource

_DERIVED = ("kns.", "ksa.", "projectcalico-default-allow")
"""Profiles that Calico's API server makes up from namespaces and service accounts, which a snapshot has anyway."""


async def take(api: Api) -> tuple[Manifest, ...]:
    """Every object of the kinds that decide traffic, as they are now.

    Raises:
        InfrastructureError: the user may not list one of them, or its server is silent: a picture with holes would give
            wrong answers.
    """
    resources = deciding(await api.resources())
    for version in sorted(await api.silent()):
        if version.startswith(CALICO_GROUPS) and not any(
            f"{each.group}/".startswith(CALICO_GROUPS) for each in resources
        ):
            raise InfrastructureError(
                f"the server of the API {version} does not answer, and has policies that decide traffic",
                remedy="kubectl get apiservices says why; try again when it is available",
            )
    listed = await asyncio.gather(*(_listed(api, resource) for resource in resources))
    return tuple(plain(item) for items in listed for item in items if counts(item))


async def _listed(api: Api, resource: Resource) -> tuple[Manifest, ...]:
    try:
        return (await api.list(resource)).items
    except Refused as refused:
        if refused.code == 403:
            raise InfrastructureError(
                f"the kubeconfig's user may not list {resource}, which decide traffic: {refused.message}",
                remedy="ask for the right to get, list and watch them in the whole cluster (ClusterRole `view` and "
                "the policies' kinds), or use a cluster of your own: --on sandbox or --on kind",
            ) from refused
        raise InfrastructureError(f"the cluster does not list {resource}: {refused.message}") from refused


def counts(manifest: Mapping[str, Any]) -> bool:
    """Whether an object belongs into a picture of the cluster's traffic."""
    name = str(manifest["metadata"]["name"])
    return not is_canary(manifest) and not (manifest.get("kind") == "Profile" and name.startswith(_DERIVED))


def plain(manifest: Manifest) -> Manifest:
    """An object without the book-keeping of its fields' managers."""
    metadata = {key: value for key, value in manifest["metadata"].items() if key != "managedFields"}
    return {**manifest, "metadata": metadata}
