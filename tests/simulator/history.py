"""One random history of an account: its devices, what they do, and what has to hold all the time and in the end."""

import random
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from tests.simulator.consents import Consents
from tests.simulator.database import Backup
from tests.simulator.device import FORMAT, PASSWORD, Device, change, leaves, leaves_of
from tests.simulator.disk import Crash
from tests.simulator.errors import EARLIER_PASSWORD, HARMLESS, OTHER_LINE, OTHER_PASSWORD
from tests.simulator.interruptions import CLIENT, STORE, Interruption, uninterrupted
from tests.simulator.lines import Broken, Lines, hold
from tests.simulator.network import Faults, Network
from tests.simulator.seeds import Seeds
from tests.simulator.server import Server
from walletsync import Client
from walletsync.protocol import DELETE_ACCOUNT_PATH, PASSWORD_PATH, SIGNUP_PATH, WALLET_PATH
from walletsync.store import DeviceState
from walletsync_server.api.http import Request, Response

EMAIL = "person@example.com"
MISHAPS: tuple[dict[str, int], ...] = (
    {},
    {},
    {"sync": 24, "decide": 4, "back up": 2, "restore": 3, "consent": 8},
    {"sync": 24, "decide": 4, "consent": 8, "delete the account": 2, "register": 8},
    {"sync": 24, "decide": 4, "back up": 2, "restore": 3, "consent": 8, "delete the account": 1, "register": 8},
)
"""What may happen besides, of which each history has one."""
CHANGING = (SIGNUP_PATH, WALLET_PATH, PASSWORD_PATH, DELETE_ACCOUNT_PATH)
"""What is POSTed there may change the account."""


