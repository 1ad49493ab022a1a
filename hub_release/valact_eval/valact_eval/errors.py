"""The one error this package raises for bad input."""


class ValactError(Exception):
    """Bad input from outside: its message is one line, naming the place and the remedy."""

    def __init__(self, message: str) -> None:
        """Folds ``message`` onto one line, whatever another library put into it."""
        super().__init__(" ".join(message.split()))
