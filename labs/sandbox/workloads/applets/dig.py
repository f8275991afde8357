"""DNS look-ups with the output of dig, nslookup and host."""

from __future__ import annotations

from dataclasses import dataclass

from labs.sandbox.workloads.applets.lookup import (
    TYPES,
    Answer,
    Config,
    LookupFailedError,
    Record,
    ask,
    candidates,
    read_config,
    reverse,
)
from labs.sandbox.workloads.applets.options import complain, say


def run(name: str, arguments: list[str]) -> int:
    """Run one of the three by its name."""
    try:
        return {"dig": _dig, "nslookup": _nslookup, "host": _host}[name](arguments)
    except LookupFailedError as problem:
        say(f";; {problem}\n;; no servers could be reached")
        return 9 if name == "dig" else 1


def _search(name: str, kind: str, config: Config, server: str = "") -> Answer:
    """The first name of the search list that has an answer; else one that exists without it; else the last one."""
    answers = []
    for one in candidates(name, config):
        answers.append(_ask_any(one, kind, (server,) if server else config.servers))
        if answers[-1].answers:
            return answers[-1]
    return next((one for one in answers if one.code == "NOERROR"), answers[-1])


def _ask_any(name: str, kind: str, servers: tuple[str, ...]) -> Answer:
    for server in servers[:-1]:
        try:
            return ask(server, name, kind)
        except LookupFailedError:
            continue
    return ask(servers[-1], name, kind)


def _line(record: Record) -> str:
    return f"{record.name}\t\t{record.ttl}\tIN\t{record.kind}\t{record.value}"


@dataclass
class _Question:
    """What dig was asked."""

    server: str = ""
    name: str = ""
    kind: str = "A"
    seconds: float = 5.0
    switches: frozenset[str] = frozenset()

    def take(self, word: str, words: list[str]) -> None:
        """Take one argument, and from `words` its value where it has one."""
        if word.startswith("@"):
            self.server = word[1:]
        elif word == "-x" and words:
            self.name, self.kind = reverse(words.pop(0)), "PTR"
        elif word == "-t" and words:
            self.kind = words.pop(0).upper()
        elif word.startswith("+time="):
            self.seconds = float(word[6:])
        elif word.startswith(("+", "-")):
            self.switches |= {word}
        elif word.upper() in TYPES and self.name:
            self.kind = word.upper()
        else:
            self.name = word


def _dig(arguments: list[str]) -> int:
    config, asked = read_config(), _Question()
    words = list(arguments)
    while words:
        asked.take(words.pop(0), words)
    if not asked.name or asked.kind not in TYPES:
        complain("usage: dig [@server] [+short] [+search] name [type] | dig -x address")
        return 1
    if "+search" in asked.switches:
        answer = _search(asked.name, asked.kind, config, asked.server)
    else:
        answer = ask(asked.server or config.servers[0], asked.name, asked.kind, seconds=asked.seconds)
    if "+short" in asked.switches:
        for record in answer.answers:
            say(record.value)
        return 0
    say(f";; ->>HEADER<<- opcode: QUERY, status: {answer.code}")
    say(f";; QUESTION SECTION:\n;{answer.name.rstrip('.')}.\t\tIN\t{asked.kind}\n")
    for title, section in (("ANSWER", answer.answers), ("AUTHORITY", answer.authority)):
        if section:
            say(f";; {title} SECTION:\n" + "\n".join(_line(record) for record in section) + "\n")
    say(f";; SERVER: {answer.server}#53")
    return 0


def _nslookup(arguments: list[str]) -> int:
    config = read_config()
    kinds = ["A", "AAAA"]
    rest = []
    for word in arguments:
        option, _, value = word.partition("=")
        if option in {"-type", "-query", "-q"} and value.upper() in TYPES:
            kinds = [value.upper()]
        elif not word.startswith("-"):
            rest.append(word)
    if not rest:
        complain("usage: nslookup [-type=TYPE] name [server]")
        return 1
    name, server = rest[0], rest[1] if len(rest) > 1 else ""
    if reverse(name):
        name, kinds = reverse(name), ["PTR"]
    answers = [_search(name, kind, config, server) for kind in kinds]
    say(f"Server:\t\t{answers[0].server}\nAddress:\t{answers[0].server}#53\n")
    found = False
    for answer in answers:
        for record in answer.answers:
            found = True
            if record.kind in {"A", "AAAA"}:
                say(f"Name:\t{record.name.rstrip('.')}\nAddress: {record.value}")
            else:
                word = {"CNAME": "canonical name", "PTR": "name", "SRV": "service"}.get(record.kind, record.kind)
                say(f"{record.name.rstrip('.')}\t{word} = {record.value}")
    if found:
        return 0
    code = answers[0].code
    say(
        f"** server can't find {name.rstrip('.')}: {code}" if code != "NOERROR" else f"*** Can't find {name}: No answer"
    )
    return 1


def _host(arguments: list[str]) -> int:
    config = read_config()
    kinds = ["A", "AAAA"]
    words = list(arguments)
    if words[:1] == ["-t"] and len(words) > 1:
        kinds, words = [words[1].upper()], words[2:]
    if not words or any(kind not in TYPES for kind in kinds):
        complain("usage: host [-t type] name [server]")
        return 1
    name = words[0]
    if reverse(name):
        name, kinds = reverse(name), ["PTR"]
    verbs = {
        "A": "has address",
        "AAAA": "has IPv6 address",
        "PTR": "domain name pointer",
        "CNAME": "is an alias for",
        "SRV": "has SRV record",
    }
    answers = [_search(name, kind, config, words[1] if len(words) > 1 else "") for kind in kinds]
    lines = [
        f"{record.name.rstrip('.')} {verbs.get(record.kind, record.kind)} {record.value}"
        for answer in answers
        for record in answer.answers
    ]
    if not lines:
        say(f"Host {name.rstrip('.')} not found: {answers[0].code}")
        return 1
    say("\n".join(lines))
    return 0
