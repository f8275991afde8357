"""Images into nodes: those that Docker has and a node lacks, all nodes at once; the rest is kubelet's to pull."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from grader.errors import InfrastructureError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from labs.kind.engine import Engine

_NONE: Mapping[str, Collection[str]] = {}


async def load(
    engine: Engine,
    nodes: Sequence[str],
    references: Iterable[str],
    progress: Callable[[str], None],
    known: Mapping[str, Collection[str]] = _NONE,
) -> None:
    """Copy images into nodes that lack them; those that are known to have all of them are not asked.

    Raises:
        InfrastructureError: a node does not take one.
    """
    wanted = tuple(dict.fromkeys(references))
    nodes = [node for node in nodes if not {full(name) for name in wanted} <= set(known.get(node, ()))]
    lists = await asyncio.gather(*(engine.exec(node, ("ctr", "-n", "k8s.io", "images", "ls", "-q")) for node in nodes))
    missing = {
        node: lacking
        for node, listed in zip(nodes, lists, strict=True)
        if (lacking := [name for name in wanted if full(name) not in listed.stdout.decode(errors="replace").split()])
    }
    if not missing:
        return
    there = await engine.images(name for name in wanted if any(name in lacking for lacking in missing.values()))
    for name in wanted:
        if name not in there and any(name in lacking for lacking in missing.values()):
            progress(f"the nodes will fetch {name} themselves: Docker here does not have it")
    await asyncio.gather(
        *(_import(engine, node, name) for node, lacking in missing.items() for name in lacking if name in there)
    )


async def _import(engine: Engine, node: str, name: str) -> None:
    ended = await engine.import_image(name, node)
    if ended.code:
        words = (ended.stderr or ended.stdout).decode(errors="replace").strip()
        raise InfrastructureError(
            f"the node {node} does not take the image {name}: {words}",
            remedy="the disk may be full (docker system df), or the image may be for another architecture",
        )


def full(reference: str) -> str:
    """An image's full name, as containerd keeps it: with its registry, and with a tag unless a digest names it."""
    first, slash, rest = reference.partition("/")
    is_registry = bool(slash) and ("." in first or ":" in first or first == "localhost")
    if is_registry:
        registry, path = first, rest
    else:
        registry, path = "docker.io", reference if slash else f"library/{reference}"
    last = path.rsplit("/", 1)[-1]
    return f"{registry}/{path}" + ("" if ":" in last or "@" in last else ":latest")
