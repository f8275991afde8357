"""Realistic estates as YAML, from a seed: `python tests/bench/estate.py --pods 1000 --policies 200 > estate.yaml`.

Namespaces hold the workloads of one team in one environment; a workload has replicas that differ in name, address and
node only, as a cluster's own dump shows them. Each namespace denies by default, lets DNS out, and then allows what its
workloads need: a port from another workload, a team or an environment, a metrics port from the monitoring namespace, a
range outside. Some name ports, some except ranges, a few mean ranges of pods.
"""

from __future__ import annotations

import argparse
import random
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

TEAMS = ("billing", "cart", "catalog", "fraud", "ledger", "orders", "payments", "search", "shipping", "users")
ENVIRONMENTS = ("dev", "prod", "staging")
ROLES = ("front", "api", "worker", "cache", "db")
PORTS = {"front": 8080, "api": 8443, "worker": 9000, "cache": 6379, "db": 5432}
REPLICAS = (1, 2, 2, 3, 3, 4, 6, 8, 12, 20)
OUTSIDE = ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "172.30.0.0/16", "192.168.0.0/16")
SYSTEM = "kube-system"


@dataclass(frozen=True, slots=True)
class Workload:
    namespace: str
    name: str
    team: str
    role: str
    replicas: int

    @property
    def port(self) -> int:
        return PORTS[self.role]


