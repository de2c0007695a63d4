"""The one error that a user is meant to read."""


class UserError(Exception):
    """Wrong use or bad input: one line that says what was expected, what was found and what to do.

    The command line prints the message and exits 2; nothing is half-written.
    """
