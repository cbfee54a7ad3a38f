"""`create_app(settings)`: wires everything, decides nothing."""

import hashlib
import math
import shutil
from collections.abc import Callable
from contextlib import ExitStack
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import flask

from walletsync_server.api import flask_adapter
from walletsync_server.api.dispatch import Api
from walletsync_server.api.edge import Edge
from walletsync_server.asgi.front_door import FrontDoor
from walletsync_server.background import purging
from walletsync_server.live.hub import Hub
from walletsync_server.mail.mailer import Mailer
from walletsync_server.mail.smtp import route_of
from walletsync_server.observe import logs
from walletsync_server.observe.metrics import Metrics
from walletsync_server.reloading import CurrentSettings, Reloaded
from walletsync_server.services import Services, build_services, server_secret, utc_now
from walletsync_server.services.figures import MANY, Figures
from walletsync_server.services.passwords import Passwords
from walletsync_server.services.shared_counters import sharing
from walletsync_server.services.throttle import MakeCounters
from walletsync_server.settings import EMAIL, ON, Mistake, Settings, SettingsError
from walletsync_server.storage import open_storage
from walletsync_server.storage.interface import Storage, StorageError, take_no_notice

if TYPE_CHECKING:
    from walletsync_server.live.valkey import Bridge

VOID_SECONDS = 1.0
"""How often to look whether another process made tokens void; this one tells its own listeners at once."""
_API, _CLOSING, _ROOM, _SETTINGS = "walletsync_api", "walletsync_closing", "walletsync_room", "walletsync_settings"
_COMPANY = "walletsync_company"
_SIZE = "Bytes of the database, or its file."


def create_app(
    settings: Settings,
    *,
    clock: Callable[[], datetime] = utc_now,
    passwords: Passwords | None = None,
    hub: Hub | None = None,
    show: Callable[[Metrics], None] | None = None,
) -> flask.Flask:
    """Return the server as a WSGI application. Its database stays open until `close_app`.

    Args:
        settings: see there.
        clock: returns the time, aware; for tests.
        passwords: the password hashing; for tests.
        hub: the listeners of a front door that has WebSockets; Flask alone has none.
        show: what becomes of the metrics; by default they are served as the settings say.

    Raises:
        SettingsError: if the password of the mail server cannot be read.
        CannotServeMetrics: if their address cannot be listened on.
        StorageError: if the database cannot be opened.
        Unavailable: if it was opened and does not answer.
    """
    current = CurrentSettings(settings)
    metrics = Metrics() if settings.metrics_port else None
    storage = open_storage(settings.database, on_commit=metrics.committed if metrics else take_no_notice)
    with ExitStack() as undo:
        undo.callback(storage.close)
        bridge, counters = _joined(settings, storage, hub) if settings.live else (None, None)
        if bridge is not None:
            undo.enter_context(bridge)
        services = build_services(
            storage,
            may_sign_up=lambda email: current.now.may_sign_up(email),
            max_wallet_bytes=settings.max_wallet_bytes,
            kept_bytes=settings.kept_bytes,
            confirm_addresses=settings.accounts == EMAIL,
            clock=clock,
            passwords=passwords,
            password_queue=settings.password_queue,
            processes=settings.workers,
            rates=settings.rates,
            hub=hub,
            publisher=bridge,
            counters=counters,
        )
        purges = undo.enter_context(
            purging(
                tokens=services.tokens.purge, signups=services.signups.purge, known_clients=services.known_clients.purge
            )
        )
        if hub is not None:
            missed = {"missed": partial(bridge.mend, services.updates.tell_all)} if bridge is not None else {}
            undo.enter_context(purging(every=VOID_SECONDS, listeners=services.updates.hang_up_void, **missed))
        if metrics is not None:
            _watch(metrics, services, hub)
            meaning = "1 if listeners and limits of all servers are reached, 0 if this one goes on alone."
            metrics.watch("live_reached", meaning, lambda: float(services.readiness.reach == "servers"))
            if settings.has_file:
                _watch_file(metrics, settings.database_file, services.figures)
            else:
                metrics.watch_common("database_bytes", _SIZE, lambda: _size_of(storage))
            metrics.watch("reads_running", "Reads of the database that run now.", lambda: storage.readers()[0])
            meaning = "Reads of the database that may run at once; others wait."
            metrics.watch("reads_most", meaning, lambda: storage.readers()[1])
            meaning = "When all that has expired was last removed, in seconds since 1970."
            metrics.watch("last_purge_timestamp_seconds", meaning, lambda: purges.succeeded_at)
            if show is None:
                undo.enter_context(metrics.served(settings.metrics_host, settings.metrics_port))
            else:
                show(metrics)
        if settings.accounts == EMAIL:
            on_mail = metrics.mailed if metrics else _take_no_notice
            mailer = Mailer(services.mail_queue, route_of(settings), clock=clock, on_try=on_mail)
            mailer.start()
            undo.callback(mailer.close)
            current.on_change(partial(_take_route, mailer))
        closing = undo.pop_all()
    app = flask.Flask(__name__, static_folder=None)
    app.extensions[_CLOSING] = closing
    app.extensions[_COMPANY] = storage.has_company and not settings.live
    app.extensions[_ROOM] = {"hashing": services.passwords.places, "memory": settings.body_memory}
    app.extensions[_API] = api = Api(
        services,
        _edge(settings),
        on_answer=metrics.answered if metrics else None,
        log_failed_logins=settings.log_failed_logins == ON,
    )
    flask_adapter.attach(app, api)
    app.extensions[_SETTINGS] = current
    current.on_change(partial(_take_settings, api, services, hub))
    return app


