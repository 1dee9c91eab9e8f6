"""The one error of this package."""


class EmbeddedError(Exception):
    """The embedded databases cannot do what was asked.

    The message is for a person: what was wrong, what was expected, what to do next.
    """
