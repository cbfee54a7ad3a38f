"""One random history of an account: its devices, what they do, and what has to hold all the time and in the end."""

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

from tests.simulator.disk import Crash, Disk, StoreOnDisk
from tests.simulator.network import Faults, Network, Transport
from walletsync import Client, api
from walletsync import device as device_module
from walletsync.errors import (
    NotReady,
    NoWallet,
    PasswordUnchanged,
    SeedChanged,
    ServerUnreachable,
    SyncGaveUp,
    Unauthorized,
    UnsyncedEdits,
    WrongCredentials,
    WrongPassword,
)
from walletsync.formats.json import JSONFormat
from walletsync.protocol import PASSWORD_PATH, WALLET_PATH
from walletsync_server.api.http import Request, Response

URL = "http://127.0.0.1"
PASSWORD = "correct horse battery staple"
NAMES = ("a", "b", "n")
FORMAT = JSONFormat(keys={"/items": "id"})
HARMLESS = (ServerUnreachable, SyncGaveUp, Unauthorized, NotReady, NoWallet, UnsyncedEdits, PasswordUnchanged)
"""What a device may meet although nobody did anything wrong."""
OTHER_PASSWORD = (SeedChanged, WrongPassword, WrongCredentials)
"""What it says when the password was changed; the person then types another one."""


class Broken(AssertionError):
    """Something did not hold. The message has the whole history."""


def leaves(value: Any) -> list[int]:
    """Return the values that edits have written, wherever they are in `value`; ids of items are no such values."""
    if isinstance(value, dict):
        return [leaf for name, each in value.items() if name != "id" for leaf in leaves(each)]
    if isinstance(value, list):
        return [leaf for each in value for leaf in leaves(each)]
    return [value] if isinstance(value, int) else []


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

    def start(self) -> Client:
        """Return the client of the running process; begin a new one if there is none."""
        if self.client is None:

            def transport(**_: object) -> Transport:
                return Transport(self._network, self._boundary)

            with (
                mock.patch.object(device_module, "Store", StoreOnDisk),
                mock.patch.object(api, "Transport", transport),
            ):
                disk: Any = self.disk
                client = Client(URL, format=FORMAT, store=disk, device_id=self.name)
            client.set_account(self._email, self.password)
            self.client = client
        return self.client

    def type_password(self, password: str) -> None:
        """Let the person say that this is the account's password now."""
        client = self.start()
        self.password = password
        client.set_account(self._email, password, accept_new_password=True)

    def stop(self) -> None:
        """End the process; only the disk remains."""
        self.client = None


