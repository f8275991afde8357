"""The rules of all nodes, kept as the latest snapshot wants them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from content.errors import BrokenContentError
from grader.errors import InfrastructureError
from grader.kube.model import Objects
from grader.kube.parse import read_objects
from labs.sandbox.dataplane.nftables.backends import Backends
from labs.sandbox.dataplane.nftables.compile import compile_policies
from labs.sandbox.dataplane.nftables.program import Programmer
from labs.sandbox.dataplane.nftables.services import compile_services

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from grader.ports import Manifest
    from labs.sandbox.dataplane.nftables.compile import Placement
    from labs.sandbox.network.netns import NetworkNamespace

NOTHING = Objects()


class Dataplane:
    """Programs every node. From a node's first moment the packets of pods that are not known are dropped.

    Attributes:
        generation: grows with every change of rules.
        objects: the snapshot that is enforced.
    """

    def __init__(self) -> None:
        self._nodes: dict[str, Programmer] = {}
        self.generation = 0
        self.objects = NOTHING

    def add_node(self, name: str, namespace: NetworkNamespace) -> None:
        """Take a node over; its pods are cut off until the next `program`.

        Raises:
            InfrastructureError: the kernel refused.
        """
        if name in self._nodes:
            return
        programmer = Programmer(namespace, name)
        programmer.put(compile_policies(NOTHING, {}, (name,))[name])
        self._nodes[name] = programmer

    def program(
        self, manifests: Sequence[Manifest], placements: Mapping[str, Placement], hidden: Objects = NOTHING
    ) -> None:
        """Enforce a snapshot. Nodes whose rules stay the same are not touched.

        Args:
            manifests: every object.
            placements: running pods by `namespace/name`.
            hidden: pods, namespaces and policies that the API does not show.

        Raises:
            InfrastructureError: an object cannot be read, or the kernel refused.
        """
        try:
            read = read_objects(manifests)
        except BrokenContentError as problem:
            raise InfrastructureError(f"the dataplane cannot read an object: {problem.message}") from problem
        objects = replace(
            read,
            namespaces=(*read.namespaces, *hidden.namespaces),
            pods=(*read.pods, *hidden.pods),
            policies=(*read.policies, *hidden.policies),
        )
        addresses = {ref: placement.addresses for ref, placement in placements.items()}
        services = compile_services(objects, Backends(objects, manifests, addresses))
        policies = compile_policies(objects, placements, self._nodes)
        changed = [programmer.put(policies[node], services) for node, programmer in self._nodes.items()]
        self.generation += any(changed)
        self.objects = objects

    def close(self) -> None:
        """Close all sockets."""
        for programmer in self._nodes.values():
            programmer.close()
        self._nodes.clear()
