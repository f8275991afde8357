"""The file format of courses, labs and quizzes, and the course that ships with netdojo.

Map of the package:

- `errors`    what can be wrong with content: `Defect` (file, line, cause, remedy) and `BrokenContentError`
- `yamlio`    safe YAML with limits on size, depth and aliases, and the line of every value
- `model`     frozen models: `Course`, `Chapter`, `Lesson`, `Quiz`, `Lab`, `Task`, check kinds
- `arrows`    the traffic notation `summary -> database:2379 via service`
- `load`      folders to models; reports every defect at once
- `validate`  what a single file cannot show: files that are missing, names that do not exist
- `schema`    JSON schema of each file, for editors
- `courses/`  the shipped course: chapters, lessons, quizzes, labs

Nothing here knows a cluster or a terminal; it imports the standard library, pydantic and PyYAML.
"""
