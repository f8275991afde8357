"""What a lab has made on somebody's cluster: written before it is made, read by every later command.

`stop` removes what is written here and nothing else, and of that only what carries the lab's mark.
"""

from __future__ import annotations

import contextlib
import json
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from labs import store
from labs.kubeconfig.scope import Ref

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

FILE, KUBECONFIG, HOLDER, CACHE = "existing.json", "kubeconfig", "holder.lock", "kubectl-cache"
LAB, HOME = "netdojo.lab", "netdojo.home"
"""Labels of everything that a lab makes: its name, and whose it is."""


@dataclass(frozen=True, slots=True)
class Journal:
    """A lab on somebody's cluster.

    Attributes:
        context: the kubeconfig's.
        identity: the uid of the cluster's namespace kube-system, by which one cluster is told from another.
        home: whose it is (`netdojo.home`): the folder of this netdojo's state, as a hash.
        namespaces: those that are the lab's.
        objects: what is the lab's outside of them.
        ways: how commands get at the nodes: "containers", "agents" or "pods".
        namespace: the namespace of objects that give none.
        canary: netdojo's canary goes with the last lab; False where it stood before any lab did.
        transient: it ends with the process that started it, which holds `HOLDER`.
        ready: False until all of it stands.
    """

    name: str
    context: str
    identity: str
    home: str
    namespaces: tuple[str, ...] = ()
    objects: tuple[Ref, ...] = ()
    ways: str = ""
    namespace: str = "default"
    canary: bool = False
    transient: bool = False
    ready: bool = False

    def with_more(self, namespaces: Iterable[str] = (), objects: Iterable[Ref] = ()) -> Journal:
        """The same with these added."""
        return replace(
            self,
            namespaces=tuple(sorted({*self.namespaces, *namespaces})),
            objects=tuple(sorted({*self.objects, *objects})),
        )

    def write(self, folder: Path) -> None:
        """Keep it.

        Raises:
            InfrastructureError: the system refuses.
        """
        path = folder / FILE
        with store.explained("write", path):
            store.write_atomically(path, json.dumps({"version": 1, "backend": "kubeconfig", **asdict(self)}, indent=1))

    @property
    def labels(self) -> dict[str, str]:
        """The mark of everything that it makes."""
        return {LAB: self.name, HOME: self.home}


def read(folder: Path) -> Journal | None:
    """The journal in a folder; None when there is none that can be used."""
    found = store.read_json(folder / FILE)
    if found.pop("version", None) != 1 or found.pop("backend", None) != "kubeconfig":
        return None
    try:
        objects = tuple(Ref(**{str(key): str(value) for key, value in item.items()}) for item in found.pop("objects"))
        namespaces = tuple(str(name) for name in found.pop("namespaces"))
        return Journal(**_plain(found), namespaces=namespaces, objects=objects)
    except (AttributeError, KeyError, TypeError):
        return None


def _plain(found: dict[str, Any]) -> dict[str, Any]:
    return {key: value if isinstance(value, bool) else str(value) for key, value in found.items()}


def remove(folder: Path) -> None:
    """Remove the journal and what stands beside it, and the folder when nothing else is in it; never raises."""
    import shutil

    shutil.rmtree(folder / CACHE, ignore_errors=True)
    for name in (KUBECONFIG, HOLDER, FILE):
        with contextlib.suppress(OSError):
            (folder / name).unlink()
    with contextlib.suppress(OSError):
        for torn in (*folder.glob(f".{FILE}.*"), *folder.glob(f".{KUBECONFIG}.*")):
            torn.unlink()
    with contextlib.suppress(OSError):
        folder.rmdir()
