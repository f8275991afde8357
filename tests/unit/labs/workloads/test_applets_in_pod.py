"""The tools for machines that lack them, against real servers, with the exit statuses of the real ones."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Any

import pytest

from labs.sandbox.workloads.applets import lookup
from labs.sandbox.workloads.applets.options import UsageError, parse

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

CASES = [
    ("curl http://summary/", 0, "Welcome to nginx!", ""),
    ("curl -s -o /dev/null -w '%{http_code} %{remote_ip}\\n' summary", 0, r"^200 \S*:?3\n$", ""),
    ("curl -sI summary.shop", 0, r"^HTTP/1.1 200 OK\r\n", ""),
    ("curl -sSi summary:8080/hostname", 0, r"^HTTP/1.1 200 OK\r\n(.*\r\n)+\r\nserver$", ""),
    ("curl -6 -g -s 'http://[fd00:10:244::3]:8080/clientip'", 0, r"^\[fd00:10:244::2\]:\d+$", ""),
    ("curl -sd a=b -X PUT -H 'X-A: b' 'summary:8080/echo?msg=hi'", 0, "^hi$", ""),
    ("curl -s 'summary:8080/header?key=X-A' -H 'X-A: b'", 0, "^b$", ""),
    ("curl -sv summary:8080/hostname", 0, "^server$", "(?s)Connected to summary .*> GET /hostname.*< HTTP/1.1 200 OK"),
    ("curl nosuch", 6, "^$", r"^curl: \(6\) Could not resolve host: nosuch\n$"),
    ("curl -s nosuch", 6, "^$", "^$"),
    ("curl -sS summary:81", 7, "^$", r"^curl: \(7\) Failed to connect to summary port 81 after \d+ ms: "),
    ("curl -sS -m 0.3 10.244.0.9", 28, "^$", r"^curl: \(28\) Connection timed out after \d+ milliseconds\n$"),
    ("curl -s --connect-timeout 0.3 10.244.0.9 -w '%{http_code}'", 28, "^000$", "^$"),
    ("curl -fsS summary/x", 22, "^$", r"^curl: \(22\) The requested URL returned error: 404\n$"),
    ("curl ftp://summary", 1, "^$", r'curl: \(1\) Protocol "ftp" not supported'),
    ("curl --nonsense summary", 2, "^$", "--nonsense"),
    ("curl", 2, "^$", "no URL specified"),
    ("wget -qO- http://summary", 0, "Welcome to nginx!", "^$"),
    ("wget -q --spider summary", 0, "^$", "^$"),
    ("wget -q summary/nope", 8, "^$", "^$"),
    ("wget -T 0.3 -O- 10.244.0.9", 4, "^$", "timed out"),
    ("wget -qO- summary:81", 4, "^$", "^$"),
    ("nc -4 -zv -w1 summary 80", 0, "^$", r"^Connection to summary \(10.244.0.3\) 80 port \[tcp/\*\] succeeded!\n$"),
    ("netcat -z -w1 summary 80", 0, "^$", "^$"),
    ("nc -zvw1 summary 81", 1, "^$", "failed: Connection refused"),
    ("nc -z -w1 summary 80-81", 1, "^$", "port 81"),
    ("nc -w 0.3 10.244.0.9 80", 1, "^$", "timed out"),
    ("nc -uzv summary 8081", 0, "^$", "succeeded"),
    ("nc -uzv summary 81", 1, "^$", "refused"),
    ("printf 'PING\\r\\n' | nc -w1 summary 6379", 0, r"^\+PONG", "^$"),
    ("printf hello | nc -w1 summary 9000", 0, "^shop/server\nhello", "^$"),
    ("printf hostname | nc -u -w 0.3 summary 8081", 0, "^server$", "^$"),
    ("nc -l -p 7777 & while ! printf x | nc -w 1 127.0.0.1 7777 2>/dev/null; do :; done; wait", 0, "^x$", "^$"),
    ("ping -c2 -i 0.05 summary", 0, "2 packets transmitted, 2 received, 0% packet loss", "^$"),
    ("ping -6 -c1 fd00:10:244::3", 0, "1 received", "^$"),
    ("ping -c1 -W 0.3 10.244.0.9", 1, "100% packet loss", "^$"),
    ("ping -c1 nosuch", 2, "^$", "Name or service not known"),
    ("nslookup summary", 0, r"Name:\tsummary.shop.svc.cluster.local\nAddress: 10.244.0.3", "^$"),
    ("nslookup 10.244.0.3", 0, r"name = summary.shop.svc.cluster.local\.", "^$"),
    ("nslookup nosuch", 1, "can't find nosuch: NXDOMAIN", "^$"),
    ("nslookup -type=TXT summary", 1, "No answer", "^$"),
    ("dig +short bastion", 0, "^203.0.113.9\n$", "^$"),
    ("dig +search summary AAAA", 0, r"IN\tAAAA\tfd00:10:244::3", "^$"),
    ("dig summary", 0, "status: NXDOMAIN", "^$"),
    ("dig -x 10.244.0.3 +short", 0, r"^summary.shop.svc.cluster.local\.\n$", "^$"),
    ("dig @10.244.0.9 +time=0.2 summary", 9, "no servers could be reached", "^$"),
    ("host summary", 0, "has address 10.244.0.3", "^$"),
    ("ip addr show dev eth0", 0, r"eth0: <UP.*\n.*\n    inet 10.244.0.2/32", "^$"),
    ("ip -4 route", 0, r"^default via 169.254.1.1 dev eth0", "^$"),
    ("ip -6 route show", 0, "default via fe80::ecee:eeff:feee:eeee dev eth0", "^$"),
    ("ip neigh", 0, "169.254.1.1 dev eth0 lladdr ee:ee:ee:ee:ee:ee", "^$"),
    ("ip link set eth0 down", 2, "^$", "may not change"),
]


@pytest.mark.netns
def test_tools(isolate: Callable[..., Any], pair: Callable[..., Any]) -> None:
    """All of them in one pod, with nothing but these tools (and the shell's printf) on the PATH."""

    async def scenario() -> list[tuple[int, str, str]]:
        made = pair()
        few = asyncio.Semaphore(4)

        async def one(line: str) -> tuple[int, str, str]:
            async with few:
                run: tuple[int, str, str] = await made.run("/bin/sh", "-c", line, PATH="/run/netdojo/bin")
                return run

        return list(await asyncio.gather(*(one(case[0]) for case in CASES)))

    wrong = [
        (line, got)
        for (line, code, out, err), got in zip(CASES, isolate(scenario), strict=True)
        if got[0] != code or not re.search(out, got[1]) or not re.search(err, got[2])
    ]
    assert wrong == []


@pytest.mark.netns
def test_the_machines_own_tools_come_first(isolate: Callable[..., Any], pair: Callable[..., Any]) -> None:
    async def scenario() -> tuple[int, str, str]:
        own = "mkdir /tmp/bin && printf '#!/bin/sh\\necho own' > /tmp/bin/curl && chmod +x /tmp/bin/curl"
        run: tuple[int, str, str] = await pair().run("sh", "-c", f'{own}; PATH="/tmp/bin:$PATH"; curl x')
        return run

    assert isolate(scenario)[1] == "own\n"


@pytest.mark.parametrize(
    ("arguments", "flags", "values", "rest"),
    [
        (["-sSm2", "x"], {"s": 1, "S": 1}, {"m": ["2"]}, ["x"]),
        (["-sm", "2", "--max=3", "x"], {"s": 1}, {"m": ["2", "3"]}, ["x"]),
        (["-ss", "--", "-s"], {"s": 2}, {}, ["-s"]),
        (["-", "-m", "-s"], {}, {"m": ["-s"]}, ["-"]),
    ],
)
def test_options(arguments: list[str], flags: dict[str, int], values: dict[str, list[str]], rest: list[str]) -> None:
    assert parse(arguments, {"-s": "s", "-S": "S"}, {"-m": "m", "--max": "m"}) == (flags, values, rest)


@pytest.mark.parametrize("arguments", [["-x"], ["--long"], ["-m"], ["-sx"], ["-s=1"]])
def test_options_that_are_none(arguments: list[str]) -> None:
    with pytest.raises(UsageError):
        parse(arguments, {"-s": "s"}, {"-m": "m"})


@pytest.mark.parametrize(
    ("name", "names"),
    [
        ("web", ["web.shop.svc.", "web.svc.", "web."]),
        ("web.shop", ["web.shop.shop.svc.", "web.shop.svc.", "web.shop."]),
        ("a.b.c", ["a.b.c.", "a.b.c.shop.svc.", "a.b.c.svc."]),
        ("web.", ["web."]),
    ],
)
def test_the_search_list(name: str, names: list[str], tmp_path: Path) -> None:
    path = tmp_path / "resolv.conf"
    path.write_text("# x\nnameserver 10.0.0.1\nsearch shop.svc svc\noptions timeout:1 ndots:2\n")
    config = lookup.read_config(str(path))
    assert config.servers == ("10.0.0.1",)
    assert lookup.candidates(name, config) == names
