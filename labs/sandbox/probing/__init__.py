"""Thousands of probes from one event loop: each socket lives in its source's namespace, no process and no thread.

- `attempt`  one try of one probe, by protocol, as a small state machine
- `errors`   the kernel's words to outcomes
- `icmp`     echo requests and replies
- `prober`   many attempts at once: slices, silence, second tries
"""

from labs.sandbox.probing.prober import Endpoint, Prober

__all__ = ["Endpoint", "Prober"]
