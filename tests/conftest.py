"""What every test may lack, said once: groups are skipped with a reason, counted, and may be demanded.

`NETDOJO_MUST_RUN="netns kubectl"` makes the run fail when a test of those groups was skipped.
"""

from __future__ import annotations

import asyncio
import functools
import os
import secrets
import shutil
import socket
import subprocess
import sys
import threading
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from hypothesis import Phase, settings

from grader.errors import InfrastructureError
from grader.ports import Capabilities

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence

AGNHOST = Path(__file__).parent / "kind" / "agnhost-image"
CORPORA = Path(__file__).resolve().parents[2] / "shared" / "corpora"
# A law holds or not, however busy the machine is. Each run tries other examples; NETDOJO_EXAMPLES tries more at once.
settings.register_profile("netdojo", deadline=None, max_examples=int(os.environ.get("NETDOJO_EXAMPLES", "100")))
settings.register_profile(  # the same examples for each mutant, and no search for a smaller one
    "mutation", deadline=None, database=None, derandomize=True, max_examples=25, phases=(Phase.explicit, Phase.generate)
)
settings.load_profile("netdojo")
GROUPS = ("root", "netns", "kubectl", "corpora", "docker", "kind")


def _root() -> str:
    return "" if os.geteuid() == 0 else "needs to be root"


@functools.cache
def _netns() -> str:
    code = "from labs.sandbox import isolation; isolation.enter()"
    tried = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    return "" if tried.returncode == 0 else f"no network namespaces here: {tried.stderr.strip().splitlines()[-1]}"


def _kubectl() -> str:
    from labs import kubectl

    return "" if kubectl.find() else "kubectl was not found"


def _corpora() -> str:
    return "" if CORPORA.is_dir() else f"no corpora at {CORPORA}"


BED = (Path(__file__).resolve().parents[2] / "shared" / "kind-here").resolve()
"""Scripts beside the checkout by which a machine without a registry gets Docker, kind, a node image and Calico."""


def _answers(variables: Mapping[str, str]) -> bool:
    """Whether a Docker engine answers there."""
    docker = shutil.which("docker", path=variables.get("PATH"))
    command = [docker or "docker", "version", "--format", "{{.Server.Version}}"]
    try:
        return subprocess.run(command, env=variables, capture_output=True, timeout=20, check=False).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


@functools.cache
def _bed() -> dict[str, str] | str:
    """The variables by which kind is reached here, or why it cannot be.

    The user's own Docker and kind come first; else a test bed that has been built on this machine, and is then started.
    """
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    if workers > 1:
        return "clusters are shared by these tests, so they run in one process: pytest -n0 -m kind"
    if shutil.which("kind") and _answers(os.environ):
        return {}
    place = Path(os.environ.get("KIND_HERE_DIR", "/tmp/kindhere"))  # noqa: S108 - where the bed's own scripts build it
    if not (BED / "1-start-docker").is_file() or not (place / "bin" / "kind").is_file():
        return "no Docker engine with a kind program answers, and no test bed has been built on this machine"
    variables = {
        "DOCKER_HOST": f"unix://{place}/docker.sock",
        "PATH": f"{place / 'bin'}{os.pathsep}{os.environ['PATH']}",
    }
    if not _answers({**os.environ, **variables}):
        started = subprocess.run(["bash", BED / "1-start-docker"], capture_output=True, text=True, check=False)
        if not _answers({**os.environ, **variables}):
            return f"the test bed's Docker engine does not start: {(started.stdout + started.stderr).strip()[-300:]}"
    module = "go/pkg/mod/github.com/projectcalico/calico@*/manifests"
    manifests = [folder for folder in place.glob(module) if (folder / "calico-vxlan.yaml").is_file()]
    images = subprocess.run(
        ["docker", "image", "ls", "--format", "{{.Repository}}:{{.Tag}}", "kindhere/node"],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
    ).stdout.split()
    if not manifests or not images:
        return "the test bed has no node image, or no manifests of Calico: build it first"
    return {
        **variables,
        "GOMODCACHE": f"{place}/go/pkg/mod",
        "GOCACHE": f"{place}/gocache",
        "NETDOJO_TEST_IPV4_ONLY": "the bed's nodes have IPv6 turned off",
        "NETDOJO_KIND_NODE_IMAGE": images[0],
        "NETDOJO_KIND_CALICO": os.pathsep.join(
            str(manifests[0] / f"{name}.yaml") for name in ("calico-vxlan", "apiserver")
        ),
        "NETDOJO_KIND_PATCHES": "kind: KubeletConfiguration\nfailCgroupV1: false\n",
    }


