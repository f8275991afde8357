"""Labs on live clusters: the backends and the life of a lab.

Map of the package:

- `base`       what a backend is; the states of a lab
- `registry`   backends by name, imported only when used
- `store`      where labs live on disk: one folder a lab; `locks` between processes
- `kubectl`    finds a kubectl, and runs it on a lab
- `located`    where an object that the cluster refused stands: file and line
- `session`    start, check, hint, reset, stop: everything the app and the commands do with a lab
- `progress`   what the learner has done, in SQLite
- `fitting`    answers that fit the cluster at hand
- `author`     proofs that a lab works: start fails, solution passes, mistakes fail where they say
- `doctor`     what can run on this machine, and what is missing for the rest
- `sandbox/`   a cluster in Linux network namespaces that answers kubectl

It imports `grader` and `content`, and knows nothing of Textual.
"""
