"""Random policies and network sets of Calico, as release 3.28 knows them: one tier, no staged kinds.

A global policy is always held to the namespaces of `random_kubernetes`: the cluster's own pods (its DNS, Calico's API
server, through which the policy is to be deleted) go on working whatever the dice say.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from random_kubernetes import HOME_LABELS, LABELS, NAMES, NAMESPACES, PORTS, random_block

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence

    from grader.ports import Manifest

V3 = "projectcalico.org/v3"
ACCOUNTS = ("default", "reader", "writer")
ACCOUNT_LABELS = {"role": ("read", "write"), "team": ("x", "y")}
_OURS = "projectcalico.org/namespace in {" + ", ".join(f"'{name}'" for name in NAMESPACES) + "}"
_HOMES = "kubernetes.io/metadata.name in {" + ", ".join(f"'{name}'" for name in NAMESPACES) + "}"
_ACTIONS = ("Allow",) * 6 + ("Deny",) * 3 + ("Pass", "Log")


def random_text(  # noqa: PLR0911 - a row a form of the language
    rng: random.Random, known: dict[str, tuple[str, ...]], depth: int = 2
) -> str:
    """A selector in Calico's language."""
    if depth and rng.random() < 0.3:
        left, right = (random_text(rng, known, depth - 1) for _ in range(2))
        return f"({left}) {rng.choice(['&&', '||'])} ({right})"
    if depth and rng.random() < 0.15:
        return f"!({random_text(rng, known, depth - 1)})"
    kind = rng.random()
    if kind < 0.15:
        return "all()"
    key = rng.choice(list(known))
    value = rng.choice(known[key])
    if kind < 0.45:
        return f"{key} {rng.choice(['==', '==', '!='])} '{value}'"
    if kind < 0.65:
        values = ", ".join(f"'{each}'" for each in rng.sample(known[key], rng.randint(1, len(known[key]))))
        return f"{key} {rng.choice(['in', 'not in'])} {{{values}}}"
    if kind < 0.85:
        return f"{rng.choice(['', '!'])}has({key})"
    part = value[: rng.randint(1, len(value))]
    return f"{key} {rng.choice(['contains', 'starts with'])} '{part}'"


def endpoint_text(rng: random.Random) -> str:
    """A selector of endpoints: their own labels, those that they inherit, those that Calico adds."""
    kind = rng.random()
    if kind < 0.7:
        return random_text(rng, LABELS)
    inherited = {f"pcns.{key}": values for key, values in HOME_LABELS.items()}
    inherited |= {f"pcsa.{key}": values for key, values in ACCOUNT_LABELS.items()}
    added = {
        "projectcalico.org/namespace": NAMESPACES,
        "projectcalico.org/orchestrator": ("k8s", "other"),
        "projectcalico.org/serviceaccount": ACCOUNTS,
    }
    return random_text(rng, inherited if kind < 0.85 else {**LABELS, **added})


def home_text(rng: random.Random) -> str:
    by_name = {"projectcalico.org/name": NAMESPACES, "kubernetes.io/metadata.name": NAMESPACES}
    return random_text(rng, by_name if rng.random() < 0.3 else HOME_LABELS)


def random_accounts(rng: random.Random) -> dict[str, Any]:
    accounts: dict[str, Any] = {}
    if rng.random() < 0.6:
        accounts["names"] = rng.sample(ACCOUNTS, rng.randint(1, 2))
    if not accounts or rng.random() < 0.4:
        accounts["selector"] = random_text(rng, ACCOUNT_LABELS)
    return accounts


def random_nets(rng: random.Random, addresses: list[str]) -> list[str]:
    return [random_block(rng, addresses)["cidr"] for _ in range(rng.randint(1, 2))]


def random_entity(rng: random.Random, addresses: list[str]) -> dict[str, Any]:
    """One side of a rule, without ports."""
    entity: dict[str, Any] = {}
    if rng.random() < 0.45:
        entity["selector"] = endpoint_text(rng)
    if rng.random() < 0.15:
        entity["notSelector"] = endpoint_text(rng)
    if rng.random() < 0.25:
        entity["namespaceSelector"] = "global()" if rng.random() < 0.15 else home_text(rng)
    if rng.random() < 0.2:
        entity["nets"] = random_nets(rng, addresses)
    if rng.random() < 0.1:
        # Felix 3.28.5 cannot program a negated range of everything with iptables-nft ("RULE_APPEND failed"): it ends
        # and starts anew for as long as the rule is there, and nothing on the node follows any change meanwhile.
        nets = [net for net in random_nets(rng, addresses) if not net.endswith("/0")]
        if nets:
            entity["notNets"] = nets
    if rng.random() < 0.12:
        entity["serviceAccounts"] = random_accounts(rng)
    return entity


def random_ports(rng: random.Random) -> list[int | str]:
    ports: list[int | str] = []
    for _ in range(rng.randint(1, 3)):
        _, number = rng.choice(PORTS)
        kind = rng.random()
        if kind < 0.4:
            ports.append(number)
        elif kind < 0.65:
            ports.append(rng.choice([*NAMES, "no-such"]))
        else:
            low = max(1, number - rng.randint(0, 60))
            ports.append(f"{low}:{low + rng.randint(0, 100)}")
    return ports


