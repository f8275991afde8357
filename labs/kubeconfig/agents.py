"""How commands get at the pods' networks on somebody's cluster: three ways, each a `labs.kube.probing.Runner`.

- containers: the nodes are containers of a Docker engine that answers here (kind, k3d and their like); nothing is made;
- agents: a privileged pod a node, in the node's own process and network namespaces; it finds the pods as root would;
- pods: a debug container (ephemeral, as `kubectl debug` makes them) in each pod that talks; it cannot be taken out
  again, it ends with its pod. Nodes cannot talk on this way.
"""

from __future__ import annotations

import asyncio
import hashlib
from typing import TYPE_CHECKING

from grader.errors import InfrastructureError
from labs.kind.engine import KIND_CLUSTER
from labs.kube.api import Refused
from labs.kube.probing.runner import Finished
from labs.kube.resources import resource_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from grader.ports import Manifest
    from labs.kind.engine import Container, Engine
    from labs.kube.api import Api

POD = "pod:"
"""Before the name of a pod that is a machine of its own, in the way `pods`."""
_DEBUG = "netdojo-probe"
_DEBUG_SECONDS = 60.0


def home(lab: str) -> str:
    """The namespace of a lab's agents."""
    named = f"netdojo-agents-{lab}"
    return named if len(named) <= 63 else f"{named[:50]}-{_short(lab)}"


def agent_name(node: str) -> str:
    """The name of a node's agent pod."""
    return f"agent-{_short(node)}"


def agent_objects(lab: str, nodes: Sequence[str], image: str) -> tuple[Manifest, ...]:
    """A namespace that admits privileged pods, and an agent for each node."""
    namespace = home(lab)
    labels = {f"pod-security.kubernetes.io/{mode}": "privileged" for mode in ("enforce", "audit", "warn")}
    made: list[Manifest] = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace, "labels": labels}}
    ]
    for node in nodes:
        container = {
            "name": "agent",
            "image": image,
            "imagePullPolicy": "IfNotPresent",
            "command": ["sleep", "infinity"],
            "securityContext": {"privileged": True},
        }
        spec = {
            "nodeName": node,  # not by the scheduler: each node needs its own, cordoned or not
            "tolerations": [{"operator": "Exists"}],
            "hostPID": True,
            "hostNetwork": True,
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "terminationGracePeriodSeconds": 0,
            "containers": [container],
        }
        metadata = {"namespace": namespace, "name": agent_name(node)}
        made.append({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})
    return tuple(made)


async def containers_of(engine: Engine, nodes: Sequence[Manifest]) -> str:
    """The name of the kind cluster whose containers are these nodes; empty when they are not all of them.

    A container that has the node's name is the node only when it has its address as well.

    Raises:
        InfrastructureError: the engine does not answer.
    """
    found = {each.name: each for each in await engine.containers({KIND_CLUSTER: None})}
    clusters = {_cluster_of(node, found) for node in nodes}
    return clusters.pop() if len(clusters) == 1 else ""


def _cluster_of(node: Manifest, found: Mapping[str, Container]) -> str:
    container = found.get(str(node["metadata"]["name"]))
    given = (node.get("status") or {}).get("addresses") or ()
    addresses = {str(one.get("address")) for one in given if one.get("type") == "InternalIP"}
    if container is None or not container.runs or not addresses & set(container.addresses):
        return ""
    return str(container.labels.get(KIND_CLUSTER, ""))


class AgentRunner:
    """Runs commands in a lab's agent pods.

    Args:
        api: the cluster's API.
        lab: whose agents they are.
    """

    def __init__(self, api: Api, lab: str) -> None:
        self._api = api
        self._home = home(lab)

    async def run(self, machine: str, argv: Sequence[str], stdin: bytes, seconds: float) -> Finished:
        """Run a command on a node.

        Raises:
            InfrastructureError: it does not run there, or not within the limit.
        """
        if ":" in machine:
            raise InfrastructureError(f"{machine} is no node", remedy="outside hosts need --on sandbox or --on kind")
        remedy = f"kubectl -n {self._home} get pods shows the agents; start the lab again when one is missing"
        return await _execute(self._api, f"{self._home}/{agent_name(machine)}", "agent", argv, stdin, seconds, remedy)


