"""Which bridge a wallet's file has, as it is kept: no secret, since a bridge reads those where its program has them."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

import msgspec

from walletsync.bridges.base import Bridge
from walletsync.bridges.bitcoin_core import BitcoinCoreBridge
from walletsync.bridges.electrum import ElectrumBridge
from walletsync.bridges.liana import LianaBridge
from walletsync.errors import BridgeError, StoreUnusable
from walletsync.remedies import Remedy

BRIDGES: Mapping[str, Callable[[str | None, str | None, str | None], Bridge]] = MappingProxyType(
    {"electrum": ElectrumBridge, "bitcoin-core": BitcoinCoreBridge, "liana": LianaBridge}
)
"""Each by what is typed for it; made of the program's folder, a URL, and the name of a wallet, None for the usual."""

_OF_KEYS: Final = re.compile("[0-9a-f]{64}")
"""What tells a wallet of Bitcoin Core from another: a digest of its public keys."""


class Chosen(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A bridge that was chosen. `identity` tells the wallet from any other that its program may open."""

    name: str
    folder: str | None = None
    url: str | None = None
    wallet: str | None = None
    identity: str = ""

    def bridge(self) -> Bridge:
        """Return the bridge.

        Raises:
            UsageError: something that was given for it is wrong.
        """
        return BRIDGES[self.name](self.folder, self.url, self.wallet)


def chosen(file: Path) -> Chosen | None:
    """Return what was kept in a file; None if nothing was.

    Raises:
        StoreUnusable: it is damaged.
        BridgeError: it was chosen with an earlier version, which kept too little to tell the wallet from another.
    """
    try:
        found = msgspec.json.decode(file.read_bytes(), type=Chosen)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.MsgspecError):
        found = None
    if found is None or found.name not in BRIDGES:
        raise StoreUnusable(f"{file} cannot be read; delete it, and choose the bridge anew.")
    if found.name == "bitcoin-core" and not _OF_KEYS.fullmatch(found.identity):
        raise BridgeError(
            "The bridge to Bitcoin Core was chosen with an earlier version of walletsync, which kept the name of the "
            "wallet alone. Nothing is taken from it.",
            remedy=Remedy.CHOOSE_BRIDGE_ANEW,
        )
    return found
