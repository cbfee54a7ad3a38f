"""A server that lies about wallets, as a seed decides, and the histories of devices that have to do with it."""

import json
import random
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, ClassVar

from tests.simulator.device import Device
from tests.simulator.history import History
from tests.simulator.lines import hold
from tests.simulator.network import Faults
from tests.simulator.server import Server, previous_of
from walletsync import Client
from walletsync.errors import IntegrityError, NotKept, ProtocolError
from walletsync.protocol import AUTH_PATH, HISTORY_PATH, WALLET_PATH, wallet_digest
from walletsync.store import DeviceState
from walletsync_server.api.http import Request, Response

Wallet = dict[str, Any]
_NOTHING_NEW = Response(status=304, headers={})


def digest_of(wallet: Wallet) -> str:
    """Return the digest that names a version."""
    return wallet_digest(wallet["sequence"], wallet["encryptedWallet"], wallet["hmac"]).hex()


@dataclass
class Liar:
    """Honest about accounts; of wallets it shows what it likes, out of what devices have ever sent.

    It keeps lines of versions, shows each device one of them, cuts, branches and swaps them, and answers what suits it.
    One that is `patient` keeps to one line, but for showing some device what it refused to take from another.
    `sent` has every version that a device ever sent, with the one that it says it follows, `presented` by sequence the
    digest of what was presented last as an earlier version.
    """

    honest: Callable[[Request], Response]
    rng: random.Random
    rate: float
    patient: bool
    log: Callable[[str], None]
    lies: Counter[str] = field(default_factory=Counter)
    sent: dict[str, str] = field(default_factory=dict)
    presented: dict[int, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._lines: list[list[Wallet]] = [[]]
        self._line_of: dict[str, list[Wallet]] = {}
        self._device_of: dict[str, str] = {}
        self._sent: list[Wallet] = []
        self._refused: list[tuple[str, Wallet]] = []
        self._shown: dict[str, str] = {}
        self._condition = ""

    def answer(self, request: Request) -> Response:
        """Answer one request."""
        if request.path.endswith(WALLET_PATH):
            return self._wallet(request)
        if f"{HISTORY_PATH}/" in request.path:
            return self._earlier(self._device(request), int(request.path.rpartition("/")[2]))
        response = self.honest(request)
        if request.path.endswith(AUTH_PATH) and response.status == 200:
            told = json.loads(response.body)
            self._device_of[told["token"]] = told["deviceId"]
        return response

    def _device(self, request: Request) -> str:
        return self._device_of.get(request.headers["authorization"].removeprefix("Bearer "), "")

    def _wallet(self, request: Request) -> Response:
        device = self._device(request)
        posted = json.loads(request.body) if request.method == "POST" else None
        if posted is not None:
            self._sent.append(posted)
            self.sent[digest_of(posted)] = previous_of(posted["encryptedWallet"])
        self._condition = request.headers.get("if-none-match", "")
        response = self._presented(device, posted)
        if response.status == _NOTHING_NEW.status:
            return response
        if posted is not None and response.status == 409:
            self._refused.append((device, posted))
        told = json.loads(response.body)
        if told.keys() >= {"encryptedWallet", "sequence", "hmac"}:
            self._shown[device] = digest_of(told)
            if response.status == 200 and self._condition == f'"{digest_of(told)}"':
                return _NOTHING_NEW
        return response

    def _presented(self, device: str, posted: Wallet | None) -> Response:
        line = self._line_of.setdefault(device, self._lines[0])
        if self.rng.random() < self.rate:
            lie = self.rng.choice(self._choices(posted))
            response = lie(self, device, line, posted)
            if response is not None:
                return self._told(lie.__name__, response)
        line = self._line_of[device]
        return self._honestly(line, posted)

    def _earlier(self, device: str, sequence: int) -> Response:
        """Present an earlier version: the one of the device's line, or any that has its number."""
        line = self._line_of.setdefault(device, self._lines[0])
        found = line[sequence - 1] if sequence <= len(line) else None
        others = [wallet for wallet in self._sent if wallet["sequence"] == sequence]
        if others and self.rng.random() < self.rate:
            found = self.rng.choice(others)
        if found is None:
            return _refusal(404, "no_wallet")
        self.presented[sequence] = digest_of(found)
        return _json(200, found)

    def _honestly(self, line: list[Wallet], posted: Wallet | None) -> Response:
        if posted is None:
            return _json(200, line[-1]) if line else _refusal(404, "no_wallet")
        if posted["sequence"] == len(line) + 1:
            line.append(posted)
        elif not line:
            return _refusal(409, "no_wallet")
        return _json(200, posted) if line[-1] == posted else _refusal(409, "conflict", line[-1])

    def _told(self, name: str, response: Response) -> Response:
        self.lies[name.strip("_")] += 1
        self.log(f"  lie: {name.strip('_')}")
        return response

    def _choices(self, posted: Wallet | None) -> tuple[Callable[..., Response | None], ...]:
        if self.patient:
            return (Liar._refuse,) if posted else (Liar._show_refused,)
        return self._on_any + (self._on_post if posted else self._on_get)

    # Lies. Those that return None changed what the device is shown, and the truth about that follows.

    def _branch(self, device: str, line: list[Wallet], posted: Wallet | None) -> None:
        cut = line[: self.rng.randint(0, len(line))]
        self._lines.append(cut)
        self._line_of[device] = cut
        self.log(f"  lie: {device} is on a branch from {len(cut)}")
        self.lies["branch"] += 1

    def _swap(self, device: str, line: list[Wallet], posted: Wallet | None) -> None:
        self._line_of[device] = self.rng.choice(self._lines)
        self.log(f"  lie: {device} is on another line, at {len(self._line_of[device])}")
        self.lies["swap"] += 1

    def _rejoin(self, device: str, line: list[Wallet], posted: Wallet | None) -> None:
        self._line_of[device] = self._lines[0]
        self.lies["rejoin"] += 1

    def _forget(self, device: str, line: list[Wallet], posted: Wallet | None) -> None:
        del line[self.rng.randint(0, len(line)) :]
        self.lies["forget"] += 1

    def _replay(self, device: str, line: list[Wallet], posted: Wallet | None) -> Response | None:
        if not self._sent:
            return None
        wallet = self.rng.choice(self._sent)
        return _json(200, wallet) if posted is None else _refusal(409, "conflict", wallet, applied=self._coin())

    def _damage(self, device: str, line: list[Wallet], posted: Wallet | None) -> Response | None:
        if not self._sent:
            return None
        wallet = dict(self.rng.choice(self._sent))
        name = self.rng.choice(("encryptedWallet", "hmac", "sequence"))
        wallet[name] = wallet[name] + 1 if name == "sequence" else self._damaged(wallet[name])
        return _json(200, wallet) if posted is None else _refusal(409, "conflict", wallet, applied=self._coin())

    def _deny(self, device: str, line: list[Wallet], posted: Wallet | None) -> Response:
        return _refusal(404, "no_wallet")

    def _withhold(self, device: str, line: list[Wallet], posted: Wallet | None) -> Response | None:
        return _NOTHING_NEW if self._condition else None

    def _show_refused(self, device: str, line: list[Wallet], posted: Wallet | None) -> Response | None:
        """Show what another device sent and was refused, where it follows what this one was shown last."""
        fitting = [
            wallet
            for author, wallet in self._refused
            if author != device and previous_of(wallet["encryptedWallet"]) == self._shown.get(device)
        ]
        return _json(200, self.rng.choice(fitting)) if fitting else None

    def _pretend(self, device: str, line: list[Wallet], posted: Wallet | None) -> Response:
        return _json(200, posted)

    def _refuse(self, device: str, line: list[Wallet], posted: Wallet | None) -> Response:
        return _refusal(409, "conflict", line[-1] if line else posted, applied=self._coin())

    def _store_and_refuse(self, device: str, line: list[Wallet], posted: Wallet | None) -> Response:
        before = line[-1] if line else posted
        self._honestly(line, posted)
        return _refusal(409, "conflict", before, applied=self._coin())

    def _echo(self, device: str, line: list[Wallet], posted: Wallet | None) -> Response:
        return _refusal(409, "conflict", posted, applied=self._coin())

    LIES: ClassVar = {
        *("branch", "swap", "rejoin", "forget", "replay", "damage", "deny", "withhold"),
        *("pretend", "refuse", "store_and_refuse", "echo", "show_refused"),
    }
    _on_any = (_branch, _swap, _rejoin, _rejoin, _rejoin, _forget, _replay, _replay, _damage, _damage)
    _on_get = (_deny, _withhold, _show_refused)
    _on_post = (_pretend, _refuse, _store_and_refuse, _echo)

    def _coin(self) -> bool:
        return self.rng.random() < 0.5

    def _damaged(self, text: str) -> str:
        at = self.rng.randrange(len(text))
        if self._coin():
            return text[:at] or "A"
        return text[:at] + ("A" if text[at] != "A" else "B") + text[at + 1 :]


class HistoryWithLiar(History):
    """What devices believe goes forward along one line, whatever they are shown, and they lose no edit."""

    def __init__(self, seed: int, server: Server) -> None:
        super().__init__(seed, server)
        self.liar = Liar(
            server.answer, self.rng, self.rng.choice((0.05, 0.2, 0.5)), self.rng.random() < 0.3, self.trace.append
        )
        self._answer = self.liar.answer
        if self.liar.patient:
            self.network.faults = Faults()  # its lies take many steps, which faults would cut short
        self._mishaps = {}
        self.refusals: Counter[str] = Counter()
        self._believed: dict[str, str] = {}
        self._before: DeviceState | None = None

    def _weights(self) -> dict[str, int]:
        return super()._weights() | {"sync": 32, "get": 4, "decide": 4, "change the password": 0, "look back": 4}

    def _actions(self) -> dict[str, Callable[[Device], object]]:
        return super()._actions() | {"look back": self._look_back}

    def _look_back(self, device: Device) -> None:
        """Look at an earlier version, which is the one that a device's own descends from, or none."""

        def look(client: Client) -> None:
            if client._device.known is None:
                return
            now = client._device.known
            sequence = self.rng.randint(1, now.sequence)
            with suppress(NotKept):
                client.version(sequence)
                presented, digest = self.liar.presented[sequence], now.digest
                while digest in self.liar.sent and digest != presented:
                    digest = self.liar.sent[digest]
                hold(digest == presented, f"{device.name} takes for version {sequence} what is not in its history")

        self._do(device, "look back", look)

    def _do(self, device: Device, what: str, action: Callable[[Client], object]) -> bool:
        self._before = self._at_rest(device)._device.state if what in ("get", "look back") else None
        try:
            return super()._do(device, what, action)
        except (IntegrityError, ProtocolError) as error:
            self.trace.append(f"  {type(error).__name__}")
            self._warn(device, error)
            return False

    def _warn(self, device: Device, error: Exception) -> None:
        """A device refuses what it is shown. It is right, and nothing changed. Nobody consents."""
        self.refusals[type(error).__name__] += 1
        if self._before is not None and isinstance(error, IntegrityError):
            after = self._at_rest(device)._device.state
            for name in ("document", "synced", "passed", "abandoned", "pending", "conflicts", "seed"):
                hold(getattr(after, name) is getattr(self._before, name), f"{name} changed although it was refused")

    def _look_at_server(self) -> None:
        """It has nothing to do with what devices are shown."""

    def _check_known(self, device: Device, client: Client) -> None:
        known = client._device.known
        if known is None:
            return
        digest, before = known.digest, self._believed.get(device.name)
        while before is not None and digest != before:
            hold(digest in self.liar.sent, f"{device.name} believes what does not follow what it believed")
            digest = self.liar.sent[digest]
        self._believed[device.name] = known.digest

    def _settle(self) -> None:
        """A liar never settles."""

    def _check_end(self) -> None:
        self._check()


def _json(status: int, body: Any) -> Response:
    return Response(status=status, headers={"Content-Type": "application/json"}, body=json.dumps(body).encode())


def _refusal(status: int, code: str, wallet: Wallet | None = None, **more: Any) -> Response:
    return _json(status, {"error": "No.", "code": code} | (wallet or {}) | more)
