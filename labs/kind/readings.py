"""What a node's shell and its calico-node print, read: strictly, for a gap is no wrong answer."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from grader.dataplane import Frontend
from grader.errors import InfrastructureError

if TYPE_CHECKING:
    from collections.abc import Mapping

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
saved=$({ iptables-save; ip6tables-save; } 2>/dev/null)
section chains; printf '%s\n' "$saved" | grep '^:' | cut -d ' ' -f 1 | sort -u
section tables; nft list tables 2>/dev/null
section rules; printf '%s\n' "$saved" | grep '^-A'; ip rule; ip -6 rule
section now; date -u +%Y-%m-%dT%H:%M:%S
section log
for log in $(ls -t /var/log/pods/*_calico-node-*/calico-node/*.log 2>/dev/null | head -n 1); do
  tail -c 200000 "$log" | grep -aE '\[(PANIC|FATAL)\]|BPF dataplane mode enabled but not supported' | tail -n 3
done
section end
"""
_SECTIONS = ("interface", "filters", "devices", "maps", "chains", "tables", "rules", "now", "log", "end")
_SYSTEMS = re.compile(r"cali|KUBE-|DOCKER_|CNI-|^\d+:\s+from all lookup (local|main|default)\b")
"""Rules of those who make a node: Calico, kube-proxy, kubelet, the container engine, host ports; the kernel's own."""
_ENTRY = re.compile(r"(\S+) port (\d+) proto (\d+) id (\d+) count \d+ local \d+")
_BACKEND = re.compile(r"\t(\d+):\d+\t\s*(\S+:\d+)")
_PROTOCOLS = {1: "ICMP", 6: "TCP", 17: "UDP", 132: "SCTP"}
_ATTACHED = re.compile(r"(\S+)\(\d+\) (?:clsact|tcx)/ingress (\S+)")
_SAID = re.compile(r"(\S+?)(?:\.\d+)?Z \S+ \S (.*)")


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


def tables(text: str) -> tuple[str, ...]:
    """Of `nft list tables` the names of Calico's and kube-proxy's own, without those that iptables made."""
    names = [line.rsplit(maxsplit=1)[-1] for line in text.splitlines() if line.startswith("table ")]
    return tuple(name for name in names if name in ("calico", "kube-proxy"))


def foreign(text: str) -> tuple[str, ...]:
    """Rules of iptables and of routing that none of those wrote who make a node."""
    return tuple(sorted({line.strip() for line in text.splitlines() if line.strip() and not _SYSTEMS.search(line)}))


def linked(text: str, device: str) -> tuple[str, ...]:
    """Names of the programs that `bpftool net show` has at a device's ingress, by tc or by tcx."""
    return tuple(name.partition(":")[0] for on, name in _ATTACHED.findall(text) if on == device)
