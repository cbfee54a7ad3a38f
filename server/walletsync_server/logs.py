"""The log: one line per event, and in none of them a token, password, seed, address, body or query.

Lines go through Python's `logging` to stderr as key=value. What other libraries log is reduced to the template of
their message, since arguments and exception messages can carry what clients sent, and to its place where the message
came without arguments: values may be in it already.
"""

import logging
import sys
import threading
import traceback
from types import TracebackType

import structlog

_NAME = "walletsync_server"
_log = structlog.wrap_logger(
    logging.getLogger(_NAME),
    processors=[
        structlog.stdlib.filter_by_level,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.LogfmtRenderer(key_order=["timestamp", "level", "event"]),
    ],
    wrapper_class=structlog.stdlib.BoundLogger,
    cache_logger_on_first_use=True,
)


def configure() -> None:
    """Send the log of this process to stderr. For a process that is a server, not for one that embeds it."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Careful())
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    logging.getLogger(_NAME).setLevel(logging.INFO)
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)  # a line for every waiting request
    sys.excepthook = _uncaught
    threading.excepthook = _uncaught_in_thread


def request(*, method: str, route: str, status: int, seconds: float) -> None:
    """Log that a request was answered. `route` is a template, never the path that came."""
    _log.info("request", method=method, route=route, status=status, ms=round(seconds * 1000, 1))


def event(name: str, **values: object) -> None:
    """Log something of the server's own life. The values must not come from clients."""
    _log.info(name, **values)


def unavailable(reason: str) -> None:
    """Log that the database could not be asked. `reason` is the storage's, which has no values in it."""
    _log.error("unavailable", reason=reason)


def unexpected(error: BaseException) -> None:
    """Log a fault by its type and where it happened, without its message."""
    _log.error("unexpected_error", **describe(error))


def describe(error: BaseException) -> dict[str, str]:
    """Return type and stack of an exception and of those that caused it, innermost frame first, without messages."""
    frames: list[str] = []
    kinds: list[str] = []
    link: BaseException | None = error
    while link is not None:
        kinds.append(f"{type(link).__module__}.{type(link).__qualname__}")
        frames += [
            f"{frame.f_globals.get('__name__', '?')}:{line}:{frame.f_code.co_name}"
            for frame, line in reversed(list(traceback.walk_tb(link.__traceback__)))
        ]
        link = link.__cause__
    return {"type": " < ".join(kinds), "frames": " < ".join(frames)}


class _Careful(logging.Formatter):
    """Our own lines as they are; of others' only logger, template or else place, and the kind of exception."""

    def format(self, record: logging.LogRecord) -> str:
        if record.name == _NAME:
            return record.getMessage()
        what = str(record.msg) if record.args else f"{record.module}:{record.lineno}"
        event_dict = {"level": record.levelname.lower(), "event": what, "logger": record.name}
        if record.exc_info and record.exc_info[1]:
            event_dict |= describe(record.exc_info[1])
        return str(structlog.processors.LogfmtRenderer()(None, "", dict(event_dict)))


def _uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    unexpected(error.with_traceback(trace))


def _uncaught_in_thread(args: threading.ExceptHookArgs) -> None:
    if args.exc_value is not None:
        unexpected(args.exc_value)
