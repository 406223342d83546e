"""Every error that ends a command with one line instead of a traceback."""


class Failure(Exception):
    """The command could not do it. The text is one line for the person at the terminal."""


class Mendable(Exception):
    """The person can mend it, in a setting, an argument or a file: exit code 2."""
