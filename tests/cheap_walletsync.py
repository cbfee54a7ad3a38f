"""The command line in a process of its own, with a cheap key derivation: `python -m tests.cheap_walletsync`."""

from walletsync import crypto
from walletsync.cli import main

if __name__ == "__main__":
    for name, cost in (("_ARGON2_KIB", 32), ("_ARGON2_PASSES", 1), ("_ARGON2_LANES", 1)):
        assert hasattr(crypto, name)
        setattr(crypto, name, cost)
    main(prog_name="walletsync")
