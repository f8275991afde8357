"""Labs on a cluster that the user already has, by a context of a kubeconfig.

Nothing happens there that was not agreed to. The context is named or agreed to, never taken because it is current. A lab
lives in namespaces that it makes and removes; what lies outside them (cluster-wide objects, privileged agents on the
nodes) is listed and asked about first. Everything is written down on this disk before it is made, so that `stop`
removes exactly that, after a kill at any moment too.

Map of the package:

- `backend`    `labs.base.Backend`: start, find, connect, stop
- `settings`   which file, which context, which image, what was agreed to
- `contexts`   kubeconfig files as kubectl merges them; one context on its own
- `scope`      where a lab's objects would go: its own namespaces, somebody else's, the whole cluster
- `journal`    what was made, or is about to be, on disk
- `rights`     what the user may do there, asked of the API before anything is made
- `agents`     how commands get at the pods' networks: nodes that are containers here, agent pods, ephemeral containers
- `cluster`    `grader.ports.Cluster` that keeps to the scope and the journal
"""
