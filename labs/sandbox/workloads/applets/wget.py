"""Fetch a URL: the options of wget that people use against a cluster, with GNU wget's exit statuses."""

from __future__ import annotations

import sys
from pathlib import Path

from labs.sandbox.workloads.applets import web
from labs.sandbox.workloads.applets.options import UsageError, complain, parse

_FLAGS = {
    **dict.fromkeys(("-q", "--quiet"), "quiet"),
    **dict.fromkeys(("-S", "--server-response"), "response"),
    "--spider": "spider",
    **dict.fromkeys(("-nv", "--no-verbose"), "quiet"),
    "--no-check-certificate": "insecure",
    **dict.fromkeys(("-c", "--continue"), "ignored"),
}
_VALUES = {
    **dict.fromkeys(("-O", "--output-document"), "output"),
    **dict.fromkeys(("-T", "--timeout"), "timeout"),
    "--connect-timeout": "timeout",
    "--read-timeout": "ignored",
    **dict.fromkeys(("-t", "--tries"), "tries"),
    "--header": "header",
    "--post-data": "post",
    **dict.fromkeys(("-U", "--user-agent"), "agent"),
}
_STATUS = {3: 1, 1: 1, 6: 4, 7: 4, 28: 4, 52: 4, 56: 4, 60: 5}
_MOST_REDIRECTS = 20


def run(name: str, arguments: list[str]) -> int:
    """Run it; the exit status is GNU wget's: 4 for the network, 8 for an answer that is an error."""
    del name
    try:
        flags, values, urls = parse(arguments, _FLAGS, _VALUES)
        seconds = float(values.get("timeout", ["0"])[-1])
    except (UsageError, ValueError) as problem:
        complain(f"wget: {problem}")
        return 2
    if not urls:
        complain("wget: missing URL")
        return 1
    code = 0
    for url in urls:
        code = _fetch(url, flags, values, seconds) or code
    return code


def _fetch(url: str, flags: dict[str, int], values: dict[str, list[str]], seconds: float) -> int:
    headers = {"User-Agent": values.get("agent", ["Wget/1.21 (netdojo)"])[-1]}
    for line in values.get("header", []):
        key, _, value = line.partition(":")
        headers[key.strip()] = value.strip()
    body = values["post"][-1].encode() if "post" in values else None
    method = "HEAD" if flags.get("spider") else "POST" if body is not None else "GET"
    exchange = web.Exchange(url, method, headers, body, seconds, insecure=bool(flags.get("insecure")))
    try:
        for _ in range(_MOST_REDIRECTS):
            web.perform(exchange)
            where = web.follow(exchange)
            if not where:
                break
            exchange.url = where
    except web.WebError as problem:
        if not flags.get("quiet"):
            complain(f"wget: {problem}")
        return _STATUS.get(problem.code, 1)
    if flags.get("response"):
        lines = [f"  HTTP/1.1 {exchange.status} {exchange.reason}"]
        complain("\n".join(lines + [f"  {key}: {value}" for key, value in exchange.answer_headers]))
    if exchange.status >= 400:
        if not flags.get("quiet"):
            complain(f"wget: server returned error: HTTP/1.1 {exchange.status} {exchange.reason}")
        return 8
    return 0 if flags.get("spider") else _put(exchange, values, quiet=bool(flags.get("quiet")))


def _put(exchange: web.Exchange, values: dict[str, list[str]], *, quiet: bool) -> int:
    output = values.get("output", [""])[-1] or web.split(exchange.url).path.rpartition("/")[2] or "index.html"
    try:
        if output == "-":
            sys.stdout.buffer.write(exchange.answer)
            sys.stdout.flush()
        else:
            Path(output).write_bytes(exchange.answer)
    except BrokenPipeError:
        raise
    except OSError as problem:
        complain(f"wget: {output}: {problem.strerror}")
        return 3
    if output != "-" and not quiet:
        complain(f"'{output}' saved [{len(exchange.answer)}]")
    return 0
