"""Objects by which a dataplane shows how far it has come, and that it stops packets at all.

On every node a client and a server. Felix (Calico's agent) takes changes of one kind in the order in which they were
made, but those of different kinds in any order: each kind has its own watch (calico 3.28,
libcalico-go/lib/backend/watchersyncer/watchersyncer.go, one watcherCache a resource type). So there is a signal for
each kind: a port of every server that is open or closed by an object of that kind. Flipping it after a change, and
seeing the flip arrive on a node, means that the change has arrived there.

A signal has two sides, 0 and 1, with a port each; the one whose turn it is is open, the other closed.
"""

from __future__ import annotations

import hashlib
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from grader.ports import Manifest

NAMESPACE = "netdojo-canary"
"""Belongs to netdojo in every cluster that a lab runs on; no lab's, and in no snapshot."""
IMAGE = "registry.k8s.io/e2e-test-images/agnhost:2.53"
"""What the labs' own pods run, so it is there: its `porter` serves ports and its `connect` tries them."""
OPEN, CLOSED = 8080, 8081
"""Ports of a server that a policy opens and closes for the client, whatever the turn is."""
ROLE, TURN, NODE = "netdojo.dev/canary", "netdojo.dev/turn", "netdojo.dev/node"
"""Labels of the canary's objects."""
SERVICE = "turn"
_FIRST = -1e12
"""The order of Calico policies that come before everybody's: a lab's policies for all pods must not hide a signal."""


class Signal(StrEnum):
    """What can be seen to arrive, named by the kind that carries it."""

    POLICY = "NetworkPolicy"
    POD = "Pod"
    NAMESPACE = "Namespace"
    SERVICE = "Service"
    CALICO_POLICY = "Calico NetworkPolicy"
    CALICO_GLOBAL = "GlobalNetworkPolicy"
    CALICO_SET = "NetworkSet"
    CALICO_GLOBAL_SET = "GlobalNetworkSet"
    CALICO_ACCOUNT = "ServiceAccount"


CALICO = frozenset(
    {
        Signal.CALICO_POLICY,
        Signal.CALICO_GLOBAL,
        Signal.CALICO_SET,
        Signal.CALICO_GLOBAL_SET,
        Signal.CALICO_ACCOUNT,
    }
)
"""Signals that exist where Calico's API (projectcalico.org/v3) does."""
_BASE = {signal: 9000 + 2 * index for index, signal in enumerate(Signal)}
PORTS = (OPEN, CLOSED, *(base + side for signal, base in _BASE.items() for side in (0, 1) if signal != Signal.SERVICE))
"""What a server listens on."""


def port(signal: Signal, side: int) -> int:
    """The port that is open while it is this side's turn."""
    return _BASE[signal] + side


def is_canary(manifest: Mapping[str, Any]) -> bool:
    """Whether an object is one of the canary's (newer Calico writes the tier before a policy's name)."""
    metadata = manifest["metadata"]
    return NAMESPACE in (metadata.get("namespace"), str(metadata["name"]).removeprefix("default."))


def name(role: str, node: str) -> str:
    """The name of a node's client or server."""
    return f"{role}-{hashlib.blake2b(node.encode(), digest_size=6).hexdigest()}"


def grounds() -> tuple[Manifest, ...]:
    """What the pods need before they can be made."""
    labels = {"pod-security.kubernetes.io/enforce": "baseline"}
    return (
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": labels}},
        {**_object("v1", "ServiceAccount", "client"), "automountServiceAccountToken": False},
    )


def pods(nodes: Iterable[str], image: str) -> tuple[Manifest, ...]:
    """A client and a server for each of these nodes."""
    serve = [{"name": f"SERVE_PORT_{number}", "value": "canary"} for number in PORTS]
    made = []
    for node in nodes:
        made.append(_pod("server", node, {"image": image, "args": ["porter"], "env": serve}, "default"))
        made.append(_pod("client", node, {"image": image, "args": ["pause"]}, "client"))
    return tuple(made)


