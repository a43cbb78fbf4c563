"""The errors that a person is meant to read."""


class StageError(Exception):
    """Something outside the code is wrong: an input, a parameter, a source, a machine.

    The message names the file, key or stage and says what to do. Commands print it
    without a traceback and exit with 1.
    """