def create_front_door(app: flask.Flask) -> FrontDoor:
    """Return the front door for production in front of an application of `create_app`."""
    return FrontDoor(app.extensions[_API], app, **app.extensions[_ROOM])


def reload_settings(app: flask.Flask, settings: Settings) -> Reloaded:
    """Have an application that runs take new settings, unless some need a restart; return what became of them.

    Raises:
        SettingsError: if the password of the mail server cannot be read; then nothing has changed.
    """
    current: CurrentSettings = app.extensions[_SETTINGS]
    return current.take(settings)


def has_company_unjoined(app: flask.Flask) -> bool:
    """Say whether somebody else has the database open, perhaps a server, of which this one will hear nothing."""
    unjoined: bool = app.extensions[_COMPANY]
    return unjoined


def close_app(app: flask.Flask) -> None:
    """Finish the mail and the writes that were begun, and release the database. Twice is fine."""
    closing: ExitStack = app.extensions[_CLOSING]
    closing.close()


def _joined(settings: Settings, storage: Storage, hub: Hub | None) -> "tuple[Bridge, MakeCounters]":
    """Return what joins this process with all others on the database: what tells their listeners, and the counters."""
    try:
        from walletsync_server.live.valkey import Bridge, as_valkey  # its client may be missing
    except ImportError:
        said = "needs a client for Valkey: install walletsync-server with [valkey] after its name."
        raise SettingsError(Mistake("live", said)) from None
    # Not one account but several would have a number if databases shared a name.
    name = f"walletsync:{hashlib.blake2b(key=server_secret(storage), person=b'live', digest_size=16).hexdigest()}"
    bridge = Bridge(settings.live, name, Hub() if hub is None else hub, on_change=logs.live_changed)
    return bridge, sharing(as_valkey(settings.live), name)


def _edge(settings: Settings) -> Edge:
    return Edge(
        trusted_proxies=settings.trusted_proxies, public_url=settings.public_url, cors_origins=settings.cors_origins
    )


def _take_route(mailer: Mailer, settings: Settings) -> None:
    mailer.route = route_of(settings)


def _take_settings(api: Api, services: Services, hub: Hub | None, settings: Settings) -> None:
    api.edge = _edge(settings)
    api.log_failed_logins = settings.log_failed_logins == ON
    services.throttle.apply(settings.rates)
    if hub is not None:
        hub.per_account = settings.sockets_per_account


def _take_no_notice(outcome: str) -> None:
    """Show nobody what became of a mail."""


def _watch(metrics: Metrics, services: Services, hub: Hub | None) -> None:
    passwords = services.passwords
    metrics.watch("password_hashes_running", "Passwords that are being hashed now.", lambda: passwords.running)
    metrics.watch("password_hashes_waiting", "Passwords that wait to be hashed.", lambda: passwords.waiting)
    figures = services.figures
    metrics.watch_common("mails_waiting", "Mails that wait to be sent, now or later.", figures.mails_waiting)
    meaning = f"Accounts that there are; where these are more than {MANY:,}, as of at most five minutes ago."
    metrics.watch_common("accounts", meaning, figures.accounts)
    metrics.watch("log_lines_dropped", "Lines of the log that were dropped because nobody read it.", logs.dropped)
    if hub is not None:
        metrics.watch("websockets_open", "WebSockets that are open.", lambda: len(hub))


def _watch_file(metrics: Metrics, file: Path, figures: Figures) -> None:
    meaning = "When the last backup was complete, in seconds since 1970; NaN if there was none."
    metrics.watch_common("last_backup_timestamp_seconds", meaning, figures.last_backup)
    log = Path(f"{file}-wal")
    metrics.watch_common("database_bytes", _SIZE, lambda: _size(file))
    metrics.watch("log_bytes", "Bytes of SQLite's log beside the database.", lambda: _size(log))
    metrics.watch("disk_free_bytes", "Bytes that are free on its disk.", lambda: shutil.disk_usage(file.parent).free)


def _size_of(storage: Storage) -> float:
    try:
        return storage.size()
    except StorageError:
        return math.nan


def _size(file: Path) -> float:
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return math.nan
