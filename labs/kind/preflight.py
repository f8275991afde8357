"""What kind clusters need of this machine and of its engine: each with a verdict and a remedy. Nothing is changed.

The needs are kind's own (https://kind.sigs.k8s.io/docs/user/known-issues/), kubelet's, and those of a lab's cluster.
"""

from __future__ import annotations

import json
import shutil
import socket
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from content.errors import NetdojoError
from grader.errors import InfrastructureError
from labs.doctor import Examined, Finding
from labs.kind import endpoint as endpoints
from labs.kind import images, pins
from labs.kind.engine import KIND_CLUSTER
from labs.kind.state import PREFIX

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from labs.kind.binary import Program
    from labs.kind.engine import Engine
    from labs.kind.settings import KindSettings

_GIB = 1 << 30
_MEMORY_LEAST, _MEMORY_GOOD = 2 * _GIB, 4 * _GIB
"""A cluster of two nodes with Calico takes about 1.2 GiB; the rest is the labs' pods and the machine's."""
_DISK_LEAST, _DISK_GOOD = 3 * _GIB, 10 * _GIB
"""Images take 2 GiB, and each cluster unpacks its own."""
_WATCHES, _INSTANCES = 524288, 512
"""kind's page on "too many open files"."""
_ARCHITECTURES = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}


@dataclass(frozen=True, slots=True)
class Host:
    """Facts of this machine that the engine does not tell.

    Attributes:
        docker_program: whether `docker` is on the path: kind runs it.
        watches: fs.inotify.max_user_watches; -1 where there is no such limit here.
        instances: fs.inotify.max_user_instances; likewise.
        init: whether the engine's settings give every container an init process.
        disk_free: bytes where the engine keeps its data; -1 where that is not on this machine.
    """

    docker_program: bool = True
    watches: int = -1
    instances: int = -1
    init: bool = False
    disk_free: int = -1


def host(info: Mapping[str, Any]) -> Host:
    """The facts as they are now. `info` is the engine's, which says where it keeps its data."""
    root = Path(str(info.get("DockerRootDir") or "/"))
    try:
        free = shutil.disk_usage(root).free if root.is_dir() and not _desktop(info) else -1
    except OSError:
        free = -1
    return Host(
        shutil.which("docker") is not None,
        _limit("max_user_watches") if not _desktop(info) else -1,
        _limit("max_user_instances") if not _desktop(info) else -1,
        any(_asks_for_init(file) for file in _settings_files()),
        free,
    )


def _limit(name: str) -> int:
    try:
        return int(Path("/proc/sys/fs/inotify", name).read_text(encoding="ascii"))
    except (OSError, ValueError):
        return -1


def _settings_files() -> tuple[Path, ...]:
    home = Path.home()
    return (Path("/etc/docker/daemon.json"), home / ".config/docker/daemon.json", home / ".docker/daemon.json")


def _asks_for_init(file: Path) -> bool:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(found, dict) and found.get("init") is True


def unreachable(refusal: endpoints.Refusal) -> Examined:
    """The finding when no engine answers."""
    return Examined("Docker", Finding.MISSING, f"{refusal.reason} [{refusal.code}]", refusal.remedies)


def of_engine(info: Mapping[str, Any], facts: Host, settings: KindSettings) -> tuple[Examined, ...]:
    """What an engine that answers, and its machine, have of what clusters need."""
    return (
        _version(info),
        _program(facts),
        _architecture(info),
        _cgroups(info, settings),
        _memory(info),
        _inotify(facts),
        _init(facts),
        _disk(facts),
    )


def _fine(what: str, detail: str) -> Examined:
    return Examined(what, Finding.FINE, detail)


def _version(info: Mapping[str, Any]) -> Examined:
    text = str(info.get("Version") or info.get("ServerVersion") or "")
    version = pins.version_of(text)
    least = ".".join(map(str, pins.DOCKER_LEAST))
    form = "Docker Desktop" if _desktop(info) else "rootless Docker" if _rootless(info) else "Docker"
    if version and version < pins.DOCKER_LEAST:
        detail = f"{form} {text} answers; kind's nodes need {least} or newer"
        return Examined("Docker", Finding.MISSING, detail, ("update Docker: https://docs.docker.com/engine/install/",))
    if _rootless(info) and str(info.get("CgroupVersion")) != "2":
        return Examined(
            "Docker",
            Finding.MISSING,
            f"{form} {text} answers; without cgroup v2 it cannot limit what nodes start, and kubelet refuses that",
            ("use the system's engine", "boot with cgroup v2: https://kind.sigs.k8s.io/docs/user/rootless/"),
        )
    return _fine("Docker", f"{form} {text or 'of an unknown release'} answers")


