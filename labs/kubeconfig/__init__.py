"""Labs on a cluster that the user already has, by a context of a kubeconfig.

Nothing happens there that was not agreed to. The context is named or agreed to, never taken because it is current. A
lab lives in namespaces that it makes and removes; what lies outside them (cluster-wide objects, privileged agents on
the nodes) is listed and asked about first. Everything is written down on this disk before it is made, so that `stop`
removes exactly that, after a kill at any moment too. What a learner makes outside the lab's namespaces with kubectl is
the learner's own.

Map of the package:

- `backend`    `labs.base.Backend`: start, find, connect, stop
- `settings`   which file, which context, which images, what was agreed to
- `contexts`   kubeconfig files as kubectl merges them; one context on its own
- `scope`      where a lab's objects would go: its own namespaces, somebody else's, the whole cluster
- `journal`    what was made, or is about to be, on disk
- `keeper`     admits objects: refuses strangers' names, asks, writes the journal, marks
- `removal`    takes away what the journal has, and nothing else
- `rights`     what the user may do there, asked of the API before anything is made
- `agents`     how commands get at the pods' networks: nodes that are containers here, agent pods, debug containers
- `target`     the cluster as it is found: who it is, what it can do, which of these ways is open
- `cluster`    `grader.ports.Cluster` that keeps to the scope and the journal
"""