def _pod(role: str, node: str, container: Manifest, account: str) -> Manifest:
    safe = {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "runAsNonRoot": True,
        "runAsUser": 65534,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    return {
        **_object("v1", "Pod", name(role, node), {ROLE: role}),
        "spec": {
            "nodeName": node,  # not by the scheduler: the canary has to be on each node, cordoned or not
            "tolerations": [{"operator": "Exists"}],
            "serviceAccountName": account,
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "terminationGracePeriodSeconds": 0,
            "containers": [{"name": role, "imagePullPolicy": "IfNotPresent", "securityContext": safe, **container}],
        },
    }


def rules(*, calico: bool) -> tuple[Manifest, ...]:
    """The policies and sets that never change: they give the signals of labels their meaning."""
    to = {"matchLabels": {ROLE: "server"}}
    client = {"podSelector": {"matchLabels": {ROLE: "client"}}}
    made = [
        _policy("closed", to, []),
        _policy("open", to, [_rule([client], OPEN)]),
        {
            **_object("networking.k8s.io/v1", "NetworkPolicy", "out"),
            "spec": {"podSelector": {"matchLabels": {ROLE: "client"}}, "policyTypes": ["Egress"], "egress": [{}]},
        },
    ]
    for side in (0, 1):
        turned = {"matchLabels": {TURN: str(side)}}
        home = {"namespaceSelector": turned}
        made.append(
            _policy(
                f"pod-{side}",
                {"matchLabels": to["matchLabels"] | {TURN: str(side)}},
                [_rule([client], port(Signal.POD, side))],
            )
        )
        made.append(_policy(f"namespace-{side}", to, [_rule([home], port(Signal.NAMESPACE, side))]))
    return (*made, *(_calico_rules() if calico else ()))


def _calico_rules() -> tuple[Manifest, ...]:
    """The same in Calico's words and before everybody's policies, and what only Calico has: sets, service accounts."""
    client = {"selector": f"{ROLE} == 'client'"}
    allow = [_allow(client, OPEN), _allow(client, CLOSED) | {"action": "Deny"}]
    made = []
    for side in (0, 1):
        turned = f"{TURN} == '{side}'"
        sources: dict[Signal, Manifest] = {
            Signal.NAMESPACE: {"namespaceSelector": turned},
            Signal.CALICO_SET: {"selector": turned},
            Signal.CALICO_GLOBAL_SET: {"selector": turned, "namespaceSelector": "global()"},
            Signal.CALICO_ACCOUNT: {"serviceAccounts": {"selector": turned}},
        }
        allow += [_allow(source, port(signal, side)) for signal, source in sources.items()]
        by_label = _to_servers([_allow(client, port(Signal.POD, side))])
        by_label["selector"] += f" && {turned}"
        made.append(_calico("NetworkPolicy", f"{NAMESPACE}-pod-{side}", by_label))
    out = {"order": _FIRST, "selector": client["selector"], "types": ["Egress"], "egress": [{"action": "Allow"}]}
    made.append(_calico("NetworkPolicy", f"{NAMESPACE}-out", out))
    return (*made, _calico("NetworkPolicy", f"{NAMESPACE}-labels", _to_servers(allow)))


def turned(  # noqa: PLR0911 - a table
    signal: Signal, side: int, servers: Mapping[str, str], clients: Iterable[str] = ()
) -> tuple[Manifest, ...]:
    """The objects that make it this side's turn; every one of them has the side in its label `TURN`.

    Network sets hold the clients' addresses and no others: a lab's selector such as `app != 'web'` picks every network
    set that has no such label, and means its addresses then.

    Args:
        signal: which.
        side: 0 or 1.
        servers: the servers' pods by name, with an address each.
        clients: the clients' addresses.
    """
    labels = {TURN: str(side)}
    match signal:
        case Signal.POLICY:
            client = {"podSelector": {"matchLabels": {ROLE: "client"}}}
            made = _policy("turn", {"matchLabels": {ROLE: "server"}}, [_rule([client], port(signal, side))])
            made["metadata"]["labels"] = labels
            return (made,)
        case Signal.POD:
            return tuple(_object("v1", "Pod", server, labels) for server in servers)
        case Signal.NAMESPACE:
            return ({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": labels}},)
        case Signal.SERVICE:
            return _service(side, tuple(servers.values()))
        case Signal.CALICO_POLICY:
            return (_calico("NetworkPolicy", NAMESPACE, _to_servers([_allow({}, port(signal, side))]), labels),)
        case Signal.CALICO_GLOBAL:
            spec = _to_servers([_allow({}, port(signal, side))], home=True)
            return (_calico("GlobalNetworkPolicy", NAMESPACE, spec, labels),)
        case Signal.CALICO_SET | Signal.CALICO_GLOBAL_SET:
            return (_calico(signal.value, NAMESPACE, {"nets": sorted(clients)}, labels),)
        case Signal.CALICO_ACCOUNT:
            return (_object("v1", "ServiceAccount", "client", labels),)


def _service(side: int, addresses: Sequence[str]) -> tuple[Manifest, ...]:
    """A Service and its slice, tied by a port's name that only this side has: both have to arrive."""
    on, off = f"on-{side}", f"off-{side}"
    ports = {side: on, 1 - side: off}
    service = {
        **_object("v1", "Service", SERVICE, {TURN: str(side)}),
        "spec": {
            "ports": [
                {"name": ports[each], "protocol": "TCP", "port": port(Signal.SERVICE, each), "targetPort": OPEN}
                for each in (0, 1)
            ]
        },
    }
    labels = {"kubernetes.io/service-name": SERVICE, TURN: str(side)}
    endpoints = {
        **_object("discovery.k8s.io/v1", "EndpointSlice", SERVICE, labels),
        "addressType": "IPv6" if ":" in addresses[0] else "IPv4",
        "ports": [{"name": on, "port": OPEN, "protocol": "TCP"}],
        "endpoints": [{"addresses": [address], "conditions": {"ready": True}} for address in addresses],
    }
    return service, endpoints


def _object(version: str, kind: str, called: str, labels: Mapping[str, str] | None = None) -> Manifest:
    metadata: dict[str, Any] = {"namespace": NAMESPACE, "name": called}
    return {"apiVersion": version, "kind": kind, "metadata": metadata | ({"labels": dict(labels)} if labels else {})}


def _policy(called: str, selector: Manifest, ingress: Sequence[Manifest]) -> Manifest:
    spec = {"podSelector": selector, "policyTypes": ["Ingress"], "ingress": list(ingress)}
    return {**_object("networking.k8s.io/v1", "NetworkPolicy", called), "spec": spec}


def _rule(sources: Sequence[Manifest], number: int) -> Manifest:
    return {"from": list(sources), "ports": [{"protocol": "TCP", "port": number}]}


def _calico(kind: str, called: str, spec: Manifest, labels: Mapping[str, str] | None = None) -> Manifest:
    made = {**_object("projectcalico.org/v3", kind, called, labels), "spec": spec}
    if kind.startswith("Global"):
        del made["metadata"]["namespace"]
    return made


def _to_servers(ingress: Sequence[Manifest], *, home: bool = False) -> Manifest:
    spec: Manifest = {
        "order": _FIRST,
        "selector": f"{ROLE} == 'server'",
        "types": ["Ingress"],
        "ingress": list(ingress),
    }
    return spec | ({"namespaceSelector": f"projectcalico.org/name == '{NAMESPACE}'"} if home else {})


def _allow(source: Manifest, number: int) -> Manifest:
    return {"action": "Allow", "protocol": "TCP", "source": source, "destination": {"ports": [number]}}
