"""Whether a PostgreSQL database is what a server needs. Changes nothing; servers may be using it."""

from collections.abc import Callable, Iterator
from datetime import datetime

from walletsync_server.observe.findings import FAIL, OK, WARN, Finding, look_at_clock, schema
from walletsync_server.storage import driver_of_postgresql
from walletsync_server.storage.interface import StorageError


def look_at_postgresql(url: str, clock: Callable[[], datetime], *, workers: int) -> Iterator[Finding]:
    """Look at the database that a URL names, which so many `workers` use. `clock` returns the time, aware."""
    try:
        with driver_of_postgresql():
            from walletsync_server.storage.postgres.health import examine_postgres
            from walletsync_server.storage.postgres.links import MOST
    except StorageError as error:
        yield Finding("PostgreSQL", FAIL, str(error))
        return
    try:
        health = examine_postgres(url)
    except StorageError as error:
        yield Finding("database", FAIL, str(error))
        return
    yield Finding("PostgreSQL", OK, f"version {health.version}.")
    if health.off:
        said = f"{' and '.join(health.off)} must be on in its settings: a crash can lose what was acknowledged."
        yield Finding("durability", FAIL, said)
    else:
        yield Finding("durability", OK, "what is acknowledged is on its disk.")
    if health.is_encrypted:
        yield Finding("connection", OK, "nobody along the way can read it.")
    else:
        said = "anybody along the way can read it; add sslmode=verify-full and sslrootcert=… to the database's URL."
        yield Finding("connection", WARN, said)
    yield _places(health.places, health.reserved, MOST * workers)
    if health.revision is None:
        yield Finding("schema", WARN, "there are no tables yet; `serve` and `migrate` make them.")
    else:
        yield schema(health.revision, health.newest, is_known=health.is_known)
    yield look_at_clock(health.latest, clock())
    yield Finding("backup", OK, "not looked at: pg_dump or its own means make them, see the manual.")


def _places(allowed: int, reserved: int, needed: int) -> Finding:
    """Say whether PostgreSQL allows as many connections as the processes of this server may have."""
    if allowed >= needed:
        return Finding("connections", OK, f"{allowed} are allowed, and this server has at most {needed}.")
    said = (
        f"{allowed} are allowed, and this server may have {needed}: set max_connections to {needed + reserved} or "
        "more, with as many more for each other server, and restart PostgreSQL; or set fewer workers."
    )
    return Finding("connections", WARN, said)