class DebugRunner:
    """Runs commands in debug containers of the pods themselves; see `as_machines` for the names of machines.

    Args:
        api: the cluster's API.
        image: what the debug containers run.
    """

    def __init__(self, api: Api, image: str) -> None:
        self._api = api
        self._image = image

    async def run(self, machine: str, argv: Sequence[str], stdin: bytes, seconds: float) -> Finished:
        """Run a command in a pod's network; the debug container is put into the pod when it has none that runs.

        Raises:
            InfrastructureError: it does not run there, or not within the limit.
        """
        if not machine.startswith(POD):
            raise InfrastructureError(
                f"no command can be run on {machine}: this user may only put debug containers into pods",
                remedy="probes from nodes need privileged agents: allow them (kubeconfig.agents), or use --on kind",
            )
        pod = machine.removeprefix(POD)
        remedy = "kubectl describe pod shows why its debug container does not run"
        container = await self._container(pod, remedy)
        return await _execute(self._api, pod, container, argv, stdin, seconds, remedy)

    async def _container(self, pod: str, remedy: str) -> str:
        """The name of a debug container that runs in a pod."""
        namespace, _, name = pod.partition("/")
        pods = resource_of({"apiVersion": "v1", "kind": "Pod"}, await self._api.resources())
        asked = False
        try:
            async with asyncio.timeout(_DEBUG_SECONDS):
                while True:
                    found = await self._api.get(pods, namespace, name) if pods is not None else None
                    if found is None:
                        raise InfrastructureError(f"pod {pod} is gone", remedy="try again")
                    known = _statuses(found)
                    running = [each for each, state in known.items() if "running" in state]
                    if running:
                        return running[0]
                    if not asked:
                        path = f"/api/v1/namespaces/{namespace}/pods/{name}/ephemeralcontainers"
                        await self._api.patch(path, _debug(f"{_DEBUG}-{len(known)}", self._image))
                        asked = True
                    await asyncio.sleep(0.1)
        except TimeoutError:
            raise InfrastructureError(
                f"the debug container of pod {pod} does not run within {_DEBUG_SECONDS:.0f} s "
                f"(its image is {self._image})",
                remedy=remedy,
            ) from None
        except Refused as refused:
            raise InfrastructureError(
                f"pod {pod} takes no debug container: {refused.message}", remedy=remedy
            ) from refused


def as_machines(objects: Sequence[Manifest]) -> list[Manifest]:
    """The objects as a prober sees them whose machines are the pods themselves."""
    return [_as_machine(item) if item.get("kind") == "Pod" else item for item in objects]


def _as_machine(pod: Manifest) -> Manifest:
    metadata, spec = pod["metadata"], pod["spec"]
    if not spec.get("nodeName") or spec.get("hostNetwork"):
        return pod
    machine = f"{POD}{metadata['namespace']}/{metadata['name']}"
    return {**pod, "metadata": {**metadata, "uid": ""}, "spec": {**spec, "nodeName": machine}}


def _statuses(pod: Manifest) -> dict[str, Mapping[str, object]]:
    """The states of a pod's debug containers of ours, those that were only asked for too."""
    asked: dict[str, Mapping[str, object]] = {
        str(each["name"]): {} for each in pod["spec"].get("ephemeralContainers") or ()
    }
    told = (pod.get("status") or {}).get("ephemeralContainerStatuses") or ()
    known = {**asked, **{str(each["name"]): each.get("state") or {} for each in told}}
    return {name: state for name, state in known.items() if name.startswith(_DEBUG)}


def _debug(name: str, image: str) -> Manifest:
    container = {
        "name": name,
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["sleep", "infinity"],
        "securityContext": {"runAsUser": 0, "capabilities": {"add": ["NET_RAW"]}},
    }
    return {"spec": {"ephemeralContainers": [container]}}


async def _execute(
    api: Api, pod: str, container: str, argv: Sequence[str], stdin: bytes, seconds: float, remedy: str
) -> Finished:
    try:
        done = await api.exec(pod, argv, stdin, seconds, container)
    except TimeoutError:
        raise InfrastructureError(f"{argv[0]} in pod {pod} did not end within {seconds:.0f} s", remedy=remedy) from None
    except Refused as refused:
        raise InfrastructureError(f"no command can be run in pod {pod}: {refused.message}", remedy=remedy) from refused
    return Finished(done.code, done.stdout, done.stderr)


def _short(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=6).hexdigest()
