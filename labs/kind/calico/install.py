"""Puts Calico into a new cluster, in the order that its parts need."""

from __future__ import annotations

import asyncio
import base64
from typing import TYPE_CHECKING

from grader.errors import InfrastructureError
from labs.kind.calico import manifests, operator
from labs.kube.api import Refused
from labs.kube.resources import resource_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterable, Sequence

    from grader.ports import Manifest
    from labs.kind.config import Plan
    from labs.kind.engine import Engine
    from labs.kube.api import Api, Resource

_MANAGER = "netdojo-setup"
"""Another field manager than that of labs: one that applies less than before gives up what it leaves out."""
_SERVED_SECONDS = 30.0
_AGAIN_SECONDS = 0.1
_WAVES = ("Namespace", "CustomResourceDefinition")
"""Kinds that others need to be there, one after the other; then all the rest at once."""
_SERVER = "calico-apiserver"
_CERTIFICATE = f"{_SERVER}-certs"
_API_SERVICE = "v3.projectcalico.org"
_AT_ONCE = 8


class Installer:
    """Installs Calico into one cluster.

    Args:
        api: the cluster's API.
        engine: runs commands in its nodes.
        node: one of them.
    """

    def __init__(self, api: Api, engine: Engine, node: str) -> None:
        self._api = api
        self._engine = engine
        self._node = node

    async def apply(
        self, objects: Sequence[Manifest], plan: Plan, *, by_operator: bool, images: Awaitable[None]
    ) -> None:
        """Apply Calico's objects, in their order where it matters.

        `images` ends when their images are in the nodes: kubelet asks again later and later for one that is not there.

        Raises:
            InfrastructureError: the API refuses one of them.
        """
        wanted = objects if by_operator else manifests.adjust(objects, plan)
        for wave in _WAVES:
            await self._apply_all(item for item in wanted if _wave(item) == wave)
        await images
        await self._apply_all(item for item in wanted if _wave(item) is None)
        if by_operator:
            await self._apply_all(operator.custom_resources(plan))
        elif any(item["kind"] == "APIService" for item in wanted):
            await self._certify()

    async def _apply_all(self, objects: Iterable[Manifest]) -> None:
        limit = asyncio.Semaphore(_AT_ONCE)

        async def one(item: Manifest) -> None:
            async with limit:
                await self._apply(item)

        await asyncio.gather(*(one(item) for item in objects))

    async def _apply(self, item: Manifest) -> None:
        resource = await self._served(item)
        try:
            await self._api.apply(resource, str(item["metadata"].get("namespace", "")), item, _MANAGER)
        except Refused as refused:
            raise InfrastructureError(
                f"the cluster refuses Calico's {item['kind']} {item['metadata']['name']}: {refused.message}",
                remedy="kind.calico may name files that do not fit this release of Kubernetes",
            ) from refused

    async def _served(self, item: Manifest) -> Resource:
        """The resource of an object; one whose definition was only just applied is served in a moment."""
        found = resource_of(item, await self._api.resources())
        limit = asyncio.get_running_loop().time() + _SERVED_SECONDS
        while found is None:
            if asyncio.get_running_loop().time() > limit:
                raise InfrastructureError(
                    f"the cluster does not serve {item['kind']} ({item['apiVersion']}), which Calico's files use",
                    remedy="kind.calico may name files that do not fit this release of Kubernetes",
                )
            await asyncio.sleep(_AGAIN_SECONDS)  # discovery cannot be watched
            found = resource_of(item, await self._api.resources(again=True))
        return found

    async def _certify(self) -> None:
        """A certificate for Calico's API server, as its manifest's documentation asks for, made in a node.

        https://docs.tigera.io/calico/latest/operations/install-apiserver: the key never leaves the cluster's own
        machines, and the API trusts this certificate for this service and nothing else.
        """
        made = await self._engine.exec(self._node, ("sh", "-c", _OPENSSL))
        key, mark, certificate = made.stdout.partition(b"-----BEGIN CERTIFICATE-----")
        if made.code or not mark:
            raise InfrastructureError(
                f"no certificate for Calico's API server could be made in the node {self._node}: "
                f"{made.stderr.decode(errors='replace').strip()}",
                remedy="the node image lacks openssl: use kind's own, or Calico's files without its API server",
            )
        certificate = mark + certificate
        data = {"apiserver.key": _base64(key), "apiserver.crt": _base64(certificate)}
        metadata = {"name": _CERTIFICATE, "namespace": _SERVER}
        await self._apply({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": "Opaque", "data": data})
        trusted = {"caBundle": _base64(certificate), **_API_SERVICE_SPEC}
        await self._apply(
            {
                "apiVersion": "apiregistration.k8s.io/v1",
                "kind": "APIService",
                "metadata": {"name": _API_SERVICE},
                "spec": trusted,
            }
        )


_API_SERVICE_SPEC = {
    "group": "projectcalico.org",
    "version": "v3",
    "groupPriorityMinimum": 1500,
    "versionPriority": 200,
    "service": {"name": "calico-api", "namespace": _SERVER, "port": 443},
}
_OPENSSL = (
    "set -e; f=$(mktemp -d); trap 'rm -rf \"$f\"' EXIT; "
    'openssl req -x509 -nodes -newkey rsa:2048 -keyout "$f/key" -out "$f/crt" -days 3650 -subj /CN=calico-api '
    '-addext "subjectAltName = DNS:calico-api.calico-apiserver.svc" 2>"$f/err" || { cat "$f/err" >&2; exit 1; }; '
    'cat "$f/key" "$f/crt"'
)


def _wave(item: Manifest) -> str | None:
    return item["kind"] if item["kind"] in _WAVES else None


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
