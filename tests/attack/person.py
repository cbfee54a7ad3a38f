"""Somebody who uses an account while the server is killed again and again, and never takes a lie."""

import random
import threading

from tests.attack import steps
from tests.attack.ledger import State, Stored, is_stored
from tests.attack.steps import Step
from tests.attack.wires import Cut, KeptWire
from tests.server.helpers import API, Wire

DEVICES = ("laptop", "phone")
_LARGE = 200_000  # bytes: many pages, so that the log is soon long enough to be written back


class Person:
    """One account and its devices, one request at a time.

    Attributes:
        state: what was acknowledged; None as long as there is no account.
        unknown: the request that was cut, if the last one was.
    """

    def __init__(self, email: str, seed: int) -> None:
        self.email = email
        self.state: State | None = None
        self.unknown: Step | None = None
        self._random = random.Random(seed)

    def settle(self, stored: Stored | None) -> None:
        """Compare the database with what was acknowledged, and learn whether the request that was cut was carried out.

        Raises:
            AssertionError: if it holds less or more, be it half of a request.
        """
        may_be = [self.state, self.unknown.after(None)] if self.unknown else [self.state]
        found = [state for state in may_be if is_stored(stored, state)]
        assert found, f"{self.email}: {stored} is stored, which is none of {may_be}"
        self.state = found[0]

    def live(self, url: str, acknowledged: threading.Semaphore) -> None:
        """Send one request after the other until one is cut, and release `acknowledged` after every other."""
        wire = KeptWire(url)
        try:
            if self.unknown and self.unknown.repeatable:
                self._take(wire, self.unknown)
                acknowledged.release()
            while True:
                self._look(wire)
                self._take(wire, self._next())
                acknowledged.release()
        except Cut:
            pass
        finally:
            wire.close()

    def _take(self, wire: Wire, step: Step) -> None:
        self.unknown = step
        answer = step.send(wire)
        assert answer.status == step.status, f"{step} was answered {answer}"
        self.state, self.unknown = step.after(answer), None

    def _look(self, wire: Wire) -> None:
        """Read the wallet with a token that was acknowledged: it must be the one that was."""
        if self.state is None or not (token := next(filter(None, self.state.tokens.values()), None)):
            return
        answer = wire("GET", f"{API}/wallet", token=token)
        if not self.state.versions:
            assert answer.status == 404, answer
            return
        current = self.state.versions[-1]
        assert answer.status == 200, answer
        found = (answer.json["sequence"], answer.json["encryptedWallet"], answer.json["hmac"])
        assert found == (current.sequence, current.wallet, current.hmac)

    def _next(self) -> Step:
        """Return what to do next."""
        state = self.state
        if state is None:
            return steps.sign_up(self.email, State(self._word(), self._seed()))
        device = self._random.choice(DEVICES)
        chance = self._random.random()
        if state.tokens.get(device) is None or chance < 0.1:
            return steps.log_in(self.email, state, device)
        if chance < 0.2:
            return steps.log_out(state, device)
        if chance < 0.3:
            return steps.change_password(self.email, state, self._word(), self._seed(), self._wallet())
        if chance < 0.33:
            return steps.delete_account(self.email, state)
        return steps.post(state, device, self._wallet())

    def _word(self) -> str:
        return self._random.randbytes(8).hex()

    def _seed(self) -> str:
        return self._random.randbytes(32).hex()

    def _wallet(self) -> str:
        size = self._random.choices([1, 300, 5_000, _LARGE], [10, 70, 15, 5])[0]
        return (self._word() * (size // 16 + 1))[:size]
