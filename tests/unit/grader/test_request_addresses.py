"""Addresses of requests, and paths and hostnames that mean them."""

from __future__ import annotations

import pytest

from content.errors import UsageError
from grader.kube.http_model import PathMatch
from grader.reachability.requests import Fit, Request, overlap, parse_request, path_fit


@pytest.mark.parametrize(
    ("text", "request_"),
    [
        ("http://x.example", Request("http", "x.example", 80, "/")),
        ("HTTPS://X.Example./a/", Request("https", "x.example", 443, "/a/")),
        ("https://x.example:8443/a?b=c#d", Request("https", "x.example", 8443, "/a")),
        ("http://10.0.0.1/", Request("http", "10.0.0.1", 80, "/")),
        ("http://[2001:DB8::1]:81/", Request("http", "[2001:db8::1]", 81, "/")),
    ],
)
def test_what_an_address_says(text: str, request_: Request) -> None:
    assert parse_request(text) == request_


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("ftp://x.example/", "ftp://x.example/ is no address of a request"),
        ("http://", "http:// is no address of a request"),
        ("http:///a", "http:///a is no address of a request"),
        ("http://u@x.example/", "http://u@x.example/ is no address of a request"),
        ("http://x.example:a/", "http://x.example:a/ is no address of a request: Port could not be cast"),
        ("http://[::1/", "http://[::1/ is no address of a request: Invalid IPv6 URL"),
        ("http://a_b/", "a_b is no host's name"),
        ("http://.example/", ".example is no host's name"),
    ],
)
def test_what_is_no_address_is_told_with_one_that_is(text: str, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_request(text)
    assert str(caught.value).startswith(words)
    assert caught.value.remedy == "write it as in https://shop.example/cart"


def asked(kind: str, path: str) -> str:
    return f"meant by the {kind} {path} (implementation-defined)"


@pytest.mark.parametrize(
    ("kind", "pattern", "path", "fit"),
    [
        ("Exact", "/a", "/a", Fit(exact=True, length=2)),
        ("Exact", "/a", "/a/", None),
        ("Exact", "/a/", "/a", None),
        ("Prefix", "/", "/", Fit(exact=False, length=0)),
        ("Prefix", "/", "/a", Fit(exact=False, length=0)),
        ("Prefix", "/a", "/a", Fit(exact=False, length=2)),
        ("Prefix", "/a/", "/a/b", Fit(exact=False, length=2)),
        ("Prefix", "/aX", "/aX", Fit(exact=False, length=3)),
        ("Prefix", "/aX", "/a", None),
        ("Prefix", "/a", "/ab", None),
        ("RegularExpression", "/a.*", "/b", Fit(exact=False, length=4, condition=asked("regular expression", "/a.*"))),
        ("ImplementationSpecific", "/a", "/a/b", Fit(exact=False, length=2)),
        (
            "ImplementationSpecific",
            "/a",
            "/ab",
            Fit(exact=False, length=2, condition=asked("implementation-specific path", "/a")),
        ),
        (
            "ImplementationSpecific",
            "/a$",
            "/b",
            Fit(exact=False, length=3, condition=asked("implementation-specific path", "/a$")),
        ),
        ("ImplementationSpecific", "/a", "/b", None),
    ],
)
def test_how_a_path_means_another(kind: str, pattern: str, path: str, fit: Fit | None) -> None:
    assert path_fit(PathMatch(kind, pattern), path) == fit


@pytest.mark.parametrize(("listener", "route"), [("", ""), ("", "a.example"), ("", "*.example")])
def test_every_host_meets_any(listener: str, route: str) -> None:
    assert overlap(listener, route) == overlap(route, listener) == route
