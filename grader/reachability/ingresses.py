"""What Ingresses make of a request.

Rules of one class and host are one list, whichever Ingress they stand in. The host that says most is asked alone; of
its paths Exact comes before Prefix, and the longer before the shorter. Without any, the default backends are asked, and
then the controller answers. Source: `networking.k8s.io/v1` API types; what is open there is a condition.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from grader.reachability.leads import Lead, Send
from grader.reachability.requests import one_label_fits, path_fit, specific

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from grader.kube.http_model import Backend, Ingress, IngressPath
    from grader.kube.model import Objects
    from grader.reachability.endpoints import Endpoints
    from grader.reachability.leads import Proxy
    from grader.reachability.proxies import Proxies
    from grader.reachability.requests import Fit, Request

Ranked = tuple["Fit", "Ingress", str, "IngressPath"]


def ingress_leads(
    objects: Objects, endpoints: Endpoints, proxies: Proxies, request: Request
) -> Iterator[tuple[Lead, ...]]:
    """Yield for each class of Ingresses the ways of a request, in the order in which they are asked."""
    by_class: dict[str, list[Ingress]] = {}
    for ingress in objects.ingresses:
        by_class.setdefault(ingress.class_name, []).append(ingress)
    for ingresses in by_class.values():
        proxy = proxies.of_ingress(ingresses[0])
        found = tuple(_of_class(endpoints, proxy, ingresses, request))
        if found:
            yield found


def _of_class(endpoints: Endpoints, proxy: Proxy, ingresses: Iterable[Ingress], request: Request) -> Iterator[Lead]:
    listed = [
        (rule.host, ingress, path)
        for ingress in ingresses
        for rule in ingress.rules
        if one_label_fits(rule.host, request.host)
        for path in rule.paths
    ]
    best = max((specific(host) for host, *_ in listed), default=None)
    ranked: list[Ranked] = [
        (fit, ingress, host, path)
        for host, ingress, path in listed
        if specific(host) == best and (fit := path_fit(path.path, request.path)) is not None
    ]
    # What an implementation reads in its own way may win over everything else.
    ranked.sort(key=lambda each: (not each[0].condition, not each[0].exact, -each[0].length))
    for fit, ingress, host, path in ranked:
        words = f"host {host or '*'}, path {path.path.path} ({path.path.kind})"
        yield _lead(endpoints, proxy, ingress, words, path.backend, fit.condition, request)
        if not fit.condition:
            return
    for ingress in ingresses:
        if ingress.default is not None:
            yield _lead(endpoints, proxy, ingress, "default backend", ingress.default, "", request)
            return


def _lead(
    endpoints: Endpoints, proxy: Proxy, ingress: Ingress, words: str, backend: Backend, condition: str, request: Request
) -> Lead:
    place = f" [{ingress.origin.file}:{ingress.origin.line}]" if ingress.origin.file else ""
    notes: tuple[str, ...] = ()
    if request.scheme == "https" and not ingress.tls:
        notes = ("it has no tls section: the controller shows a certificate of its own, or refuses",)
    return Lead(
        proxy,
        f"Ingress {ingress.namespace}/{ingress.name}, {words}{place}",
        condition,
        (_send(endpoints, ingress, backend),),
        notes,
    )


def _send(endpoints: Endpoints, ingress: Ingress, backend: Backend) -> Send:
    if backend.kind != "Service":
        words = f"{backend.kind} {ingress.namespace}/{backend.name}"
        return Send(words, problem=f"{words} is no Service: the controller decides where it leads")
    return service_send(endpoints, ingress.namespace, backend)


def service_send(endpoints: Endpoints, namespace: str, backend: Backend) -> Send:
    """Return where a backend leads; why nowhere, if there is no such Service or port."""
    ref = f"{namespace}/{backend.name}"
    words = f"Service {ref} port {backend.port}"
    service = endpoints.services.get(ref)
    if service is None:
        return Send(words, problem=f"there is no Service {ref}")
    if not any(backend.port in (each.port, each.name) and each.protocol == "TCP" for each in service.ports):
        return Send(words, problem=f"Service {ref} has no port {backend.port}")
    return Send(words, service, backend.port)
