"""Where a request may go: what Ingresses and routes make of it, as plain data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from grader.kube.model import Service
    from grader.policy.model import Endpoint


@dataclass(frozen=True, slots=True)
class Proxy:
    """What serves an Ingress or a Gateway.

    Attributes:
        name: in words: "controller of class nginx", "Gateway infra/front".
        pods: its pods; empty where the manifests have none.
        why: how they were found, or why they were not.
    """

    name: str
    pods: tuple[Endpoint, ...] = ()
    why: str = ""


@dataclass(frozen=True, slots=True)
class Send:
    """A backend of a rule: a Service and the number or name of its port; or why requests to it are not sent on."""

    words: str
    service: Service | None = None
    port: int | str = 0
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Lead:
    """One way that a request may take.

    Attributes:
        proxy: what accepts it.
        rule: the rule that means it, in words, with file and line where known.
        condition: what must hold of it besides host and path; empty for nothing.
        sends: where it is sent on, those with a weight of 0 apart.
        notes: what else is done with it.
        answered: with what the proxy answers itself; empty where it sends it on.
    """

    proxy: Proxy
    rule: str
    condition: str = ""
    sends: tuple[Send, ...] = ()
    notes: tuple[str, ...] = ()
    answered: str = ""

    @property
    def ends(self) -> bool:
        """Whether every request that it means goes this way, whatever else it holds."""
        return not self.condition
