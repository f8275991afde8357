"""A cluster in Linux network namespaces that answers kubectl: real packets, no root, no Docker, no system package.

One process is the cluster (the daemon). It listens on a loopback TCP port (the Kubernetes API) and on a Unix socket
(control), then leaves the host's network: from there on everything it makes lives in namespaces that the kernel frees
when the process ends. It is process 1 of its own PID namespace, so nothing it started outlives it either.

Map, from the outside in:

- `backend`      `labs.base.Backend`: start, find, connect, stop; runs outside the daemon
- `starter`      starts a daemon, narrates its progress, lets it go
- `client`       asks a daemon; `grader.ports.Cluster` over the control protocol
- `wire`         the control protocol's words: one JSON object a line
- `state`        what a daemon leaves in its folder for others to find it; how it is told from a stranger

Map, inside the daemon:

- `daemon`       binds what the host must reach, leaves the host's network, forks; `python -m labs.sandbox.daemon`
- `isolation`    the namespaces that it enters, or tries to; `refusals` says why it cannot, and what helps
- `process`      the cluster's process from its first to its last turn; `reaper` collects orphans
- `cluster`      puts the parts together; `control` serves what can be asked of them
- `store`        the objects, with resource versions and watches
- `api/`         the HTTP server that kubectl talks to
- `controllers/` Deployment to pods, addresses, endpoints, namespaces
- `runtime`      the port between controllers and dataplanes: nodes, pods, policies, probes, exec
- `kernel`       that port in this kernel: `network/`, `dataplane/nftables`, `workloads/`, `probing/` put together
- `canary`       shows that a policy stops a packet here
- `environment`  what a command in a pod finds: resolv.conf, variables
- `network/`     namespaces, links, addresses, routes
- `workloads/`   what pods answer, the cluster's DNS, commands inside pods
- `dataplane/`   nftables (real packets) and model (computed)
- `probing/`     thousands of probes from one event loop
"""
