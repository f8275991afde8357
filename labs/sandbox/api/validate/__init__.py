"""What the API refuses, kind by kind; messages as Kubernetes writes them.

- `common`     names, labels, selectors, ports, addresses
- `metadata`   every object's metadata
- `pods`       Pod and pod templates
- `workloads`  Deployment, ReplicaSet, StatefulSet, DaemonSet
- `services`   Service
- `policies`   NetworkPolicy
- `core`       ConfigMap, Secret, Namespace, EndpointSlice, Endpoints, Event

Source: k8s.io/kubernetes `pkg/apis/*/validation` and k8s.io/apimachinery `pkg/util/validation`.
"""