class History:
    """Two to five devices of one account.

    Args:
        seed: decides everything; the same seed is the same history.
        answer: the server.
        versions: returns the digests of the versions that the server keeps, by sequence; None if it cannot be trusted.
        pass_time: lets seconds go by on the server.
    """

    def __init__(
        self,
        seed: int,
        *,
        answer: Callable[[Request], Response],
        versions: Callable[[str], dict[int, str]],
        pass_days: Callable[[float], None],
    ) -> None:
        self.rng = random.Random(seed)
        self.trace: list[str] = [f"seed {seed}"]
        self.email = f"history{seed}-{id(self)}@example.com"
        self._versions = versions
        self._pass_days = pass_days
        self._answer = answer
        self.line: dict[int, str] = {}
        self.network = Network(self.rng, Faults.drawn(self.rng), self._answered, self.trace.append)
        self.devices = [
            Device(f"device{number}", self.email, self.network, self._boundary)
            for number in range(self.rng.randint(2, 5))
        ]
        self._numbers = iter(range(1, 1_000_000))
        self.written: set[int] = set()
        self.replaced: set[int] = set()
        self.restored: set[int] = set()
        self.passwords = [PASSWORD]
        self._quiet = False

    def run(self) -> None:
        """Let the history happen and check it.

        Raises:
            Broken: something did not hold.
        """
        with self._telling():
            self._sign_up()
            for _ in range(self.rng.randint(20, 50)):
                self._step()
                self._check()
            self._settle()
            self._check_end()
        for device in self.devices:
            device.disk.close()

    # What happens

    def _sign_up(self) -> None:
        first = self.devices[0]
        while not self._do(first, "register", lambda client: client.register()):
            pass
        document = {"a": self._value(), "n": {"x": self._value()}, "items": [{"id": "0", "v": self._value()}]}
        while not self._do(first, "the first document", lambda client: self._set(client, document)):
            pass
        for device in self.devices if self.rng.random() < 0.8 else ():
            self._do(device, "sync", lambda client: client.sync())

    def _weights(self) -> dict[str, int]:
        """Return what may happen, and how often beside the others."""
        return {
            "edit": 12,
            "sync": 8,
            "get": 2,
            "post": 2,
            "decide": 8,
            "late": 2,
            "restart": 1,
            "wait": 1,
            "change the password": 1,
        }

    def _step(self) -> None:
        actions: dict[str, Callable[[Device], object]] = {
            "edit": self._edit,
            "sync": lambda device: self._do(device, "sync", lambda client: client.sync()),
            "get": lambda device: self._do(device, "get", lambda client: client.get_wallet()),
            "post": lambda device: self._do(device, "post", lambda client: client.post_wallet()),
            "decide": self._decide,
            "late": lambda _: self.network.deliver_one_late(),
            "restart": self._restart,
            "wait": lambda _: self._wait(),
            "change the password": self._change_password,
        }
        weights = self._weights()
        (action,) = self.rng.choices(list(weights), list(weights.values()))
        actions[action](self.rng.choice(self.devices))

    def _edit(self, device: Device) -> None:
        """Write, replace or delete one value that the device shows."""
        place = self.rng.choice(("a", "a", "b", "n", "n.x", "n.y", "item", "item", "new item"))
        delete = self.rng.random() < 0.25
        value = self._value()

        def edit(client: Client) -> None:
            if client.wallet_state is None:
                return
            document = client.get_document()
            gone = leaves(document)
            _change(document, place, value, delete=delete, pick=self.rng.choice)
            self._set(client, document, replaced=set(gone) - set(leaves(document)))

        self._do(device, f"{'delete' if delete else 'write'} {place} {value}", edit)

    def _set(self, client: Client, document: Any, replaced: set[int] = frozenset()) -> None:  # type: ignore[assignment]
        """Set a document and note what that wrote and replaced; a crash decides by what is on the disk."""
        before = set(leaves(client.get_document())) if client.wallet_state is not None else set()
        try:
            client.set_document(document)
        finally:
            # The process may have ended just after the save.
            if client._device._store.load().document == FORMAT.encode(document):  # type: ignore[union-attr]
                self.written |= set(leaves(document)) - before
                self.replaced |= replaced

    def _decide(self, device: Device) -> None:
        keep = self.rng.choice(("mine", "theirs"))
        device = next((each for each in self.devices if self._at_rest(each).conflicts), device)

        def decide(client: Client) -> None:
            for conflict in client.conflicts[:1]:
                mine, theirs = set(leaves(conflict.mine)), set(leaves(conflict.theirs))
                before = len(client.conflicts)
                try:
                    client.resolve(conflict, keep)  # type: ignore[arg-type]
                finally:
                    after = len(client._device._store.load().conflicts)  # type: ignore[union-attr]
                    if after < before:
                        self.replaced |= theirs - mine if keep == "mine" else mine - theirs
                        self.restored |= mine if keep == "mine" else theirs  # also against somebody's deletion

        self._do(device, f"decide: {keep}", decide)

    def _change_password(self, device: Device) -> None:
        """Begin a change, or go on with the one that was begun."""
        if device.change is None:
            device.change = device.password, f"password {len(self.passwords)}"
            self.passwords.append(device.change[1])
        old, new = device.change
        if self._do(device, f"change to {new}", lambda client: client.change_password(new, old=old)):
            device.password, device.change = new, None
        elif not self._at_rest(device).has_open_password_change:
            device.change = None  # refused, or never begun

    def _restart(self, device: Device) -> None:
        self.trace.append(f"{device.name}: restart")
        device.stop()

    def _wait(self) -> None:
        days = self.rng.choice((0.1, 5.0, 15.0))
        self.trace.append(f"{days} days go by")
        self._pass_days(days)

    def _do(self, device: Device, what: str, action: Callable[[Client], object]) -> bool:
        """Do something on a device; return whether it came to its end."""
        self.trace.append(f"{device.name}: {what}")
        try:
            action(device.start())
        except Crash as crash:
            self.trace.append(f"  crash {crash}")
            device.stop()
        except HARMLESS as error:
            self.trace.append(f"  {type(error).__name__}")
        except OTHER_PASSWORD as error:
            self.trace.append(f"  {type(error).__name__}")
            self._type_another(device)
        else:
            return True
        return False

    def _type_another(self, device: Device) -> None:
        self._quiet = True
        try:
            device.type_password(self.rng.choice(self.passwords))
        finally:
            self._quiet = False

    def _boundary(self, where: str) -> None:
        if not self._quiet and self.rng.random() < self.network.faults.crash:
            raise Crash(where)

    def _answered(self, request: Request) -> Response:
        response = self._answer(request)
        if request.path.endswith((WALLET_PATH, PASSWORD_PATH)) and request.method == "POST":
            self._check_line()
        return response

    # What has to hold

    def _check_line(self) -> None:
        """Accepted sequences have no gap and no branch, whatever came twice, late or not at all."""
        for sequence, digest in sorted(self._versions(self.email).items()):
            if sequence not in self.line:
                self._hold(sequence == len(self.line) + 1, f"version {sequence} came after {len(self.line)}")
                self.line[sequence] = digest
            self._hold(self.line[sequence] == digest, f"version {sequence} became another one")

    def _check(self) -> None:
        """No edit is lost, none is doubled, and every device believes in a version that the server accepted."""
        kept: set[int] = set()
        for device in self.devices:
            client = self._at_rest(device)
            if client.wallet_state is not None:
                found = leaves(client.get_document())
                self._hold(len(found) == len(set(found)), f"{device.name} has an edit twice")
                kept |= set(found)
            for conflict in client.conflicts:
                kept |= set(leaves(conflict.mine))
            self._check_known(device, client)
        self._hold(self.written - self.replaced <= kept, f"lost: {self.written - self.replaced - kept}")

    def _check_known(self, device: Device, client: Client) -> None:
        known = client._device.known
        if known is not None:
            self._hold(self.line.get(known.sequence) == known.digest, f"{device.name} believes in another line")

    def _settle(self) -> None:
        """Let everything arrive and everybody sync, without faults."""
        self.trace.append("all is quiet")
        self.network.faults = Faults()
        self.network.deliver_all_late()
        self._quiet = True
        for device in self.devices:
            if self._at_rest(device).has_open_password_change:
                self._change_password(device)
        for device in self.devices:
            self._hold(self._gets_in(device), f"{device.name} cannot sync")
        newest = self.devices[-1].start().wallet_state
        for device in self.devices[:-1]:
            if device.start().wallet_state != newest:
                self._hold(self._gets_in(device), f"{device.name} cannot sync again")
        self._hold(len({device.password for device in self.devices}) == 1, "two passwords open the account")

    def _gets_in(self, device: Device) -> bool:
        """Sync, with whichever password holds."""
        for number, password in enumerate([device.password, *reversed(self.passwords)]):
            if number > 0:  # the first time the device goes on as it is
                device.type_password(password)
            self.trace.append(f"{device.name}: sync with {password}")
            try:
                device.start().sync()
            except OTHER_PASSWORD as error:
                self.trace.append(f"  {type(error).__name__}")
            else:
                return True
        return False

    def _check_end(self) -> None:
        """All devices have the same, nothing is pending, and what was replaced stays replaced."""
        self._check()
        clients = [device.start() for device in self.devices]
        for device, client in zip(self.devices, clients, strict=True):
            self._hold(not client.has_local_changes, f"{device.name} still has something to send")
            self._hold(client.wallet_state == clients[0].wallet_state, f"{device.name} has another version")
            self._hold(client.get_document() == clients[0].get_document(), f"{device.name} has another document")
        undecided = {leaf for client in clients for each in client.conflicts for leaf in leaves(each.theirs)}
        found = set(leaves(clients[0].get_document()))
        returned = found & (self.replaced - self.restored - undecided)
        self._hold(not returned, f"came back: {returned}")

    def _at_rest(self, device: Device) -> Client:
        """Return its client for a look, without a crash on the way."""
        self._quiet = True
        try:
            return device.start()
        finally:
            self._quiet = False

    def _hold(self, condition: bool, otherwise: str) -> None:
        if not condition:
            raise Broken(otherwise)

    @contextmanager
    def _telling(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            raise Broken("\n".join([*self.trace, f"{type(error).__name__}: {error}"])) from error

    def _value(self) -> int:
        return next(self._numbers)


def _change(document: Any, place: str, value: int, *, delete: bool, pick: Callable[[Any], Any]) -> None:
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
