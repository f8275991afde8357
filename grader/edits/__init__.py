"""The smallest changes that turn a verdict, each evaluated before it is offered.

- `step`        one change of one object: in words, as a patch, and the objects after it
- `kubernetes`  changes of NetworkPolicies
- `others`      changes of Calico's and of cluster policies
- `search`      which changes turn a verdict, and what else they turn
"""
