"""A cluster in Linux network namespaces that answers kubectl: real packets, no root, no Docker, no system package.

One process is the cluster (the daemon). It listens on a loopback TCP port (the Kubernetes API) and on a Unix socket
(control), then leaves the host's network: from there on everything it makes lives in namespaces that the kernel frees
when the process ends. It is process 1 of its own PID namespace, so nothing it started outlives it either.

Map:

- `backend`      `labs.base.Backend`: start, find, connect, stop; runs outside the daemon
- `client`       the control protocol's client, and `grader.ports.Cluster` over it
- `control`      the control protocol: one JSON object a line over the Unix socket
- `daemon`       puts the parts together; `python -m labs.sandbox.daemon`
- `isolation`    unshare, uid maps, PID 1 duties, what the kernel refuses and why
- `runtime`      the port between controllers and dataplanes: nodes, pods, policies, probes, exec
- `store`        the objects, with resource versions and watches
- `api/`         the HTTP server that kubectl talks to
- `controllers/` Deployment to pods, addresses, endpoints, namespaces
- `network/`     namespaces, links, addresses, routes
- `workloads/`   what pods answer, the cluster's DNS, commands inside pods
- `dataplane/`   nftables (real packets) and model (computed)
- `probing`      thousands of probes from one event loop
"""
