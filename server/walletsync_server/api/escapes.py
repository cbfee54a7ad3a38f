"""How large JSON is without its escapes, which may make a text six times as long."""

LONGEST_ESCAPE = len(r"\u0000")
"""The most that JSON can make of one byte."""
_PAIR = rb"\\"


class DecodedSize:
    """Counts bytes of JSON as they come, an escape as one, and keeps none of them.

    So it never counts more than a decoder finds: a character beyond ASCII takes more than one. What is no JSON may be
    counted wrongly.
    """

    def __init__(self) -> None:
        self._size = 0
        self._rest = b""  # an escape that is perhaps not whole

    def add(self, piece: bytes) -> int:
        """Count what comes next; return the size of all that has come."""
        if not self._rest and b"\\" not in piece:  # as in a wallet: nothing to look for
            self._size += len(piece)
            return self._size
        text = self._rest + piece
        pairs = text.count(_PAIR)
        if pairs:
            text = text.replace(_PAIR, b"--")  # backslashes that escape nothing but each other
        whole = len(text)
        last = text.rfind(b"\\", max(0, whole - LONGEST_ESCAPE + 1))
        if last >= 0 and (last == whole - 1 or text.startswith(b"u", last + 1)):
            whole = last
        self._rest = text[whole:]
        long = text.count(rb"\u", 0, whole)
        self._size += whole - pairs - text.count(b"\\", 0, whole) - long * (LONGEST_ESCAPE - 2)
        return self._size + len(self._rest)
