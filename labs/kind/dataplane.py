"""What carries traffic on the nodes of a kind cluster: one command in each node, and one in its calico-node pod.

The node answers for its own network namespace and its own part of the eBPF file system: what is attached to its
interface, what is pinned, which chains there are. The machine's lists of programs and maps (`bpftool prog`) would show
those of every cluster. The NAT table is read by Calico's own tool, which knows its layout.
"""

from __future__ import annotations

import asyncio
import dataclasses
from typing import TYPE_CHECKING, Protocol

from grader.dataplane import DataplaneFacts, Frontend, NodeFacts
from grader.errors import NotCapableError
from labs.kind import readings

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from grader.ports import Execution, Manifest
    from labs.kube.probing.runner import Runner

STEADY_SECONDS = 45.0
"""How long a switch may take: felix needs about 10 s, a new calico-node about 30."""
_AGAIN_SECONDS = 1.0
_RUN_SECONDS = 20.0
_OBJECTS = "/usr/lib/calico/bpf"
"""Where felix looks for its programs: `felix/bpf/bpfdefs`."""


class Executes(Protocol):
    """Runs a command in a pod: `grader.ports.Cluster.exec`."""

    async def exec(self, pod: str, argv: Sequence[str], *, stdin: str = "", seconds: float = 30.0) -> Execution:
        """Run it."""
        ...

    async def snapshot(self) -> tuple[Manifest, ...]:
        """The objects as they are."""
        ...


async def look(cluster: Executes, runner: Runner, seconds: float = STEADY_SECONDS) -> DataplaneFacts:
    """What the nodes show, once they show what is configured, or do not get there within the limit.

    Raises:
        InfrastructureError: a node could not be looked at.
    """
    limit = asyncio.get_running_loop().time() + seconds
    while True:
        objects = await cluster.snapshot()
        nodes = [str(item["metadata"]["name"]) for item in objects if item.get("kind") == "Node"]
        agents, proxies = _pods(objects, "calico-node"), _pods(objects, "kube-proxy")
        found = await asyncio.gather(
            *(_node(cluster, runner, node, agents.get(node), proxies.get(node)) for node in sorted(nodes))
        )
        facts = DataplaneFacts(tuple(found), configured(objects))
        if steady(facts) or asyncio.get_running_loop().time() > limit:
            return facts
        await asyncio.sleep(_AGAIN_SECONDS)  # a kernel's filters and an agent's readiness cannot be watched together


async def glance(nodes: Iterable[str], runner: Runner) -> tuple[NodeFacts, ...]:
    """What these nodes themselves show at this moment: nothing is waited for, and no agent is asked.

    Raises:
        InfrastructureError: a node could not be looked at.
    """
    return tuple(await asyncio.gather(*(_own(runner, node) for node in nodes)))


async def require_programs(cluster: Executes) -> None:
    """Return when the cluster's calico-node has eBPF programs to load.

    Raises:
        NotCapableError: its image has none, as one that was built for iptables alone.
    """
    agents = [pod for pod in _pods(await cluster.snapshot(), "calico-node").values() if _is_ready(pod)]
    if not agents:
        return  # another error will say so
    listed = await cluster.exec(_ref(agents[0]), ("ls", _OBJECTS), seconds=_RUN_SECONDS)
    if ".o" not in listed.stdout:
        containers = agents[0]["spec"].get("containers") or [{}]
        raise NotCapableError(
            f"this lab needs eBPF, and the image {containers[0].get('image', 'of calico-node')} has no eBPF programs",
            remedy="use Calico's own images (the default), or name manifests with such an image in kind.calico",
        )


def steady(facts: DataplaneFacts) -> bool:
    """Tell whether nothing is under way: every node shows what is configured, or its agent says why it cannot."""
    return all(_is_steady(node, facts.configured) for node in facts.nodes)


def _is_steady(node: NodeFacts, mode: str) -> bool:
    if not node.agent_ready:
        return bool(node.complaint) or not node.agent
    attached = any(name.startswith("cali_") for name in node.programs)
    if mode == "ebpf":
        return attached and bool(node.frontends) and (bool(node.kube_proxy) or not node.service_chains)
    return not attached and bool(node.chains if mode == "iptables" else node.nftables)


