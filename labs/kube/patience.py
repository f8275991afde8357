"""An API that says nothing for a moment is no API that is gone."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from grader.errors import ClusterGoneError

if TYPE_CHECKING:
    from collections.abc import Callable

    from labs.kube.api import Api, Resource

_AGAIN_SECONDS = 0.2


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
