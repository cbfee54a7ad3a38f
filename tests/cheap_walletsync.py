"""The command line in a process of its own, with a cheap key derivation: `python -m tests.cheap_walletsync`."""

from walletsync import crypto
from walletsync.cli import main


def make_cheap() -> None:
    """Make the key derivation of this process cheap."""
    for name, cost in (("_ARGON2_KIB", 32), ("_ARGON2_PASSES", 1), ("_ARGON2_LANES", 1)):
        assert hasattr(crypto, name)
        setattr(crypto, name, cost)


if __name__ == "__main__":
    make_cheap()
    main(prog_name="walletsync")
