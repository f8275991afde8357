"""Kernel settings of one network namespace, through /proc/sys as seen from inside it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from labs.sandbox.network.netns import NetworkNamespace

_ROOT = Path("/proc/sys/net")


def write(namespace: NetworkNamespace, settings: dict[str, str]) -> bool:
    """Write settings (path below `net/` to value) in order; False when one is not there or may not be written.

    A read-only /proc/sys is usual inside containers, so a refusal is an answer and not an error.
    """
    with namespace.entered():
        try:
            for key, value in settings.items():
                (_ROOT / key).write_text(value, encoding="ascii")
        except OSError:
            return False
    return True