def configured(objects: Iterable[Manifest]) -> str:
    """The dataplane that Calico's own objects ask for; empty where none of them says.

    A variable of calico-node wins over FelixConfiguration, and that over what the operator was asked for:
    https://docs.tigera.io/calico/latest/reference/felix/configuration.
    """
    known = tuple(objects)
    for item in known:
        if item.get("kind") == "DaemonSet" and item["metadata"]["name"] == "calico-node":
            containers = item["spec"]["template"]["spec"]["containers"]
            variables = {each["name"]: each.get("value", "") for one in containers for each in one.get("env") or ()}
            if variables.get("FELIX_BPFENABLED", "").lower() in ("true", "1", "yes"):
                return "ebpf"
    for item in known:
        if item.get("kind") == "FelixConfiguration" and item["metadata"]["name"] == "default":
            spec = item.get("spec") or {}
            if spec.get("bpfEnabled"):
                return "ebpf"
            return "nftables" if spec.get("nftablesMode") == "Enabled" else "iptables"
    for item in known:
        if item.get("kind") == "Installation":
            mode = str(((item.get("spec") or {}).get("calicoNetwork") or {}).get("linuxDataplane", "Iptables"))
            return {"BPF": "ebpf", "Nftables": "nftables"}.get(mode, "iptables")
    return ""


def _pods(objects: Iterable[Manifest], app: str) -> dict[str, Manifest]:
    """The pod of a daemon on each node; of an old and a new one the one that is ready."""
    found: dict[str, Manifest] = {}
    for item in objects:
        labels = item["metadata"].get("labels") or {}
        node = (item.get("spec") or {}).get("nodeName")
        if item.get("kind") == "Pod" and labels.get("k8s-app") == app and node:
            if _phase(item) in ("Succeeded", "Failed") or (node in found and _is_ready(found[node])):
                continue
            found[str(node)] = item
    return found


def _phase(pod: Manifest) -> str:
    return str((pod.get("status") or {}).get("phase", ""))


def _is_ready(pod: Manifest | None) -> bool:
    if pod is None or pod["metadata"].get("deletionTimestamp"):
        return False
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def _ref(pod: Manifest | None) -> str:
    return f"{pod['metadata']['namespace']}/{pod['metadata']['name']}" if pod is not None else ""


async def _node(
    cluster: Executes, runner: Runner, node: str, agent: Manifest | None, proxy: Manifest | None
) -> NodeFacts:
    own = await _own(runner, node)
    frontends, programs = await _from_agent(cluster, agent, own.interface) if _is_ready(agent) else ((), ())
    return dataclasses.replace(
        own,
        programs=tuple(dict.fromkeys((*own.programs, *programs))),
        frontends=frontends,
        kube_proxy=_ref(proxy),
        kube_proxy_ready=_is_ready(proxy),
        agent=_ref(agent),
        agent_ready=_is_ready(agent),
    )


async def _own(runner: Runner, node: str) -> NodeFacts:
    """What a node's own shell tells."""
    done = await runner.run(node, ("sh", "-s"), readings.SCRIPT, _RUN_SECONDS)
    text = readings.sections(done.stdout.decode(errors="replace"), node)
    chains = text["chains"].split()
    return NodeFacts(
        node,
        text["interface"].strip(),
        programs=readings.attached(text["filters"], node),
        maps=tuple(text["maps"].split()),
        devices=tuple(name for name in text["devices"].split() if name.endswith(".cali")),
        chains=sum(name.startswith(":cali-") for name in chains),
        nftables=readings.tables(text["tables"]),
        service_chains=sum(name.startswith(":KUBE-SVC-") for name in chains),
        foreign=readings.foreign(text["rules"]),
        complaint=readings.complaint(text["log"], text["now"].strip()),
    )


async def _from_agent(
    cluster: Executes, agent: Manifest | None, device: str
) -> tuple[tuple[Frontend, ...], tuple[str, ...]]:
    """The NAT table, and programs that only bpftool shows: newer releases attach by tcx links, which tc does not."""
    pod = _ref(agent)
    dump = await cluster.exec(pod, ("calico-node", "-bpf", "nat", "dump"), seconds=_RUN_SECONDS)
    net = await cluster.exec(pod, ("bpftool", "net", "show", "dev", device), seconds=_RUN_SECONDS)
    return readings.frontends(dump.stdout), readings.linked(net.stdout, device) if net.code == 0 else ()
