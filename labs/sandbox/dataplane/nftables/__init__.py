"""Policies and Services as nftables rules, written over netlink.

- `ranges`     address and port ranges: union and difference
- `ruleset`    tables, chains and rules as plain data
- `compile`    NetworkPolicies to rules, a table for each node
- `backends`   the ready endpoints behind each port of a Service
- `services`   Services to rules: address translation, balancing, refusal
- `encode`     rules to netlink messages; `expressions` as bytes
- `program`    one atomic replacement for each table that changed
- `dataplane`  all of it, for all nodes

It reads parsed objects and selectors only: what the evaluator concludes is never asked, so that each checks the other.
"""