def _kind() -> str:
    found = _bed()
    return found if isinstance(found, str) else ""


def _docker() -> str:
    found = _bed()
    return "" if _answers({**os.environ, **(found if isinstance(found, dict) else {})}) else "no Docker engine answers"


_WHY_NOT: dict[str, Callable[[], str]] = {
    "root": _root,
    "netns": _netns,
    "kubectl": _kubectl,
    "corpora": _corpora,
    "docker": _docker,
    "kind": _kind,
}


def pytest_runtest_setup(item: pytest.Item) -> None:
    for group, why_not in _WHY_NOT.items():
        if item.get_closest_marker(group) and (reason := why_not()):
            pytest.skip(f"{group}: {reason}")


def _tally(terminal: pytest.TerminalReporter) -> tuple[Counter[str], Counter[str]]:
    ran: Counter[str] = Counter()
    skipped: Counter[str] = Counter()
    for outcome in ("passed", "failed"):
        ran.update(g for report in terminal.stats.get(outcome, []) for g in GROUPS if g in report.keywords)
    skipped.update(g for report in terminal.stats.get("skipped", []) for g in GROUPS if g in report.keywords)
    return ran, skipped


@pytest.hookimpl(wrapper=True)
def pytest_sessionfinish(session: pytest.Session) -> Iterator[None]:
    yield
    terminal = session.config.pluginmanager.get_plugin("terminalreporter")
    if terminal is None or hasattr(session.config, "workerinput") or session.config.option.collectonly:
        return
    ran, skipped = _tally(terminal)
    terminal.write_line("")
    for group in GROUPS:
        terminal.write_line(f"group {group}: {ran[group]} ran, {skipped[group]} skipped")
    for group in os.environ.get("NETDOJO_MUST_RUN", "").split():
        if skipped[group] or not ran[group]:
            terminal.write_line(f"group {group} must run here: {ran[group]} ran, {skipped[group]} skipped", red=True)
            session.exitstatus = pytest.ExitCode.TESTS_FAILED


AS_PLAIN_USER = """
import os, sys
from pathlib import Path
from labs.sandbox.network import netns
uid, gid = os.geteuid(), os.getegid()
netns.unshare(netns.CLONE_NEWUSER)
Path("/proc/self/setgroups").write_text("deny")
Path("/proc/self/uid_map").write_text(f"1000 {uid} 1")
Path("/proc/self/gid_map").write_text(f"1000 {gid} 1")
os.execv(sys.argv[1], sys.argv[1:])
"""
"""Run a command as a user without any privilege, whoever we are: in a user namespace in which we are user 1000."""


