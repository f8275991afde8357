"""What makes the objects in the store true: one plain function a controller, over the whole store.

`Controllers.settle` calls them until none has anything to do, and then programs the dataplane once.

- `manager`      which controller runs when what has changed; the order of a start
- `context`      what a controller works with: the store, the runtime, children and events
- `system`       nodes, system namespaces, coredns, the `kubernetes` Service
- `namespaces`   the default ServiceAccount; what remains when a namespace goes
- `deployments`, `replicasets`, `statefulsets`, `daemonsets`   workloads to pods
- `names`, `revisions`   names derived from a template; the templates that a workload has had
- `scheduler`    pods to nodes
- `addresses`    pods' addresses, in blocks of 64 a node
- `kubelet`      pods to the runtime, and its answer to their status
- `endpoints`    Services to EndpointSlices and Endpoints
- `garbage`      what has lost its owners

Source of the behaviour: k8s.io/kubernetes `pkg/controller`.
"""
