"""End-to-end encrypted wallet sync, the client library.

`Client` is one device of one person. Everything that can go wrong is a subclass of `WalletSyncError`, and the whole
tree is in `walletsync.errors`.
"""

# The names are loaded on first use: the server imports walletsync.protocol, and must not pay for, or depend on, the
# HTTP and crypto libraries of a client.
from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from walletsync import errors as errors
    from walletsync.client import Client as Client
    from walletsync.errors import WalletSyncError as WalletSyncError
    from walletsync.formats.bip329 import BIP329Format as BIP329Format
    from walletsync.formats.json import JSONFormat as JSONFormat

_HOME = {
    "BIP329Format": "walletsync.formats.bip329",
    "Client": "walletsync.client",
    "JSONFormat": "walletsync.formats.json",
    "WalletSyncError": "walletsync.errors",
}

__all__ = ["BIP329Format", "Client", "JSONFormat", "WalletSyncError", "errors"]


def __getattr__(name: str) -> Any:
    if name == "errors":
        return import_module("walletsync.errors")
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
