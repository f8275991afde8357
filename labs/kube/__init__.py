"""A cluster behind any Kubernetes API: what the backends `kind` and `kubeconfig` share.

Map:

- `api`        what is asked of an API (Protocol), its refusals; `client` carries it over the `kubernetes` client
- `resources`  discovery: which kinds are served, and which decide traffic
- `snapshot`   all objects that decide traffic, by list calls
- `mirror`     the same followed by watches: versions, and waiting for conditions
- `apply`      the order of applying and deleting, and what was refused
- `ready`      waits until workloads run and Services have endpoints; says what is missing and why
- `canary`     objects by which a dataplane shows how far it has come; `turn` flips them
- `settle`     the barrier: returns when every node enforces what was written
- `execution`  commands inside pods
- `cluster`    `grader.ports.Cluster` out of these
- `probing/`   probes from inside the nodes

Nothing here knows where the cluster comes from. `kubernetes` is imported by `client` alone.
"""
