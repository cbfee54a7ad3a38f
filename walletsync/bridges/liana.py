"""Liana, through the socket of its daemon: labels of addresses, transactions and coins."""

import hashlib
import json
from pathlib import Path
from typing import Any

from walletsync.bridges.base import Look
from walletsync.bridges.rpc import LineRpc, Rpc, misunderstood, settled
from walletsync.errors import UsageError
from walletsync.formats.label_sense import Key, key_of

_ROOT = ".liana/bitcoin"
_SOCKET = "lianad_rpc"
_PAGE = 1_000
_TYPES = ("addr", "tx", "output")


class LianaBridge:
    """The wallet of Liana's daemon; `folder` is that of its network, with `lianad_rpc`."""

    program = "Liana"
    formats: tuple[str, ...] = ("bip329",)

    def __init__(self, folder: str | None, url: str | None, wallet: str | None) -> None:
        if url is not None or wallet is not None:
            raise UsageError("Liana has one wallet and a socket in its folder: give --folder FOLDER alone.")
        self._socket = (Path.home() / _ROOT if folder is None else Path(folder)) / _SOCKET

    def look(self) -> Look:
        """Return the labels of addresses, transactions and coins."""
        rpc = self._rpc()
        wallet, labels = settled(self.program, lambda: self._listed(rpc))
        return Look(wallet, labels, is_complete=True)

    def _listed(self, rpc: Rpc) -> tuple[str, dict[Key, str]]:
        try:
            descriptors = json.dumps(rpc.call("getinfo", {})["descriptors"], sort_keys=True)
            wallet = hashlib.sha256(f"liana {descriptors}".encode()).hexdigest()
            records = _records(rpc)
            labels = {key_of(each["type"], each["ref"]): str(each["label"]) for each in records if each.get("label")}
        except (AttributeError, KeyError, TypeError):
            raise misunderstood(self.program, "getinfo or getlabelsbip329") from None
        return wallet, {key: label for key, label in labels.items() if key.type in _TYPES}

    def can_hold(self, key: Key) -> bool:
        """Tell whether it is an address, a transaction or a coin: Liana keeps and lists the label of any."""
        return key.type in _TYPES

    def set_label(self, key: Key, label: str) -> None:
        """Set it."""
        self._rpc().call("updatelabels", {"labels": {key.ref: label}})

    def delete_label(self, key: Key) -> None:
        """Set none."""
        self._rpc().call("updatelabels", {"labels": {key.ref: None}})

    def _rpc(self) -> Rpc:
        return LineRpc(self.program, self._socket)


def _records(rpc: Rpc) -> list[Any]:
    """Return all records, page by page."""
    records: list[Any] = []
    while True:
        page = rpc.call("getlabelsbip329", {"offset": len(records), "limit": _PAGE})["labels"]
        records += page
        if len(page) < _PAGE:
            return records
