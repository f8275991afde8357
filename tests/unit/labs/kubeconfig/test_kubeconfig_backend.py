from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from content.errors import UsageError
from content.model import Topology
from grader.errors import ClusterGoneError, InfrastructureError, NotCapableError
from labs.base import Phase, Request
from labs.kubeconfig import journal
from labs.kubeconfig.backend import KubeconfigBackend
from labs.kubeconfig.scope import Ref
from labs.kubeconfig.settings import AGENTS, CONTAINERS, PODS, Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

POLICY = {
    "apiVersion": "networking.k8s.io/v1",
    "kind": "NetworkPolicy",
    "metadata": {"name": "deny", "namespace": "shop"},
    "spec": {"podSelector": {}},
}
WIDE = {
    "apiVersion": "projectcalico.org/v3",
    "kind": "GlobalNetworkPolicy",
    "metadata": {"name": "everywhere"},
    "spec": {},
}
SPACE = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop", "labels": {"team": "a"}}}
LAB = (SPACE, POLICY)


class Desk:
    """A user's netdojo with a cluster in memory."""

    def __init__(self, api: Any, port: Any, kubeconfig: Path, home: Path) -> None:
        self.api, self.port, self.kubeconfig = api, port, kubeconfig
        self.folder = home / "on-kubeconfig" / "bank"
        self.asked: list[tuple[str, ...]] = []
        self.told: list[str] = []
        self.answer = True

    def backend(self, context: str = "play", ways: tuple[str, ...] = (PODS,)) -> KubeconfigBackend:
        made = KubeconfigBackend(
            Settings(context, (self.kubeconfig,), ways=ways),
            connect=lambda _: self.api,
            engine=_no_engine,
            port=self.port,
        )
        made.agree = self._agree
        return made

    async def _agree(self, lines: Sequence[str]) -> bool:
        self.asked.append(tuple(lines))
        return self.answer

    async def start(self, *objects: Any, backend: KubeconfigBackend | None = None, **fields: Any) -> Phase:
        request = Request("bank", fields.pop("topology", Topology()), objects or LAB, namespace="shop", **fields)
        return (await (backend or self.backend()).start(request, self.folder, self.told.append)).phase


def _no_engine() -> Any:
    raise NotCapableError("no Docker here")


@pytest.fixture
def desk(memory_api: Any, memory_port: Any, kubeconfig: Path, tmp_path: Path) -> Desk:
    return Desk(memory_api(), memory_port, kubeconfig, tmp_path / "state")


async def test_a_lab_comes_and_goes_and_leaves_nothing(desk: Desk) -> None:
    before = set(desk.api.kept)
    assert await desk.start() is Phase.READY
    assert desk.api.kept["Namespace", "", "shop"]["metadata"]["labels"].items() >= {
        ("team", "a"),
        ("netdojo.lab", "bank"),
    }
    assert desk.asked == []  # a named context, and nothing outside the lab's namespaces
    assert await desk.start() is Phase.READY
    assert desk.told[-1] == "bank is running already"
    await desk.backend().stop("bank", desk.folder)
    assert set(desk.api.kept) == before
    assert not desk.folder.exists()
    await desk.backend().stop("bank", desk.folder)
    assert (await desk.backend().find("bank", desk.folder)).phase is Phase.ABSENT


async def test_the_current_context_is_never_taken_silently(desk: Desk) -> None:
    desk.answer = False
    before = set(desk.api.kept)
    with pytest.raises(UsageError, match=r"use the context prod \(https://prod.example\), which nobody named"):
        await desk.start(backend=desk.backend(context=""))
    assert set(desk.api.kept) == before
    assert not desk.folder.exists()


async def test_a_context_that_does_not_exist_is_no_other(desk: Desk) -> None:
    with pytest.raises(UsageError, match="there is no context 'mine'"):
        await desk.start(backend=desk.backend(context="mine"))


async def test_what_is_for_the_whole_cluster_is_asked_about(desk: Desk) -> None:
    desk.answer = False
    with pytest.raises(UsageError, match="make GlobalNetworkPolicy everywhere, for the whole cluster"):
        await desk.start(*LAB, WIDE)
    assert desk.api.names("GlobalNetworkPolicy") == []
    desk.answer = True
    assert await desk.start(*LAB, WIDE) is Phase.READY
    assert desk.api.names("GlobalNetworkPolicy") == ["everywhere"]
    await desk.backend().stop("bank", desk.folder)
    assert desk.api.names("GlobalNetworkPolicy") == []


