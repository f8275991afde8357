"""The objects of a live cluster that decide traffic, read with the user's own kubectl; nothing is changed."""

from __future__ import annotations

import asyncio
import json
from typing import Any

KINDS = (
    "namespaces",
    "nodes",
    "pods",
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
    "httproutes.gateway.networking.k8s.io",
)
POLICY_GROUPS = ("projectcalico.org", "crd.projectcalico.org", "policy.networking.k8s.io")
SILENT = 30
"""Seconds that kubectl waits for one answer."""


def objects_of(context: str) -> list[dict[str, Any]]:
    """Return them, as JSON gives them.

    Raises:
        grader.errors.InfrastructureError: there is no kubectl, or the cluster does not answer.
    """
    from tui.commands.options import perform

    return perform(_objects(context))


async def _objects(context: str) -> list[dict[str, Any]]:
    known = (await _kubectl(context, "api-resources", "--verbs=list", "--output=name")).split()
    wanted = [name for name in known if name in KINDS or name.partition(".")[2] in POLICY_GROUPS]
    # The native group of Calico's kinds has all that the older group of its storage has: reading both counts twice.
    if any(name.partition(".")[2] == "projectcalico.org" for name in wanted):
        wanted = [name for name in wanted if name.partition(".")[2] != "crd.projectcalico.org"]
    found = await asyncio.gather(*(_list(context, name) for name in wanted))
    return [item for items in found for item in items]


async def _list(context: str, name: str) -> list[dict[str, Any]]:
    document = json.loads(await _kubectl(context, "get", name, "--all-namespaces", "--output=json"))
    return [item for item in document.get("items", ()) if isinstance(item, dict)]


async def _kubectl(context: str, *arguments: str) -> str:
    from grader.errors import InfrastructureError
    from labs.kubectl import run

    done = await run([f"--context={context}", f"--request-timeout={SILENT}s", *arguments], {})
    # A cluster with a broken aggregated API still lists the others, and says so on standard error with status 1.
    if done.code and not (arguments[0] == "api-resources" and done.stdout.strip()):
        what = done.stderr.strip().splitlines()
        remedy = "kubectl config get-contexts lists the contexts; kubectl get pods must work there"
        raise InfrastructureError(f"kubectl {arguments[0]}: {what[-1] if what else 'failed'}", remedy=remedy)
    return done.stdout
