"""Namespaces, links, addresses and routes of the sandbox.

- `netns`      one network namespace as an object: enter it, open sockets inside it
- `netlink`    requests to the kernel as bytes, sent in batches
- `rtnetlink`  links, addresses, routes and neighbours as such requests
- `sysctl`     kernel settings of one namespace
- `carrier`    links that carry packets from the start
- `fabric`     nodes, pods and outside hosts, joined as Calico joins them
"""
