"""The server's command line, but hashing a password costs next to nothing: a program, for tests that ask a lot."""

from argon2 import PasswordHasher

from walletsync_server.cli import main
from walletsync_server.services import passwords

CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)

if __name__ == "__main__":
    passwords.PASSWORD_HASHER._parameters = CHEAP._parameters
    main()
