"""The app's own widgets.

- `matrix`, `grid`   who reaches whom, and the table behind it
- `terminal`         a shell inside the app
- `editor`           the lab's YAML files
- `task_list`        tasks with marks, points and hints
- `lab_header`       one line about the lab
- `findings`         reports and failures as text
- `tab_line`         one line of tabs, by key or click
- `sections`         long Markdown, mounted as it comes into view
"""
