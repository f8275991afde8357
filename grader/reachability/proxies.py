"""The pods that serve Ingresses and Gateways, as far as a snapshot shows them.

Neither API says which pods those are. A Gateway's pods carry its name as a label (GEP-1762), those of Envoy Gateway one
of their own; else the Service that has the address in the status leads to them; else a controller that is known by its
name is looked for by the labels that its own installation gives.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from grader.reachability.leads import Proxy

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from grader.kube.http_model import Gateway, Ingress
    from grader.kube.model import Address, Objects
    from grader.policy.model import Endpoint
    from grader.reachability.endpoints import Endpoints

Labels = dict[str, str]

_NAME, _PART = "app.kubernetes.io/name", "app.kubernetes.io/component"
CONTROLLERS: tuple[tuple[str, Labels], ...] = (
    ("k8s.io/ingress-nginx", {_NAME: "ingress-nginx", _PART: "controller"}),
    ("nginx.org/ingress-controller", {_NAME: "nginx-ingress"}),
    ("traefik.io/", {_NAME: "traefik"}),
    ("haproxy.org/", {_NAME: "kubernetes-ingress"}),
    ("haproxy-ingress.github.io/", {_NAME: "haproxy-ingress"}),
    ("projectcontour.io/", {_NAME: "contour", _PART: "envoy"}),
    ("ingress-controllers.konghq.com/", {_NAME: "kong"}),
    ("istio.io/", {"istio": "ingressgateway"}),
    ("gateway.envoyproxy.io/", {_NAME: "envoy", _PART: "proxy"}),
)
"""Controllers by the beginning of their names, and the labels of the pods that carry the traffic."""
CLASSES: Mapping[str, str] = {
    "nginx": "k8s.io/ingress-nginx",
    "traefik": "traefik.io/ingress-controller",
    "haproxy": "haproxy.org/ingress-controller",
    "contour": "projectcontour.io/ingress-controller",
    "kong": "ingress-controllers.konghq.com/kong",
    "istio": "istio.io/ingress-controller",
}
"""What a class of that name most likely is, where the snapshot does not have it."""
_GATEWAY = "gateway.networking.k8s.io/gateway-name"
_ENVOY = "gateway.envoyproxy.io/owning-gateway-"


class Proxies:
    """Finds them in one snapshot."""

    def __init__(self, objects: Objects, endpoints: Endpoints) -> None:
        self._endpoints = endpoints
        self._classes = {each.name: each.controller for each in objects.ingress_classes}
        self._default = next((each.name for each in objects.ingress_classes if each.default), "")
        self._gateways = {each.name: each.controller for each in objects.gateway_classes}

    def of_ingress(self, ingress: Ingress) -> Proxy:
        """Return the controller of an Ingress: that of its class, or of the default one."""
        name = ingress.class_name or self._default
        words = f"controller of class {name}" if name else "ingress controller"
        controller = self._classes.get(name) or CLASSES.get(name, "")
        return self._first(words, controller, (*self._at(ingress.addresses), *self._known(controller)))

    def of_gateway(self, gateway: Gateway) -> Proxy:
        """Return what serves a Gateway."""
        name = f"Gateway {gateway.namespace}/{gateway.name}"
        own = self._labelled({_GATEWAY: gateway.name}, gateway.namespace)
        envoy = self._labelled({f"{_ENVOY}name": gateway.name, f"{_ENVOY}namespace": gateway.namespace}, "")
        controller = self._gateways.get(gateway.class_name, "")
        found = (*self._at(gateway.addresses), *self._known(controller))
        labels = (("by the label of its name", own), ("by the labels of Envoy Gateway", envoy))
        return self._first(name, controller, (*labels, *found))

    def _first(self, name: str, controller: str, found: Iterable[tuple[str, tuple[Endpoint, ...]]]) -> Proxy:
        for why, pods in found:
            if pods:
                return Proxy(name, pods, why)
        which = f" ({controller})" if controller else ""
        return Proxy(name, why=f"the pods of the {name}{which} are not among the manifests")

    def _at(self, addresses: Iterable[Address]) -> Iterator[tuple[str, tuple[Endpoint, ...]]]:
        for address in addresses:
            ref = self._endpoints.canonical(f"ip:{address}")
            if ref.startswith("service:"):
                yield f"behind Service {ref[8:]}, which has {address}", self._pods_of(ref)

    def _pods_of(self, ref: str) -> tuple[Endpoint, ...]:
        found = self._endpoints.backends(self._endpoints.service(ref))
        return tuple(each for each in found if each.ref in self._endpoints.pods)

    def _known(self, controller: str) -> Iterator[tuple[str, tuple[Endpoint, ...]]]:
        for prefix, labels in CONTROLLERS:
            if controller.startswith(prefix):
                words = ",".join(f"{key}={value}" for key, value in labels.items())
                yield f"by the labels {words}", self._labelled(labels, "")

    def _labelled(self, labels: Mapping[str, str], namespace: str) -> tuple[Endpoint, ...]:
        wanted = labels.items()
        return tuple(
            pod
            for pod in self._endpoints.pods.values()
            if namespace in ("", pod.namespace) and wanted <= pod.labels.items()
        )
