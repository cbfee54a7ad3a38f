"""The log: one line per event, and in none of them a token, password, seed, address, body or query; but for the network
address of whoever failed to log in, where the operator wants that.

Lines go through Python's `logging` to stderr, as key=value or JSON. What other libraries log is reduced to the template
of their message, since arguments and exception messages can carry what clients sent, and to its place where the message
came without arguments: values may be in it already.

Nobody waits for who reads the log: where there is no room, lines are dropped, and a later line says how many.
"""

import errno
import functools
import logging
import re
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import TracebackType

import msgspec
from typing_extensions import override

from walletsync_server.observe.lines import CallSoon, Lines

_NAME = "walletsync_server"
_log = logging.getLogger(_NAME)
_PLAIN = re.compile(r'[^\s"=\\\x00-\x1f]*')
_lines: Lines | None = None
_as_json = False
_process: dict[str, object] = {}
"""What each line says of the process that wrote it, after the time."""


def configure(format: str = "logfmt", level: str = "info") -> None:
    """Send the log of this process to stderr. For a process that is a server, not for one that embeds it.

    Args:
        format: of the lines, `logfmt` or `json`.
        level: the least that is told of: `debug`, `info`, `warning` or `error`. Other libraries begin at warnings,
            unless it is `debug`.
    """
    global _lines, _as_json
    _as_json = format == "json"
    render = _json if _as_json else _logfmt
    _lines = lines = _LogLines(sys.stderr.fileno(), render)
    handler = _ToLines(lines)
    handler.setFormatter(_WithoutWords(render))
    logging.basicConfig(handlers=[handler], force=True)
    set_level(level)
    sys.excepthook = _uncaught
    threading.excepthook = _uncaught_in_thread


def set_level(level: str) -> None:
    """Tell of no less than `level` from now on; see `configure`."""
    least = logging.getLevelNamesMapping()[level.upper()]
    logging.getLogger().setLevel(least if level == "debug" else max(least, logging.WARNING))
    _log.setLevel(least)


def name_worker(number: int) -> None:
    """Have each line from now on say which worker of several this process is."""
    _process["worker"] = number


@contextmanager
def once_a_turn(call_soon: CallSoon) -> Iterator[None]:
    """Write the lines of requests once in a turn of an event loop while inside, which is in the thread of the loop.

    Args:
        call_soon: that of the loop.
    """
    if _lines is not None:
        _lines.gather(call_soon)
    try:
        yield
    finally:
        if _lines is not None:
            _lines.gather(None)


def dropped() -> int:
    """Return how many lines were dropped because nobody read the log."""
    return _lines.dropped if _lines else 0


def request(*, method: str, route: str, status: int, code: str, seconds: float, request_id: str) -> None:
    """Log that a request was answered, with the code of the error if it was one.

    `route` is a template, never the path that came.
    """
    if not _log.isEnabledFor(logging.INFO):
        return
    ms = round(seconds * 1000, 1)
    # Of these there are thousands in a second, and the way through `logging` costs more than making the answer. None of
    # the values needs quotes.
    if _lines is not None and not _as_json:
        told = f" code={code}" if code else ""
        process = f" worker={_process['worker']}" if _process else ""
        _lines.write_soon(
            f"timestamp={_timestamp(time.time())}{process} level=info event=request method={method} route={route} "
            f"status={status}{told} ms={ms} request_id={request_id}"
        )
        return
    values: dict[str, object] = {"method": method, "route": route, "status": status}
    if code:
        values["code"] = code
    values |= {"ms": ms, "request_id": request_id}
    if _lines is None:
        _log_event(logging.INFO, "request", **values)
    else:
        _lines.write_soon(_json(_head(time.time(), "info") | {"event": "request"} | values))


def event(name: str, **values: object) -> None:
    """Log something of the server's own life. The values must not come from clients."""
    _log_event(logging.INFO, name, **values)


def live_changed(stands: bool) -> None:
    """Log that servers reach each other again, or that they do not and each goes on alone."""
    if stands:
        _log_event(logging.INFO, "live_connected")
        return
    reason = "Until it is back, clients learn of changes when they ask, and each server counts alone."
    _log_event(logging.WARNING, "live_lost", reason=reason)


def worker_ended(number: int, status: int, pause: float | None = None) -> None:
    """Log that a worker has died, how, and after how many seconds another one is started in its place, if one is."""
    following = {} if pause is None else {"seconds_until_next": round(pause, 1)}
    _log_event(logging.ERROR, "worker_ended", worker=number, status=status, **following)


def worker_stands_still(number: int) -> None:
    """Log that nothing was heard of a worker for so long that it is killed."""
    _log_event(logging.ERROR, "worker_stands_still", worker=number)


