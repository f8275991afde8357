"""A small cluster's objects as a real API gives them."""

from __future__ import annotations

from typing import Any

import pytest

AGNHOST = "registry.k8s.io/e2e-test-images/agnhost:2.53"


def _pod(name: str, address: str, *, namespace: str = "shop", **spec: Any) -> dict[str, Any]:
    ports = spec.pop("ports", ())
    container = {
        "name": "main",
        "image": spec.pop("image", AGNHOST),
        "args": spec.pop("args", ["netexec", "--http-port=80", "--udp-port=-1"]),
        "ports": [{"containerPort": n, "protocol": p, "name": f"port-{n}"} for n, p in ports],
    }
    labels = {"app": name.partition("-")[0]}
    metadata = {"name": name, "namespace": namespace, "uid": f"uid-{namespace}-{name}", "labels": labels}
    status = {"phase": spec.pop("phase", "Running"), "podIP": address, "podIPs": [{"ip": address}]}
    if not address:
        status = {"phase": "Pending"}
    spec = {"nodeName": "kind-worker", "containers": [container], **spec}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec, "status": status}


def _service(name: str, address: str, selector: dict[str, str], **port: Any) -> dict[str, Any]:
    spec = {"clusterIP": address, "clusterIPs": [address], "selector": selector, "ports": [port]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": "shop"}, "spec": spec}


def _node(name: str, address: str, **labels: str) -> dict[str, Any]:
    addresses = [{"type": "Hostname", "address": name}, {"type": "InternalIP", "address": address}]
    metadata = {"name": name, "labels": labels}
    return {"apiVersion": "v1", "kind": "Node", "metadata": metadata, "status": {"addresses": addresses}}


@pytest.fixture
def shop() -> list[dict[str, Any]]:
    """Two nodes; pods that speak netexec, DNS and nothing known; Services in front of them."""
    return [
        _node("kind-worker", "172.18.0.3"),
        _node("kind-z-control", "172.18.0.2", **{"node-role.kubernetes.io/control-plane": ""}),
        _pod("web-1", "10.0.0.1", ports=[(80, "TCP"), (8081, "UDP")]),
        _pod("web-2", "10.0.0.2", nodeName="kind-z-control"),
        _pod("web-old", "10.0.0.9", phase="Succeeded"),
        _pod("client", "10.0.0.3", args=["pause"]),
        _pod("dns", "10.0.0.4", image="registry.k8s.io/coredns/coredns:v1.14", args=["-conf", "/etc/Corefile"]),
        _pod("mute", "10.0.0.5", image="example.test/syslog:1", args=[], ports=[(514, "UDP")]),
        _pod("proxy", "172.18.0.3", hostNetwork=True),
        _pod("new", ""),
        _pod("web-1", "10.0.0.7", namespace="other"),
        _service("web", "10.96.0.1", {"app": "web"}, port=8080, targetPort=80, nodePort=30080),
        _service("named", "10.96.0.2", {"app": "web"}, port=80, targetPort="port-80"),
        _service("dns", "10.96.0.10", {"app": "dns"}, port=53, protocol="UDP"),
        _service("outside", "10.96.0.3", {}, port=80),
        _service("headless", "None", {"app": "web"}, port=80),
    ]
