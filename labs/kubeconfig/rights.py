"""What the kubeconfig's user may do, asked of the API (SelfSubjectAccessReview) before anything is made."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from grader.errors import InfrastructureError, NotCapableError
from labs.kube.api import Refused
from labs.kubeconfig.settings import AGENTS, CONTAINERS, PODS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from labs.kube.api import Api

_REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"


@dataclass(frozen=True, slots=True)
class Right:
    """One thing to do with a kind, in all namespaces."""

    verb: str
    resource: str
    group: str = ""
    part: str = ""

    def __str__(self) -> str:
        named = f"{self.resource}.{self.group}" if self.group else self.resource
        return f"{self.verb} {named}/{self.part}" if self.part else f"{self.verb} {named}"


_READ = ("get", "list", "watch")
_WRITE = ("create", "patch", "delete")
ALWAYS = (
    *(Right(verb, "namespaces") for verb in (*_READ, *_WRITE)),
    *(Right(verb, kind) for kind in ("pods", "services", "serviceaccounts") for verb in (*_READ, *_WRITE)),
    *(Right(verb, "nodes") for verb in _READ),
    *(Right(verb, "deployments", "apps") for verb in (*_READ, *_WRITE)),
    *(Right(verb, "networkpolicies", "networking.k8s.io") for verb in (*_READ, *_WRITE)),
    Right("create", "pods", part="exec"),
)
"""What every lab needs. It is asked for the whole cluster: a lab makes the namespaces that it works in."""
OF_WAY: dict[str, tuple[Right, ...]] = {
    CONTAINERS: (),
    AGENTS: (),
    PODS: (Right("patch", "pods", part="ephemeralcontainers"),),
}
"""What each way to the pods' networks needs beside that."""


async def missing(api: Api, rights: Iterable[Right]) -> tuple[Right, ...]:
    """Those that the user does not have, in their order.

    Raises:
        InfrastructureError: the API cannot be asked.
    """
    wanted = tuple(rights)
    held = await asyncio.gather(*(_held(api, right) for right in wanted))
    return tuple(right for right, has in zip(wanted, held, strict=True) if not has)


async def demand(api: Api, context: str) -> None:
    """Return when the user may do what every lab needs.

    Raises:
        NotCapableError: names everything that is missing.
    """
    lacking = await missing(api, ALWAYS)
    if lacking:
        raise NotCapableError(
            f"the user of context {context} may not: {', '.join(map(str, lacking))}",
            remedy="ask the cluster's administrator for a ClusterRole with these rights, or use --on sandbox",
        )


@contextlib.contextmanager
def explained(context: str) -> Iterator[None]:
    """Say of what the API refuses inside that it does, and who can change that.

    Raises:
        InfrastructureError: it refused something.
    """
    try:
        yield
    except Refused as refused:
        raise InfrastructureError(
            f"the cluster of context {context} refuses: {refused.message}",
            remedy="ask the cluster's administrator for that right, and try again",
        ) from refused


async def _held(api: Api, right: Right) -> bool:
    asked = {"verb": right.verb, "resource": right.resource, "group": right.group, "subresource": right.part}
    body = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": {key: value for key, value in asked.items() if value}},
    }
    try:
        answer = await api.post(_REVIEWS, body)
    except Refused as refused:
        raise InfrastructureError(
            f"the cluster does not say what its user may do: {refused.message}",
            remedy="every user may ask that by default (ClusterRole system:basic-user); log in again",
        ) from refused
    return bool((answer.get("status") or {}).get("allowed"))