@pytest.mark.parametrize("taken", [SPACE, WIDE])
async def test_what_is_a_strangers_is_refused_and_survives(desk: Desk, taken: dict[str, Any]) -> None:
    desk.api._put(taken)
    before = {key: item["metadata"]["uid"] for key, item in desk.api.kept.items()}
    with pytest.raises(InfrastructureError, match=f"not the lab's: {taken['kind']} {taken['metadata']['name']}"):
        await desk.start(*LAB, WIDE)
    assert {key: item["metadata"]["uid"] for key, item in desk.api.kept.items()} == before


async def test_everything_is_written_down_before_it_is_made(desk: Desk) -> None:
    seen: list[str] = []

    def check(item: Any) -> None:
        known = journal.read(desk.folder)
        assert known is not None
        assert not known.ready
        name = item["metadata"]["name"]
        space = name if item["kind"] == "Namespace" else item["metadata"].get("namespace", "")
        assert space in known.namespaces or Ref(item["apiVersion"], item["kind"], name) in known.objects
        seen.append(item["kind"])

    desk.api.before_write = check
    await desk.start(*LAB, WIDE, backend=desk.backend(ways=(AGENTS,)))
    assert set(seen) == {"Namespace", "NetworkPolicy", "GlobalNetworkPolicy", "Pod"}


class Killed(BaseException):
    """What no code survives."""


@pytest.mark.parametrize("survived", range(3))
async def test_what_a_killed_start_left_is_removed_by_the_next_command(
    desk: Desk, survived: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = set(desk.api.kept)
    left = survived

    def kill(_: Any) -> None:
        nonlocal left
        if left == 0:
            raise Killed
        left -= 1

    desk.api.before_write = kill
    backend = desk.backend()

    async def no_clean_up(_: Path) -> None:
        pass

    monkeypatch.setattr(backend, "_clear", no_clean_up)  # a killed process does not clean up
    with pytest.raises(Killed):
        await desk.start(*LAB, WIDE, backend=backend)
    assert len(desk.api.kept) == len(before) + survived
    assert (await desk.backend().find("bank", desk.folder)).phase is Phase.ABSENT
    assert set(desk.api.kept) == before


async def test_a_failed_start_cleans_up(desk: Desk) -> None:
    before = set(desk.api.kept)

    def fail(item: Any) -> None:
        if item["kind"] == "NetworkPolicy":
            raise InfrastructureError("no more")

    desk.api.before_write = fail
    with pytest.raises(InfrastructureError, match="no more"):
        await desk.start()
    assert set(desk.api.kept) == before
    assert not desk.folder.exists()


async def test_another_cluster_under_the_same_context_is_left_alone(desk: Desk, memory_api: Any) -> None:
    await desk.start()
    other = memory_api()
    other.kept["Namespace", "", "kube-system"]["metadata"]["uid"] = "another"
    marked = {**SPACE, "metadata": {"name": "shop", "labels": {"netdojo.lab": "bank"}}}
    other._put(marked)
    desk.api = other
    with pytest.raises(ClusterGoneError, match="leads to another cluster"):
        await desk.backend().stop("bank", desk.folder)
    assert other.names("Namespace") == ["kube-system", "shop"]
    assert (await desk.backend().find("bank", desk.folder)).phase is Phase.BROKEN


async def test_a_namespace_made_anew_by_somebody_else_is_not_removed(desk: Desk) -> None:
    await desk.start()
    desk.api._put({**SPACE, "metadata": {"name": "shop", "labels": {}}})
    assert (await desk.backend().find("bank", desk.folder)).detail == "its namespace shop is gone"
    await desk.backend().stop("bank", desk.folder)
    assert "shop" in desk.api.names("Namespace")


async def test_a_cluster_that_does_not_answer_is_broken_and_its_journal_stays(desk: Desk) -> None:
    await desk.start()
    desk.api.gone = ClusterGoneError("nobody answers")
    assert (await desk.backend().find("bank", desk.folder)).phase is Phase.BROKEN
    with pytest.raises(ClusterGoneError):
        await desk.backend().stop("bank", desk.folder)
    assert journal.read(desk.folder) is not None


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"hosts": ("bastion",)}, "outside hosts"),
        ({"topology": Topology(families=("ipv4", "ipv6"))}, "ipv6"),
    ],
)
async def test_what_such_a_cluster_cannot_be_is_said_before(desk: Desk, fields: dict[str, Any], words: str) -> None:
    with pytest.raises(NotCapableError, match=words):
        await desk.start(**fields)


