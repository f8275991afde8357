"""A cluster behind any Kubernetes API: what the backends `kind` and `kubeconfig` share.

Map:

- `api`          what is asked of an API (a protocol), and its refusals
- `access`       how a kubeconfig leads to an API: address, TLS, credentials
- `client`       the API over HTTP; `channels` runs commands over its WebSocket
- `patience`     an API that says nothing for a moment
- `resources`    discovery: which kinds are served, and which decide traffic
- `snapshot`     all objects that decide traffic, by list calls
- `mirror`       the same followed by watches: versions, and waiting for conditions
- `fingerprint`  what of an object counts as a change
- `apply`        the order of writing, and what was refused; `deleting` the end of objects
- `ready`        what it means that something runs; `waiting` waits for it, and says what is missing and why
- `canary`       objects by which a dataplane shows how far it has come; `standing` keeps its pods on the nodes
- `signals`      which of the canary's signals tell of which kinds
- `lookout`      looks from a canary's client at what is open
- `settle`       the barrier: returns when every node enforces what was written; `turns` keeps what it has seen
- `cluster`      `grader.ports.Cluster` out of these
- `probing/`     probes from inside the nodes

Nothing here knows where the cluster comes from. `kubernetes` is imported by `access` alone,
and by it only where a kubeconfig says more than kind's do.
"""
