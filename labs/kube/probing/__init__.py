"""Probes on a real cluster: one command in each node carries all probes of the pods there.

- `runner`   how a command runs inside a node or an outside host (a protocol)
- `agent.pl` what runs there: enters pods' network namespaces, thousands of sockets in one loop, knows no server
- `places`   the names of endpoints to machines, namespaces and addresses, from the objects of the cluster
- `talk`     what is said to a server so that it tells who it is, and what its answer proves
- `plan`     probes to errands, or why one cannot be made
- `wire`     errands to the agent's input, its output to reports, with every byte of it in doubt
- `judge`    reports to observations
- `prober`   all of it: a batch in, observations out
"""

from labs.kube.probing.prober import Prober
from labs.kube.probing.runner import Finished, Runner

__all__ = ["Finished", "Prober", "Runner"]
