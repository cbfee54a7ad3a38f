"""Electrum, through the JSON-RPC that its window and its daemon have.

It lists the labels of the wallet's addresses, and of the transactions in its history. A transaction without a label of
its own is listed with those of its addresses, which is no label to keep, unless it had that one before.
"""

import ast
import hashlib
import json
from pathlib import Path
from typing import Any

from walletsync.bridges.base import Look
from walletsync.bridges.rpc import (
    MAX_LISTINGS,
    Address,
    HttpRpc,
    Rpc,
    address_of,
    is_this_machine,
    keeps_changing,
    misunderstood,
    no_answer,
)
from walletsync.errors import BridgeError, BridgeRefused
from walletsync.formats.label_sense import Key, key_of
from walletsync.remedies import Remedy

_PORT = 7777
_ROOT = ".electrum"


class ElectrumBridge:
    """The wallet that Electrum has open, or the one in the file `wallet`; `folder` is Electrum's own, with `config`.

    Where it listens is in that folder, as are its user and password; `url` says another place.
    """

    program = "Electrum"
    formats: tuple[str, ...] = ("electrum", "bip329")

    def __init__(self, folder: str | None, url: str | None, wallet: str | None) -> None:
        self._folder = Path.home() / _ROOT if folder is None else Path(folder)
        self._address = None if url is None else address_of(url, _PORT)
        self._wallet = {} if wallet is None else {"wallet": wallet}
        self._known: frozenset[Key] = frozenset()

    def look(self) -> Look:
        """Return the labels of addresses, and those of transactions; not sure of those that are of addresses too."""
        rpc = self._rpc()
        try:
            addresses, history = self._lists(rpc)
        except BridgeRefused:
            raise BridgeError("Electrum does not have the wallet open.", remedy=Remedy.OPEN_IN_PROGRAM) from None
        try:
            by_address = {address: ast.literal_eval(label) for address, label in addresses}
            derived, by_transaction = _transactions(history["transactions"], by_address)
        except (AttributeError, KeyError, TypeError, ValueError, SyntaxError):
            raise misunderstood(self.program, "listaddresses or onchain_history") from None
        labels = {key_of("addr", each): label for each, label in by_address.items()}
        labels |= {key_of("tx", each): label for each, label in by_transaction.items()}
        unsure = {key_of("tx", each): label for each, label in derived.items()}
        self._known = frozenset(labels | unsure)
        first = next(iter(by_address), "")
        wallet = hashlib.sha256(f"electrum {first}".encode()).hexdigest()
        blank = frozenset(key for key, label in labels.items() if not label)
        return Look(wallet, {key: label for key, label in labels.items() if label}, blank, unsure)

    def _lists(self, rpc: Rpc) -> tuple[Any, Any]:
        """Return addresses and history of one moment: nobody has labelled an address between the two."""
        for _ in range(MAX_LISTINGS):
            addresses = rpc.call("listaddresses", {"labels": True, **self._wallet})
            history = rpc.call("onchain_history", {"show_addresses": True, **self._wallet})
            if addresses == rpc.call("listaddresses", {"labels": True, **self._wallet}):
                return addresses, history
        raise keeps_changing(self.program)

    def can_hold(self, key: Key) -> bool:
        """Tell whether it is an address of the wallet or a transaction in its history: Electrum lists no others."""
        return key in self._known

    def set_label(self, key: Key, label: str) -> None:
        """Set it."""
        self._rpc().call("setlabel", {"key": key.ref, "label": label, **self._wallet})

    def delete_label(self, key: Key) -> None:
        """Set an empty one, which Electrum does not keep."""
        self.set_label(key, "")

    def _rpc(self) -> Rpc:
        try:
            config = json.loads((self._folder / "config").read_bytes())
            credentials = str(config["rpcuser"]), str(config["rpcpassword"])
            address = self._address or _listening((self._folder / "daemon").read_text())
        except (OSError, ValueError, KeyError, TypeError, SyntaxError):
            raise no_answer(self.program) from None
        return HttpRpc(self.program, address, credentials)


def _listening(text: str) -> Address:
    """Return where Electrum wrote that it listens. Raises ValueError, or what else is wrong with it."""
    kind, where, _ = ast.literal_eval(text)
    if kind == "unix":
        return Address(socket=Path(where))
    host, port = where
    if not is_this_machine(host):
        raise ValueError("It listens on another machine, which is asked by https alone.")
    return Address(host, int(port))


def _transactions(history: list[Any], by_address: dict[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """Return the labels of transactions: those that are as their addresses give them, and those of their own."""
    both: tuple[dict[str, str], dict[str, str]] = {}, {}
    for item in history:
        paid = dict.fromkeys(each["address"] for each in item["outputs"])
        labels = {each: by_address[each] for each in paid if by_address.get(each)}
        derived = (", ".join(labels.values()), ", ".join(labels[each] for each in sorted(labels)))
        is_own = not (item["label"] and item["incoming"] and item["label"] in derived)
        both[is_own][item["txid"]] = item["label"]
    return both