class Estate:
    """One estate.

    `replicas` multiplies the replicas of every workload and changes nothing else. `calico`: a tenth of the policies are
    Calico's, global ones in a tier before the others and namespaced ones among them, with network sets.
    """

    def __init__(self, pods: int, policies: int, seed: int = 1, replicas: int = 1, *, calico: bool = False) -> None:
        self._rng = random.Random(seed)
        self._calico = calico
        self._policies = policies
        self._factor = replicas
        homes = max(4, pods // 100)
        self.namespaces = [
            (f"{TEAMS[i % 10]}-{ENVIRONMENTS[i // 10 % 3]}-{i}", TEAMS[i % 10], ENVIRONMENTS[i // 10 % 3])
            for i in range(homes)
        ]
        self.workloads: list[Workload] = []
        while pods > 0:
            namespace, team, _ = self.namespaces[len(self.workloads) % homes]
            role = self._rng.choice(ROLES)
            count = min(pods, self._rng.choice(REPLICAS))
            self.workloads.append(Workload(namespace, f"{role}-{len(self.workloads)}", team, role, count))
            pods -= count
        self.nodes = max(3, sum(w.replicas for w in self.workloads) // 100)

    def documents(self) -> Iterator[str]:
        """Yield every object as a document of block YAML, in the form in which kubectl prints."""
        for name, team, environment in [*self.namespaces, (SYSTEM, "platform", "prod"), ("monitoring", "sre", "prod")]:
            yield NAMESPACE.format(name=name, team=team, environment=environment)
        for number in range(self.nodes):
            yield NODE.format(name=f"node-{number}", address=f"172.18.{number // 250}.{number % 250 + 2}")
        number = 0
        for workload in self._everyone():
            for replica in range(workload.replicas * self._factor):
                yield self._pod(workload, replica, number)
                number += 1
        for index, workload in enumerate(self.workloads):
            yield SERVICE.format(w=workload, address=f"10.96.{index // 250}.{index % 250 + 1}")
        yield from self._all_policies()

    def _everyone(self) -> list[Workload]:
        system = [Workload(SYSTEM, "coredns", "platform", "api", 2), Workload("monitoring", "prom", "sre", "worker", 2)]
        return [*system, *self.workloads]

    def _pod(self, workload: Workload, replica: int, number: int) -> str:
        rng = random.Random(number)
        return POD.format(
            w=workload,
            suffix=f"{rng.randrange(16**5):05x}" if workload.role != "db" else replica,
            hash=f"{hash_of(workload.name):010x}",
            address=f"10.{number // 62500 + 1}.{number // 250 % 250}.{number % 250 + 2}",
            node=number % self.nodes,
            node_address=f"172.18.{number % self.nodes // 250}.{number % self.nodes % 250 + 2}",
            uid=f"{rng.randrange(16**12):012x}",
            second=f"{number % 60:02d}",
        )

    def _all_policies(self) -> Iterator[str]:
        count = 0
        if self._calico:
            yield TIER
            for name, cidr in zip(("partners", "offices", "scanners"), OUTSIDE, strict=False):
                yield NETWORK_SET.format(name=name, cidr=cidr)
            for count in range(1, self._policies // 10 + 1):
                yield self._of_calico(count)
        for name, _, _ in self.namespaces:
            for text in (DEFAULT_DENY, DNS):
                if count < self._policies:
                    yield text.format(namespace=name)
                    count += 1
        while count < self._policies:
            yield self._allow(self._rng.choice(self.workloads), count)
            count += 1

    def _of_calico(self, number: int) -> str:
        if number == 1:
            return GUARD
        target, other = self._rng.choice(self.workloads), self._rng.choice(self.workloads)
        text = GLOBAL if number % 2 else NAMESPACED
        return text.format(number=number, target=target, other=other, team=self._rng.choice(TEAMS))

    def _allow(self, target: Workload, number: int) -> str:  # noqa: PLR0911 - one for each kind
        head = ALLOW.format(namespace=target.namespace, name=f"allow-{number}", app=target.name)
        kind = self._rng.random()
        if kind < 0.45:  # from a workload of the same namespace, both ways
            near = [w for w in self.workloads if w.namespace == target.namespace]
            source = self._rng.choice(near)
            return head + INGRESS.format(peer=f"podSelector: {{matchLabels: {{app: {source.name}}}}}", w=target)
        if kind < 0.6:
            peer = f"namespaceSelector: {{matchLabels: {{team: {self._rng.choice(TEAMS)}}}}}\n      podSelector:"
            peer += f" {{matchExpressions: [{{key: role, operator: In, values: [{self._rng.choice(ROLES)}, api]}}]}}"
            return head + INGRESS.format(peer=peer, w=target)
        if kind < 0.7:
            peer = f"namespaceSelector:\n        matchLabels:\n          env: {self._rng.choice(ENVIRONMENTS)}"
            return head + INGRESS.format(peer=peer, w=target)
        if kind < 0.78:
            return head + METRICS
        if kind < 0.92:
            to = self._rng.choice(self.workloads)
            return head + EGRESS.format(namespace=to.namespace, app=to.name, port=to.port)
        if kind < 0.97:
            return head + OUT.format(cidr=self._rng.choice(OUTSIDE), port=self._rng.choice([443, 8443, 5671]))
        return head + RANGE.format(cidr=f"10.1.{self._rng.randrange(64) * 4}.0/22", low=30000, high=32767)


def hash_of(text: str) -> int:
    return random.Random(text).randrange(16**10)


NAMESPACE = """\
apiVersion: v1
kind: Namespace
metadata:
  labels:
    env: {environment}
    kubernetes.io/metadata.name: {name}
    team: {team}
  name: {name}
"""
NODE = """\
apiVersion: v1
kind: Node
metadata:
  labels:
    kubernetes.io/hostname: {name}
  name: {name}
status:
  addresses:
  - address: {address}
    type: InternalIP
  - address: {name}
    type: Hostname
"""
POD = """\
apiVersion: v1
kind: Pod
metadata:
  labels:
    app: {w.name}
    pod-template-hash: {hash}a
    role: {w.role}
    team: {w.team}
  name: {w.name}-{hash}a-{suffix}
  namespace: {w.namespace}
  ownerReferences:
  - apiVersion: apps/v1
    controller: true
    kind: ReplicaSet
    name: {w.name}-{hash}a
  uid: 7d9f5a1c-0000-4000-8000-{uid}
spec:
  containers:
  - image: registry.example/{w.team}/{w.role}:1.4.2
    name: {w.role}
    ports:
    - containerPort: {w.port}
      name: main
      protocol: TCP
    - containerPort: 9102
      name: metrics
      protocol: TCP
  nodeName: node-{node}
  serviceAccountName: {w.name}
status:
  hostIP: {node_address}
  phase: Running
  podIP: {address}
  podIPs:
  - ip: {address}
  startTime: "2026-11-02T08:15:{second}Z"
"""
SERVICE = """\
apiVersion: v1
kind: Service
metadata:
  name: {w.name}
  namespace: {w.namespace}
spec:
  clusterIP: {address}
  ports:
  - name: main
    port: {w.port}
    protocol: TCP
    targetPort: main
  selector:
    app: {w.name}
  type: ClusterIP
"""
DEFAULT_DENY = """\
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: default-deny
  namespace: {namespace}
spec:
  podSelector: {{}}
  policyTypes:
  - Ingress
  - Egress
"""
DNS = """\
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: dns
  namespace: {namespace}
spec:
  egress:
  - ports:
    - port: 53
      protocol: UDP
    - port: 53
      protocol: TCP
    to:
    - namespaceSelector:
        matchLabels:
          kubernetes.io/metadata.name: kube-system
  - to:
    - podSelector: {{}}
  podSelector: {{}}
  policyTypes:
  - Egress
"""
ALLOW = """\
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: {name}
  namespace: {namespace}
spec:
  podSelector:
    matchLabels:
      app: {app}
"""
INGRESS = """\
  ingress:
  - from:
    - {peer}
    ports:
    - port: {w.port}
      protocol: TCP
  policyTypes:
  - Ingress
"""
METRICS = """\
  ingress:
  - from:
    - namespaceSelector:
        matchLabels:
          kubernetes.io/metadata.name: monitoring
    ports:
    - port: metrics
      protocol: TCP
  policyTypes:
  - Ingress
"""
EGRESS = """\
  egress:
  - to:
    - namespaceSelector:
        matchLabels:
          kubernetes.io/metadata.name: {namespace}
      podSelector:
        matchLabels:
          app: {app}
    ports:
    - port: {port}
      protocol: TCP
  policyTypes:
  - Egress
"""
OUT = """\
  egress:
  - to:
    - ipBlock:
        cidr: {cidr}
    - ipBlock:
        cidr: 0.0.0.0/0
        except:
        - 10.0.0.0/8
        - 169.254.169.254/32
    ports:
    - port: {port}
      protocol: TCP
  policyTypes:
  - Egress
"""
RANGE = """\
  ingress:
  - from:
    - ipBlock:
        cidr: {cidr}
    ports:
    - endPort: {high}
      port: {low}
      protocol: TCP
  policyTypes:
  - Ingress
"""


TIER = """\
apiVersion: projectcalico.org/v3
kind: Tier
metadata:
  name: security
spec:
  defaultAction: Pass
  order: 100
"""
NETWORK_SET = """\
apiVersion: projectcalico.org/v3
kind: GlobalNetworkSet
metadata:
  labels:
    zone: {name}
  name: {name}
spec:
  nets:
  - {cidr}
"""
GUARD = """\
apiVersion: projectcalico.org/v3
kind: GlobalNetworkPolicy
metadata:
  name: security.guard
spec:
  egress:
  - action: Deny
    destination:
      nets:
      - 169.254.169.254/32
  - action: Pass
  ingress:
  - action: Deny
    source:
      selector: zone == "scanners"
  - action: Pass
  order: 1
  selector: all()
  tier: security
  types:
  - Ingress
  - Egress
"""
GLOBAL = """\
apiVersion: projectcalico.org/v3
kind: GlobalNetworkPolicy
metadata:
  name: security.p{number}
spec:
  ingress:
  - action: Deny
    destination:
      ports:
      - 1:1023
    protocol: TCP
    source:
      selector: team == "{team}"
  - action: Pass
  order: {number}
  selector: app == "{target.name}"
  tier: security
"""
NAMESPACED = """\
apiVersion: projectcalico.org/v3
kind: NetworkPolicy
metadata:
  name: default.p{number}
  namespace: {target.namespace}
spec:
  ingress:
  - action: Allow
    destination:
      ports:
      - {target.port}
    protocol: TCP
    source:
      namespaceSelector: projectcalico.org/name == "{other.namespace}"
      selector: app == "{other.name}" || role in {{"front", "api"}}
  - action: Allow
    protocol: TCP
    source:
      selector: zone == "partners"
  order: {number}
  selector: app == "{target.name}"
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pods", type=int, default=1000)
    parser.add_argument("--policies", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--replicas", type=int, default=1, help="multiply the replicas of every workload")
    parser.add_argument("--calico", action="store_true", help="a tenth of the policies are Calico's, some in a tier")
    options = parser.parse_args()
    estate = Estate(options.pods, options.policies, options.seed, options.replicas, calico=options.calico)
    sys.stdout.write("---\n".join(estate.documents()))


if __name__ == "__main__":
    main()