def worker_not_started(number: int, error: OSError, pause: float) -> None:
    """Log that the system has no room for a worker, and after how many seconds that is tried again."""
    why = errno.errorcode.get(error.errno or 0, "")
    _log_event(logging.ERROR, "worker_not_started", worker=number, error=why, seconds_until_next=round(pause, 1))


def restart_needed(waiting: Iterable[str]) -> None:
    """Log that new settings, some of which are named, do not apply yet."""
    reason = "These need a restart; until then, nothing changes."
    _log_event(logging.WARNING, "restart_needed", settings=",".join(waiting), reason=reason)


def not_reloaded(mistakes: Iterable[object]) -> None:
    """Log what is wrong with new settings, so that those before still apply. Mistakes have no values in them."""
    for mistake in mistakes:
        _log_event(logging.ERROR, "not_reloaded", reason=str(mistake))


def unavailable(reason: str, request_id: str = "") -> None:
    """Log that the database could not be asked. `reason` is the storage's, which has no values in it."""
    _log_event(logging.ERROR, "unavailable", reason=reason, **_about(request_id))


def login_failed(client: str, request_id: str) -> None:
    """Log that a wrong password came from this network address; fail2ban's filter in the examples knows the line."""
    _log_event(logging.WARNING, "login_failed", client=client, request_id=request_id)


def mail_failed(error: BaseException) -> None:
    """Log that mails could not be sent, by the kind of failure and the mail server's code, without its words."""
    _log_event(logging.WARNING, "mail_failed", smtp_code=getattr(error, "smtp_code", None), **describe(error))


def unexpected(error: BaseException, request_id: str = "") -> None:
    """Log a fault by its type and where it happened, without its message; also during which request, if it was one."""
    _log_event(logging.ERROR, "unexpected_error", **describe(error), **_about(request_id))


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


class _LogLines(Lines):
    """The log's lines, that about dropped ones included."""

    def __init__(self, file: int, render: Callable[[dict[str, object]], str]) -> None:
        super().__init__(file)
        self._render = render

    @override
    def about(self, dropped: int) -> str:
        return self._render(_head(time.time(), "warning") | {"event": "log_lines_dropped", "lines": dropped})


class _ToLines(logging.Handler):
    def __init__(self, lines: Lines) -> None:
        super().__init__()
        self._lines = lines

    @override
    def emit(self, record: logging.LogRecord) -> None:
        self._lines.write(self.format(record))


def _head(seconds: float, level: str) -> dict[str, object]:
    """Return what each line begins with: when, by whom, and how severe."""
    return {"timestamp": _timestamp(seconds), **_process, "level": level}


def _logfmt(line: dict[str, object]) -> str:
    return " ".join(f"{name}={_quoted('' if value is None else str(value))}" for name, value in line.items())


def _quoted(value: str) -> str:
    """Return a value as logfmt has it: in quotes, with the escapes of JSON, unless it is one plain word."""
    return value if _PLAIN.fullmatch(value) else _json(value)


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _timestamp(seconds: float) -> str:
    """Return a time as RFC 3339 in UTC, to the millisecond."""
    whole = int(seconds)
    return f"{_to_the_second(whole)}.{int((seconds - whole) * 1000):03d}Z"


@functools.lru_cache(maxsize=2)
def _to_the_second(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))


def _about(request_id: str) -> dict[str, str]:
    return {"request_id": request_id} if request_id else {}


def _log_event(level: int, name: str, **values: object) -> None:
    if _log.isEnabledFor(level):
        _log.log(level, _Event({"event": name, **values}))


class _Event:
    """The message of a line of ours: written out only by whoever shows it."""

    def __init__(self, values: dict[str, object]) -> None:
        self.values = values

    @override
    def __str__(self) -> str:
        return _logfmt(self.values)


class _WithoutWords(logging.Formatter):
    """Our own lines as they are; of others' only logger, template or else place, and the kind of exception."""

    def __init__(self, render: Callable[[dict[str, object]], str]) -> None:
        super().__init__()
        self._render = render

    @override
    def format(self, record: logging.LogRecord) -> str:
        line = _head(record.created, record.levelname.lower())
        if isinstance(record.msg, _Event):
            line |= record.msg.values
        else:
            line |= {"event": str(record.msg) if record.args else f"{record.module}:{record.lineno}"}
            line |= {"logger": record.name}
            if record.exc_info and record.exc_info[1]:
                line |= describe(record.exc_info[1])
        return self._render(line)


def _uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    unexpected(error.with_traceback(trace))


def _uncaught_in_thread(args: threading.ExceptHookArgs) -> None:
    if args.exc_value is not None:
        unexpected(args.exc_value)
