"""What pods answer, the cluster's DNS, and commands inside pods.

An image is never pulled: its name selects a behaviour. Everything that listens is a socket made inside the pod's
network namespace and served by the daemon's one event loop, so a pod costs a few descriptors and no process.

Map:

- `identity`    who answers: a nonce, the pod's name and the client seen, sealed with the lab's secret
- `behaviours`  an image's name to its ports and its HTTP answers
- `servers`     a pod's listening sockets, made and closed together
- `stream`      a TCP port: answers probes itself, and hands over other connections
- `datagram`    a UDP port
- `http`        HTTP/1.1, as much as curl, wget and browsers need, with limits
- `plain`       connections on which something else is spoken
- `sctp`        INIT and INIT ACK in raw packets, for kernels without SCTP sockets
- `dns`, `records`  the cluster's DNS: packets, and names from the cluster's objects
- `command`     a process in a pod: `kubectl exec`
- `enter`       the first program of such a process: it makes the container, then becomes the command
- `applets/`    curl, wget, nc, ping, nslookup, dig and ip, for machines that lack them
"""