def _desktop(info: Mapping[str, Any]) -> bool:
    return "docker desktop" in str(info.get("OperatingSystem", "")).lower()


def _rootless(info: Mapping[str, Any]) -> bool:
    return any("rootless" in str(option) for option in info.get("SecurityOptions") or ())


def _program(facts: Host) -> Examined:
    if facts.docker_program:
        return _fine("docker program", "kind can run docker")
    return Examined(
        "docker program",
        Finding.MISSING,
        "kind runs the program docker, which is not on the path",
        ("install Docker's command line (docker-ce-cli, docker-cli or docker.io), or put it on the PATH",),
    )


def _architecture(info: Mapping[str, Any]) -> Examined:
    name = str(info.get("Architecture", ""))
    if name in _ARCHITECTURES:
        return _fine("architecture", _ARCHITECTURES[name])
    return Examined(
        "architecture",
        Finding.LESS,
        f"the engine's machine is {name or 'of an unknown kind'}: node images are made for amd64 and arm64",
        ("name a node image of your own in the setting kind.node_image",),
    )


def _cgroups(info: Mapping[str, Any], settings: KindSettings) -> Examined:
    if str(info.get("CgroupVersion", "")) != "1":
        return _fine("cgroups", "version 2")
    if any("failCgroupV1: false" in " ".join(text.split()) for text in settings.patch_documents()):
        return _fine("cgroups", "version 1, which kubelet is told to accept (failCgroupV1: false in kind.patches)")
    since = ".".join(map(str, pins.KUBERNETES_REFUSING_CGROUP_V1))
    return Examined(
        "cgroups",
        Finding.MISSING,
        f"the machine uses cgroup version 1: kubelet refuses that since Kubernetes {since}",
        (
            "boot with version 2: systemd.unified_cgroup_hierarchy=1 on the kernel's command line",
            "or set kind.patches to a file with the lines: kind: KubeletConfiguration, failCgroupV1: false",
        ),
    )


def _memory(info: Mapping[str, Any]) -> Examined:
    total = int(info.get("MemTotal") or 0)
    detail = f"{total / _GIB:.1f} GiB for the engine"
    if not total or total >= _MEMORY_GOOD:
        return _fine("memory", detail if total else "as much as the engine has")
    more = "give Docker Desktop more: Settings, Resources" if _desktop(info) else "end what needs much memory"
    if total < _MEMORY_LEAST:
        return Examined("memory", Finding.MISSING, f"{detail}: a cluster of two nodes needs 2", (more,))
    return Examined("memory", Finding.LESS, f"{detail}: enough for one cluster at a time", (more,))


def _inotify(facts: Host) -> Examined:
    low = [
        f"fs.inotify.{name}={wanted}"
        for name, found, wanted in (
            ("max_user_watches", facts.watches, _WATCHES),
            ("max_user_instances", facts.instances, _INSTANCES),
        )
        if 0 <= found < wanted
    ]
    if not low:
        return _fine("inotify", "limits are high enough" if facts.watches >= 0 else "no limits that are seen from here")
    return Examined(
        "inotify",
        Finding.LESS,
        f"limits are low ({facts.watches} watches, {facts.instances} instances): a second or third cluster can end in "
        '"too many open files"',
        (f"sudo sysctl {' '.join(low)}", "and the same lines in /etc/sysctl.d/99-kind.conf, to keep it"),
    )


def _init(facts: Host) -> Examined:
    if not facts.init:
        return _fine("init", "nodes start their own")
    return Examined(
        "init",
        Finding.MISSING,
        "the engine's settings have \"init\": true: a node's systemd has to be the first process, and would not be",
        ('take "init": true out of daemon.json, then restart Docker',),
    )


def _disk(facts: Host) -> Examined:
    if facts.disk_free < 0:
        return _fine("disk", "the engine's, not seen from here: docker system df")
    detail = f"{facts.disk_free / _GIB:.1f} GiB free for the engine"
    if facts.disk_free >= _DISK_GOOD:
        return _fine("disk", detail)
    remedies = ("docker system df shows what takes space", "move the engine's data: data-root in daemon.json")
    if facts.disk_free < _DISK_LEAST:
        return Examined("disk", Finding.MISSING, f"{detail}: images and a cluster need 3", remedies)
    return Examined("disk", Finding.LESS, f"{detail}: enough for one or two clusters", remedies)


