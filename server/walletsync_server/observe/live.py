"""Whether the Valkey of several servers is what they need. Changes nothing; servers may be using it."""

from collections.abc import Iterator
from urllib.parse import urlsplit

from walletsync_server.observe.findings import FAIL, OK, WARN, Finding
from walletsync_server.settings import is_loopback


def look_at_live(url: str) -> Iterator[Finding]:
    """Look at the Valkey or Redis that a URL names, which is shown without it: it may have a password."""
    try:
        from walletsync_server.live.valkey import ask_version  # its client may be missing
    except ImportError:
        yield Finding("live", FAIL, "its client is missing; install walletsync-server with [valkey].")
        return
    version = ask_version(url)
    if version is None:
        said = "it does not answer, or takes neither name nor password: the server goes on alone until it does."
        yield Finding("live", FAIL, said)
        return
    yield Finding("live", OK, f"version {version} answers.")
    parts = urlsplit(url)
    if parts.scheme in ("valkey", "redis") and not is_loopback(str(parts.hostname)):
        said = "anybody along the way can read and change it; use valkeys:// or rediss://, or a network of their own."
        yield Finding("live connection", WARN, said)
