"""`python -m walletsync` is the command line."""

from walletsync.cli import main

main(prog_name="walletsync")
