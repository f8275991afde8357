"""The normal form of policies, and one converter for each API that has policies.

- `model`       tiers → policies → rules per direction, first match wins
- `matches`     what a rule may say of one end of a packet
- `kubernetes`  networking.k8s.io NetworkPolicy to the normal form
- `cluster`     ClusterNetworkPolicy and what it superseded
- `calico`      Calico's policies and rules; `services` for those that name a Service
- `compile`     all of them to one rulebook: the tiers in order, profiles, host endpoints' chains

Evaluation and explanation (`grader.reachability`) read only the normal form. The sandbox's own policy compiler must not
import this package: the two check each other.
"""
