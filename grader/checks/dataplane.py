"""Judge what carries traffic on the nodes, by facts from their kernels.

Signs of Calico's eBPF mode, all of them on every node: a program of Calico's on the interface of the node, the pinned
map of Service frontends, the device by which the node's own connections to Services pass, and an agent that works
(programs of an agent that has crashed go on working for a while, with what it knew then). Names are those of Calico
3.28: `felix/bpf-gpl/tc_preamble.c`, `felix/bpf/nat/maps.go`, `felix/dataplane/linux/bpf_ep_mgr.go`.

No signs: `bpfEnabled: true`, a mounted /sys/fs/bpf, single chains called `cali-` in iptables; some stay in every mode.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from grader.dataplane import EBPF_DEVICE
from grader.report import Requirement

if TYPE_CHECKING:
    from collections.abc import Iterator

    from content.model import Dataplane
    from grader.dataplane import DataplaneFacts, NodeFacts
    from grader.kube.model import Objects, Service

PROGRAMS = "cali_tc_"
FRONTENDS = re.compile(r"cali_v[46]_nat_fe\d*")
SAID = {"ebpf": "eBPF", "iptables": "iptables", "nftables": "nftables"}


def judge(asked: Dataplane, facts: DataplaneFacts, objects: Objects, namespace: str) -> tuple[Requirement, ...]:
    """What a check asks, each with what was found where it is not so.

    Args:
        asked: the check.
        facts: the nodes.
        objects: the cluster's objects, for the addresses of Services.
        namespace: of Services that the check names without one.
    """
    judged = []
    if asked.mode is not None:
        found = tuple(_mode(asked.mode, facts))
        judged.append(Requirement("mode", f"every node runs Calico's {SAID[asked.mode]} dataplane", not found, found))
    if asked.kube_proxy is not None:
        found = tuple(_gone(facts) if asked.kube_proxy == "gone" else _running(facts))
        gone = asked.kube_proxy == "gone"
        words = "kube-proxy is gone, with its rules" if gone else "kube-proxy runs on every node"
        judged.append(Requirement("kube_proxy", words, not found, found))
    if asked.services:
        lines = (line for name in asked.services for line in _service(name, facts, objects, namespace))
        found = tuple(dict.fromkeys(lines))
        words = f"every node's eBPF NAT table lists {', '.join(asked.services)}"
        judged.append(Requirement("services", words, not found, found))
    return tuple(judged)


def is_ebpf(facts: DataplaneFacts) -> bool:
    """Tell whether every node runs Calico's eBPF dataplane."""
    return bool(facts.nodes) and not any(True for _ in _mode("ebpf", facts))


def _mode(mode: str, facts: DataplaneFacts) -> Iterator[str]:
    missing = {"ebpf": _not_ebpf, "iptables": _not_iptables, "nftables": _not_nftables}[mode]
    failing = [(node, lines) for node in facts.nodes if (lines := (*missing(node), *_agent(node)))]
    if failing and facts.configured:
        if facts.configured == mode:
            yield f"the configuration says {SAID[mode]}, which alone proves nothing: the nodes are not there"
        else:
            yield f"the configuration says {SAID.get(facts.configured, facts.configured)}"
    for node, lines in failing:
        yield f"node {node.node}: {'; '.join(lines)}"


def _not_ebpf(node: NodeFacts) -> Iterator[str]:
    if not any(name.startswith(PROGRAMS) for name in node.programs):
        others = f" (only {', '.join(node.programs)})" if node.programs else ""
        yield f"no eBPF program of Calico's on {node.interface or 'its interface'}{others}"
    if not any(FRONTENDS.fullmatch(name) for name in node.maps):
        yield "no eBPF map of Services"
    if EBPF_DEVICE not in node.devices:
        yield f"no device {EBPF_DEVICE}"


def _not_iptables(node: NodeFacts) -> Iterator[str]:
    yield from _leftovers(node)
    if not node.chains:
        yield "no policy chain of Calico's in iptables"


def _not_nftables(node: NodeFacts) -> Iterator[str]:
    yield from _leftovers(node)
    if not any("calico" in name for name in node.nftables):
        yield "no table of Calico's in nftables"


def _leftovers(node: NodeFacts) -> Iterator[str]:
    programs = [name for name in node.programs if name.startswith(PROGRAMS)]
    if programs:
        yield f"the eBPF program {programs[0]} is on {node.interface}"


def _agent(node: NodeFacts) -> Iterator[str]:
    if not node.agent:
        yield "no pod of calico-node runs there"
    elif not node.agent_ready:
        yield f"{node.agent} is not ready" + (f": {node.complaint}" if node.complaint else "")


def _gone(facts: DataplaneFacts) -> Iterator[str]:
    for node in facts.nodes:
        if node.kube_proxy:
            yield f"node {node.node}: {node.kube_proxy} still runs"
        elif rules := _rules(node):
            yield f"node {node.node}: no kube-proxy runs, but {rules} still there: nothing has taken over from it"


def _rules(node: NodeFacts) -> str:
    """What kube-proxy left behind on a node, as the subject of a sentence."""
    if node.service_chains:
        return f"its chains in iptables ({node.service_chains}) are"
    return "its table in nftables is" if "kube-proxy" in node.nftables else ""


def _running(facts: DataplaneFacts) -> Iterator[str]:
    for node in facts.nodes:
        if not node.kube_proxy:
            yield f"node {node.node}: no pod of kube-proxy runs there"
        elif not node.kube_proxy_ready:
            yield f"node {node.node}: {node.kube_proxy} is not ready"


def _service(text: str, facts: DataplaneFacts, objects: Objects, namespace: str) -> Iterator[str]:
    name, _, given = text.partition(".")
    service = next((s for s in objects.services if (s.namespace, s.name) == (given or namespace, name)), None)
    if service is None or not service.addresses:
        yield f"there is no Service {text} any more" if service is None else f"the Service {text} has no address"
        return
    for node in facts.nodes:
        if not node.frontends:
            yield f"node {node.node}: there is no eBPF NAT table, or it is empty"
        elif missing := _unlisted(service, node):
            yield f"node {node.node}: the eBPF NAT table does not list {text} at {', '.join(missing)} with backends"


def _unlisted(service: Service, node: NodeFacts) -> list[str]:
    listed = {(entry.address, entry.port, entry.protocol) for entry in node.frontends if entry.backends}
    return [
        f"{address}:{port.port}"
        for address in map(str, service.addresses)
        for port in service.ports
        if (address, port.port, port.protocol) not in listed
    ]
