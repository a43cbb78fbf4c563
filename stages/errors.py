"""The errors that a person is meant to read."""


class StageError(Exception):
    """Something outside the code is wrong: an input, a parameter, a source, a machine.

    The message names the file, key or stage and says what to do. Commands print it
    without a traceback and exit with 1.
    """


class Inapplicable(StageError):
    """There cannot be such a run; the message says why.

    A method does not fit what an objective makes, or a compressor the model that was chosen. The stage that was to make
    it notes that and goes on (`stages.record.note`), for it is no failure: the table has no figure there.
    """
