"""What is kept of a lab on kind in the lab's own folder (see `labs.kind.state`)."""

from __future__ import annotations

import contextlib
import json
import shutil
from typing import TYPE_CHECKING, Any

from labs import store
from labs.kind.state import CACHE, HOLDER, KUBECONFIG, LAB

if TYPE_CHECKING:
    from pathlib import Path

    from labs.base import Request

_VERSION = 1


def lock_path(folder: Path) -> Path:
    """The lock of the command that works on a lab: beside its folder, which may go."""
    return folder.parent / f".{folder.name}.lock"


def read(folder: Path) -> dict[str, Any]:
    """What was written; empty where nothing was that can be used."""
    found = store.read_json(folder / LAB)
    return found if found.get("version") == _VERSION else {}


def write(folder: Path, cluster: str, request: Request, *, ready: bool = False) -> None:
    """Keep which cluster a lab has.

    Raises:
        InfrastructureError: it cannot be written.
    """
    known = {
        "version": _VERSION,
        "cluster": cluster,
        "namespace": request.namespace,
        "transient": request.transient,
        "ready": ready,
    }
    with store.explained("write", folder / LAB):
        store.write_atomically(folder / LAB, json.dumps(known))


def remove(folder: Path) -> None:
    """Remove what the backend keeps in a lab's folder, and the folder when nothing else is in it; never raises."""
    shutil.rmtree(folder / CACHE, ignore_errors=True)
    for name in (LAB, KUBECONFIG, HOLDER):
        with contextlib.suppress(OSError):
            (folder / name).unlink()
    with contextlib.suppress(OSError):
        for torn in (*folder.glob(".lab.json.*"), *folder.glob(".kubeconfig.*")):
            torn.unlink()
        folder.rmdir()
