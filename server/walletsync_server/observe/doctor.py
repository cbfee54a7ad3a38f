"""What may be wrong with a server's set-up, and what to do about it. Changes nothing; the server may be running."""

import os
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

from walletsync_server.mail.smtp import connect, reason, route_of
from walletsync_server.observe.disk import look_at_disk, modes
from walletsync_server.observe.findings import FAIL, OK, WARN, Finding, look_at_clock, schema
from walletsync_server.observe.live import look_at_live
from walletsync_server.observe.postgresql import look_at_postgresql
from walletsync_server.observe.reach import look_at_public_url, look_at_server
from walletsync_server.settings import Settings, SettingsError
from walletsync_server.storage.interface import StorageError
from walletsync_server.storage.sqlite.connect import refuse_broken_sqlite, sqlite_version
from walletsync_server.storage.sqlite.deletions import journal_beside, read_journal
from walletsync_server.storage.sqlite.health import Health, examine

OLD_BACKUP = timedelta(days=3)


def diagnose(settings: Settings, *, clock: Callable[[], datetime]) -> Iterator[Finding]:
    """Look at everything, one after the other; some of it takes a while. `clock` returns the time, aware."""
    yield from _exposure(settings)
    if settings.has_file:
        yield _sqlite()
        file = settings.database_file
        yield from look_at_disk(file)
        yield from _database(file, clock)
    else:
        yield from look_at_postgresql(settings.database, clock, workers=settings.workers)
    if settings.live:
        yield from look_at_live(settings.live)
    if settings.port:
        yield look_at_server(settings.host, settings.port)
    if settings.public_url:
        yield from look_at_public_url(settings.public_url, clock)
    if settings.mail_server:
        yield from _mail(settings)


def _exposure(settings: Settings) -> Iterator[Finding]:
    if settings.plain_on_the_network:
        said = f"the server listens on {settings.host} without TLS in front; put a proxy there and set public_url."
        yield Finding("settings", WARN, said)
    elif settings.public_url.startswith("https://") and not settings.trusted_proxies:
        said = "clients come through a proxy that trusted_proxies does not list, so all share the limits of one client."
        yield Finding("settings", WARN, said)
    else:
        yield Finding("settings", OK, "no problems found.")


def _sqlite() -> Finding:
    try:
        refuse_broken_sqlite(sqlite_version())
    except StorageError as error:
        return Finding("SQLite", FAIL, str(error))
    return Finding("SQLite", OK, f"version {'.'.join(map(str, sqlite_version()))}.")


def _database(file: Path, clock: Callable[[], datetime]) -> Iterator[Finding]:
    if not file.parent.is_dir():
        yield Finding("database", FAIL, f"its folder {file.parent} does not exist; create it, or set another database.")
    elif not file.exists():
        yield Finding("database", WARN, f"{file} does not exist yet; `serve` creates it. Is it the one you mean?")
    elif not os.access(file, os.R_OK | os.W_OK) or not os.access(file.parent, os.W_OK):
        yield Finding("database", FAIL, f"this user cannot write {file} or its folder; run as the server's user.")
    else:
        try:
            health = examine(file)
        except StorageError as error:
            yield Finding("database", FAIL, f"{error} Restore a backup if it is damaged.")
        else:
            yield from _health(health, clock())  # asked last: the server goes on storing
        yield from _journal(file)


def _journal(file: Path) -> Iterator[Finding]:
    """Say what keeps the journal of deletions from being written; the server itself goes on without it."""
    journal = journal_beside(file)
    try:
        read_journal(journal)
    except StorageError as error:
        yield Finding("deletions", FAIL, str(error))
    else:
        if journal.exists() and not os.access(journal, os.W_OK):
            yield Finding("deletions", FAIL, f"this user cannot write {journal}; run as the server's user.")


def _health(health: Health, now: datetime) -> Iterator[Finding]:
    if health.faults:
        yield Finding("database", FAIL, f"SQLite finds damage: {health.faults[0]} Restore a backup.")
    else:
        yield Finding("database", OK, "SQLite finds no damage; `backup` and `verify-backup` check every wallet.")
    yield schema(health.revision, health.newest, is_known=health.is_known)
    yield look_at_clock(health.latest, now)
    if health.revision:
        yield _backup(health, now)


def _backup(health: Health, now: datetime) -> Finding:
    if health.backed_up_at is None:
        return Finding("backup", WARN, "none was made of this database; `backup` makes one, see the manual.")
    age = now - health.backed_up_at
    said = f"the last one is from {health.backed_up_at:%Y-%m-%d %H:%M} UTC"
    if age > OLD_BACKUP:
        return Finding("backup", WARN, f"{said}, {age.days} days ago; see why there is no newer one.")
    return Finding("backup", OK, f"{said}.")


def _mail(settings: Settings) -> Iterator[Finding]:
    if settings.mail_password_file:
        yield from modes("mail password", [Path(settings.mail_password_file)])
    try:
        with connect(route_of(settings)):
            pass
    except SettingsError as error:
        yield Finding("mail", FAIL, str(error))
    except OSError as error:  # SMTPException is one
        yield Finding("mail", FAIL, f"{settings.mail_server}, port {settings.mail_port}: {reason(error)}.")
    else:
        yield Finding("mail", OK, f"{settings.mail_server} accepts mail from this server.")
