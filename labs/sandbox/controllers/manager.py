"""Runs the controllers until the store is at rest, then programs the dataplane once."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from labs.sandbox.api.resources import Resources
from labs.sandbox.api.status import ApiError
from labs.sandbox.controllers import (
    daemonsets,
    deployments,
    endpoints,
    garbage,
    kubelet,
    namespaces,
    replicasets,
    scheduler,
    statefulsets,
    system,
)
from labs.sandbox.controllers.addresses import PodAddresses
from labs.sandbox.controllers.context import Context
from labs.sandbox.controllers.system import Topology
from labs.sandbox.store import SILENT

if TYPE_CHECKING:
    from collections.abc import Callable

    from labs.sandbox.runtime import Runtime
    from labs.sandbox.store import Change, Store

__all__ = ["Controllers", "Topology"]

_log = logging.getLogger("netdojo.controllers")
_ROUNDS = 1000
"""Far more than any honest change needs; a store that does not come to rest is a defect, not a reason to hang."""

_WORKLOAD = frozenset({
    "pods", "replicasets.apps", "deployments.apps", "statefulsets.apps", "daemonsets.apps", "nodes", "namespaces",
    "controllerrevisions.apps", "serviceaccounts",
})  # fmt: skip
_ANY = frozenset({"*"})


class Controllers:
    """All controllers of one cluster.

    Args:
        store: the objects.
        runtime: what carries nodes and pods.
        topology: what the first `settle` builds.
    """

    def __init__(self, store: Store, runtime: Runtime, topology: Topology) -> None:
        self.resources = Resources(store)
        self._context = Context(self.resources, runtime)
        self._topology = topology
        self._built = False
        self._program = True
        self._all: tuple[tuple[str, frozenset[str], Callable[[Context], None]], ...] = (
            ("namespaces", _ANY, namespaces.reconcile),
            ("deployments", _WORKLOAD, deployments.reconcile),
            ("statefulsets", _WORKLOAD, statefulsets.reconcile),
            ("daemonsets", _WORKLOAD, daemonsets.reconcile),
            ("replicasets", _WORKLOAD, replicasets.reconcile),
            ("scheduler", frozenset({"pods", "nodes"}), scheduler.reconcile),
            ("kubelet", frozenset({"pods", "nodes"}), kubelet.reconciler(PodAddresses())),
            ("endpoints", frozenset({"pods", "services", "endpoints"}), endpoints.reconcile),
            ("garbage", _ANY, garbage.reconcile),
        )
        self._due: set[str] = set()
        self._unsubscribe = store.subscribe(self._note)

    async def settle(self) -> None:
        """Return when everything written so far is reconciled, and packets see it.

        The first call builds the cluster.

        Raises:
            InfrastructureError: the runtime could not be programmed.
        """
        self.reconcile()

    def reconcile(self) -> None:
        """As `settle`, for those who cannot wait: it never yields to the event loop."""
        if not self._built:
            self._built = True
            system.build(self._context, self._topology)
        for _ in range(_ROUNDS):
            if not self._due:
                break
            for name, _, run in self._all:
                if name in self._due:
                    self._due.discard(name)
                    self._run(name, run)
        if self._program:
            self._context.runtime.program(self._context.store.snapshot())
            self._program = False

    def _run(self, name: str, run: Callable[[Context], None]) -> None:
        """One controller once. What the API refuses it does not stop the others, nor whoever waits for them."""
        try:
            run(self._context)
        except ApiError as error:
            _log.warning("controller %s: %s", name, error.message)

    def _note(self, change: Change) -> None:
        """Remember who has to look at a change."""
        if change.resource not in SILENT:
            self._program = True
        if change.resource == "events":
            return
        gone = change.type == "DELETED" or bool(change.object["metadata"].get("deletionTimestamp"))
        for name, watched, _ in self._all:
            if change.resource in watched or (watched is _ANY and (gone or change.resource == "namespaces")):
                self._due.add(name)
