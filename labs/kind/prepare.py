"""Ahead of a class: everything that clusters need is fetched into the engine, once, and said before it is.

What is there is not fetched again. `labs.kind.archive` carries it to machines without a network.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from labs import store
from labs.kind import images
from labs.kind.calico import sources
from labs.kind.state import FILES, FOLDER

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from content.model import Lab
    from labs.kind.calico.sources import Source
    from labs.kind.engine import Engine
    from labs.kind.images import Needed
    from labs.kind.settings import KindSettings

_AT_ONCE = 2


def cache() -> Path:
    """Where fetched files are kept for the next cluster."""
    return store.folders().state / FOLDER / FILES


@dataclass(frozen=True, slots=True)
class Preparation:
    """What clusters need, and what of it is not here.

    Attributes:
        needed: all images; their list is complete once `files` are there.
        images: those that the engine lacks.
        files: Calico's remote files that have not been fetched.
    """

    needed: tuple[Needed, ...]
    images: tuple[Needed, ...]
    files: tuple[Source, ...]

    @property
    def complete(self) -> bool:
        """Whether nothing has to be fetched."""
        return not self.images and not self.files


async def plan(engine: Engine, settings: KindSettings, labs: Sequence[Lab], cache: Path) -> Preparation:
    """Look at what is needed and what is there; nothing is fetched.

    Raises:
        InfrastructureError: the engine does not answer.
        UsageError: files that the settings name cannot be read.
    """
    needed = await asyncio.to_thread(images.needed, settings, labs, cache, fetch=False)
    files = tuple(file for file in sources.of(settings).sources if file.remote and not sources.kept(file, cache))
    return Preparation(needed, await images.missing(engine, needed), files)


async def fetch(
    engine: Engine,
    settings: KindSettings,
    labs: Sequence[Lab],
    cache: Path,
    progress: Callable[[str], None],
) -> Preparation:
    """Fetch what is missing; what was fetched stays when it fails or is cancelled, and the next call goes on.

    Returns:
        What there is now: complete.

    Raises:
        InfrastructureError: something cannot be had.
    """
    before = await plan(engine, settings, labs, cache)
    for file in before.files:
        await asyncio.to_thread(sources.fetch, file, cache, progress)
    if before.files:  # they may name more images
        before = await plan(engine, settings, labs, cache)
    slots = asyncio.Semaphore(_AT_ONCE)

    async def get(item: Needed) -> None:
        async with slots:
            progress(f"fetching {item.reference} from {images.registry_of(item.reference)}")
            await images.fetch(engine, item.reference, progress)

    results = await asyncio.gather(*(get(item) for item in before.images), return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return await plan(engine, settings, labs, cache)
