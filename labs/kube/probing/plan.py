"""Probes to errands, or why one cannot be made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from labs.kube.probing import talk
from labs.kube.probing.talk import Speech
from labs.kube.probing.wire import Errand

if TYPE_CHECKING:
    from collections.abc import Sequence

    from grader.ports import Probe
    from labs.kube.probing.places import Place, Places, Target

PROTOCOLS = ("TCP", "UDP", "ICMP", "SCTP")
_KNOWN_PATIENCE = 2000
"""How long netexec may take to answer once the connection stands, in milliseconds."""
_UNKNOWN_PATIENCE = 300
"""The same for a server that may never say a word: that it accepted is all that is asked of it."""


@dataclass(frozen=True, slots=True)
class Planned:
    """A probe that can be made."""

    probe: Probe
    target: Target
    errand: Errand


def plan(index: int, probe: Probe, places: Places) -> Planned:
    """The errand of a probe.

    Raises:
        LookupError: the words say why it cannot be made.
    """
    if probe.protocol not in PROTOCOLS:
        raise LookupError(f"protocol {probe.protocol} cannot be probed (one of {', '.join(PROTOCOLS)})")
    if probe.protocol != "ICMP" and not 0 < probe.port < 65536:
        raise LookupError(f"{probe.port} is no port")
    source = places.source(probe.source)
    target = places.target(probe.destination, probe.port, probe.protocol)
    _family_of(probe.source, source.addresses, probe.family)
    address = _family_of(probe.destination, target.addresses, probe.family)
    return Planned(probe, target, _errand(index, probe, source, target, address))


def _errand(index: int, probe: Probe, source: Place, target: Target, address: str) -> Errand:
    fresh = talk.nonce()
    patience = _KNOWN_PATIENCE if target.speech is Speech.NETEXEC else _UNKNOWN_PATIENCE
    asked = talk.questions(probe.protocol, target.speech, fresh)
    behind = ""
    if probe.source.startswith("host:"):  # a stranger to the cluster's routes
        behind = next((one for one in target.behind if (":" in one) == (probe.family == 6)), "")
    paced = probe.protocol == "UDP" and target.speech is Speech.UNKNOWN
    return Errand(index, source, probe.protocol, address, probe.port, patience, fresh, asked, behind, paced)


def _family_of(name: str, addresses: Sequence[str], family: int) -> str:
    if not addresses:
        raise LookupError(f"{name} has no address")
    for address in addresses:
        if (":" in address) == (family == 6):
            return address
    raise LookupError(f"{name} has no IPv{family} address")
