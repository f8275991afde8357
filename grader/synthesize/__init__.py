"""From required traffic to policies: the tightest set that lets it pass, and how much more a given set lets pass.

- `flows`       what people write for required traffic
- `selectors`   the labels that mean exactly some pods
- `policies`    the tightest NetworkPolicies for a list of flows, verified by evaluating them
- `privilege`   what a world lets pass beyond a list of flows
"""
