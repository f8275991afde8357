"""One module a command or group of commands. Only click is imported at the top; the rest when a command runs."""
