"""One packet as policies see it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from grader.policy.model import EGRESS

if TYPE_CHECKING:
    from grader.policy.model import Endpoint


@dataclass(frozen=True, slots=True)
class Packet:
    """The first packet of a flow, after a Service's address was translated.

    Attributes:
        source: who sends it.
        destination: the pod, node or address that it arrives at.
        port: at the destination.
        protocol: TCP, UDP, SCTP, ICMP, …
        family: 4 or 6.
        hairpin: it comes back to its sender.
        entry: the node whose NodePort was addressed, and that port, where the sender's own node does not translate it.
        masked: whom the destination's node sees as the sender, where that is the entry node.
        source_port: of the sender; None where it is any that the system gives.
        icmp: type and code of an ICMP packet; None for other protocols.
        leaving: the host endpoint that forwards it out of the sender's node.
        entering: the host endpoint that forwards it to the destination pod.
    """

    source: Endpoint
    destination: Endpoint
    port: int
    protocol: str
    family: int
    hairpin: bool = False
    entry: tuple[Endpoint, int] | None = None
    masked: Endpoint | None = None
    source_port: int | None = None
    icmp: tuple[int, int] | None = None
    leaving: Endpoint | None = None
    entering: Endpoint | None = None

    def seen(self, direction: str) -> Packet:
        """Return the packet as it is where a direction is judged."""
        if direction == EGRESS and self.entry is not None:
            return replace(self, destination=self.entry[0], port=self.entry[1], hairpin=False)
        if direction != EGRESS and self.masked is not None:
            return replace(self, source=self.masked)
        return self

    def ends(self, direction: str) -> tuple[Endpoint, Endpoint]:
        """Return the subject of a direction, then its peer."""
        if direction == EGRESS:
            return self.source, self.destination
        return self.destination, self.source
