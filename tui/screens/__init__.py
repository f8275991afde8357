"""The app's screens.

- `home`      the course map
- `lesson`    a lesson's text
- `quiz`      a chapter's questions
- `lab`       tasks, matrix, shell and editor
- `report`    what a finished lab gave
- `choice`, `files`, `help`   small ones on top of these
- `closing`   what those that close have in common
"""
