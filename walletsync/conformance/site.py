"""Accounts at the server under test, made for this run, and what rules do with them again and again."""

import base64
import secrets
from dataclasses import dataclass, replace
from typing import Any

from walletsync import protocol
from walletsync.conformance.wire import Broken, NotTried, Reply, Wire

Payload = dict[str, Any]
SIGNUP = protocol.API_PREFIX + protocol.SIGNUP_PATH
LOGIN = protocol.API_PREFIX + protocol.AUTH_PATH
SEED = protocol.API_PREFIX + protocol.SEED_PATH
WALLET = protocol.API_PREFIX + protocol.WALLET_PATH
PASSWORD = protocol.API_PREFIX + protocol.PASSWORD_PATH
DELETE_ACCOUNT = protocol.API_PREFIX + protocol.DELETE_ACCOUNT_PATH


def bearer(token: str) -> dict[str, str]:
    """Return the header that shows a token."""
    return {"Authorization": f"Bearer {token}"}


@dataclass(frozen=True, repr=False)
class Account:
    """An account, with the token of one device where it has logged in. `password` is the login key, not a person's."""

    email: str
    password: str
    seed: str
    token: str = ""

    @property
    def signup(self) -> Payload:
        """What signs it up."""
        return {"email": self.email, "password": self.password, "clientSaltSeed": self.seed}


def stranger() -> Account:
    """Return an account that nobody has."""
    return Account(f"conformance-{secrets.token_hex(8)}@example.com", secrets.token_hex(32), secrets.token_hex(32))


def sealed(sequence: int) -> Payload:
    """Return a version of a wallet, made at random: to a server each is as opaque as any other."""
    wallet = base64.b64encode(secrets.token_bytes(96)).decode()
    return {"encryptedWallet": wallet, "sequence": sequence, "hmac": secrets.token_hex(32)}


class Site:
    """One server during one run; `given` is the account to use, without which each is made for the run."""

    def __init__(self, wire: Wire, given: Account | None = None) -> None:
        self.wire = wire
        self._given = given
        self._run = secrets.token_hex(4)
        self._made: dict[str, Account] = {}
        self._devices: set[str] = set()
        self._shared: Account | None = None

    def device(self, name: str) -> str:
        """Return the id of a device of this run: no person's device is logged out by it."""
        return f"{name}-{self._run}"

    def new_account(self) -> Account:
        """Sign up and log in. The account has no wallet.

        Raises:
            NotTried: this run has one account, which was given.
        """
        account = stranger()
        self.sign_up(account).expect(201)
        return self.logged_in(account, "first")

    def sign_up(self, account: Account, wire: Wire | None = None, **changed: object) -> Reply:
        """Sign up, with other or more fields where they are given; what came into being is deleted at the end.

        Over `wire` if one is given, as below.

        Raises:
            NotTried: this run has one account, which was given.
        """
        if self._given is not None:
            raise NotTried("This needs an account of its own, and the run was given one to use.")
        self._made.setdefault(account.email, account)
        return (wire or self.wire).ask("POST", SIGNUP, account.signup | changed)

    def logged_in(self, account: Account, device: str, wire: Wire | None = None) -> Account:
        """Return the account with a token of this device."""
        reply = self.log_in(account, device, wire).expect(200)
        token = reply.field("token")
        if not isinstance(token, str) or not token:
            reply.broken("a token", "none")
        return replace(account, token=token)

    def account(self) -> Account:
        """Return an account that rules share; what its wallet is, only `current` tells."""
        if self._shared is None:
            self._shared = self.new_account() if self._given is None else self.logged_in(self._given, "first")
        return self._shared

    def log_in(self, account: Account, device: str, wire: Wire | None = None) -> Reply:
        """Log in, whatever comes of it."""
        self._devices.add(device)
        who = {"email": account.email, "password": account.password, "deviceId": self.device(device)}
        return (wire or self.wire).ask("POST", LOGIN, who)

    def seed(self, email: str) -> Reply:
        """Ask for a seed."""
        return self.wire.ask("GET", SEED, query={"email": base64.b64encode(email.encode()).decode()})

    def get(self, token: str) -> Reply:
        """Get the wallet with the token in the query, where every server takes it."""
        return self.wire.ask("GET", WALLET, query={"token": token})

    def post(self, token: str, wallet: Payload, wire: Wire | None = None) -> Reply:
        """POST a wallet with the token in the body, where every server takes it."""
        return (wire or self.wire).ask("POST", WALLET, wallet | {"token": token})

    def current(self, token: str) -> Payload | None:
        """Return the current wallet, None if there is none."""
        reply = self.get(token).expect(200, 404)
        if reply.status == 404:
            return None
        return {name: reply.field(name) for name in ("encryptedWallet", "sequence", "hmac")}

    def next(self, token: str) -> Payload:
        """Return a wallet that follows the current one."""
        current = self.current(token)
        return sealed(1 if current is None else current["sequence"] + 1)

    def stored(self, token: str) -> Payload:
        """POST the next wallet, and return it."""
        wallet = self.next(token)
        self.post(token, wallet).expect(200)
        return wallet

    def must_have(self, token: str, wallet: Payload | None, why: str) -> None:
        """Compare the current wallet.

        Raises:
            Broken: it is another one.
        """
        if self.current(token) != wallet:
            raise Broken(f"GET {WALLET}: {why}")

    def change_password(
        self, account: Account, new: Account, wallet: Payload | None = None, wire: Wire | None = None
    ) -> Reply:
        """Ask for the password and seed of `new`, with this wallet, on an account that this run has made."""
        change = {"email": account.email, "oldPassword": account.password, "newPassword": new.password}
        return (wire or self.wire).ask("POST", PASSWORD, change | {"clientSaltSeed": new.seed} | (wallet or {}))

    def has_changed(self, account: Account, new: Account) -> Account:
        """Return the account with password and seed of `new`, and take note of them, since its deletion needs them."""
        changed = replace(account, password=new.password, seed=new.seed, token="")
        self._made[account.email] = changed
        return changed

    def delete(self, account: Account) -> Reply:
        """Delete an account that this run has made."""
        return self.wire.ask("POST", DELETE_ACCOUNT, {"email": account.email, "password": account.password})

    def clean_up(self) -> None:
        """Delete the accounts of this run, or log its devices out of the one that was given.

        A server of API 3 alone knows neither, and keeps what there is.
        """
        for account in self._made.values():
            self.delete(account)
        if self._given is None:
            return
        for device in sorted(self._devices):
            reply = self.log_in(self._given, device)  # which makes void what else it may have
            if reply.status == 200:
                self.wire.ask("DELETE", LOGIN, headers=bearer(str(reply.field("token"))))
