"""What the doctor says of one thing that it looked at."""

from dataclasses import dataclass

OK, WARN, FAIL = "ok", "warn", "fail"


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at: its name, how it is (`ok`, `warn` or `fail`), and what to do if it is not well."""

    name: str
    level: str
    sentence: str
