"""Several clients may be the first to send a message of a kind, at once."""

import subprocess
import sys

LOOK = """
import sys
import msgspec
from walletsync import payload, protocol
from walletsync_server.api import bodies, routes, table

kinds = [kind for kind in protocol.Message.__subclasses__() if kind.__module__ == protocol.__name__]
kinds += [route.handler.message for route in routes.ROUTES if isinstance(route.handler, table.Reads)]
kinds += [%s, protocol.WellKnown, payload._Metadata, bodies._Versioned]
calls = []
sys.setprofile(lambda frame, event, argument: calls.append((event, frame.f_code.co_name)))
for kind in kinds:
    try:
        msgspec.json.decode(b"{}", type=kind)
    except msgspec.ValidationError:
        pass
sys.setprofile(None)
print(calls.count(("call", "get_class_annotations")))
"""
"""Tells how many kinds of messages msgspec makes ready only when they are decoded, in a process that is new."""


def made_ready_late(also: str) -> int:
    run = subprocess.run([sys.executable, "-c", LOOK % also], capture_output=True, text=True, check=True)
    return int(run.stdout)


def test_messages_are_ready_before_there_are_threads() -> None:
    """What msgspec does when it first sees a type it cannot do in two threads at once: a server would crash."""
    assert made_ready_late("protocol.SignupRequest") == 0


def test_message_that_is_not_ready_would_be_noticed() -> None:
    """A type that was never seen before is made ready when it is decoded, once."""
    assert made_ready_late("*[type('New', (msgspec.Struct,), {'__annotations__': {'a': int}})] * 2") == 1
