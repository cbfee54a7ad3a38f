"""All that the machine knows of this project. For another one, this file is written anew; the rest stays as it is."""

import base64
import binascii
import os
import re
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tools.docs.processes import NoServer
from tools.docs.rules import DIGEST, MEMORY_ADDRESS, PORTS, SECRETS, TIME, Rule, after, is_32_bytes

if TYPE_CHECKING:
    from walletsync_server.testing import RunningServer

ROOT = Path(__file__).parents[2]

# The notebooks and README.md

NOTEBOOKS = "notebooks"
"""The folder of the notebooks, below the root."""
SHOWN_WHOLE = ("01-setup", "02-syncing", "03-merging", "04-conflicts")
"""README.md holds these notebooks, and links to all others."""
FIRST_USE = "00-first-use"
"""README.md begins with this one."""
READERS_SERVER = "http://127.0.0.1:8090"
"""Where `make serve` listens: what README.md says there in the place of `server_url`, so that a reader can type it."""
WIDTH = 90
"""Characters of an output's line in README.md, the rest of which goes on below: more would scroll on a forge's page, in
a window of 1280 pixels."""
TEMPLATES = "docs/templates"
"""The frame of README.md, and how a notebook becomes a chapter of it, below the root."""
MEND = "make docs"
"""The command that brings the committed files up to date."""
KEEP = "make keep NOTEBOOK="
"""The command that takes a notebook over from JupyterLab; its name follows."""
LAB_AS_ROOT = "make lab ARGS=--allow-root"
"""How to look at the notebooks where everything runs as root, as in a container."""
PAGES = ("*.md", "docs/*.md", "server/*.md", "server/examples/**/*.md", "tests/*.md", "bench/*.md", "tools/**/*.md")
"""The pages whose links must lead somewhere, beside the notebooks."""
READ = ("walletsync", "server/walletsync_server", "docs", "tools/docs", "*.md", "*/pyproject.toml", "pyproject.toml")
"""What a run reads beside the notebooks, README.md and the lock: where nothing of it changed, nothing has to run."""
LOCK = "requirements.lock"

# The run

TAKEN_IN_TURNS = ("walletsync.crypto:_argon2id",)
"""Functions, as module:name, that only one kernel at a time may be in. One derivation of keys takes 256 MiB on purpose,
and uses more than one core: all notebooks at once would need gigabytes and gain nothing."""


@contextmanager
def running_server() -> Iterator["RunningServer"]:
    """Give the server that a run talks to, a real process of its own; it has a `url`.

    Raises:
        NoServer: if it does not start.
    """
    # It takes a while, and who is given a server needs none.
    from walletsync_server.testing import RunningServer, ServerDidNotStart

    with closing(RunningServer(accounts="open")) as server:
        try:
            server.start()
        except ServerDidNotStart as error:
            raise NoServer(str(error)) from error
        yield server


def for_one_run(source: str, run: str) -> str:
    """Return a cell's source with addresses that no other run has: somebody else's server keeps them."""
    return re.sub(r"\b([a-z]+)(?=@example\.com)", rf"\1-{run}", source)


LEFT_BEHIND = "The accounts of this run stay on the server: NAME-{run}@example.com, with the password of the tour."
"""What to say after a run on somebody else's server."""

# What differs from run to run, and what no reader may see

_HEADER_AND_TAG = 81 + 16
"""Bytes that an encrypted wallet has at least: its header and the tag of the cipher."""


def _is_wallet(text: str) -> bool:
    """Whether this is base64 of a WSY1 envelope, or the client's short form of one (its last 8 characters)."""
    if "…" in text:
        return len(text.partition("…")[2]) == 8
    try:
        envelope = base64.b64decode(text, validate=True)
    except binascii.Error:
        return False
    return envelope[:5] == b"WSY1\x01" and len(envelope) >= _HEADER_AND_TAG


# Where the same value fits several rules, here or elsewhere in the notebook, the topmost names it.
RULES = (
    *PORTS,
    Rule(
        "encrypted wallet",
        r"(?<![A-Za-z0-9+/])V1NZMQ(?:…[A-Za-z0-9+/]+={0,2}|[A-Za-z0-9+/]+={0,2})",
        _is_wallet,
        lambda text: text[-8:],
    ),
    Rule("hmac", after("hmac='", 'hmac":"', 'hmac": "', "hmac': '", "hmac: ", "hmac "), is_32_bytes),
    Rule("salt seed", after("seed='", 'eed":"', 'eed": "', "eed': '", "seed: ", "seed "), is_32_bytes),
    DIGEST,
    TIME,
    Rule("user", r'(?<="userId":)\d+', bool),
    Rule("device", r'(?<="deviceId":")[0-9a-f]{32}(?=")', bool),
    # Which library speaks HTTP is the same in every run, until another one is installed.
    Rule("version", r"(?<=User-Agent: python-requests/)[0-9.]+", bool, None),
)
REFUSALS = (*SECRETS, MEMORY_ADDRESS)
HIDDEN = r'((?:"(?:token|(?:old|new)?[Pp]assword|clientSaltSeed)": ?"|[?&]token=))[^"&\s]*'
"""What no record of calls may show: the values after these beginnings, which are group 1."""

# The transcript

TRANSCRIPT = ROOT / "docs" / "session.md"
TRANSCRIPT_MEND = "make session"
TRANSCRIPT_PORT = 8090
"""Where the server listens in the page; a run puts another port in its place."""
TRANSCRIPT_RULES = (
    TIME,
    Rule("fingerprint", r"\b\d{5}(?: \d{5}){5}\b", bool),
    Rule("request id", r"(?<=request id: )[0-9a-f]{16}\b", bool),
)
"""Ports and hashes are the same in every run of the page: made up by a generator, or put back."""


def transcript_environment(port: int) -> dict[str, str]:
    """Return what tells the commands of a run to use this port."""
    return {"WALLETSYNC_PORT": str(port)}


def plain_environment() -> dict[str, str]:
    """Return this environment without settings of the project, and without a keyring."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("WALLETSYNC_")}
    return kept | {"PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring"}
