"""A device of the simulator: the real client over the lives of its processes, and what it edits."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any
from unittest import mock

from tests.simulator.disk import Disk, StoreOnDisk
from tests.simulator.network import Network, Transport
from walletsync import Client, api, local_document
from walletsync.formats.json import JSONFormat

URL = "http://127.0.0.1"
PASSWORD = "correct horse battery staple"
FORMAT = JSONFormat(keys={"/items": "id"})


class Device:
    """A device over the lives of its processes."""

    def __init__(self, name: str, email: str, network: Network, boundary: Callable[[str], None]) -> None:
        self.name = name
        self._email = email
        self._network = network
        self._boundary = boundary
        self.disk = Disk(boundary)
        self.client: Client | None = None
        self.password = PASSWORD
        self.change: tuple[str, str] | None = None
        """The old and the new password of a change that was begun and has not come to its end."""
        self.needs_new_password = False
        """Whether it has said so."""
        self.is_interrupted = False
        """Whether its last verb was, so that nobody knows what came of it."""
        self.is_warned = False
        """Whether it was told that the server goes on from something else than it knows."""
        self.left: set[str] = set()
        """What it knew and had sent when its person consented to that, until it has left its line."""
        self.tells_others = False
        """Whether the others learn of that by its next version."""

    def start(self) -> Client:
        """Return the client of the running process; begin a new one if there is none."""
        if self.client is None:

            def transport(**_: object) -> Transport:
                return Transport(self._network, self._boundary)

            with (
                mock.patch.object(local_document, "Store", StoreOnDisk),
                mock.patch.object(api, "Transport", transport),
            ):
                disk: Any = self.disk
                client = Client(URL, format=FORMAT, store=disk, device_id=self.name)
            client.set_account(self._email, self.password)
            self.client = client
        return self.client

    def type_password(self, password: str, *, is_new: bool = True) -> None:
        """Let the person say that this is the account's password now, or that it was before the server's backup."""
        client = self.start()
        self.password = password
        client.set_account(self._email, password, accept_new_password=is_new)

    def stop(self) -> None:
        """End the process; only the disk remains."""
        self.client = None


def leaves(value: Any) -> list[int]:
    """Return the values that edits have written, wherever they are in `value`; ids of items are no such values."""
    if isinstance(value, dict):
        return [leaf for name, each in value.items() if name != "id" for leaf in leaves(each)]
    if isinstance(value, list):
        return [leaf for each in value for leaf in leaves(each)]
    return [value] if isinstance(value, int) else []


@lru_cache(maxsize=100)
def leaves_of(document: bytes | None) -> tuple[int, ...]:
    """Return the values that edits have written into an encoded document."""
    return () if document is None else tuple(leaves(FORMAT.decode(document)))


def change(document: Any, place: str, value: int, *, delete: bool, pick: Callable[[Any], Any]) -> None:
    """Write `value` at `place` of a document of the simulator, or delete what is there."""
    items = document.setdefault("items", [])
    if place == "new item":
        items.append({"id": str(value), "v": value})
    elif place == "item" and items:
        item = pick(items)
        items.remove(item) if delete else item.update(v=value)
    elif place in ("a", "b"):
        document.pop(place, None) if delete else document.update({place: value})
    elif place == "n" and delete:
        document.pop("n", None)
    elif place in ("n.x", "n.y"):
        inner = document.setdefault("n", {})
        inner.pop(place[-1], None) if delete else inner.update({place[-1]: value})
