"""The app's own widgets.

- `matrix`, `grid`   who reaches whom, and the table behind it
- `terminal`         a shell inside the app
- `editor`           the lab's YAML files
- `task_list`        tasks with marks, points and hints
- `lab_header`       one line about the lab
- `findings`         reports and failures as text
- `matrix_pane`      the matrix with its legend and the explanation of a cell
- `work_pane`        shell, editor and report, one at a time
- `trouble`          what could not run, above the panes
- `key_line`         one line of keys
- `tab_line`         one line of tabs, by key or click
- `sections`         long Markdown, mounted as it comes into view
"""
