"""The command line: options, one module a command, and the view of each command in its module."""