def ports(wanted: Iterable[tuple[int, str]]) -> Examined:
    """Whether ports of the machine's loopback are free: pairs of number and protocol (TCP, UDP)."""
    taken = [f"{number}/{protocol}" for number, protocol in wanted if _taken(number, protocol)]
    if not taken:
        return _fine("ports", "free")
    one = taken[0].partition("/")[0]
    return Examined(
        "ports",
        Finding.MISSING,
        f"taken on 127.0.0.1: {', '.join(taken)}",
        (f"end what listens there (ss -ltnup 'sport = :{one}' names it)", "or choose other ports"),
    )


def _taken(number: int, protocol: str) -> bool:
    kind = socket.SOCK_DGRAM if protocol.upper() == "UDP" else socket.SOCK_STREAM
    with socket.socket(socket.AF_INET, kind) as tried:
        if sys.platform != "win32":
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind(("127.0.0.1", number))
        except OSError:
            return True
    return False


async def of_kind(program: Program) -> Examined:
    """The kind program: there, and new enough."""
    get = f"get kind v{pins.KIND}: https://kind.sigs.k8s.io/docs/user/quick-start/#installation"
    named = "or name it in the setting kind.binary (NETDOJO_KIND_BINARY)"
    try:
        version = await program.version()
    except InfrastructureError as error:
        return Examined("kind", Finding.MISSING, error.message, (get, named))
    text = ".".join(map(str, version))
    if version < pins.KIND_LEAST:
        least = ".".join(map(str, pins.KIND_LEAST))
        return Examined("kind", Finding.MISSING, f"kind {text} is too old: {least} or newer is needed", (get, named))
    if version[:2] < pins.version_of(pins.KIND)[:2]:
        detail = f"kind {text}; the node image is made for {pins.KIND}, and may not start with an older one"
        return Examined("kind", Finding.LESS, detail, (get,))
    return _fine("kind", f"kind {text}")


async def strangers(engine: Engine, ours: Sequence[str], free: int = 0) -> Examined:
    """Clusters that bear our names and have no record here: they are left alone, always.

    `ours` are the names in this user's pool, `free` of which wait for a lab.
    """
    found = await engine.containers({KIND_CLUSTER: None})
    names = sorted({node.labels.get(KIND_CLUSTER, "") for node in found})
    foreign = [name for name in names if name.startswith(PREFIX) and name not in ours]
    if not foreign:
        others = len([name for name in names if name not in ours])
        idle = f" ({free} free for the next lab)" if free else ""
        return _fine("other clusters", f"{len(ours)} of netdojo's{idle}, {others} of others")
    return Examined(
        "other clusters",
        Finding.LESS,
        f"named as netdojo's, but made from another folder, and left alone: {', '.join(foreign)}",
        (f"if nobody needs it: kind delete cluster --name {foreign[0]}",),
    )


async def of_images(engine: Engine, wanted: Iterable[images.Needed]) -> Examined:
    """Whether the engine has what clusters need."""
    listed = tuple(wanted)
    lacking = await images.missing(engine, listed)
    if not lacking:
        return _fine("images", f"all {len(listed)} are there")
    registries = sorted({images.registry_of(item.reference) for item in lacking})
    return Examined(
        "images",
        Finding.LESS,
        f"{len(lacking)} of {len(listed)} would have to be fetched, from {', '.join(registries)}",
        ("netdojo lab prepare fetches them ahead", "netdojo lab prepare --load FILE brings them without a network"),
    )


def refuse(examined: Iterable[Examined]) -> None:
    """Go on only where nothing is missing.

    Raises:
        InfrastructureError: something is; the first of them, with its remedies.
    """
    for each in examined:
        if each.finding is Finding.MISSING:
            raise InfrastructureError(
                f"kind clusters cannot run here: {each.what}: {each.detail}", remedy="; ".join(each.remedies)
            )


def failed(what: str, error: Exception) -> Examined:
    """A finding of what could not be looked at."""
    remedy = getattr(error, "remedy", "") if isinstance(error, NetdojoError) else ""
    text = str(error) or type(error).__name__
    return Examined(what, Finding.MISSING, text, (remedy,) if remedy else ("netdojo doctor, again",))
