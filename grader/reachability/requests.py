"""An HTTP request as far as an address shows it, and which hosts and paths mean it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from content.errors import UsageError
from grader.kube.fields import valid_name

if TYPE_CHECKING:
    from grader.kube.http_model import PathMatch

PORTS = {"http": 80, "https": 443}
_REMEDY = "write it as in https://shop.example/cart"
_PATTERN = frozenset("()[]{}*+?^$|\\")
"""Characters that a plain path has not: some controllers read such a path as a regular expression."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request: how it is addressed; what else it holds (method, headers, query) is not known."""

    scheme: str
    host: str
    port: int
    path: str

    def __str__(self) -> str:
        port = "" if self.port == PORTS[self.scheme] else f":{self.port}"
        return f"{self.scheme}://{self.host}{port}{self.path}"


@dataclass(frozen=True, slots=True)
class Fit:
    """How well a path means a request's: longer is better, exact is best. `condition`: what must hold besides."""

    exact: bool
    length: int
    condition: str = ""


def is_url(text: str) -> bool:
    """Tell whether it is the address of a request, and no other endpoint's name."""
    return text.startswith(("http://", "https://"))


def parse_request(text: str) -> Request:
    """Return the request that an address means; its query and fragment are left out.

    Raises:
        UsageError: it is none.
    """
    try:
        parts = urlsplit(text)
        host, port = (parts.hostname or "").rstrip("."), parts.port
    except ValueError as error:
        raise UsageError(f"{text} is no address of a request: {error}", remedy=_REMEDY) from error
    if parts.scheme not in PORTS or not host or parts.username is not None:
        raise UsageError(f"{text} is no address of a request", remedy=_REMEDY)
    if ":" in host:
        host = f"[{host}]"
    elif not valid_name(host):
        raise UsageError(f"{host} is no host's name", remedy=_REMEDY)
    return Request(parts.scheme, host, port or PORTS[parts.scheme], parts.path or "/")


def one_label_fits(pattern: str, host: str) -> bool:
    """Tell whether an Ingress's host means a request's: a wildcard stands for exactly one label; empty is every host.

    Source: `networking.k8s.io/v1` IngressRule.
    """
    if not pattern.startswith("*."):
        return pattern in ("", host)
    first, _, rest = host.partition(".")
    return bool(first) and rest == pattern[2:]


def suffix_fits(pattern: str, host: str) -> bool:
    """Tell whether a hostname of Gateway API means a request's: a wildcard stands for one label or more.

    Source: `gateway.networking.k8s.io/v1` Hostname, HTTPRouteSpec.
    """
    if not pattern.startswith("*."):
        return pattern in ("", host)
    return host.endswith(pattern[1:])


def overlap(listener: str, route: str) -> str | None:
    """Return the narrower of two hostnames where one host can have both; None where none can."""
    if listener == route or suffix_fits(listener, route):
        return route
    return listener if suffix_fits(route, listener) else None


def specific(pattern: str) -> tuple[bool, int]:
    """Return by what hostnames are ordered: exact ones, then the longest, then none."""
    return bool(pattern) and not pattern.startswith("*."), len(pattern)


def path_fit(match: PathMatch, path: str) -> Fit | None:
    """Return how a path means a request's; None where it does not.

    What an implementation makes of a path is a condition: regular expressions, and an Ingress's
    ImplementationSpecific unless it means the request as a Prefix too.
    """
    if match.kind == "Exact":
        return Fit(exact=True, length=len(path)) if match.path == path else None
    if match.kind == "RegularExpression":
        return Fit(exact=False, length=len(match.path), condition=_asked(match, "regular expression"))
    if _is_prefix(match.path, path):
        return Fit(exact=False, length=len(match.path.rstrip("/")))
    if match.kind == "ImplementationSpecific" and (path.startswith(match.path) or _PATTERN & set(match.path)):
        return Fit(exact=False, length=len(match.path), condition=_asked(match, "implementation-specific path"))
    return None


def _asked(match: PathMatch, word: str) -> str:
    return f"meant by the {word} {match.path} (implementation-defined)"


def _is_prefix(prefix: str, path: str) -> bool:
    """Element by element; a slash at the end of the prefix says nothing."""
    bare = prefix.rstrip("/")
    return path == bare or path.startswith(f"{bare}/")
