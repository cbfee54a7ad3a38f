"""What the parent of several workers does, and how each of these begins."""

import os
import sys
import threading
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial

from walletsync_server.asgi.server import bind
from walletsync_server.cli.reload import reload
from walletsync_server.configuration import Configuration
from walletsync_server.mail.smtp import route_of
from walletsync_server.observe.together import Together, answer
from walletsync_server.reloading import CurrentSettings
from walletsync_server.settings import EMAIL, Settings
from walletsync_server.systemd import SUPERVISOR, notify, say_alive
from walletsync_server.workers import Link, Workers


def supervise(
    configuration: Configuration,
    current: CurrentSettings,
    *,
    on_ready: Callable[[], None],
    on_stopping: Callable[[], None],
    stopping: threading.Event,
    reloads: bool,
    stop_with_stdin: bool,
) -> Link | None:
    """Start the workers. Return its link in each, and None in their parent, when all have ended.

    Args:
        configuration: that of the start.
        current: its settings, which follow those that are taken at SIGHUP. A worker that is started later begins with
            what is `now`.
        on_ready: called in the parent, when all serve.
        on_stopping: called in the parent, when all are told to end.
        stopping: set if a signal that ends all has come already.
        reloads: whether SIGHUP has all take new settings; else it ends them.
        stop_with_stdin: whether the end of standard input ends them.

    Raises:
        CannotListen: if the address of the metrics cannot be listened on.
        WorkerDidNotStart: see there.
    """
    settings = current.now

    def on_hangup() -> None:
        if reloads:
            reload(configuration, current.take)
        else:
            workers.stop()

    def on_stdin(file: int) -> None:
        if not os.read(file, 4096):
            workers.forget(file)
            workers.stop()

    def tell_of_stopping() -> None:
        on_stopping()
        notify("STOPPING=1")

    workers = Workers(
        settings.workers,
        on_ready=on_ready,
        on_stopping=tell_of_stopping,
        on_tick=say_alive,
        on_hangup=on_hangup,
    )
    current.on_change(_refuse_wrong_mail)
    current.on_change(lambda _: workers.hang_up())
    with ExitStack() as undo:
        if stop_with_stdin:
            workers.watch(sys.stdin.fileno(), on_stdin)
        if settings.metrics_port:
            listener = undo.enter_context(bind(settings.metrics_host, settings.metrics_port))
            figures = Together(workers.asked, lambda: workers.replacements)
            workers.watch(listener, partial(answer, figures=figures))
        link = workers.run(stopping)
    if link is not None:
        os.environ.pop(SUPERVISOR, None)  # to which the parent speaks for all
    return link


def _refuse_wrong_mail(settings: Settings) -> None:
    if settings.accounts == EMAIL:
        route_of(settings)
