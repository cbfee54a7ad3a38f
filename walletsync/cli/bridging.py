"""The wallet's program, where it has a bridge, as the commands that sync drive it."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from walletsync.cli.output import say
from walletsync.cli.wallet import Wallet
from walletsync.errors import BridgeError

if TYPE_CHECKING:
    from walletsync.bridges.chosen import Chosen
    from walletsync.bridges.driver import Driver
    from walletsync.client import Client


_REST = 9
"""For how many times as long as it took to answer a program is left alone, by who asks it again and again."""


class Bridging:
    """What a command does with the bridge of a wallet; nothing, if it has none.

    One that `is_patient` says once what is wrong with the program, and goes on without it.
    """

    def __init__(self, wallet: Wallet, *, is_patient: bool = False) -> None:
        self._wallet = wallet
        self._is_patient = is_patient
        self._trouble = ""
        self._refused = 0
        self._rests_until = 0.0
        self._chosen: Chosen | None = None
        self._driver: Driver | None = None

    def is_due(self) -> bool:
        """Tell whether the program may be asked again: one with much to tell would else do nothing but that."""
        return time.monotonic() >= self._rests_until

    def is_edited(self) -> bool:
        """Tell whether the program has news, or answers again; False if it has to be asked and cannot."""
        begin = time.monotonic()
        had_trouble = bool(self._trouble)
        found = False

        def look(driver: "Driver") -> None:
            nonlocal found
            found = driver.is_edited() or had_trouble

        self._try(look)
        end = time.monotonic()
        self._rests_until = end + _REST * (end - begin)
        return found

    def take(self, client: "Client") -> None:
        """Take what was edited in the program. Raises what `Driver.take` raises."""
        self._try(lambda driver: driver.take(client))

    def give(self, client: "Client") -> None:
        """Set in the program what is new. Raises what `Driver.give` raises."""
        self._try(lambda driver: driver.give(client))
        if self._driver is not None and self._driver.refused != self._refused:
            self._refused = self._driver.refused
            if self._refused:
                say(
                    f"{self._driver.bridge.program} did not take {self._refused} of the labels; they stay in the "
                    "account and in the file."
                )

    def _try(self, action: Callable[["Driver"], None]) -> None:
        try:
            driver = self._opened()
            if driver is not None:
                action(driver)
        except BridgeError as error:
            if not self._is_patient:
                raise
            if error.message != self._trouble:
                say(f"{error.message} Watching goes on.")
            self._trouble = error.message
        else:
            self._trouble = ""

    def _opened(self) -> "Driver | None":
        """Return what drives the bridge that is chosen now, the same as long as it is the same one."""
        if not self._wallet.bridge_file.exists():
            self._chosen = self._driver = None
            return None
        from walletsync.bridges.chosen import chosen

        found = chosen(self._wallet.bridge_file)
        if found != self._chosen:
            self._chosen = found
            self._driver = None if found is None else driver(self._wallet, found)
        return self._driver


def driver(wallet: Wallet, chosen: "Chosen") -> "Driver":
    """Return what drives a bridge. Raises UsageError if something that was given for it is wrong."""
    from walletsync.bridges.driver import Driver

    bridge = chosen.bridge()
    return Driver(bridge, chosen.identity, wallet.wallet_file(), seen_file(wallet), wallet=wallet.format)


def seen_file(wallet: Wallet) -> Path:
    """Return the file with what the wallet had at the last look."""
    return wallet.folder / "bridge.seen"
