"""The Textual app and the command line: the composition root.

Map of the package:

- `cli`        the `netdojo` command; `commands/` one module a group, imported when used
- `output`     text, JSON and JUnit from reports; exit codes
- `wiring`     which backend, which course, which folders: the only place that puts parts together
- `settings`   typed settings with their sources
- `app`        the Textual app; `screens/`, `widgets/`
"""
