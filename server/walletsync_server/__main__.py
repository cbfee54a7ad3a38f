"""`python -m walletsync_server` is `walletsync-server`."""

from walletsync_server.cli import main

if __name__ == "__main__":
    main(prog_name="walletsync-server")
