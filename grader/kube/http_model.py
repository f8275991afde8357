"""Ingress and Gateway API objects, with the fields that decide where a request goes.

Source of the meaning of each field: `networking.k8s.io/v1` and `gateway.networking.k8s.io/v1` API types.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from grader.kube.model import NO_LABELS, LabelSelector, Origin

if TYPE_CHECKING:
    from collections.abc import Mapping

    from grader.kube.model import Address

_NOWHERE = Origin()
_EVERYTHING = LabelSelector()
GATEWAY_GROUP = "gateway.networking.k8s.io"


@dataclass(frozen=True, slots=True)
class Backend:
    """Where a rule sends requests.

    Attributes:
        kind: Service, or another kind, whose endpoints are not known.
        namespace: of the Service; empty for the rule's own.
        port: number or name.
        weight: its share; with 0 it gets nothing.
    """

    name: str
    port: int | str = 0
    namespace: str = ""
    kind: str = "Service"
    weight: int = 1


@dataclass(frozen=True, slots=True)
class PathMatch:
    """Which paths are meant: `kind` is Exact, Prefix, ImplementationSpecific or RegularExpression."""

    kind: str = "Prefix"
    path: str = "/"


@dataclass(frozen=True, slots=True)
class IngressPath:
    """One path of one rule of an Ingress."""

    path: PathMatch
    backend: Backend


@dataclass(frozen=True, slots=True)
class IngressRule:
    """One rule of an Ingress; an empty host is every host."""

    host: str = ""
    paths: tuple[IngressPath, ...] = ()


@dataclass(frozen=True, slots=True)
class Ingress:
    """A networking.k8s.io/v1 Ingress; `addresses` are those of its load balancer, `tls` whether it has such a section.

    `class_name` is empty where it names none.
    """

    namespace: str
    name: str
    class_name: str = ""
    default: Backend | None = None
    rules: tuple[IngressRule, ...] = ()
    tls: bool = False
    addresses: tuple[Address, ...] = ()
    origin: Origin = _NOWHERE


@dataclass(frozen=True, slots=True)
class IngressClass:
    """A class of Ingresses, and the controller that serves them."""

    name: str
    controller: str = ""
    default: bool = False


@dataclass(frozen=True, slots=True)
class GatewayClass:
    """A class of Gateways, and the controller that serves them."""

    name: str
    controller: str = ""


@dataclass(frozen=True, slots=True)
class Listener:
    """One listener of a Gateway.

    Attributes:
        hostname: exact, `*.suffix`, or empty for every host.
        protocol: HTTP, HTTPS, TLS, TCP, UDP, or one of the implementation's.
        allowed: namespaces of routes: Same, All, None or Selector (then those of `selector`).
        kinds: of routes; empty for those of the protocol.
    """

    name: str
    port: int
    protocol: str = "HTTP"
    hostname: str = ""
    allowed: str = "Same"
    selector: LabelSelector = _EVERYTHING
    kinds: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Gateway:
    """A Gateway; `addresses` are those that its status gives."""

    namespace: str
    name: str
    class_name: str = ""
    listeners: tuple[Listener, ...] = ()
    addresses: tuple[Address, ...] = ()
    labels: Mapping[str, str] = field(default_factory=lambda: NO_LABELS, hash=False)
    origin: Origin = _NOWHERE


@dataclass(frozen=True, slots=True)
class ParentRef:
    """What a route attaches to: a Gateway, all of its listeners or one, by name or port."""

    namespace: str
    name: str
    kind: str = "Gateway"
    section: str = ""
    port: int = 0


@dataclass(frozen=True, slots=True)
class RouteMatch:
    """One alternative of a rule: a path, and in words what else must hold of a request.

    `weights` orders matches of equal paths: a method, then the number of headers, then that of query parameters.
    """

    path: PathMatch = PathMatch()
    condition: str = ""
    weights: tuple[int, int, int] = (0, 0, 0)


@dataclass(frozen=True, slots=True)
class RouteRule:
    """One rule of a route. `filters` are in words; `answered`: one of them answers, so that no backend gets it."""

    matches: tuple[RouteMatch, ...] = (RouteMatch(),)
    backends: tuple[Backend, ...] = ()
    filters: tuple[str, ...] = ()
    answered: str = ""


@dataclass(frozen=True, slots=True)
class Route:
    """An HTTPRoute or a GRPCRoute. `created` is its creation timestamp, which decides between equals."""

    kind: str
    namespace: str
    name: str
    parents: tuple[ParentRef, ...] = ()
    hostnames: tuple[str, ...] = ()
    rules: tuple[RouteRule, ...] = ()
    created: str = ""
    origin: Origin = _NOWHERE

    @property
    def ref(self) -> str:
        """As people name it."""
        return f"{self.kind} {self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class ReferenceGrant:
    """What of its namespace others may refer to: `sources` are (group, kind, namespace), `targets` (group, kind, name).

    An empty name is every object of the kind.
    """

    namespace: str
    name: str
    sources: tuple[tuple[str, str, str], ...] = ()
    targets: tuple[tuple[str, str, str], ...] = ()
