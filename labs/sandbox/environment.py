"""What a command in a pod finds around it: the resolver's configuration, /etc/hosts, variables.

Source: https://kubernetes.io/docs/concepts/services-networking/dns-pod-service/ (ClusterFirst), and the kubelet.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from grader.kube.model import Objects, Service
    from labs.sandbox.runtime import ContainerSpec, PodSpec

_DOMAIN = "cluster.local"


def _service(objects: Objects, namespace: str, name: str) -> Service | None:
    return next((s for s in objects.services if (s.namespace, s.name) == (namespace, name)), None)


def resolv_conf(objects: Objects, namespace: str) -> str:
    """The text of /etc/resolv.conf for pods of a namespace; without a cluster DNS it names no server."""
    dns = _service(objects, "kube-system", "kube-dns")
    search = f"search {namespace}.svc.{_DOMAIN} svc.{_DOMAIN} {_DOMAIN}\n"
    servers = "".join(f"nameserver {address}\n" for address in (dns.addresses[:1] if dns else ()))
    return f"{search}{servers}options ndots:5\n"


def hosts(pod: PodSpec) -> str:
    """The pod's own lines of /etc/hosts."""
    return "".join(f"{address}\t{pod.name}\n" for address in pod.addresses)


def variables(objects: Objects, container: ContainerSpec) -> dict[str, str]:
    """The container's variables, and where the API is."""
    found = {}
    api = _service(objects, "default", "kubernetes")
    if api is not None and api.addresses and api.ports:
        found = {"KUBERNETES_SERVICE_HOST": str(api.addresses[0]), "KUBERNETES_SERVICE_PORT": str(api.ports[0].port)}
    return found | dict(container.env)