def random_rule(rng: random.Random, direction: str, addresses: list[str], services: Sequence[Manifest]) -> Manifest:
    source = random_entity(rng, addresses) if direction == "ingress" or rng.random() < 0.15 else {}
    destination = random_entity(rng, addresses) if direction == "egress" or rng.random() < 0.15 else {}
    rule: Manifest = {"action": rng.choice(_ACTIONS)}
    if rng.random() < 0.1:
        rule["ipVersion"] = 4
    kind = rng.random()
    if kind < 0.4:
        rule["protocol"] = rng.choice(["TCP", "TCP", "UDP", 6, 17])
        if rng.random() < 0.8:
            destination["ports"] = random_ports(rng)
        if rng.random() < 0.2:
            destination["notPorts"] = random_ports(rng)
        if rng.random() < 0.1:
            source["ports"] = ["1024:65535"] if rng.random() < 0.7 else [*random_ports(rng)]
    elif kind < 0.55:
        rule["protocol"] = "ICMP"
        field = rng.choice(["icmp", "notICMP", ""])
        if field:
            rule[field] = {
                "type": rng.choice([8, 8, 0, 3]),
                **({"code": rng.choice([0, 1])} if rng.random() < 0.4 else {}),
            }
    elif kind < 0.65:
        rule["notProtocol"] = rng.choice(["TCP", "UDP", "ICMP", 17])
    elif kind < 0.72 and services and direction == "egress":
        chosen = rng.choice(services)["metadata"]
        destination = {"services": {"name": chosen["name"], "namespace": chosen["namespace"]}}
    if source:
        rule["source"] = source
    if destination:
        rule["destination"] = destination
    return rule


def random_policy(rng: random.Random, name: str, addresses: list[str], services: Sequence[Manifest]) -> Manifest:
    world_wide = rng.random() < 0.5
    types = rng.choice([["Ingress"], ["Ingress"], ["Egress"], ["Ingress", "Egress"]])
    spec: Manifest = {"types": types}
    for direction in ("ingress", "egress"):
        if direction.capitalize() in types:
            count = rng.choice([0, 1, 2, 3, 3, 4])
            spec[direction] = [random_rule(rng, direction, addresses, services) for _ in range(count)]
    if rng.random() < 0.7:
        spec["order"] = rng.choice([1, 2, 2.5, 100, 999, 1000, 1001, 5000])
    if rng.random() < 0.15:
        spec["serviceAccountSelector"] = random_text(rng, ACCOUNT_LABELS)
    own = endpoint_text(rng)
    metadata = {"name": name}
    if not world_wide:
        spec["selector"] = own
        return _object("NetworkPolicy", {**metadata, "namespace": rng.choice(NAMESPACES)}, spec)
    if rng.random() < 0.5:
        spec["selector"] = f"({own}) && {_OURS}"
    else:
        spec["selector"] = own
        spec["namespaceSelector"] = f"({home_text(rng)}) && {_HOMES}"
    return _object("GlobalNetworkPolicy", metadata, spec)


def random_set(rng: random.Random, name: str, addresses: list[str]) -> Manifest:
    labels = {key: rng.choice(values) for key, values in LABELS.items() if rng.random() < 0.7}
    metadata: Manifest = {"name": name, "labels": labels}
    spec = {"nets": sorted({net for _ in range(rng.randint(0, 2)) for net in random_nets(rng, addresses)})}
    if rng.random() < 0.5:
        return _object("GlobalNetworkSet", metadata, spec)
    return _object("NetworkSet", {**metadata, "namespace": rng.choice(NAMESPACES)}, spec)


def random_calico(
    rng: random.Random, prefix: str, addresses: list[str], services: Sequence[Manifest]
) -> list[Manifest]:
    """Some network sets and policies; the policies' names are in no order of the alphabet, and no release's ties."""
    policies = [
        random_policy(rng, f"{rng.choice('abc')}{prefix}-{number}", addresses, services)
        for number in range(rng.randint(2, 6))
    ]
    _without_doubtful_ties(policies)
    return [*(random_set(rng, f"{prefix}-s{number}", addresses) for number in range(rng.randint(0, 2))), *policies]


def _without_doubtful_ties(policies: Sequence[Manifest]) -> None:
    """Give an order of its own to what releases put in different places among equals.

    Calico breaks ties by `name/namespace/kind`; 3.28 by `namespace/tier.name` (felix/calc/policy_sorter.go: PolKVLess),
    with the tier before a global policy's name alone.
    """

    def today(item: Manifest) -> str:
        metadata = item["metadata"]
        return f"{metadata['name']}/{metadata.get('namespace', '')}/{item['kind']}"

    def formerly(item: Manifest) -> str:
        metadata = item["metadata"]
        home = metadata.get("namespace", "")
        return f"{home}/default.{metadata['name']}" if home else f"default.{metadata['name']}"

    for place, one in enumerate(policies):
        for other in policies[:place]:
            same = one["spec"].get("order") == other["spec"].get("order")
            if same and (today(one) < today(other)) != (formerly(one) < formerly(other)):
                one["spec"]["order"] = 6000 + place


def random_accounts_of(rng: random.Random) -> list[Manifest]:
    """The service accounts of every namespace, with labels; `default` is there already and gets some too."""
    return [
        {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": {
                "namespace": namespace,
                "name": account,
                "labels": {key: rng.choice(values) for key, values in ACCOUNT_LABELS.items() if rng.random() < 0.6},
            },
        }
        for namespace in NAMESPACES
        for account in ACCOUNTS
    ]


def _object(kind: str, metadata: Manifest, spec: Manifest) -> Manifest:
    return {"apiVersion": V3, "kind": kind, "metadata": metadata, "spec": spec}
