"""An image's name to what it answers. Images are never pulled: the name selects one of these imitations.

Source of the agnhost commands: kubernetes/kubernetes test/images/agnhost/netexec; of the etcd paths: etcd's own API.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from labs.sandbox.runtime import ServedPort
from labs.sandbox.workloads.http import Response

if TYPE_CHECKING:
    from collections.abc import Callable

    from labs.sandbox.runtime import ContainerSpec, PodSpec
    from labs.sandbox.workloads.http import Request


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What one kind of image does.

    Attributes:
        name: for messages and tests.
        images: matches the last part of the image's name, without its tag.
        ports: served when the container declares none.
        respond: makes its HTTP answers.
        web: True when it speaks nothing but HTTP, so that other bytes get a 400.
        dns: True for the cluster's DNS, which takes port 53 of both protocols.
        banner: sent back for bytes that are neither HTTP nor a probe.
    """

    name: str
    images: re.Pattern[str]
    respond: Callable[[PodSpec, Request], Response]
    ports: tuple[ServedPort, ...] = ()
    web: bool = False
    dns: bool = False
    banner: bytes = b""


def reference(pod: PodSpec) -> str:
    """The name that answers carry: `namespace/name`, or the name alone for what has no namespace (`host:bastion`)."""
    return f"{pod.namespace}/{pod.name}" if pod.namespace else pod.name


def _plain(pod: PodSpec, request: Request) -> Response:
    del request
    return Response(body=f"{reference(pod)}\n".encode())


def _netexec(pod: PodSpec, request: Request) -> Response:  # noqa: PLR0911 - one return a path
    address, port = request.client
    match request.path:
        case "/hostname" | "/hostName":
            return Response(body=pod.name.encode())
        case "/clientip":
            return Response(body=(f"[{address}]:{port}" if ":" in address else f"{address}:{port}").encode())
        case "/echo":
            code = request.query.get("code", "200")
            status = int(code) if re.fullmatch("[2-5][0-9][0-9]", code) else 200
            return Response(status, request.query.get("msg", "").encode())
        case "/healthz":
            return Response(body=b"ok")
        case "/header":
            return Response(body=request.headers.get(request.query.get("key", "").lower(), "").encode())
        case "/":
            return Response(body=f"NOW: {pod.name}\n".encode())
        case _:
            return Response(404, b"404 page not found\n")


_WELCOME = """<!DOCTYPE html>
<html>
<head><title>Welcome to nginx!</title></head>
<body>
<h1>Welcome to nginx!</h1>
<p>This page is served by pod <code>{pod}</code>.</p>
</body>
</html>
"""


def _web_page(pod: PodSpec, request: Request) -> Response:
    headers = {"Server": "nginx"}
    if request.method not in {"GET", "HEAD", "POST"}:
        return Response(405, b"405 Not Allowed\n", headers=headers)
    if request.path in {"/", "/index.html"}:
        return Response(body=_WELCOME.format(pod=reference(pod)).encode(), kind="text/html", headers=headers)
    return Response(404, b"<html><body><h1>404 Not Found</h1></body></html>\n", kind="text/html", headers=headers)


def _json(value: object, status: int = 200) -> Response:
    return Response(status, json.dumps(value, indent=2).encode() + b"\n", "application/json")


def _podinfo(pod: PodSpec, request: Request) -> Response:
    match request.path:
        case "/":
            return _json({"hostname": pod.name, "version": "6.0.0", "message": f"greetings from {reference(pod)}"})
        case "/healthz" | "/readyz":
            return _json({"status": "OK"})
        case "/echo":
            return Response(202, request.body)
        case "/headers":
            return _json(dict(request.headers))
        case "/env":
            return _json([f"{key}={value}" for one in pod.containers for key, value in one.env.items()])
        case _:
            return _json({"code": 404, "message": "not found"}, 404)


def _etcd(pod: PodSpec, request: Request) -> Response:
    match request.path:
        case "/health":
            return _json({"health": "true"})
        case "/version":
            return _json({"etcdserver": "3.5.0", "etcdcluster": "3.5.0"})
        case _:
            return _json({"name": reference(pod), "action": "get", "node": {"key": request.path, "dir": True}})


def _tcp(*numbers: int) -> tuple[ServedPort, ...]:
    return tuple(ServedPort(number) for number in numbers)


PLAIN = Behaviour("plain", re.compile(""), _plain)
"""Every other image: each declared port answers with the pod's name."""

BEHAVIOURS = (
    Behaviour(
        "coredns",
        re.compile("coredns|kube-dns"),
        _plain,
        ports=(ServedPort(53, "UDP", "dns"), ServedPort(53, "TCP", "dns-tcp")),
        dns=True,
    ),
    Behaviour("netexec", re.compile("agnhost|netexec|echoserver"), _netexec, web=True),
    Behaviour("nginx", re.compile("nginx.*|httpd|apache|caddy"), _web_page, ports=_tcp(80), web=True),
    Behaviour("podinfo", re.compile("podinfo"), _podinfo, ports=_tcp(9898), web=True),
    Behaviour("whoami", re.compile("whoami"), _netexec, ports=_tcp(80), web=True),
    Behaviour("etcd", re.compile("etcd"), _etcd, ports=_tcp(2379), web=True),
    Behaviour("redis", re.compile("redis|valkey"), _plain, ports=_tcp(6379), banner=b"+PONG\r\n"),
    Behaviour("postgres", re.compile("postgres.*"), _plain, ports=_tcp(5432)),
    Behaviour("mysql", re.compile("mysql|mariadb"), _plain, ports=_tcp(3306)),
    Behaviour("mongo", re.compile("mongo(db)?"), _plain, ports=_tcp(27017)),
    Behaviour("memcached", re.compile("memcached"), _plain, ports=_tcp(11211)),
)


def behaviour_of(image: str) -> Behaviour:
    """What an image does; `PLAIN` for one that is not known."""
    name = image.partition("@")[0].rpartition("/")[2].partition(":")[0].lower()
    return next((one for one in BEHAVIOURS if one.images.fullmatch(name)), PLAIN)


def served_ports(container: ContainerSpec) -> tuple[ServedPort, ...]:
    """The declared ports, or the image's own when none is declared."""
    return container.ports or behaviour_of(container.image).ports