async def test_missing_rights_are_named_all_at_once(desk: Desk) -> None:
    desk.api.denied = {"get namespaces", "create namespaces", "create pods/exec"}
    desk.api.hidden = {"kube-system", "shop"}
    with pytest.raises(NotCapableError, match="get namespaces, create namespaces, create pods/exec"):
        await desk.start()


@pytest.mark.parametrize("hidden", ["kube-system", "shop", "everywhere"])
async def test_a_right_that_is_taken_away_later_is_named_and_the_journal_stays(desk: Desk, hidden: str) -> None:
    before = set(desk.api.kept)
    await desk.start(*LAB, WIDE)
    desk.api.hidden = {hidden}
    found = await desk.backend().find("bank", desk.folder)
    assert (found.phase is Phase.BROKEN) is (hidden in found.detail)
    assert (found.phase is Phase.BROKEN) is (hidden in {"kube-system", "shop"})
    with pytest.raises(InfrastructureError, match=f'"{hidden}" is forbidden') as error:
        await desk.backend().stop("bank", desk.folder)
    assert type(error.value) is InfrastructureError  # the cluster is not gone, and no other
    assert journal.FILE not in error.value.remedy
    desk.api.hidden = set()
    await desk.backend().stop("bank", desk.folder)
    assert set(desk.api.kept) == before


async def test_a_kind_of_the_canarys_that_the_user_may_not_see_does_not_keep_a_lab_from_ending(desk: Desk) -> None:
    before = set(desk.api.kept)
    await desk.start()
    desk.api._put({**WIDE, "metadata": {"name": "netdojo-canary"}})
    desk.api.hidden = {"netdojo-canary"}
    await desk.backend().stop("bank", desk.folder)
    assert set(desk.api.kept) - before == {("GlobalNetworkPolicy", "", "netdojo-canary")}
    assert not desk.folder.exists()


async def test_what_cannot_be_told_to_be_free_is_not_taken(desk: Desk) -> None:
    before = set(desk.api.kept)
    desk.api.hidden = {"everywhere"}
    with pytest.raises(InfrastructureError, match=r'context play refuses: .*"everywhere" is forbidden'):
        await desk.start(*LAB, WIDE)
    assert set(desk.api.kept) == before
    await desk.start()
    backend = desk.backend()
    cluster = await backend.connect(await backend.find("bank", desk.folder))
    with pytest.raises(InfrastructureError, match='"everywhere" is forbidden'):
        await cluster.apply([WIDE])


async def test_a_canary_that_cannot_be_looked_for_ends_a_start_before_anything_is_made(desk: Desk) -> None:
    before = set(desk.api.kept)
    desk.api.hidden = {"netdojo-canary"}
    with pytest.raises(InfrastructureError, match=r'context play refuses: .*"netdojo-canary" is forbidden'):
        await desk.start()
    assert set(desk.api.kept) == before
    assert not desk.folder.exists()


@pytest.mark.parametrize(
    ("ways", "denied", "way"),
    [
        ((CONTAINERS, AGENTS, PODS), set(), AGENTS),
        ((PODS, AGENTS), set(), PODS),
        ((PODS, AGENTS), {"patch pods/ephemeralcontainers"}, AGENTS),
    ],
)
async def test_the_first_way_that_is_open_is_taken(
    desk: Desk, ways: tuple[str, ...], denied: set[str], way: str
) -> None:
    desk.api.denied = denied
    await desk.start(backend=desk.backend(ways=ways))
    known = journal.read(desk.folder)
    assert known is not None
    assert known.ways == way
    assert bool(desk.asked) is (way == AGENTS)  # privileged pods are never made unasked


