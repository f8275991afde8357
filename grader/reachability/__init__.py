"""Who reaches whom, and why: read from the normal form of `grader.policy` only.

- `verdict`    the plain data: `Flow`, `Decision`, `Verdict`, `Explanation`
- `world`      objects to a `World` that answers questions
- `endpoints`  names and addresses to what policies see of them; Services to the pods behind
- `routes`     where Services send packets
- `requests`   addresses of requests, and which hosts and paths mean them; `ingresses` and `gateways`: which rules take
               them, as `leads`; `proxies`: what serves them; `routed`: both connections judged
- `judge`      one direction of one `packet`; what the specification leaves open
- `tiers`      first match through tiers; `hosts` and `gates`: what host endpoints do
- `matrix`     all pairs, by sets of endpoints (`bits`)
- `explain`    hop by hop: the deciding policy and rule; `near` and `misses`: what came close
- `entries`    Services, node ports, outside addresses and requests as ways in; `entry_changes`: what turns there
- `pings`      who may ping whom, by classes
- `diff`       what a change opens and closes; `space`: several worlds side by side
- `names`      what people type for an endpoint
- `cases`      known cells of conformance suites against verdicts
"""
