"""What stops a grading. None of these is a wrong answer; all of them end a command with exit status 3.

InfrastructureError
├── NotEnforcedError      the cluster's dataplane does not enforce policy, so a denial would prove nothing
├── NotCapableError       this backend cannot do what was asked (with what can)
└── ClusterGoneError      the cluster does not answer any more
"""

from __future__ import annotations

from content.errors import NetdojoError


class InfrastructureError(NetdojoError):
    """It could not run; the answer is neither right nor wrong."""


class NotEnforcedError(InfrastructureError):
    """Traffic that a canary policy denies got through: nothing measured here would mean anything."""


class NotCapableError(InfrastructureError):
    """The backend lacks something; the remedy names what has it."""


class ClusterGoneError(InfrastructureError):
    """The cluster was there and does not answer any more."""
