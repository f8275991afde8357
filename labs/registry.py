"""Backends by name, imported only when used."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from content.errors import UsageError

if TYPE_CHECKING:
    from labs.base import Backend

_BACKENDS = {
    "sandbox": ("labs.sandbox.backend", "SandboxBackend"),
    "kind": ("labs.kind.backend", "KindBackend"),
    "kubeconfig": ("labs.kubeconfig.backend", "KubeconfigBackend"),
}


def names() -> tuple[str, ...]:
    """The names that `load` takes; nothing is imported."""
    return tuple(_BACKENDS)


def load(name: str) -> Backend:
    """The backend of this name.

    Raises:
        UsageError: there is none.
    """
    try:
        module, attribute = _BACKENDS[name]
    except KeyError:
        raise UsageError(f"there is no backend {name!r}", remedy=f"use one of: {', '.join(_BACKENDS)}") from None
    made: Backend = getattr(importlib.import_module(module), attribute)()
    return made
