"""Texts of what leads requests into a cluster: a Gateway with its routes, Ingresses, and policies beside them."""

from __future__ import annotations

LISTENER = "{name: http, port: 80, protocol: HTTP, allowedRoutes: {namespaces: {from: All}}}"
CART, SITE = "backendRefs: [{name: cart, port: 80}]", "backendRefs: [{name: site, port: 80}]"


def gateway(name: str = "front", listeners: str = LISTENER) -> str:
    return (
        f"{{apiVersion: gateway.networking.k8s.io/v1, kind: Gateway, metadata: {{name: {name}, namespace: edge}}, "
        f"spec: {{gatewayClassName: any, listeners: [{listeners}]}}}}"
    )


def route(rules: str, name: str = "a", hosts: str = "x.example", parent: str = "front") -> str:
    return (
        f"{{apiVersion: gateway.networking.k8s.io/v1, kind: HTTPRoute, metadata: {{name: {name}, namespace: shop}}, "
        f"spec: {{parentRefs: [{{name: {parent}, namespace: edge}}], hostnames: [{hosts}], rules: [{rules}]}}}}"
    )


def policy(name: str, namespace: str, spec: str) -> str:
    metadata = f"{{name: {name}, namespace: {namespace}}}"
    return f"{{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {metadata}, spec: {spec}}}"


def ingress(name: str, host: str, service: str = "cart", more: str = "") -> str:
    backend = f"{{service: {{name: {service}, port: {{number: 80}}}}}}"
    rule = f"{{host: {host}, http: {{paths: [{{path: /, pathType: Prefix, backend: {backend}}}]}}}}"
    metadata = f"{{name: {name}, namespace: shop}}"
    return f"{{apiVersion: networking.k8s.io/v1, kind: Ingress, metadata: {metadata}, spec: {{{more}rules: [{rule}]}}}}"
