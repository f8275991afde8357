"""Images: which are needed, and what they are called here. How they come into nodes: `labs.kind.loading`.

An image that is named by digest is known to the engine by that name only where it was pulled: one that came from an
archive has none. So it gets a name of ours beside, made from the digest, and is found by either.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from labs.kind import pins
from labs.kind.calico import manifests, sources
from labs.kind.loading import full

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from content.model import Lab
    from grader.ports import Manifest
    from labs.kind.engine import Engine
    from labs.kind.settings import KindSettings

_ALIAS = "netdojo.local/by-digest"
_NAME = re.compile(r"[a-z0-9][A-Za-z0-9._:/@-]{0,400}")


@dataclass(frozen=True, slots=True)
class Needed:
    """An image that clusters need.

    Attributes:
        reference: its name as manifests and settings have it.
        purpose: what for: "nodes", "Calico", or the labs' ids.
    """

    reference: str
    purpose: str


def is_name(text: str) -> bool:
    """Tell whether this can be an image's name; what cannot is never handed to an engine."""
    return bool(_NAME.fullmatch(text))


def registry_of(reference: str) -> str:
    """Where it would be fetched from."""
    return full(reference).partition("/")[0]


def alias(reference: str) -> str:
    """The name of ours for an image named by digest; any other is its own."""
    digest = reference.partition("@")[2]
    return f"{_ALIAS}:{digest.replace(':', '-')}" if digest else reference


def exact(reference: str) -> str:
    """The name by which it is fetched: by digest where a pin knows that."""
    digest = pins.DIGESTS.get(reference)
    if digest is None:
        return reference
    name, _, _tag = reference.rpartition(":")
    return f"{name}@{digest}"


async def resolve(engine: Engine, reference: str) -> str:
    """The name under which the engine has this image; the given one when it has none."""
    names = tuple(dict.fromkeys((reference, alias(reference))))
    known = await engine.images(names)
    return next((name for name in names if name in known), reference)


async def missing(engine: Engine, wanted: Iterable[Needed]) -> tuple[Needed, ...]:
    """Those that the engine does not have, in their order."""
    listed = tuple(wanted)
    names = {name for item in listed for name in (item.reference, alias(item.reference))}
    known = await engine.images(sorted(names))
    return tuple(item for item in listed if item.reference not in known and alias(item.reference) not in known)


async def fetch(engine: Engine, reference: str, progress: Callable[[str], None]) -> None:
    """Pull an image; one whose digest is pinned is pulled by that, and then has its usual name, too.

    Raises:
        InfrastructureError: it cannot be had.
    """
    source = exact(reference)
    await engine.pull(source, lambda line: progress(f"{reference}: {line}"))
    if source != reference:
        await engine.tag(source, reference)


def needed(
    settings: KindSettings,
    labs: Sequence[Lab],
    cache: Path,
    progress: Callable[[str], None] = lambda _: None,
    *,
    fetch: bool = True,
) -> tuple[Needed, ...]:
    """All images that clusters for these labs need, each once; what for, where several need it, is the first's.

    Calico's manifests are read, and fetched where they are remote and not in `cache`; `fetch` says whether they may be:
    where they may not, the images of such a file are left out.

    Raises:
        InfrastructureError: a manifest cannot be fetched.
        UsageError: or cannot be read.
    """
    found = {settings.node_image: Needed(settings.node_image, "nodes and outside hosts")}
    for image in _of_calico(sources.of(settings), cache, progress, fetch=fetch):
        found.setdefault(image, Needed(image, "Calico"))
    found.setdefault(settings.workload_image, Needed(settings.workload_image, "proof that policies are enforced"))
    for lab in labs:
        for image in of_lab(lab):
            found.setdefault(image, Needed(image, f"lab {lab.id}"))
    return tuple(found.values())


def _of_calico(calico: sources.Calico, cache: Path, progress: Callable[[str], None], *, fetch: bool) -> tuple[str, ...]:
    if calico.operator:
        return pins.CALICO_OPERATOR_IMAGES
    files = [file for file in calico.sources if fetch or not file.remote or sources.kept(file, cache)]
    return tuple(image for file in files for image in manifests.images(sources.read(file, cache, progress)))


def of_lab(lab: Lab) -> tuple[str, ...]:
    """The images of a lab's start, solution and mistakes, each once."""
    files = (*lab.start, *lab.solution, *(file for files in lab.mistakes.values() for file in files))
    objects: tuple[Manifest, ...] = tuple(dict(item) for file in files for item in file.objects)
    return manifests.images(objects)
