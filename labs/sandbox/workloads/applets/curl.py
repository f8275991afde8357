"""Ask for a URL: the options of curl that people use against a cluster, with curl's exit statuses."""

from __future__ import annotations

import re
import socket
import sys
from pathlib import Path

from labs.sandbox.workloads.applets import web
from labs.sandbox.workloads.applets.options import UsageError, complain, parse

_FLAGS = {
    **dict.fromkeys(("-s", "--silent"), "silent"),
    **dict.fromkeys(("-S", "--show-error"), "show"),
    **dict.fromkeys(("-I", "--head"), "head"),
    **dict.fromkeys(("-i", "--include"), "include"),
    **dict.fromkeys(("-v", "--verbose"), "verbose"),
    **dict.fromkeys(("-k", "--insecure"), "insecure"),
    **dict.fromkeys(("-L", "--location"), "location"),
    **dict.fromkeys(("-f", "--fail"), "fail"),
    **dict.fromkeys(("-4", "--ipv4"), "ipv4"),
    **dict.fromkeys(("-6", "--ipv6"), "ipv6"),
    **dict.fromkeys(("-g", "--globoff"), "globoff"),
    **dict.fromkeys(("-N", "--no-buffer", "--http1.1", "-#", "--progress-bar", "--no-progress-meter"), "ignored"),
    **dict.fromkeys(("-V", "--version"), "version"),
}
_VALUES = {
    **dict.fromkeys(("-m", "--max-time"), "max-time"),
    "--connect-timeout": "connect-timeout",
    **dict.fromkeys(("-o", "--output"), "output"),
    **dict.fromkeys(("-w", "--write-out"), "write-out"),
    **dict.fromkeys(("-H", "--header"), "header"),
    **dict.fromkeys(("-X", "--request"), "request"),
    **dict.fromkeys(("-d", "--data", "--data-raw", "--data-ascii", "--data-binary"), "data"),
    **dict.fromkeys(("-A", "--user-agent"), "agent"),
    "--url": "url",
    **dict.fromkeys(("--retry", "--noproxy"), "ignored"),
}
_MOST_REDIRECTS = 50


def run(name: str, arguments: list[str]) -> int:
    """Run it; the exit status is curl's."""
    del name
    try:
        flags, values, urls = parse(arguments, _FLAGS, _VALUES)
        urls += values.get("url", [])
        exchanges = [_exchange(url, flags, values) for url in urls]
    except (UsageError, ValueError) as problem:
        complain(f"curl: {problem}")
        return 2
    if flags.get("version"):
        sys.stdout.write("curl (netdojo's own) http https\n")
        return 0
    if not exchanges:
        complain("curl: (2) no URL specified")
        return 2
    outputs = values.get("output", [])
    code = 0
    for index, exchange in enumerate(exchanges):
        code = _one(exchange, flags, values, outputs[index] if index < len(outputs) else "-")
    return code


def _exchange(url: str, flags: dict[str, int], values: dict[str, list[str]]) -> web.Exchange:
    headers = {"User-Agent": values.get("agent", ["curl/8.0.0 (netdojo)"])[-1]}
    for line in values.get("header", []):
        name, _, value = line.partition(":")
        headers[name.strip()] = value.strip()
    data = [_data(text) for text in values.get("data", [])]
    method = "HEAD" if flags.get("head") else "POST" if data else "GET"
    return web.Exchange(
        url,
        values.get("request", [method])[-1],
        headers,
        b"&".join(data) if data else None,
        float(values.get("max-time", ["0"])[-1]),
        float(values.get("connect-timeout", ["0"])[-1]),
        socket.AF_INET if flags.get("ipv4") else socket.AF_INET6 if flags.get("ipv6") else 0,
        bool(flags.get("insecure")),
    )


def _data(text: str) -> bytes:
    if text == "@-":
        return sys.stdin.buffer.read()
    return Path(text[1:]).read_bytes() if text.startswith("@") else text.encode()


def _one(exchange: web.Exchange, flags: dict[str, int], values: dict[str, list[str]], output: str) -> int:
    code, words = 0, ""
    try:
        web.perform(exchange)
        for _ in range(_MOST_REDIRECTS if flags.get("location") else 0):
            where = web.follow(exchange)
            if not where:
                break
            exchange.url = where
            web.perform(exchange)
        if flags.get("fail") and exchange.status >= 400:
            code, words = 22, f"The requested URL returned error: {exchange.status}"
    except web.WebError as problem:
        code, words = problem.code, str(problem)
    if flags.get("verbose"):
        _narrate(exchange)
    if exchange.status and code != 22:
        code, words = _put(exchange, flags, output) or (code, words)
    if words and (flags.get("show") or not flags.get("silent")):
        complain(f"curl: ({code}) {words}")
    for form in values.get("write-out", [])[-1:]:
        sys.stdout.write(_written(form, exchange, code, words))
        sys.stdout.flush()
    return code


def _put(exchange: web.Exchange, flags: dict[str, int], output: str) -> tuple[int, str] | None:
    text = exchange.answer
    if flags.get("head") or flags.get("include"):
        lines = [f"HTTP/1.1 {exchange.status} {exchange.reason}"]
        lines += [f"{name}: {value}" for name, value in exchange.answer_headers]
        text = "\r\n".join([*lines, "", ""]).encode("latin-1") + text
    try:
        if output == "-":
            sys.stdout.buffer.write(text)
            sys.stdout.flush()
        else:
            Path(output).write_bytes(text)
    except BrokenPipeError:
        raise
    except OSError as problem:
        return 23, f"Failure writing output to destination: {problem.strerror}"
    return None


def _narrate(exchange: web.Exchange) -> None:
    parts = web.split(exchange.url)
    if not exchange.remote[1]:
        return
    complain(f"* Connected to {parts.hostname} ({exchange.remote[0]}) port {exchange.remote[1]}")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    lines = [f"{exchange.method} {path} HTTP/1.1", f"Host: {parts.netloc}"]
    lines += [f"{name}: {value}" for name, value in exchange.headers.items()]
    complain("\n".join([f"> {line}" for line in lines] + [">"]))
    if exchange.status:
        lines = [f"HTTP/1.1 {exchange.status} {exchange.reason}"]
        lines += [f"{name}: {value}" for name, value in exchange.answer_headers]
        complain("\n".join([f"< {line}" for line in lines] + ["<"]))


def _written(form: str, exchange: web.Exchange, code: int, words: str) -> str:
    known = {
        "http_code": f"{exchange.status:03d}",
        "response_code": f"{exchange.status:03d}",
        "time_total": f"{exchange.milliseconds / 1000:.6f}",
        "remote_ip": exchange.remote[0],
        "remote_port": str(exchange.remote[1]),
        "local_ip": exchange.local[0],
        "local_port": str(exchange.local[1]),
        "size_download": str(len(exchange.answer)),
        "url_effective": exchange.url,
        "url": exchange.url,
        "method": exchange.method,
        "exitcode": str(code),
        "errormsg": words,
        "content_type": next((v for n, v in exchange.answer_headers if n.lower() == "content-type"), ""),
    }
    text = form.replace("\\n", "\n").replace("\\t", "\t").replace("\\r", "\r")
    return re.sub(r"%\{([a-z_]+)\}", lambda found: known.get(found[1], ""), text).replace("%%", "%")
