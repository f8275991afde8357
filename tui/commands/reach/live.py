"""The objects of a live cluster that decide traffic, read with the user's own kubectl; nothing is changed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from grader.ports import Execution

KINDS = frozenset(
    {
        "namespaces",
        "nodes",
        "pods",
        "serviceaccounts",
        "services",
        "endpointslices.discovery.k8s.io",
        "deployments.apps",
        "replicasets.apps",
        "statefulsets.apps",
        "daemonsets.apps",
        "jobs.batch",
        "cronjobs.batch",
        "networkpolicies.networking.k8s.io",
        "ingresses.networking.k8s.io",
        "ingressclasses.networking.k8s.io",
        "gatewayclasses.gateway.networking.k8s.io",
    }
)
NATIVE, STORED = "projectcalico.org", "crd.projectcalico.org"
SILENT = 30
"""Seconds that kubectl waits for one answer."""


def objects_of(context: str, *, refused: Callable[[Exception], None] | None = None) -> list[dict[str, Any]]:
    """Return them, as JSON gives them.

    Args:
        context: of the user's kubeconfig.
        refused: is told of kinds that cannot be read; without it the first is an error.

    Raises:
        grader.errors.InfrastructureError: there is no kubectl, the cluster does not answer, or a kind is refused.
    """
    from tui.commands.options import perform

    return perform(_objects(context, refused))


async def _objects(context: str, refused: Callable[[Exception], None] | None) -> list[dict[str, Any]]:
    from grader.kube.passed_over import may_decide_named

    listed = await _kubectl(context, "api-resources", "--verbs=list", "--output=name")
    # A cluster with a broken aggregated API still lists the others, and says so on standard error with status 1.
    if listed.code and not listed.stdout.strip():
        raise _failed("api-resources", listed)
    wanted = [name for name in listed.stdout.split() if name in KINDS or may_decide_named(name)]
    native, stored = ([name for name in wanted if _group(name) == group] for group in (NATIVE, STORED))
    # The native group of Calico's kinds has all that the older group of its storage has: reading both counts twice.
    done = await _list(context, [name for name in wanted if not native or _group(name) != STORED])
    if done.code and native and stored and "ServiceUnavailable" in done.stderr:
        # Its API server is down, while what it serves is still there to be read.
        done = await _list(context, [name for name in wanted if _group(name) != NATIVE])
    if done.code:
        error = _failed("get", done)
        if refused is None or not done.stdout.strip():
            raise error
        refused(error)
    return [item for item in json.loads(done.stdout).get("items", ()) if isinstance(item, dict)]


def _group(name: str) -> str:
    return name.partition(".")[2]


async def _list(context: str, names: Sequence[str]) -> Execution:
    """All of them by one kubectl: it asks page by page, and goes on after what it may not read."""
    return await _kubectl(context, "get", ",".join(names), "--all-namespaces", "--output=json")


async def _kubectl(context: str, *arguments: str) -> Execution:
    from labs.kubectl import run

    return await run([f"--context={context}", f"--request-timeout={SILENT}s", *arguments], {})


def _failed(command: str, done: Execution) -> Exception:
    from grader.errors import InfrastructureError

    lines = list(dict.fromkeys(line for line in done.stderr.strip().splitlines() if line))
    refused = [line for line in lines if "forbidden" in line.lower()]
    remedy = "kubectl config get-contexts lists the contexts; kubectl get pods must work there"
    if refused:
        lines = refused
        remedy = "ask for the right to list these kinds in every namespace, or leave them out with --keep-going"
    more = f" (and {len(lines) - 1} more)" if len(lines) > 1 else ""
    return InfrastructureError(f"kubectl {command}: {lines[0] if lines else 'failed'}{more}", remedy=remedy)
