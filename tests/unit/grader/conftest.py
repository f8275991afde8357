"""A small cluster, written as briefly as a table of policies needs it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import yaml

from grader.kube.parse import read_objects
from grader.reachability.world import World

if TYPE_CHECKING:
    from collections.abc import Callable

SHOP = """
{apiVersion: v1, kind: Namespace, metadata: {name: shop, labels: {team: blue, env: prod}}}
---
{apiVersion: v1, kind: Namespace, metadata: {name: lobby, labels: {team: red}}}
---
{apiVersion: v1, kind: Node, metadata: {name: n1}, status: {addresses: [{type: InternalIP, address: 172.18.0.2},
  {type: InternalIP, address: "fd00:18::2"}]}}
---
{apiVersion: v1, kind: Node, metadata: {name: n2}, status: {addresses: [{type: InternalIP, address: 172.18.0.3}]}}
---
apiVersion: v1
kind: Pod
metadata: {name: web, namespace: shop, labels: {app: web, tier: front, part: app}}
spec:
  nodeName: n1
  initContainers: [{name: i, ports: [{containerPort: 9000, name: init}]}]
  containers: [{name: c, ports: [{containerPort: 8080, name: http}, {containerPort: 53, name: dns, protocol: UDP}]}]
status: {phase: Running, hostIP: 172.18.0.2, podIPs: [{ip: 10.0.1.1}, {ip: "fd00::1:1"}]}
---
apiVersion: v1
kind: Pod
metadata: {name: db, namespace: shop, labels: {app: db, part: app}}
spec:
  nodeName: n2
  containers: [{name: c, ports: [{containerPort: 5432, name: sql}, {containerPort: 8081, name: http}]}]
status: {phase: Running, hostIP: 172.18.0.3, podIPs: [{ip: 10.0.2.1}, {ip: "fd00::2:1"}]}
---
apiVersion: v1
kind: Pod
metadata: {name: guest, namespace: lobby, labels: {app: web}}
spec: {nodeName: n2, containers: [{name: c, ports: [{containerPort: 8080}]}]}
status: {phase: Running, hostIP: 172.18.0.3, podIPs: [{ip: 10.0.2.2}, {ip: "fd00::2:2"}]}
---
apiVersion: v1
kind: Pod
metadata: {name: agent, namespace: lobby, labels: {app: agent}}
spec: {nodeName: n2, hostNetwork: true}
status: {phase: Running, hostIP: 172.18.0.3, podIP: 172.18.0.3}
---
apiVersion: v1
kind: Pod
metadata: {name: done, namespace: shop, labels: {app: web}}
status: {phase: Succeeded, podIP: 10.0.9.9}
---
{apiVersion: v1, kind: Pod, metadata: {name: new, namespace: shop, labels: {app: new}}, status: {phase: Pending}}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec: {clusterIP: 10.96.0.7, selector: {app: web}, ports: [{port: 80, targetPort: http}, {port: 90, targetPort: 8080}]}
---
apiVersion: v1
kind: Service
metadata: {name: both, namespace: shop}
spec:
  type: NodePort
  clusterIP: 10.96.0.9
  selector: {part: app}
  ports: [{port: 80, targetPort: http, nodePort: 30080}]
---
apiVersion: v1
kind: Service
metadata: {name: door, namespace: lobby}
spec: {type: NodePort, clusterIP: 10.96.0.10, selector: {app: web}, ports: [{port: 8080, nodePort: 30090}]}
---
apiVersion: v1
kind: Service
metadata: {name: pods, namespace: shop}
spec: {clusterIP: None, selector: {app: db}, ports: [{port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: nobody, namespace: shop}
spec: {clusterIP: 10.96.0.8, selector: {app: none}, ports: [{port: 80}]}
"""


def policies(*specs: str) -> list[dict[str, Any]]:
    """NetworkPolicies p1, p2, … of namespace shop; a spec may begin with another namespace and `|`."""
    found = []
    for number, text in enumerate(specs, start=1):
        namespace, _, spec = text.rpartition("|")
        metadata = {"name": f"p{number}", "namespace": namespace.strip() or "shop"}
        manifest = {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy"}
        found.append({**manifest, "metadata": metadata, "spec": yaml.safe_load(spec)})
    return found


@pytest.fixture(scope="session")
def shop() -> Callable[..., World]:
    """A World of the small cluster with these policies."""
    base = list(yaml.safe_load_all(SHOP))
    return lambda *specs: World(read_objects([*base, *policies(*specs)]))