class History:
    """Two to five devices of one account.

    Args:
        seed: decides everything; the same seed is the same history.
        server: knows nobody else.
    """

    def __init__(self, seed: int, server: Server) -> None:
        self.rng = random.Random(seed)
        self.trace: list[str] = [f"seed {seed}"]
        self._server = server
        self._answer = server.answer
        self.lines = Lines()
        self.consents = Consents(self.lines)
        self.seeds = Seeds()
        self._backup: tuple[Backup, Lines] | None = None
        self._mishaps = self.rng.choice(MISHAPS)
        self.network = Network(self.rng, Faults.drawn(self.rng), self._answered, self.trace.append)
        self._interrupting = random.Random(f"interruptions of {seed}")
        self.network.faults.interruption = self._interrupting.choice((0.0, 0.0, 0.1, 0.4))
        self.devices = [
            Device(f"device{number}", EMAIL, self.network, self._boundary) for number in range(self.rng.randint(2, 5))
        ]
        self._numbers = iter(range(1, 1_000_000))
        self.written: set[int] = set()
        self.replaced: set[int] = set()
        self.restored: set[int] = set()
        self.may_return: set[int] = set()
        self.passwords = [PASSWORD]
        self._quiet = False

    def run(self) -> None:
        """Let the history happen and check it.

        Raises:
            Broken: something did not hold.
        """
        self._server.begin_anew()
        with self._telling(), ExitStack() as at_end:
            for device in self.devices:
                at_end.callback(device.disk.close)
            at_end.callback(self._throw_backup_away)
            self._sign_up()
            for _ in range(self.rng.randint(20, 50)):
                self._step()
                self._check()
            self._settle()
            self._check_end()

    def _throw_backup_away(self) -> None:
        if self._backup is not None:
            self._backup[0].close()

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
        } | self._mishaps

    def _actions(self) -> dict[str, Callable[[Device], object]]:
        return {
            "edit": self._edit,
            "sync": lambda device: self._do(device, "sync", lambda client: client.sync()),
            "get": lambda device: self._do(device, "get", lambda client: client.get_wallet()),
            "post": lambda device: self._do(device, "post", lambda client: client.post_wallet()),
            "decide": self._decide,
            "late": lambda _: self.network.deliver_one_late(),
            "restart": self._restart,
            "wait": lambda _: self._wait(),
            "change the password": self._change_password,
            "back up": lambda _: self._back_up(),
            "restore": lambda _: self._restore(),
            "consent": self._consent,
            "delete the account": self._delete_account,
            "register": self._register,
        }

    def _step(self) -> None:
        weights, actions = self._weights(), self._actions()
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
            change(document, place, value, delete=delete, pick=self.rng.choice)
            self._set(client, document, replaced=set(gone) - set(leaves(document)))

        self._do(device, f"{'delete' if delete else 'write'} {place} {value}", edit)

    def _set(self, client: Client, document: Any, replaced: set[int] = frozenset()) -> None:  # type: ignore[assignment]
        """Set a document and note what that wrote and replaced; a crash decides by what is on the disk."""
        before = set(leaves(client.get_document())) if client.wallet_state is not None else set()
        try:
            client.set_document(document)
        finally:
            # The process may have ended, or been interrupted, just after the save.
            with uninterrupted():
                if self._stored(client).document == FORMAT.encode(document):
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
                    with uninterrupted():
                        if len(self._stored(client).conflicts) < before:
                            self.replaced |= theirs - mine if keep == "mine" else mine - theirs
                            self.restored |= mine if keep == "mine" else theirs  # also against somebody's deletion

        self._do(device, f"decide: {keep}", decide)

    def _change_password(self, device: Device) -> None:
        """Begin a change, or go on with the one that was begun."""
        old, new = self._passwords_of_change(device)
        self._end_change(
            device, self._do(device, f"change to {new}", lambda client: client.change_password(new, old=old))
        )

    def _passwords_of_change(self, device: Device) -> tuple[str, str]:
        """Return the old and the new password of a change that was begun, or of one that begins now."""
        if device.change is None:
            device.change = device.password, f"password {len(self.passwords)}"
            self.passwords.append(device.change[1])
        return device.change

    def _end_change(self, device: Device, is_done: bool) -> None:
        assert device.change is not None
        new = device.change[1]
        # What follows the change may fail, a sync perhaps; the process that has made it goes on with the new one.
        if is_done or self._at_rest(device)._session.account()[1] == new:
            device.password, device.change = new, None
        elif not (device.is_interrupted or self._at_rest(device).has_open_password_change):
            device.change = None  # refused, or never begun; whoever interrupts it does not know, and calls it again

    def _back_up(self) -> None:
        """Copy the server's database; the copy before is thrown away."""
        if self._backup is not None:
            self._backup[0].close()
        self._backup = self._server.back_up(), self.lines.copy()
        self.trace.append(f"back up {len(self.lines.now)} versions")

    def _restore(self) -> None:
        """Put the server back to its backup. Connections end with it, and so do the requests that are on their way."""
        if self._backup is None:
            return
        self.network.forget_late()
        backup, lines = self._backup
        self._server.restore(backup)
        self.consents.is_loose |= lines.account != self.lines.account
        self.lines.now, self.lines.account = dict(lines.now), lines.account
        self.trace.append(f"restore {len(lines.now)} versions")

    def _consent(self, device: Device) -> None:
        """Let the person go on from what the server has, at a device that says that this needs consent."""
        device = next((each for each in self.devices if each.is_warned), device)
        if device.is_warned and self._consents(device):
            device.is_warned = False

    def _consents(self, device: Device) -> bool:
        """Consent; with a new password, if the device says that the one that the server has is an earlier one."""
        device.needs_new_password = False
        if self._leave(device, "consent", lambda client: client.accept_restored_server()):
            return True
        if not device.needs_new_password:
            return False
        _, new = self._passwords_of_change(device)
        # That of the server's backup, which is typed already; a change that was begun may have been from a later one.
        device.change = device.password, new
        with self._quietly():
            device.type_password(device.password, is_new=False)
        what = f"consent, with {new}"
        is_done = self._leave(device, what, lambda client: client.accept_restored_server(new_password=new))
        self._end_change(device, is_done)
        return is_done

    def _delete_account(self, device: Device) -> None:
        self._leave(device, "delete the account", lambda client: client.delete_account())

    def _register(self, device: Device) -> None:
        """Make the account anew if it is deleted; now and then somebody tries that although it is not."""
        if self.lines.account is None or self.rng.random() < 0.05:
            self._leave(device, "register", lambda client: client.register(anew=True))

    def _leave(self, device: Device, what: str, action: Callable[[Client], object]) -> bool:
        """Do something that lets a device leave its line with its person's consent."""
        self.consents.give(device, self._at_rest(device)._device.state, tells_others=what.startswith("consent"))
        return self._do(device, what, action)

    def _restart(self, device: Device) -> None:
        self.trace.append(f"{device.name}: restart")
        device.stop()

    def _wait(self) -> None:
        days = self.rng.choice((0.1, 5.0, 15.0))
        self.trace.append(f"{days} days go by")
        self._server.pass_days(days)

    def _do(self, device: Device, what: str, action: Callable[[Client], object]) -> bool:
        """Do something on a device; return whether it came to its end."""
        self.trace.append(f"{device.name}: {what}")
        device.is_interrupted = False
        try:
            client = device.start()
            with self._interruption().coming():
                action(client)
        except Crash as crash:
            self.trace.append(f"  crash {crash}")
            device.stop()
        except KeyboardInterrupt:
            self.trace.append("  interrupted")
            device.is_interrupted = True  # and its process goes on with what it has
        except HARMLESS as error:
            self.trace.append(f"  {type(error).__name__}")
        except OTHER_PASSWORD as error:
            self.trace.append(f"  {type(error).__name__}")
            self._type_another(device)
        except OTHER_LINE as error:
            self.trace.append(f"  {type(error).__name__}")
            self._warn(device, error)
        except EARLIER_PASSWORD as error:
            self.trace.append(f"  {type(error).__name__}")
            device.is_warned = device.needs_new_password = True
        else:
            return True
        return False

    @staticmethod
    def _stored(client: Client) -> DeviceState:
        """Return what is on the disk, whatever the client has in memory."""
        state = client._device._store._read()
        assert state is not None
        return state

    def _interruption(self) -> Interruption:
        """Return what may interrupt a verb: anywhere, but near its beginning and around a save more often."""
        if self._interrupting.random() >= self.network.faults.interruption:
            return Interruption(0)
        return Interruption(int(2 ** self._interrupting.uniform(0, 11)), self._interrupting.choice((CLIENT, STORE)))

    def _type_another(self, device: Device) -> None:
        """Type another password: the new one, or the one of the time of the server's backup."""
        with self._quietly():
            is_old = self._backup is not None and self.rng.random() < 0.5
            device.type_password(self.rng.choice(self.passwords), is_new=not is_old)
            device.is_warned |= is_old

    def _warn(self, device: Device, error: Exception) -> None:
        """A device says that the server is on another line, so that its person has to consent. It must be right."""
        synced = self._at_rest(device)._device.state.synced
        hold(synced is not None and not self.consents.follows(synced.known), f"{device.name} need not be asked")
        device.is_warned = True

    def _boundary(self, where: str) -> None:
        if not self._quiet and self.rng.random() < self.network.faults.crash:
            raise Crash(where)

    def _answered(self, request: Request) -> Response:
        response = self._answer(request)
        if request.method == "POST" and request.path.endswith(CHANGING):
            self._look_at_server()
        return response

    # What has to hold

    def _look_at_server(self) -> None:
        account = self._server.account(EMAIL)
        if account not in (self.lines.account, None) and self.lines.before:
            self.consents.is_loose = True
        if account is None:
            self.lines.look(None, {}, str)
        else:
            versions = self._server.versions(account)
            self.lines.look(account, versions, lambda sequence: self._server.previous(account, sequence))

    def _check(self) -> None:
        """No edit is lost, none is doubled, and every device believes in a version that the server accepted."""
        kept: set[int] = set()
        for device in self.devices:
            client = self._at_rest(device)
            found = leaves_of(client._device.state.document)
            hold(len(found) == len(set(found)), f"{device.name} has an edit twice")
            kept.update(found)
            for conflict in client._device.state.conflicts:
                kept.update(leaves(conflict.mine))
            self._check_known(device, client)
            self.seeds.check(device.name, client._device.state)
        lost = self.written - self.replaced - kept
        hold(not lost, f"lost: {lost}")
        if self.consents.is_loose:
            self.may_return |= self.replaced
        self.consents.settle(self._at_rest(device)._device.state for device in self.devices)

    def _check_known(self, device: Device, client: Client) -> None:
        self.consents.check(device, client._device.state, self._kept)

    def _kept(self) -> Iterable[str]:
        return () if self.lines.account is None else self._server.versions(self.lines.account).values()

    def _settle(self) -> None:
        """Let everything arrive and everybody sync, without faults."""
        self.trace.append("all is quiet")
        self.network.faults = Faults()
        self.network.deliver_all_late()
        self._quiet = True
        for device in self.devices:
            if device.change is not None or self._at_rest(device).has_open_password_change:
                self._change_password(device)
        if self.lines.account is None:
            made = self._leave(self.devices[0], "register", lambda client: client.register(anew=True))
            hold(made, "nobody can register")
            hold(self._gets_in(self.devices[0], consents=False), "who made the account anew cannot sync")
            self._check()
        for device in self.devices:
            hold(self._gets_in(device), f"{device.name} cannot sync")
            self._check()
        newest = self.devices[-1].start().wallet_state
        for device in self.devices[:-1]:
            if device.start().wallet_state != newest:
                hold(self._gets_in(device, consents=False), f"{device.name} cannot sync again")
                self._check()
        hold(len({device.password for device in self.devices}) == 1, "two passwords open the account")

    def _gets_in(self, device: Device, *, consents: bool = True) -> bool:
        """Sync, with whichever password holds, and with consent if it is asked for."""
        for number, password in enumerate([device.password, *reversed(self.passwords)]):
            if number > 0:  # the first time the device goes on as it is
                device.type_password(password)
            self.trace.append(f"{device.name}: sync with {password}")
            try:
                device.start().sync()
            except OTHER_PASSWORD as error:
                self.trace.append(f"  {type(error).__name__}")
            except OTHER_LINE as error:
                self.trace.append(f"  {type(error).__name__}")
                self._warn(device, error)
                return consents and self._consents(device)
            except EARLIER_PASSWORD as error:
                self.trace.append(f"  {type(error).__name__}")
                return consents and self._consents(device)
            else:
                return True
        return False

    def _check_end(self) -> None:
        """All devices have the same, nothing is pending, and what was replaced stays replaced."""
        self._check()
        clients = [device.start() for device in self.devices]
        for device, client in zip(self.devices, clients, strict=True):
            hold(not client.has_local_changes, f"{device.name} still has something to send")
            hold(client.wallet_state == clients[0].wallet_state, f"{device.name} has another version")
            hold(client.get_document() == clients[0].get_document(), f"{device.name} has another document")
        if self._mishaps == {} and self.lines.account is not None:
            # Linked without a gap, unless the server was restored and stored what follows what it does not have.
            clients[0].version(min(self._server.versions(self.lines.account)))
        undecided = {leaf for client in clients for each in client.conflicts for leaf in leaves(each.theirs)}
        found = set(leaves(clients[0].get_document()))
        returned = found & (self.replaced - self.restored - self.may_return - undecided)
        hold(not returned, f"came back: {returned}")

    def _at_rest(self, device: Device) -> Client:
        """Return its client for a look, without a crash on the way."""
        with self._quietly():
            return device.start()

    @contextmanager
    def _quietly(self) -> Iterator[None]:
        """Let no process end to what happens inside."""
        before, self._quiet = self._quiet, True
        try:
            yield
        finally:
            self._quiet = before

    @contextmanager
    def _telling(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            raise Broken("\n".join([*self.trace, f"{type(error).__name__}: {error}"])) from error

    def _value(self) -> int:
        return next(self._numbers)
