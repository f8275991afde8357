"""Every kind that says where a request goes, by version and kind: Ingress and Gateway API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from grader.kube.gateway import read_gateway, read_gateway_class, read_grant, read_route
from grader.kube.http_model import GATEWAY_GROUP
from grader.kube.ingress import read_ingress, read_ingress_class

if TYPE_CHECKING:
    from collections.abc import Mapping

    from grader.kube.fields import Problems
    from grader.kube.http_model import Gateway, GatewayClass, Ingress, IngressClass, ReferenceGrant, Route
    from grader.kube.model import Origin

CLUSTER_WIDE = frozenset(
    {
        "networking.k8s.io/v1/IngressClass",
        *(f"{GATEWAY_GROUP}/{version}/GatewayClass" for version in ("v1", "v1beta1")),
    }
)
NAMESPACED = frozenset(
    {
        "networking.k8s.io/v1/Ingress",
        f"{GATEWAY_GROUP}/v1/GRPCRoute",
        *(
            f"{GATEWAY_GROUP}/{version}/{kind}"
            for version in ("v1", "v1beta1")
            for kind in ("Gateway", "HTTPRoute", "ReferenceGrant")
        ),
    }
)


def read_http(
    kind: str, fields: Mapping[str, Any], namespace: str, name: str, origin: Origin, problems: Problems
) -> Ingress | IngressClass | Gateway | GatewayClass | Route | ReferenceGrant:
    """Return an object of one of these kinds."""
    match kind:
        case "IngressClass":
            return read_ingress_class(fields, name, problems)
        case "GatewayClass":
            return read_gateway_class(fields, name, problems)
        case "Ingress":
            return read_ingress(fields, namespace, name, origin, problems)
        case "Gateway":
            return read_gateway(fields, namespace, name, origin, problems)
        case "ReferenceGrant":
            return read_grant(fields, namespace, name, problems)
        case _:
            return read_route(kind, fields, namespace, name, origin, problems)
