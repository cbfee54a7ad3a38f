"""Bitcoin Core, through its JSON-RPC: labels of addresses; it has none of transactions."""

from pathlib import Path
from typing import Any
from urllib.parse import quote

from walletsync.bridges.base import Look
from walletsync.bridges.rpc import HttpRpc, Rpc, address_of, misunderstood, no_answer
from walletsync.errors import BridgeRefused
from walletsync.formats.label_sense import Key, key_of

_PORT = 8332
_ROOT = ".bitcoin"


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
        self._is_mine: dict[Key, bool] = {}

    def look(self) -> Look:
        """Return the labels of addresses; an empty one is that of an address without."""
        rpc = self._rpc()
        labels: dict[Key, str] = {}
        try:
            wallet = f"bitcoin-core {rpc.call('getwalletinfo', [])['walletname']}"
            for label in filter(None, rpc.call("listlabels", [])):
                labels |= {key_of("addr", address): label for address in _addresses(rpc, label)}
        except (AttributeError, KeyError, TypeError):
            raise misunderstood(self.program, "getwalletinfo, listlabels or getaddressesbylabel") from None
        return Look(wallet, labels)

    def can_hold(self, key: Key) -> bool:
        """Tell whether it is an address of the wallet; any other would be one that it was asked to pay to."""
        if key.type != "addr":
            return False
        if key not in self._is_mine:
            try:
                info = self._rpc().call("getaddressinfo", [key.ref])
            except BridgeRefused:  # not an address of this network
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


def _addresses(rpc: Rpc, label: str) -> list[str]:
    try:
        found: dict[str, Any] = rpc.call("getaddressesbylabel", [label])
    except BridgeRefused:  # nothing has it any more
        return []
    return list(found.keys())


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
