"""The one error that users are meant to read."""


class InputError(ValueError):
    """Bad arguments or bad input.

    Its text is one line that says what is wrong and how to fix it. The command line prints that line
    to stderr and exits with status 2, without a traceback.
    """


class ShapeError(InputError):
    """Two masks, or a mask and its image, differ in size."""


class UnknownWordError(InputError, KeyError):
    """A prompt has no such word, or its text encoder did not see it. The line says which words there are."""

    __str__ = Exception.__str__
