"""The size of JSON without its escapes, counted as it comes."""

import json
import random

import pytest

from walletsync_server.api.escapes import DecodedSize

ASCII = "".join(map(chr, range(128)))


def counted(text: bytes, randomness: random.Random) -> int:
    """Return the size of `text`, which comes in pieces of any size."""
    size, counter = 0, DecodedSize()
    while text:
        length = randomness.choice([1, 2, 3, 7, 100])
        size, text = counter.add(text[:length]), text[length:]
    return size


@pytest.mark.parametrize("seed", range(20))
def test_escapes_count_as_one(seed: int) -> None:
    """However a text is escaped, and wherever it is cut in pieces, its size is that of what a decoder returns."""
    print("seed", seed)
    randomness = random.Random(seed)
    text = "".join(randomness.choices(ASCII + 20 * '\\"u\0', k=1000))
    raw = json.dumps(text).encode()
    everywhere = b'"' + b"".join(b"\\u%04x" % ord(character) for character in text) + b'"'
    assert json.loads(raw) == json.loads(everywhere) == text
    for form in (raw, everywhere):
        assert counted(form, randomness) == DecodedSize().add(form) == len(text) + 2


def test_other_characters_count_no_more_than_they_take() -> None:
    """Beyond ASCII a text that is escaped counts as less than its UTF-8, and one that is not as that."""
    text = "äöü🦊" * 100
    assert DecodedSize().add(json.dumps(text).encode()) < len(text.encode())
    assert DecodedSize().add(json.dumps(text, ensure_ascii=False).encode()) == len(text.encode()) + 2
