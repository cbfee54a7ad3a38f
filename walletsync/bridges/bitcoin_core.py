"""Bitcoin Core, through its JSON-RPC: labels of addresses; it has none of transactions."""

import hashlib
import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

from walletsync.bridges.base import Look
from walletsync.bridges.rpc import HttpRpc, Rpc, address_of, misunderstood, no_answer, settled
from walletsync.errors import BridgeRefused
from walletsync.formats.label_sense import Key, key_of

_PORT = 8332
_ROOT = ".bitcoin"
_NOTHING_HAS_IT = -11
"""The error that nothing has this label; any other, such as that the wallet is closed, says nothing of labels."""
_NO_ADDRESS = -5
"""The error that this is no address of the network."""


class BitcoinCoreBridge:
    """The only wallet that Bitcoin Core has loaded, or the one named `wallet`.

    `folder` has `.cookie` or `bitcoin.conf`, `url` says where it listens.
    """

    program = "Bitcoin Core"
    formats: tuple[str, ...] = ("electrum", "bip329")

    def __init__(self, folder: str | None, url: str | None, wallet: str | None) -> None:
        self._folder = Path.home() / _ROOT if folder is None else Path(folder)
        self._address = address_of(url or f"http://127.0.0.1:{_PORT}", _PORT)
        self._path = "/" if wallet is None else f"/wallet/{quote(wallet, safe='')}"
        self._asked_wallet = ""
        self._is_mine: dict[Key, bool] = {}

    def look(self) -> Look:
        """Return the labels of addresses; an empty one is that of an address without."""
        rpc = self._rpc()
        wallet, labels, blank = settled(self.program, lambda: self._listed(rpc))
        return Look(wallet, labels, blank)

    def _listed(self, rpc: Rpc) -> tuple[str, dict[Key, str], frozenset[Key]]:
        labels: dict[Key, str] = {}
        try:
            described = sorted(each["desc"] for each in rpc.call("listdescriptors", [])["descriptors"])
            wallet = hashlib.sha256(f"bitcoin-core {json.dumps(described)}".encode()).hexdigest()
            if wallet != self._asked_wallet:
                self._asked_wallet, self._is_mine = wallet, {}
            for label in filter(None, rpc.call("listlabels", [])):
                labels |= dict.fromkeys(self._addresses(rpc, label), label)
            blank = frozenset(self._addresses(rpc, ""))
        except (AttributeError, KeyError, TypeError):
            raise misunderstood(self.program, "listdescriptors, listlabels or getaddressesbylabel") from None
        return wallet, labels, blank

    def _addresses(self, rpc: Rpc, label: str) -> list[Key]:
        """Return the wallet's own addresses that have a label; those that it paid to are listed with them."""
        try:
            found: dict[str, Any] = rpc.call("getaddressesbylabel", [label])
        except BridgeRefused as refused:
            if refused.code != _NOTHING_HAS_IT:
                raise
            return []
        keys = ((key_of("addr", address), about.get("purpose")) for address, about in found.items())
        return [key for key, purpose in keys if purpose == "receive" or self.can_hold(key)]

    def can_hold(self, key: Key) -> bool:
        """Tell whether it is an address of the wallet; any other would be one that it was asked to pay to."""
        if key.type != "addr":
            return False
        if key not in self._is_mine:
            try:
                info = self._rpc().call("getaddressinfo", [key.ref])
            except BridgeRefused as refused:
                if refused.code != _NO_ADDRESS:
                    raise
                info = {}
            self._is_mine[key] = type(info) is dict and info.get("ismine") is True
        return self._is_mine[key]

    def set_label(self, key: Key, label: str) -> None:
        """Set it."""
        self._rpc().call("setlabel", [key.ref, label])

    def delete_label(self, key: Key) -> None:
        """Set an empty one."""
        self.set_label(key, "")

    def _rpc(self) -> Rpc:
        credentials = _from_cookie(self._folder / ".cookie") or _from_settings(self._folder / "bitcoin.conf")
        if credentials is None:
            raise no_answer(self.program)
        return HttpRpc(self.program, self._address, credentials, self._path)


def _from_cookie(file: Path) -> tuple[str, str] | None:
    user, colon, password = _text(file).strip().partition(":")
    return (user, password) if colon else None


def _from_settings(file: Path) -> tuple[str, str] | None:
    lines = (line.partition("=") for line in _text(file).splitlines())
    said = {name.strip(): value.strip() for name, _, value in lines}
    names = "rpcuser", "rpcpassword"
    return (said[names[0]], said[names[1]]) if said.keys() >= {*names} else None


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""
