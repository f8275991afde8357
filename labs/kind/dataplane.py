"""What carries traffic on the nodes of a kind cluster: one command in each node, and one in its calico-node pod.

The node answers for its own network namespace and its own part of the eBPF file system: what is attached to its
interface, what is pinned, which chains there are. The machine's lists of programs and maps (`bpftool prog`) would show
those of every cluster. The NAT table is read by Calico's own tool, which knows its layout.
"""

from __future__ import annotations

import asyncio
import json
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol

from grader.dataplane import DataplaneFacts, Frontend, NodeFacts
from grader.errors import InfrastructureError, NotCapableError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from grader.ports import Execution, Manifest
    from labs.kube.probing.runner import Runner

STEADY_SECONDS = 45.0
"""How long a switch may take: felix needs about 10 s, a new calico-node about 30."""
_AGAIN_SECONDS = 1.0
_RUN_SECONDS = 20.0
_OBJECTS = "/usr/lib/calico/bpf"
"""Where felix looks for its programs: `felix/bpf/bpfdefs`."""
_FRESH = timedelta(seconds=20)
"""An agent that cannot start tries again every second or two: an older complaint is of another time."""
SCRIPT = rb"""
section() { printf '=== %s\n' "$1"; }
device=$(ip -o route show default | sed -n 's/.* dev \([^ ]*\).*/\1/p' | head -n 1)
[ -n "$device" ] || device=$(ip -6 -o route show default | sed -n 's/.* dev \([^ ]*\).*/\1/p' | head -n 1)
section interface; printf '%s\n' "$device"
section filters; tc -j filter show dev "$device" ingress
section devices; ls /sys/class/net
section maps; ls /sys/fs/bpf/tc/globals 2>/dev/null
section chains; { iptables-save; ip6tables-save; } 2>/dev/null | grep '^:' | cut -d ' ' -f 1 | sort -u
section tables; nft list tables 2>/dev/null
section now; date -u +%Y-%m-%dT%H:%M:%S
section log
for log in $(ls -t /var/log/pods/*_calico-node-*/calico-node/*.log 2>/dev/null | head -n 1); do
  tail -c 200000 "$log" | grep -aE '\[(PANIC|FATAL)\]|BPF dataplane mode enabled but not supported' | tail -n 3
done
section end
"""
_SECTIONS = ("interface", "filters", "devices", "maps", "chains", "tables", "now", "log", "end")
_ENTRY = re.compile(r"(\S+) port (\d+) proto (\d+) id (\d+) count \d+ local \d+")
_BACKEND = re.compile(r"\t(\d+):\d+\t\s*(\S+:\d+)")
_PROTOCOLS = {1: "ICMP", 6: "TCP", 17: "UDP", 132: "SCTP"}
_ATTACHED = re.compile(r"(\S+)\(\d+\) (?:clsact|tcx)/ingress (\S+)")
_SAID = re.compile(r"(\S+?)(?:\.\d+)?Z \S+ \S (.*)")


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
    done = await runner.run(node, ("sh", "-s"), SCRIPT, _RUN_SECONDS)
    text = sections(done.stdout.decode(errors="replace"), node)
    device = text["interface"].strip()
    frontends, programs = await _from_agent(cluster, agent, device) if _is_ready(agent) else ((), ())
    chains = text["chains"].split()
    return NodeFacts(
        node,
        device,
        programs=tuple(dict.fromkeys((*attached(text["filters"], node), *programs))),
        maps=tuple(text["maps"].split()),
        devices=tuple(name for name in text["devices"].split() if name.endswith(".cali")),
        frontends=frontends,
        chains=sum(name.startswith(":cali-") for name in chains),
        nftables=tuple(line.split()[-1] for line in text["tables"].splitlines() if _foreign(line)),
        service_chains=sum(name.startswith(":KUBE-SVC-") for name in chains),
        kube_proxy=_ref(proxy),
        kube_proxy_ready=_is_ready(proxy),
        agent=_ref(agent),
        agent_ready=_is_ready(agent),
        complaint=complaint(text["log"], text["now"].strip()),
    )


