"""How a value is found that can't be the same in two runs, and the kinds of values that every project has."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

HEX64 = r"(?<![0-9a-fA-F])(?!0{64})[0-9a-f]{64}(?![0-9a-fA-F])"
"""32 bytes, unless all of them are zero, as they are in every run."""


@dataclass(frozen=True)
class Rule:
    """`pattern` finds a value, `check` says whether it has the shape that its name claims.

    `identity` maps a value to what tells it from others. A rule without it masks with the bare name, for values that
    may or may not be equal by chance.
    """

    name: str
    pattern: str
    check: Callable[[str], bool]
    identity: Callable[[str], str] | None = str


@dataclass(frozen=True)
class Refusal:
    """What no output may hold: its name, and the pattern that finds it."""

    name: str
    pattern: str


def after(*labels: str) -> str:
    """Return a pattern for 64 hex digits with one of these labels before them."""
    return f"(?:{'|'.join(f'(?<={re.escape(label)})' for label in labels)}){HEX64}"


def is_32_bytes(text: str) -> bool:
    """Whether these hex digits are 32 bytes."""
    return len(bytes.fromhex(text)) == 32


def _is_port(text: str) -> bool:
    return 0 < int(text) < 2**16


def _is_time(text: str) -> bool:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


PORTS = (
    Rule("port", r"(?<=//127\.0\.0\.1:)\d+", _is_port),
    Rule("port", r"(?<=//localhost:)\d+", _is_port),
    Rule("port", r"(?<=Host: 127\.0\.0\.1:)\d+", _is_port),
)
DIGEST = Rule("digest", HEX64, is_32_bytes)
# Two events of one second share a time and of two seconds don't, so equality would differ from run to run.
TIME = Rule("time", r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|\+00:00)", _is_time, None)

_LABEL = r"(?i:token|bearer|secret|password|keys?)\W{1,6}"
SECRETS = (
    Refusal("a secret", _LABEL + HEX64),
    Refusal("a secret", _LABEL + r"[A-Za-z0-9+/]{43}=(?![A-Za-z0-9+/=])"),
)
MEMORY_ADDRESS = Refusal("a memory address", r"\bat 0x[0-9a-fA-F]{6,}")
