"""What the tour of the second project uses."""

from urllib.request import urlopen


class Counter:
    """A client of a server that counts."""

    def __init__(self, url: str) -> None:
        self._url = url

    def count(self) -> int:
        """Return the next number."""
        with urlopen(self._url) as answer:  # noqa: S310 - http, to this machine
            return int(answer.read())
