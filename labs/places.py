"""Where a lab runs: what was asked for, where it stands already, what the user has set, what the lab needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from labs import registry, store
from labs.locks import is_held

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from content.model import LabSpec

AUTO = "auto"
BY_ITSELF = (store.SANDBOX, "kind")
"""What `auto` chooses from, in this order. A cluster of the user's own is never taken unasked."""


def standing(name: str) -> tuple[str, ...]:
    """The backends on which a cluster of this name stands, as far as the disk tells; none is asked."""
    return tuple(backend for backend in registry.names() if _stands(name, backend))


def clusters() -> tuple[tuple[str, str], ...]:
    """Every cluster that stands, as (name, backend), sorted by name."""
    return tuple(
        sorted(
            (name, backend)
            for backend in registry.names()
            for name in store.cluster_names(backend)
            if _stands(name, backend)
        )
    )


def _stands(name: str, backend: str) -> bool:
    folder = store.cluster_folder(name, backend)
    # The sandbox's cluster ends with its process, and what a killed one left is swept by the next start.
    return is_held(folder / "daemon.lock") if backend == store.SANDBOX else folder.is_dir()


def choose(
    spec: LabSpec, wanted: str, setting: str, stands: Sequence[str], has: Callable[[str], frozenset[str]]
) -> str:
    """The backend for a lab.

    Args:
        spec: of the lab.
        wanted: what `--on` says, or "auto".
        setting: the user's setting, or "auto".
        stands: the backends on which the lab stands already.
        has: what a backend has; asked only when the lab needs something.
    """
    if wanted != AUTO:
        return wanted
    if stands:
        return setting if setting in stands else stands[0]
    if setting != AUTO:
        return setting
    able = [name for name in BY_ITSELF if name in spec.backends]
    for name in able:
        if not spec.needs or set(spec.needs) <= has(name):
            return name
    return (*able, *spec.backends)[0]
