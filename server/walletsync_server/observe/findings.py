"""What the doctor says of one thing that it looked at, and what it says of any database."""

from dataclasses import dataclass
from datetime import datetime

OK, WARN, FAIL = "ok", "warn", "fail"


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at: its name, how it is (`ok`, `warn` or `fail`), and what to do if it is not well."""

    name: str
    level: str
    sentence: str


def schema(revision: str | None, newest: str, *, is_known: bool) -> Finding:
    """Say how the revision of a database's schema stands to the one that this package brings it to."""
    if revision == newest:
        return Finding("schema", OK, f"{revision}, up to date.")
    if is_known:
        said = f"{revision}, older than {newest}; make a backup, then `migrate` or start the server."
        return Finding("schema", WARN, said)
    said = "another program made it, or a newer version of this one; use that, or another database."
    return Finding("schema", FAIL, said)


def look_at_clock(latest: datetime | None, now: datetime) -> Finding:
    """Say whether the clock can be right, by when the newest data was stored."""
    if latest and latest > now:
        said = f"it says {now:%Y-%m-%d %H:%M} UTC, but the newest data is from {latest:%Y-%m-%d %H:%M}; set it."
        return Finding("clock", FAIL, said)
    return Finding("clock", OK, f"{now:%Y-%m-%d %H:%M:%S} UTC, later than all data; compare it with another clock.")
