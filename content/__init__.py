"""The file format of courses, labs and quizzes, and the course that ships with netdojo.

Map of the package:

- `errors`    what can be wrong with content: `Defect` (file, line, cause, remedy) and `BrokenContentError`
- `yamlio`    files and texts of YAML, Kubernetes manifests, and the line of every value
- `yamlreader` values from YAML's events, with limits on size, depth and aliases
- `scalars`   what a plain YAML scalar means, as kubectl reads it
- `model`     frozen models: `Course`, `Chapter`, `Lesson`, `Quiz`, `Lab`, `Task`, check kinds
- `arrows`    the traffic notation `summary -> database:2379 via service`
- `load`      folders to models; reports every defect at once
- `wording`   what pydantic found, in words for people
- `validate`  what no single file can show, for courses, chapters, lessons and quizzes
- `labcheck`  the same for one lab: arrows and workloads, tasks and mistakes, hints and points
- `workloads` a lab's endpoints and their ports, from its start manifests
- `schema`    JSON schema of each file, for editors
- `courses/`  the shipped course: chapters, lessons, quizzes, labs

Nothing here knows a cluster or a terminal; it imports the standard library, pydantic and PyYAML.
"""
