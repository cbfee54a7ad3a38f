"""`walletsync-server serve`: exit codes, signals, what an operator is told."""

import gc
import os
import signal
import sys
import threading
from contextlib import nullcontext, suppress
from functools import partial
from typing import TextIO

import click

from walletsync_server import __version__
from walletsync_server.app import close_app, create_app, create_front_door, has_company_unjoined, reload_settings
from walletsync_server.asgi.server import CannotListen, TooFewFiles, bind, serve, url_of
from walletsync_server.cli.options import settings_options
from walletsync_server.cli.reload import hold_hangups, reloading
from walletsync_server.cli.supervise import supervise
from walletsync_server.configuration import Configuration
from walletsync_server.live.hub import Hub
from walletsync_server.observe import logs
from walletsync_server.observe.lines import Lines
from walletsync_server.observe.metrics import CannotServeMetrics
from walletsync_server.observe.together import tell
from walletsync_server.reloading import CurrentSettings
from walletsync_server.services.errors import Unavailable
from walletsync_server.settings import Settings
from walletsync_server.systemd import notify, passed_listener, say_alive
from walletsync_server.workers import WorkerDidNotStart

SWITCH_SECONDS = 0.0005
"""How long the event loop may have to wait until another thread that computes makes room for it. By default Python lets
it wait ten times as long, and that for each request while large wallets or many passwords are worked on."""
ONLY_ALLOWED = (
    "Only those that you allow can sign up here: walletsync-server accounts add ADDRESS, or --allow ADDRESS. "
    "With --accounts open everybody can."
)
PLAIN = (
    "Clients reach this address without TLS, so anybody along the way can read passwords and tokens. Listen on "
    "127.0.0.1, put a reverse proxy that speaks TLS in front, and give the proxy's address: --public-url https://…"
)

UNJOINED = (
    "Somebody else has this database open. If that is a server, neither will hear of the other: devices at one learn "
    "of what comes in at the other only when they ask, and each counts its own limits. Join them: --live valkey://HOST"
)


@click.command("serve")
@settings_options()
@click.option(
    "--stop-with-stdin",
    is_flag=True,
    help="Stop when standard input is closed; for supervisors and test harnesses that hold the other end.",
)
def serve_command(configuration: Configuration, stop_with_stdin: bool) -> None:
    """Serve until SIGTERM or SIGINT; on SIGHUP, take new settings.

    Example: walletsync-server serve --allow alice@example.com
    """
    settings = configuration.settings
    if stop_with_stdin and sys.stdin is None:
        raise click.UsageError("--stop-with-stdin needs a standard input that is open.")
    logs.configure(settings.log_format, settings.log_level)
    try:
        _run(configuration, stop_with_stdin=stop_with_stdin)
    except (CannotListen, CannotServeMetrics, TooFewFiles) as error:
        raise click.ClickException(str(error)) from None
    except WorkerDidNotStart as error:
        click.ClickException(str(error)).show()
        sys.exit(error.status)
    except Unavailable as error:
        raise click.ClickException(f"{settings.database_name}: {error} {error.__cause__}") from None


def _run(configuration: Configuration, *, stop_with_stdin: bool) -> None:
    settings = configuration.settings
    stopping = threading.Event()
    ending = [signal.SIGTERM, signal.SIGINT]
    if reloads := not _is_in_a_terminal():
        hold_hangups()
    else:
        ending.append(signal.SIGHUP)  # the terminal was closed

    def stop(*_signal: object) -> None:
        for each in ending:
            signal.signal(each, signal.SIG_IGN)  # another one that came amid this would wait for its lock for ever
        stopping.set()
        notify("STOPPING=1")

    for each in ending:
        signal.signal(each, stop)
    with passed_listener() or bind(settings.host, settings.port) as listener:
        announce = partial(_announce, settings, url_of(listener))
        link = None
        if settings.workers > 1:
            current = CurrentSettings(settings)
            link = supervise(
                configuration,
                current,
                on_ready=announce,
                on_stopping=listener.close,  # or clients would wait there for nobody until the last worker has ended
                stopping=stopping,
                reloads=reloads,
                stop_with_stdin=stop_with_stdin,
            )
            if link is None:
                return  # this is the parent, and all have ended
            settings = current.now
            logs.name_worker(link.number)
            _stop_at_the_end_of(link.life.fileno())

        def on_ready() -> None:
            logs.event("started", version=__version__, accounts=settings.accounts)
            if link is not None:
                link.say_ready()
                return
            if stop_with_stdin:
                _stop_at_the_end_of(sys.stdin.fileno())
            if has_company_unjoined(app):
                _tell(sys.stderr, UNJOINED)
            announce()

        show = None if link is None else partial(tell, asked=link.asked, worker=link.number)
        app = create_app(settings, hub=Hub(per_account=settings.sockets_per_account), show=show)
        sys.setswitchinterval(SWITCH_SECONDS)
        gc.freeze()  # what lives as long as the process; looking through it for garbage took all clients 60 ms
        try:
            door = create_front_door(app)
            with reloading(configuration, partial(reload_settings, app)) if reloads else nullcontext():
                serve(
                    door,
                    listener,
                    connections=settings.connections,
                    stopping=stopping,
                    on_ready=on_ready,
                    on_second=say_alive if link is None else link.say_alive,
                )
        finally:
            close_app(app)
    logs.event("stopped")


def _announce(settings: Settings, url: str) -> None:
    """Tell the operator, and a supervisor, that clients are served."""
    if settings.nobody_may_sign_up:
        _tell(sys.stderr, ONLY_ALLOWED)
    if settings.plain_on_the_network:
        _tell(sys.stderr, PLAIN)
    _tell(sys.stdout, f"Listening on {url}")
    notify("READY=1")


def _is_in_a_terminal() -> bool:
    return sys.stdin is not None and sys.stdin.isatty()


def _tell(stream: TextIO | None, line: str) -> None:
    """Write a line, unless the stream is closed or full, as a daemon's may be.

    Goes past Python's buffer, which would keep a line that failed and fail again at the end.
    """
    if stream is not None:
        Lines(stream.fileno()).write(line)


def _stop_at_the_end_of(file: int) -> None:
    """Read a file in a thread, and then stop as SIGTERM does: in the main thread, which may be stopping already."""

    def run() -> None:
        with suppress(OSError):  # such as a reset, where the parent ended with words of this worker unread
            while os.read(file, 4096):
                pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=run, daemon=True).start()
