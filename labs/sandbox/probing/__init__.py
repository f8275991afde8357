"""Thousands of probes from one event loop: each socket lives in its source's namespace, no process and no thread.

- `attempt`  one try of one probe, by protocol, as a small state machine
- `errors`   the kernel's words to outcomes
- `icmp`     echo requests and replies
- `association`  SCTP by raw packets
- `plan`     names to attempts, results to outcomes
- `prober`   many attempts at once: slices, silence, second tries
"""

from labs.sandbox.probing.plan import Endpoint
from labs.sandbox.probing.prober import Prober

__all__ = ["Endpoint", "Prober"]
