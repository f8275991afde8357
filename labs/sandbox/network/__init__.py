"""Namespaces, links, addresses and routes of the sandbox.

- `netns`     one network namespace as an object: enter it, open sockets inside it
"""
