"""What the lab screen does behind its widgets.

- `messages`    what workers report; only these change what is shown
- `operations`  the session's coroutines, run as workers
- `workfiles`   the learner's folder: files, unsaved drafts, changes
- `shell`       the command and environment of the lab's shell
"""
