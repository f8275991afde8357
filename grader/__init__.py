"""The pure core: Kubernetes objects to reachability, checks to reports.

Map of the package:

- `errors`         what stops a grading: never the same as a wrong answer
- `ports`          what the grader needs from outside: `Cluster`; `Probe` and `Observation`
- `dataplane`      what carries traffic on each node: facts, and the port of clusters that show them
- `kube/`          manifests to typed objects (`kube.model`), label selectors
- `policy/`        the normal form: tiers, policies, rules per direction; one converter per API
- `reachability/`  verdicts, all pairs, explanations: reads the normal form only
- `lint/`          policies that do not do what they look like
- `edits/`         the smallest changes that turn a verdict
- `synthesize/`    from required traffic to policies, and how much more passes
- `checks/`        expected against observed
- `matrix`, `plan` the cells of a lab, and the probes that each of them needs
- `baseline`       what is open at the untouched start
- `grade`          a lab and a cluster to a `report.Report`
- `explanation`    why a cell is what it is
- `simulate`       a cluster that is not there: probes answered from objects alone
- `report`         what came out, for people and for machines

It imports `content` and nothing of clusters, namespaces, Docker or terminals.
"""