async def _from_agent(
    cluster: Executes, agent: Manifest | None, device: str
) -> tuple[tuple[Frontend, ...], tuple[str, ...]]:
    """The NAT table, and programs that only bpftool shows: newer releases attach by tcx links, which tc does not."""
    pod = _ref(agent)
    dump = await cluster.exec(pod, ("calico-node", "-bpf", "nat", "dump"), seconds=_RUN_SECONDS)
    net = await cluster.exec(pod, ("bpftool", "net", "show", "dev", device), seconds=_RUN_SECONDS)
    shown = _ATTACHED.findall(net.stdout) if net.code == 0 else []
    return frontends(dump.stdout), tuple(name.partition(":")[0] for on, name in shown if on == device)


def sections(text: str, node: str) -> dict[str, str]:
    """The parts of a node's answer by name.

    Raises:
        InfrastructureError: one is missing.
    """
    parts = re.split(r"^=== (\w+)\n", text, flags=re.MULTILINE)
    found = dict(zip(parts[1::2], parts[2::2], strict=True))
    if tuple(found) != _SECTIONS:
        raise InfrastructureError(
            f"the node {node} did not tell what carries its traffic: it answered {text[:80]!r}",
            remedy="look whether the node's container runs (docker ps), then check again",
        )
    return found


def attached(text: str, node: str) -> tuple[str, ...]:
    """Names of the programs that `tc -j filter show` lists.

    Raises:
        InfrastructureError: it is not tc's JSON.
    """
    if not text.strip():
        return ()  # a device without a clsact qdisc
    try:
        listed: list[Mapping[str, Any]] = json.loads(text)
        options = [each.get("options", {}) for each in listed]
        names = [str(each["bpf_name"]) for each in options if "bpf_name" in each]
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise InfrastructureError(
            f"the filters of node {node} cannot be read: {text[:80]!r}", remedy="the node's tc is too old for JSON"
        ) from error
    return tuple(dict.fromkeys(name.partition(":")[0] for name in names if name))


def frontends(text: str) -> tuple[Frontend, ...]:
    """The entries of `calico-node -bpf nat dump`: a frontend a line, its backends indented below it.

    Where there is no table, the tool prints a line of its log and nothing else, with exit status 0.
    """
    heads: list[tuple[str, int, str, str]] = []
    backends: dict[str, list[str]] = {}
    for line in text.splitlines():
        if head := _ENTRY.fullmatch(line.strip()):
            address, port, protocol, number = head.groups()
            heads.append((address, int(port), _PROTOCOLS.get(int(protocol), protocol), number))
        elif (behind := _BACKEND.fullmatch(line.rstrip())) and heads and heads[-1][3] == behind[1]:
            known = backends.setdefault(behind[1], [])
            known += [behind[2]] if behind[2] not in known else []
    return tuple(
        Frontend(address, port, protocol, tuple(backends.get(number, ()))) for address, port, protocol, number in heads
    )


def complaint(log: str, now: str) -> str:
    """The agent's last word before it gave up, without date and place; empty where that was some time ago."""
    lines = [found for line in log.splitlines() if (found := _SAID.fullmatch(line.strip()))]
    if not lines:
        return ""
    when, said = lines[-1].groups()
    age = datetime.fromisoformat(now).replace(tzinfo=UTC) - datetime.fromisoformat(when).replace(tzinfo=UTC)
    return re.sub(r"^.*?\[(?:PANIC|FATAL|WARNING)\]\[\d+\] \S+ \d+: ", "", said) if age < _FRESH else ""


def _foreign(line: str) -> bool:
    """Tell whether a table is one of Calico's or kube-proxy's own, and not one that iptables made."""
    return line.startswith("table ") and line.rsplit(maxsplit=1)[-1] in ("calico", "kube-proxy")
