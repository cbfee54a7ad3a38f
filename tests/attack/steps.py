"""Requests that change something, each with what is to be stored once it was carried out."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.attack.ledger import State, Version
from tests.server.helpers import API, Answer, Wire, wallet_body


@dataclass(frozen=True)
class Step:
    """One request.

    Attributes:
        status: what a server answers that carried it out.
        after: gives what is stored then; the answer is None if it got lost.
        repeatable: whether the same request again is answered as the first one was.
    """

    name: str
    method: str
    path: str
    status: int
    after: Callable[[Answer | None], State | None] = field(repr=False)
    body: Mapping[str, Any] = field(default_factory=dict, repr=False)
    token: str | None = field(default=None, repr=False)
    repeatable: bool = False

    def send(self, wire: Wire) -> Answer:
        return wire(self.method, API + self.path, self.body or b"", token=self.token)


def sign_up(email: str, fresh: State) -> Step:
    """Make an account that is as `fresh`, which has neither wallet nor devices."""
    body = {"email": email, "password": fresh.password, "clientSaltSeed": fresh.seed}
    return Step("signup", "POST", "/signup", 201, lambda answer: fresh, body, repeatable=True)


def log_in(email: str, state: State, device: str) -> Step:
    """Get a token for the device."""

    def after(answer: Answer | None) -> State:
        return state.with_token(device, answer.json["token"] if answer else None)

    body = {"email": email, "password": state.password, "deviceId": device}
    return Step("login", "POST", "/auth/full", 200, after, body)


def log_out(state: State, device: str) -> Step:
    """Give the device's token back."""
    return Step(
        "logout", "DELETE", "/auth/full", 204, lambda answer: state.without_token(device), token=state.tokens[device]
    )


def post(state: State, device: str, wallet: str) -> Step:
    """Replace the wallet by the next version."""
    version = Version(state.sequence + 1, wallet, f"hmac of {state.sequence + 1} by {device}", device)
    body = wallet_body(version.sequence, wallet, version.hmac)
    after = state.with_version(version)
    return Step("post", "POST", "/wallet", 200, lambda answer: after, body, state.tokens[device], repeatable=True)


def change_password(email: str, state: State, password: str, seed: str, wallet: str) -> Step:
    """Replace password and seed, and the wallet if there is one; all tokens and the versions before are gone."""
    body = {"email": email, "oldPassword": state.password, "newPassword": password, "clientSaltSeed": seed}
    after = State(password, seed, state.epoch + 1)
    if state.versions:
        version = Version(state.sequence + 1, wallet, f"hmac of {state.sequence + 1} under a new key", "")
        body |= wallet_body(version.sequence, version.wallet, version.hmac)
        after = after.with_version(version)
    return Step("password", "POST", "/password", 200, lambda answer: after, body, repeatable=True)


def delete_account(email: str, state: State) -> Step:
    """Remove the account."""
    body = {"email": email, "password": state.password}
    return Step("delete", "POST", "/account/delete", 204, lambda answer: None, body)
