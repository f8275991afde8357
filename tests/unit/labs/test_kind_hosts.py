"""Outside hosts by an engine that only remembers."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import pytest

from grader.errors import InfrastructureError
from labs.kind import hosts
from labs.kind.engine import CLUSTER, HOME, HOST, Container
from labs.kube.probing import Finished

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from labs.kind.engine import Wanted

NODES = (
    Container("n1", "c-control-plane", "running", addresses=("172.18.0.2", "fc00::2")),
    Container("n2", "c-worker", "running", addresses=("172.18.0.3", "fc00::3")),
)
BESIDE = hosts.Beside("c", "home-1", "node:1", NODES, (4, 6))


@dataclass
class Engine:
    """Remembers containers, and what was run in them."""

    known: dict[str, Container] = field(default_factory=dict)
    said: list[tuple[str, str]] = field(default_factory=list)
    finished: Finished = field(default_factory=lambda: Finished(0, b"", b""))

    async def containers(self, labels: Mapping[str, str | None]) -> tuple[Container, ...]:
        def fits(one: Container) -> bool:
            return all(k in one.labels and v in {None, one.labels[k]} for k, v in labels.items())

        return tuple(one for one in self.known.values() if fits(one))

    async def images(self, references: Iterable[str]) -> Mapping[str, str]:
        return dict.fromkeys(references, "sha256:1")

    async def run(self, wanted: Wanted) -> Container:
        assert wanted.entrypoint == ("perl",)
        assert wanted.command[2] == wanted.labels[HOST]
        number = 10 + len(self.known)
        addresses = (f"172.18.0.{number}", f"fc00::{number}")
        made = Container(wanted.name, wanted.name, "running", wanted.image, dict(wanted.labels), addresses)
        self.known[made.id] = made
        return made

    async def remove(self, container: str) -> None:
        self.known.pop(container, None)

    async def exec(self, container: str, argv: Sequence[str], stdin: bytes = b"", seconds: float = 60.0) -> Finished:
        assert seconds > 0
        self.said += [(container, line) for line in stdin.decode().splitlines()] or [(container, argv[0])]
        return self.finished


async def test_hosts_have_addresses_that_nodes_and_other_hosts_know_the_way_to() -> None:
    engine = Engine()
    assert await hosts.ensure(engine, BESIDE, ("bastion", "internet")) == {  # type: ignore[arg-type]  # as far as asked
        "bastion": ("203.0.113.10", "2001:db8:113::a"),
        "internet": ("203.0.113.11", "2001:db8:113::b"),
    }
    for node in NODES:
        assert [line for container, line in engine.said if container == node.id] == [
            "route flush root 203.0.113.0/24",
            "route flush root 2001:db8:113::/64",
            "route replace 203.0.113.10 via 172.18.0.10",
            "route replace 2001:db8:113::a via fc00::10",
            "route replace 203.0.113.11 via 172.18.0.11",
            "route replace 2001:db8:113::b via fc00::11",
        ]
    assert [line for container, line in engine.said if container == "c-host-bastion"] == [
        "address replace 203.0.113.10/32 dev eth0",
        "route replace 172.18.0.2 dev eth0 src 203.0.113.10",
        "route replace 172.18.0.3 dev eth0 src 203.0.113.10",
        "route replace 203.0.113.11 via 172.18.0.11 src 203.0.113.10",
        "address replace 2001:db8:113::a/128 dev eth0",
        "route replace fc00::2 dev eth0 src 2001:db8:113::a",
        "route replace fc00::3 dev eth0 src 2001:db8:113::a",
        "route replace 2001:db8:113::b via fc00::11 src 2001:db8:113::a",
        "perl",
    ]


def host(name: str, *, state: str = "running", home: str = "home-1", cluster: str = "c") -> Container:
    labels = {CLUSTER: cluster, HOME: home, HOST: name}
    return Container(f"old-{name}", f"{cluster}-host-{name}", state, "node:1", labels, ("172.18.0.77", "fc00::77"))


async def test_what_stands_is_kept_and_what_does_not_fit_is_replaced() -> None:
    engine = Engine()
    other, node = host("other", cluster="d"), replace(NODES[0], labels={CLUSTER: "c"})
    for one in (host("bastion"), host("stopped", state="exited"), host("last-lab"), other, node):
        engine.known[one.id] = one
    await hosts.ensure(engine, BESIDE, ("bastion", "stopped"))  # type: ignore[arg-type]
    assert set(engine.known) == {"old-bastion", "c-host-stopped", other.id, node.id}


@pytest.mark.parametrize(
    ("there", "had_some", "ways_go"),
    [(True, False, True), (False, True, True), (True, True, True), (False, False, False)],
)
async def test_all_are_removed_with_the_ways_to_them_where_there_may_be_some(
    there: bool, had_some: bool, ways_go: bool
) -> None:
    engine = Engine()
    if there:
        engine.known["old-bastion"] = host("bastion")
    await hosts.remove(engine, BESIDE, had_some=had_some)  # type: ignore[arg-type]
    assert not engine.known
    ways = {"route flush root 203.0.113.0/24", "route flush root 2001:db8:113::/64"}
    assert {line for _, line in engine.said} == (ways if ways_go else set())


async def test_a_refusal_is_said_in_the_systems_words() -> None:
    engine = Engine(finished=Finished(2, b"", b"RTNETLINK answers: Operation not permitted\n"))
    with pytest.raises(InfrastructureError, match="status 2: RTNETLINK answers: Operation not permitted"):
        await hosts.ensure(engine, BESIDE, ("bastion",))  # type: ignore[arg-type]


async def test_a_network_without_the_family_is_named() -> None:
    only_four = replace(BESIDE, nodes=[replace(node, addresses=node.addresses[:1]) for node in NODES])
    with pytest.raises(InfrastructureError, match="c-control-plane has no IPv6 address"):
        await hosts.ensure(Engine(), only_four, ("bastion",))  # type: ignore[arg-type]