@pytest.fixture(params=["as we are", pytest.param("plain user", marks=pytest.mark.netns)])
def netdojo(request: pytest.FixtureRequest, home: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run the real `netdojo` command in a home of its own; once as we are, once as a user without privileges."""
    command = [sys.executable, "-m", "tui"]
    if request.param == "plain user":
        command = [sys.executable, "-c", AS_PLAIN_USER, *command]

    def run(*arguments: str, seconds: float = 60, **more: str) -> subprocess.CompletedProcess[str]:
        variables = {**os.environ, "NETDOJO_HOME": str(home), "COLUMNS": "80", **more}
        return subprocess.run(
            [*command, *arguments], env=variables, capture_output=True, text=True, timeout=seconds, check=False
        )

    return run


@pytest.fixture
def corpora() -> Path:
    """The folder of public conformance suites, beside the checkout."""
    return CORPORA


def _with_protocols(manifest: Path, folder: Path) -> Path:
    """A copy of Calico's manifest whose agent has a file /etc/protocols.

    The bed's image of the agent is made of few packages and lacks it: `ipset` then refuses every named port ("cannot
    parse 'tcp' as a protocol"), at which felix ends, again and again.
    """
    text = "icmp 1 ICMP\ntcp 6 TCP\nudp 17 UDP\nipv6-icmp 58 IPv6-ICMP\nsctp 132 SCTP\n"
    name, home = "calico-protocols", "kube-system"
    added = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"namespace": home, "name": name},
        "data": {"all": text},
    }
    documents = [item for item in yaml.safe_load_all(manifest.read_text()) if item]
    (agent,) = (item for item in documents if item["kind"] == "DaemonSet" and item["metadata"]["name"] == "calico-node")
    spec = agent["spec"]["template"]["spec"]
    spec["volumes"].append({"name": "protocols", "configMap": {"name": name}})
    mount = {"name": "protocols", "mountPath": "/etc/protocols", "subPath": "all", "readOnly": True}
    spec["containers"][0]["volumeMounts"].append(mount)
    target = folder / manifest.name
    target.write_text(yaml.safe_dump_all([added, *documents], sort_keys=False))
    return target


@pytest.fixture(scope="session")
def kind_bed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Docker, kind and images as the `kind` backend finds them by its own settings; agnhost is in the engine."""
    found = _bed()
    if isinstance(found, str):
        pytest.skip(f"kind: {found}")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in found.items():
            patch.setenv(name, value)
        if calico := found.get("NETDOJO_KIND_CALICO"):
            agent, *others = calico.split(os.pathsep)
            fitted = _with_protocols(Path(agent), tmp_path_factory.mktemp("calico"))
            patch.setenv("NETDOJO_KIND_CALICO", os.pathsep.join([str(fitted), *others]))
        made = subprocess.run(["sh", AGNHOST], capture_output=True, text=True, check=False)
        if made.returncode:
            pytest.skip(f"kind: the labs' image cannot be had: {(made.stdout + made.stderr).strip()[-300:]}")
        yield


@pytest.fixture(scope="session")
def somebodys_cluster(kind_bed: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A kubeconfig whose context `somebody` leads to a cluster of two nodes with Calico: to netdojo, a stranger's."""
    del kind_bed
    from content.model import Topology
    from labs.base import Request
    from labs.kind.backend import KindBackend

    base = tmp_path_factory.mktemp("somebody")
    backend = KindBackend(pool=base / "pool")
    folder = base / "labs" / "somebody"
    try:
        running = asyncio.run(backend.start(Request("somebody", Topology(nodes=2)), folder, lambda _: None))
        assert running.kubeconfig is not None
        found = yaml.safe_load(running.kubeconfig.read_text(encoding="utf-8"))
        found["contexts"][0]["name"] = found["current-context"] = "somebody"
        path = base / "kubeconfig"
        path.write_text(yaml.safe_dump(found), encoding="utf-8")
        asyncio.run(_take_canary_away(path))
        yield path
    finally:
        asyncio.run(backend.stop("somebody", folder, delete=True))


async def _take_canary_away(kubeconfig: Path) -> None:
    """Remove what netdojo itself left when it made the cluster: a stranger's has none of it."""
    from labs.kube.client import connect
    from labs.kubeconfig.journal import Journal
    from labs.kubeconfig.removal import remove

    await remove(connect(kubeconfig), Journal("none", "somebody", identity="", home="none", canary=True))


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A netdojo home of the test's own: state, data and settings."""
    folder = tmp_path / "home"
    monkeypatch.setenv("NETDOJO_HOME", str(folder))
    return folder


class RecordingRuntime:
    """A runtime that carries nothing and remembers what it was told; commands are a small set of imitations."""

    def __init__(self, families: tuple[int, ...] = (4, 6)) -> None:
        self.families = families
        self.nodes: list[Any] = []
        self.hosts: list[Any] = []
        self.pods: dict[str, Any] = {}
        self.programs: list[Sequence[dict[str, Any]]] = []
        self.lines: dict[str, list[str]] = {}
        self.refuse = ""
        """The name of a pod that cannot be started."""

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities("sandbox", "recording", simulated=True, families=self.families)

    def add_node(self, node: Any) -> None:
        self.nodes.append(node)

    def add_host(self, host: Any) -> None:
        self.hosts.append(host)

    def start_pod(self, pod: Any) -> None:
        if self.refuse and pod.name.startswith(self.refuse):
            raise InfrastructureError("the kernel has no room")
        self.pods[pod.uid] = pod

    def stop_pod(self, uid: str) -> None:
        self.pods.pop(uid, None)

    def program(self, objects: Sequence[dict[str, Any]]) -> None:
        self.programs.append(objects)

    def allowed_until_programmed(self) -> bool:
        return False

    async def probe(self, probes: Sequence[Any]) -> tuple[Any, ...]:
        del probes
        return ()

    async def prove_enforcement(self) -> None:
        return None

    async def exec(self, uid: str, container: str, argv: Sequence[str], *, tty: bool = False) -> ImitatedCommand:
        del container, tty
        if argv[0] == "impossible":
            raise InfrastructureError("no command runs here", remedy="run it elsewhere")
        return ImitatedCommand(self.pods[uid].name, list(argv))

    def logs(self, uid: str, container: str) -> Sequence[str]:
        return self.lines.get(f"{self.pods[uid].name}/{container}", [])

    def close(self) -> None:
        self.pods.clear()


class ImitatedCommand:
    """`hostname`, `echo WORDS`, `warn WORDS` (to standard error), `exit N`, `cat`."""

    def __init__(self, pod: str, argv: list[str]) -> None:
        self._pod = pod
        self._argv = argv
        self._input: asyncio.Queue[bytes] = asyncio.Queue()
        self.killed = False

    async def output(self) -> AsyncIterator[tuple[int, bytes]]:
        command, *words = self._argv
        if command == "cat":
            while data := await self._input.get():
                yield 1, data
        elif command != "exit":
            text = self._pod if command == "hostname" else " ".join(words)
            yield (2 if command == "warn" else 1), f"{text}\n".encode()

    async def write(self, data: bytes) -> None:
        self._input.put_nowait(data)

    def resize(self, columns: int, rows: int) -> None:
        del columns, rows

    async def wait(self) -> int:
        return int(self._argv[1]) if self._argv[0] == "exit" else 0

    def kill(self) -> None:
        self.killed = True
        self._input.put_nowait(b"")


@dataclass
class KubeApi:
    """A cluster without a dataplane behind the real API server, in a thread of its own."""

    kubectl: Path
    kubeconfig: Path
    port: int
    token: str
    store: Any
    runtime: RecordingRuntime
    folder: Path

    def run(self, *arguments: str, stdin: str = "", seconds: float = 60) -> subprocess.CompletedProcess[str]:
        variables = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "KUBECONFIG": str(self.kubeconfig),
            "TZ": "UTC",
        }
        return subprocess.run(
            [self.kubectl, *arguments],
            input=stdin,
            env=variables,
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )

    def __call__(self, *arguments: str, stdin: str = "") -> str:
        done = self.run(*arguments, stdin=stdin)
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture
def recording_runtime() -> type[RecordingRuntime]:
    return RecordingRuntime


@pytest.fixture(scope="module")
def kube_api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KubeApi]:
    from labs import kubectl
    from labs.sandbox.api.kubeconfig import write_kubeconfig
    from labs.sandbox.api.server import Api
    from labs.sandbox.controllers.manager import Controllers, Topology
    from labs.sandbox.store import Store

    found = kubectl.find()
    if found is None:
        pytest.skip("kubectl: kubectl was not found")
    folder, token = tmp_path_factory.mktemp("kube"), secrets.token_urlsafe(24)
    store, runtime = Store(), RecordingRuntime((4,))
    sock = socket.create_server(("127.0.0.1", 0))
    loop = asyncio.new_event_loop()
    api: list[Any] = []

    async def start() -> None:
        controllers = Controllers(store, runtime, Topology(nodes=2, families=(4,)))
        await controllers.settle()
        api.append(Api(store, controllers, runtime, token=token))
        await api[0].serve(sock)

    loop.run_until_complete(start())
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    port = sock.getsockname()[1]
    write_kubeconfig(folder / "kubeconfig", port=port, token=token)
    yield KubeApi(found, folder / "kubeconfig", port, token, store, runtime, folder)
    asyncio.run_coroutine_threadsafe(api[0].close(), loop).result(10)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(10)
    loop.close()