async def test_no_way_at_all_is_said(desk: Desk) -> None:
    desk.api.denied = {"patch pods/ephemeralcontainers"}
    with pytest.raises(NotCapableError, match="no way to the pods' networks"):
        await desk.start(backend=desk.backend(ways=(CONTAINERS, PODS)))


async def test_later_objects_go_by_the_same_rules(desk: Desk) -> None:
    await desk.start()
    backend = desk.backend()
    cluster = await backend.connect(await backend.find("bank", desk.folder))
    desk.answer = False
    with pytest.raises(UsageError, match="GlobalNetworkPolicy everywhere"):
        await cluster.apply([WIDE])
    with pytest.raises(UsageError, match="Namespace kube-system is not the lab's"):
        await cluster.delete([{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "kube-system"}}])
    desk.answer = True
    await cluster.apply([WIDE])
    await cluster.delete([POLICY])
    assert desk.api.names("NetworkPolicy") == []
    await backend.stop("bank", desk.folder)
    assert desk.api.names("GlobalNetworkPolicy") == []


@pytest.mark.parametrize(
    ("already", "other", "stays"), [(False, False, False), (True, False, True), (False, True, True)]
)
async def test_the_canary_goes_with_the_last_lab_that_brought_it(
    desk: Desk, make_namespace: Callable[..., Any], already: bool, other: bool, stays: bool
) -> None:
    if already:
        desk.api._put(make_namespace("netdojo-canary"))
    await desk.start()
    desk.api._put(make_namespace("netdojo-canary"))
    if other:
        desk.api._put(make_namespace("elsewhere", **{"netdojo.lab": "two", "netdojo.home": "them"}))
    await desk.backend().stop("bank", desk.folder)
    assert ("netdojo-canary" in desk.api.names("Namespace")) is stays


CALICO = "projectcalico.org/v3"


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("labs.kube.patience._SILENCE_SECONDS", 0.0)


@pytest.mark.usefixtures("impatient")
async def test_what_may_be_for_the_whole_cluster_is_not_taken_for_less_while_its_server_is_silent(desk: Desk) -> None:
    """Its kind would pass for one with namespaces: unasked, unmarked, and not in the journal."""
    desk.api.mute = {CALICO}
    before = set(desk.api.kept)
    with pytest.raises(InfrastructureError, match="v3, which has GlobalNetworkPolicy, does not answer"):
        await desk.start(*LAB, WIDE)
    assert (set(desk.api.kept), desk.asked) == (before, [])


@pytest.mark.usefixtures("impatient")
async def test_what_a_silent_server_has_of_a_lab_is_removed_when_it_answers_again(desk: Desk) -> None:
    before = set(desk.api.kept)
    await desk.start(*LAB, WIDE)
    desk.api.mute = {CALICO}
    with pytest.raises(InfrastructureError, match="does not answer"):
        await desk.backend().stop("bank", desk.folder)
    assert journal.read(desk.folder) is not None
    desk.api.mute = set()
    await desk.backend().stop("bank", desk.folder)
    assert set(desk.api.kept) == before


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("name", ["netdojo-canary", "default.netdojo-canary"])
async def test_the_canary_goes_as_it_is_stored_where_calicos_server_never_answers(desk: Desk, name: str) -> None:
    before = set(desk.api.kept)
    await desk.start()
    desk.api.mute = {CALICO}
    desk.api._put({**WIDE, "apiVersion": "crd.projectcalico.org/v1", "metadata": {"name": name}})
    await desk.backend().stop("bank", desk.folder)
    assert set(desk.api.kept) == before


async def test_what_a_lab_defines_for_the_whole_cluster_is_asked_about_with_it(desk: Desk) -> None:
    spec = {"group": "example.org", "scope": "Cluster", "names": {"kind": "Thing", "plural": "things"}}
    defined = {"kind": "CustomResourceDefinition", "metadata": {"name": "things.example.org"}, "spec": spec}
    thing = {"apiVersion": "example.org/v1", "kind": "Thing", "metadata": {"name": "one"}}
    desk.answer = False
    with pytest.raises(UsageError):
        await desk.start(*LAB, {"apiVersion": "apiextensions.k8s.io/v1", **defined}, thing)
    assert any("Thing one, for the whole cluster" in line for line in desk.asked[0])
