from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from grader.errors import InfrastructureError
from labs.kind.engine import KIND_CLUSTER, Container
from labs.kube.probing.places import Places
from labs.kubeconfig import agents

if TYPE_CHECKING:
    from collections.abc import Callable


def pod(name: str, **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"namespace": "shop", "name": name, "uid": f"uid-of-{name}", "labels": {}},
        "spec": {"nodeName": "one", "containers": [], **spec},
        "status": {"phase": "Running", "podIPs": [{"ip": "10.244.0.7"}]},
    }


class Engine:
    def __init__(self, *found: Container) -> None:
        self.found = found

    async def containers(self, labels: dict[str, str | None]) -> tuple[Container, ...]:
        assert KIND_CLUSTER in labels
        return self.found


def container(name: str, address: str, *, state: str = "running", cluster: str = "dev") -> Container:
    return Container("id", name, state, labels={KIND_CLUSTER: cluster}, addresses=(address,))


@pytest.mark.parametrize(
    ("found", "cluster"),
    [
        ((container("one", "172.18.0.2"), container("two", "172.18.0.3")), "dev"),
        ((container("one", "172.18.0.2"),), ""),
        ((container("one", "172.18.0.2"), container("two", "172.18.0.9")), ""),  # another machine of that name
        ((container("one", "172.18.0.2"), container("two", "172.18.0.3", state="exited")), ""),
        ((container("one", "172.18.0.2"), container("two", "172.18.0.3", cluster="other")), ""),
        ((), ""),
    ],
)
async def test_nodes_are_containers_when_name_and_address_agree(
    make_node: Callable[..., Any], found: tuple[Container, ...], cluster: str
) -> None:
    nodes = [make_node("one", "172.18.0.2"), make_node("two", "172.18.0.3")]
    assert await agents.containers_of(Engine(*found), nodes) == cluster  # type: ignore[arg-type]


def test_agents_are_one_a_node_and_privileged_in_a_namespace_that_admits_them() -> None:
    space, *pods = agents.agent_objects("bank", ["one", "two"], "debian:13-slim")
    assert space["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "privileged"
    assert [each["spec"]["nodeName"] for each in pods] == ["one", "two"]
    assert all(each["spec"]["hostPID"] and each["spec"]["hostNetwork"] for each in pods)
    assert {each["metadata"]["namespace"] for each in pods} == {space["metadata"]["name"]} == {agents.home("bank")}


def test_names_of_agents_fit_into_a_label() -> None:
    long = "a" * 63
    assert len(agents.home(long)) <= 63
    assert agents.home(long) != agents.home("a" * 62)


async def test_commands_for_a_node_run_in_its_agent(memory_api: Any) -> None:
    api = memory_api()
    done = await agents.AgentRunner(api, "bank").run("one", ("perl", "-"), b"script", 5.0)
    assert done.stdout == b"script"
    assert api.executed == [(f"netdojo-agents-bank/{agents.agent_name('one')}", "agent", ("perl", "-"))]
    with pytest.raises(InfrastructureError, match="host:bastion is no node"):
        await agents.AgentRunner(api, "bank").run("host:bastion", ("perl",), b"", 5.0)


async def test_a_pod_gets_one_debug_container_and_keeps_it(memory_api: Any, make_namespace: Any) -> None:
    api = memory_api(make_namespace("shop"), pod("web"))
    runner = agents.DebugRunner(api, "debian:13-slim")
    for _ in range(2):
        await runner.run("pod:shop/web", ("perl", "-"), b"", 5.0)
    made = api.kept["Pod", "shop", "web"]["spec"]["ephemeralContainers"]
    assert [each["name"] for each in made] == ["netdojo-probe-0"]
    assert api.executed == [("shop/web", "netdojo-probe-0", ("perl", "-"))] * 2


@pytest.mark.parametrize(("machine", "words"), [("one", "no command can be run on one"), ("pod:shop/no", "is gone")])
async def test_where_no_debug_container_can_be_is_said(memory_api: Any, machine: str, words: str) -> None:
    with pytest.raises(InfrastructureError, match=words):
        await agents.DebugRunner(memory_api(), "debian:13-slim").run(machine, ("perl",), b"", 5.0)


def test_pods_as_machines_talk_from_their_own_network(make_node: Callable[..., Any]) -> None:
    seen = agents.as_machines([make_node("one", "172.18.0.2"), pod("web"), pod("proxy", hostNetwork=True)])
    places = Places(seen, {})
    web = places.source("shop/web")
    assert (web.machine, web.uid) == ("pod:shop/web", "")  # the machine's own network namespace is the pod's
    assert places.source("shop/proxy").machine == "one"
    assert places.target("shop/web", 80, "TCP").servers[0].hostname == "web"
