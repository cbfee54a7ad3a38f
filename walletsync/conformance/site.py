"""Accounts at the server under test, made for this run, and what rules do with them again and again."""

import base64
import secrets
from dataclasses import dataclass
from typing import Any

from walletsync import protocol
from walletsync.conformance.wire import Broken, Reply, Wire

Payload = dict[str, Any]
SIGNUP = protocol.API_PREFIX + protocol.SIGNUP_PATH
LOGIN = protocol.API_PREFIX + protocol.AUTH_PATH
SEED = protocol.API_PREFIX + protocol.SEED_PATH
WALLET = protocol.API_PREFIX + protocol.WALLET_PATH
DELETE_ACCOUNT = protocol.API_PREFIX + protocol.DELETE_ACCOUNT_PATH


@dataclass(frozen=True, repr=False)
class Account:
    """A random account, with the token of one device where it has logged in."""

    email: str
    password: str
    seed: str
    token: str = ""

    @property
    def signup(self) -> Payload:
        """What signs it up."""
        return {"email": self.email, "password": self.password, "clientSaltSeed": self.seed}

    def with_password_of(self, other: "Account") -> "Account":
        """Return this account with password and seed of another, and no token."""
        return Account(self.email, other.password, other.seed)


def stranger() -> Account:
    """Return an account that nobody has."""
    return Account(f"conformance-{secrets.token_hex(8)}@example.com", secrets.token_hex(32), secrets.token_hex(32))


def sealed(sequence: int) -> Payload:
    """Return a version of a wallet, made at random: to a server each is as opaque as any other."""
    wallet = base64.b64encode(secrets.token_bytes(96)).decode()
    return {"encryptedWallet": wallet, "sequence": sequence, "hmac": secrets.token_hex(32)}


class Site:
    """One server during one run."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self._made: dict[str, Account] = {}
        self._shared: Account | None = None

    def new_account(self) -> Account:
        """Sign up and log in. The account has no wallet."""
        account = stranger()
        self.sign_up(account).expect(201)
        return self.logged_in(account, "first")

    def sign_up(self, account: Account) -> Reply:
        """Sign up, whatever comes of it; what came into being is deleted at the end."""
        self._made[account.email] = account
        return self.wire.ask("POST", SIGNUP, account.signup)

    def logged_in(self, account: Account, device: str) -> Account:
        """Return the account with a token of this device."""
        token = self.log_in(account, device).expect(200).field("token")
        if not isinstance(token, str) or not token:
            raise Broken(f"POST {LOGIN}: expected a token, came none")
        return Account(account.email, account.password, account.seed, token)

    def account(self) -> Account:
        """Return an account that rules share; what its wallet is, only `current` tells."""
        if self._shared is None:
            self._shared = self.new_account()
        return self._shared

    def log_in(self, account: Account, device: str) -> Reply:
        """Log in, whatever comes of it."""
        who = {"email": account.email, "password": account.password, "deviceId": device}
        return self.wire.ask("POST", LOGIN, who)

    def seed(self, email: str) -> Reply:
        """Ask for a seed."""
        return self.wire.ask("GET", SEED, query={"email": base64.b64encode(email.encode()).decode()})

    def get(self, token: str) -> Reply:
        """Get the wallet with the token in the query, where every server takes it."""
        return self.wire.ask("GET", WALLET, query={"token": token})

    def post(self, token: str, wallet: Payload) -> Reply:
        """POST a wallet with the token in the body, where every server takes it."""
        return self.wire.ask("POST", WALLET, wallet | {"token": token})

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

    def has_changed(self, account: Account) -> None:
        """Take note of an account's new password, which its deletion needs."""
        self._made[account.email] = account

    def clean_up(self) -> None:
        """Delete the accounts of this run; a server of API 3 alone has no such thing, and keeps them."""
        for account in self._made.values():
            self.wire.ask("POST", DELETE_ACCOUNT, {"email": account.email, "password": account.password})
