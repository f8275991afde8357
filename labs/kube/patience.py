"""An API that says nothing for a moment is no API that is gone."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from grader.errors import ClusterGoneError, InfrastructureError
from labs.kube.resources import resource_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from grader.ports import Manifest
    from labs.kube.api import Api, Resource

_AGAIN_SECONDS = 0.2
_SILENCE_SECONDS = 20.0


async def awake(api: Api, seconds: float, tell: Callable[[str], None]) -> tuple[Resource, ...]:
    """The kinds that an API serves now; a machine that was asleep, or is busy, has some time to answer.

    Raises:
        ClusterGoneError: it does not within these seconds.
    """
    limit, said = asyncio.get_running_loop().time() + seconds, False
    while True:
        try:
            return await api.resources(again=True)
        except ClusterGoneError:
            if asyncio.get_running_loop().time() >= limit:
                raise
            if not said:
                tell("waiting for the cluster's API, which does not answer")
                said = True
            await asyncio.sleep(_AGAIN_SECONDS)  # what does not answer cannot be watched


async def kind_of(api: Api, manifest: Manifest) -> Resource | None:
    """The kind of an object, asked for again where it is not known; None where the cluster has no such kind.

    Raises:
        InfrastructureError: the server that may have it stays silent.
    """
    version, limit = str(manifest.get("apiVersion")), asyncio.get_running_loop().time() + _SILENCE_SECONDS
    found = resource_of(manifest, await api.resources())
    while found is None:
        found = resource_of(manifest, await api.resources(again=True))
        if found is not None or version not in await api.silent():
            break
        if asyncio.get_running_loop().time() > limit:
            raise InfrastructureError(
                f"the server of the API {version}, which has {manifest.get('kind')}, does not answer",
                remedy="kubectl get apiservices says why; try again when it is available",
            )
        await asyncio.sleep(_AGAIN_SECONDS)  # what does not answer cannot be watched
    return found
