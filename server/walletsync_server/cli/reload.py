"""What SIGHUP asks of a server that runs: to take the settings as they are written now."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from walletsync_server.configuration import Configuration
from walletsync_server.observe import logs
from walletsync_server.reloading import Reloaded
from walletsync_server.settings import Settings, SettingsError
from walletsync_server.systemd import notify

TAKEN = "The settings are those that are written now."
WAITING = "The new settings need a restart, and those before still apply: the log says which need it."
WRONG = "The new settings are wrong, and those before still apply: the log says what is wrong."


def hold_hangups() -> None:
    """Have each SIGHUP wait until `reloading` takes it. Call it before there is another thread."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})


@contextmanager
def reloading(configuration: Configuration, take: Callable[[Settings], Reloaded]) -> Iterator[None]:
    """Load the configuration again at each SIGHUP while inside, and have `take` apply it, in a thread of its own."""
    over = threading.Event()

    def run() -> None:
        while True:
            signal.sigwait({signal.SIGHUP})
            if over.is_set():
                return
            reload(configuration, take)

    thread = threading.Thread(target=run, name="reloading", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        os.kill(os.getpid(), signal.SIGHUP)
        thread.join()


def reload(configuration: Configuration, take: Callable[[Settings], Reloaded]) -> None:
    """Load the configuration again, have `take` apply it, and tell the supervisor and the log what became of it."""
    notify("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")
    try:
        settings = configuration.load_again().settings
        reloaded = take(settings)
    except SettingsError as error:
        logs.not_reloaded(error.mistakes)
        notify("READY=1", f"STATUS={WRONG}")
        return
    if reloaded.waiting:
        logs.restart_needed(reloaded.waiting)
        notify("READY=1", f"STATUS={WAITING}")
        return
    logs.set_level(settings.log_level)
    logs.event("reloaded", changed=",".join(reloaded.changed))
    notify("READY=1", f"STATUS={TAKEN}")
