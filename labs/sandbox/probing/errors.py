"""The kernel's words to outcomes."""

from __future__ import annotations

import errno
import os

from grader.ports import Outcome

_OUTCOMES = {
    errno.ECONNREFUSED: Outcome.REFUSED,
    errno.ENOPROTOOPT: Outcome.REFUSED,  # ICMP protocol unreachable: the host is there and does not speak it
    errno.EPROTO: Outcome.REFUSED,  # ICMPv6 parameter problem: likewise
    errno.EHOSTUNREACH: Outcome.UNREACHABLE,
    errno.ENETUNREACH: Outcome.UNREACHABLE,
    errno.EHOSTDOWN: Outcome.UNREACHABLE,
    errno.ENONET: Outcome.UNREACHABLE,
    errno.EACCES: Outcome.UNREACHABLE,  # a prohibit route, or ICMPv6 administratively prohibited
    errno.EINVAL: Outcome.UNREACHABLE,  # a blackhole route
}

SILENT = frozenset({errno.EPERM, errno.ENOBUFS, errno.ETIMEDOUT})
"""What counts as silence: the packet was dropped on this side (EPERM: by netfilter)."""

AGAIN = frozenset({errno.EAGAIN, errno.EINPROGRESS, errno.EALREADY, errno.EINTR})
NO_DESCRIPTOR = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM})


def outcome_of(number: int) -> tuple[Outcome, str]:
    """The outcome that an error number means, and its text."""
    return _OUTCOMES.get(number, Outcome.ERROR), os.strerror(number)
