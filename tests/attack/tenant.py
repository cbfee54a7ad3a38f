"""Two tenants: one with secrets, and one who tries whatever may lead to them, at every row of the route table."""

import base64
import hashlib
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from tests.attack.wires import KeptWire, handshake
from tests.server.helpers import API, Answer, log_in, sign_up, wallet_body
from walletsync.protocol import MAX_SEQUENCE, wallet_digest
from walletsync_server.api.dispatch import METHODS

SHARED_DEVICE = "laptop"
"""Both have a device of this name."""


@dataclass
class Tenant:
    """An account with wallets and two devices. What is hidden in reprs nobody else may ever see."""

    email: str
    password: str = field(repr=False)
    seed: str = field(repr=False)
    device: str = field(repr=False)
    wallet: str = field(repr=False)
    sequence: int
    user_id: int = 0
    tokens: dict[str, str] = field(default_factory=dict, repr=False)

    def move_in(self, wire: KeptWire) -> None:
        """Make the account and all that belongs to it."""
        assert sign_up(wire, self.email, self.password, clientSaltSeed=self.seed).status == 201
        for device in (SHARED_DEVICE, self.device):
            self.log_in(wire, device)
        for sequence in range(1, self.sequence + 1):
            body = wallet_body(sequence, self.version(sequence), self.hmac(sequence))
            assert wire("POST", f"{API}/wallet", body, token=self.tokens[self.device]).status == 200

    def log_in(self, wire: KeptWire, device: str) -> None:
        answer = log_in(wire, self.email, self.password, device).json
        self.tokens[device], self.user_id = answer["token"], answer["userId"]

    def version(self, sequence: int) -> str:
        return f"{self.wallet} {sequence}"

    def hmac(self, sequence: int) -> str:
        return f"hmac of {self.wallet} {sequence}"

    def entity_tag(self, sequence: int) -> str:
        return wallet_digest(sequence, self.version(sequence), self.hmac(sequence)).hex()

    @property
    def secrets(self) -> dict[str, str]:
        """What must be in no answer to anybody else."""
        hashes = [hashlib.sha256(token.encode()).hexdigest() for token in self.tokens.values()]
        tags = [self.entity_tag(sequence) for sequence in range(1, self.sequence + 1)]
        known = {"password": self.password, "seed": self.seed, "device": self.device, "wallet": self.wallet}
        known |= {"user id": str(self.user_id), "address": self.email}
        for name, values in (("token", self.tokens.values()), ("token's hash", hashes), ("entity tag", tags)):
            known |= {f"{name} {number}": value for number, value in enumerate(values)}
        return known

    def in_answer(self, answer: Answer) -> list[str]:
        """Return the names of the secrets that the answer tells."""
        text = f"{answer.headers} {answer.body.decode(errors='replace')}"
        return [name for name, secret in self.secrets.items() if secret in text]


@dataclass(frozen=True)
class Try:
    """One request of the attacker. What is given replaces what he would send anyway."""

    path: str = ""
    body: Mapping[str, Any] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    socket: bool = False

    def asks_for_seed_of(self, email: str) -> bool:
        """Whether this is the question for an address's salt seed, which is to be answered to anybody."""
        return self.query.get("email") == base64.b64encode(email.encode()).decode()


class Attacker:
    """Tries what a tenant can, who knows everything of the victim but secrets. All is drawn from one seed."""

    def __init__(self, url: str, me: Tenant, victim: Tenant, seed: int) -> None:
        self._url = url
        self._wire = KeptWire(url)
        self._random = random.Random(seed)
        self.me = me
        self.victim = victim

    def close(self) -> None:
        self._wire.close()

    def move(self, method: str, path: str, make: Callable[["Attacker"], Try]) -> tuple[Try, Answer]:
        """Send one request to this row of the table, now and then by another method; return it and its answer."""
        attempt = make(self)
        if self._random.random() < 0.05:
            method = self._random.choice(sorted(METHODS))
        if attempt.socket and method == "GET":
            answer = handshake(self._url, attempt.query, attempt.headers)
        else:
            answer = self._wire(
                method, attempt.path or path, attempt.body or b"", query=attempt.query, headers=attempt.headers
            )
        if answer.status in (204, 401):  # perhaps he has logged himself out
            self.me.log_in(self._wire, SHARED_DEVICE)
        return attempt, answer

    def signed(self, **more: Any) -> Try:
        """Show a token, or what might be taken for one, in one to three places."""
        places = self._random.sample(("header", "query", "body"), self._random.choice((1, 1, 1, 2, 3)))
        tokens = {place: self.token() for place in places}
        headers = {"Authorization": f"Bearer {tokens['header']}"} if "header" in tokens else {}
        query = {"token": tokens["query"]} if "query" in tokens else {}
        in_body = {"token": tokens["body"]} if "body" in tokens and "body" in more else {}
        return Try(
            path=more.get("path", ""),
            headers=headers | more.get("headers", {}),
            query=query | more.get("query", {}),
            body={**more.get("body", {}), **in_body},
            socket=more.get("socket", False),
        )

    def token(self) -> str:
        mine = self.me.tokens[SHARED_DEVICE]
        place = self._random.randrange(len(mine))
        changed = mine[:place] + self._random.choice("0123456789abcdef") + mine[place + 1 :]
        return self._random.choice([mine, mine, mine, changed, mine.upper(), self.word()])

    def word(self) -> str:
        """Return something of the victim that is no secret, or can be had from a stolen database."""
        stored = hashlib.sha256(self.victim.tokens[SHARED_DEVICE].encode()).hexdigest()
        victim = self.victim
        return self._random.choice(
            [victim.email, str(victim.user_id), stored, SHARED_DEVICE, victim.seed, "*", "%", "null"]
        )

    def email(self) -> str:
        """Return the victim's address, or one that looks alike."""
        name, _, host = self.victim.email.partition("@")
        alike = [
            f"{name.upper()}@{host}",
            f"{name}@{host.upper()}",
            f"{name}+1@{host}",
            f"{name}.@{host}",
            f"{name[0]}.{name[1:]}@{host}",
            f"{name}@{host}.",
            f"{name}@sub.{host}",
            f" {self.victim.email}",
            f"{self.victim.email} ",
            f"{self.victim.email}\n",
            f"{self.victim.email}\0",
            f"{name}\0@{host}",
            f"{name}@{host}\0.attacker.example.com",
            f"{name}%40{host}",
            f'"{name}"@{host}',
            f"{self.victim.email},{self.me.email}",
            f"{self.me.email},{self.victim.email}",
            f"{self.victim.email}' OR '1'='1",
            "%@example.com",
            name.replace("i", "\u0456") + f"@{host}",
            name.replace("i", "\u0131") + f"@{host}",
            "\uff56" + name[1:] + f"@{host}",
        ]
        return self._random.choice([self.victim.email] * len(alike) + alike)

    def password(self) -> str:
        return self._random.choice([self.me.password, self.word().ljust(8), self.me.password + "\0", "password"])

    def device(self) -> str:
        # None of the victim's words: a login repeats the name that it was given, which would look like a leak.
        return self._random.choice([SHARED_DEVICE, SHARED_DEVICE.upper(), "*", "%", "null", "lap top"])

    def sequence(self) -> int:
        near = list(range(self.victim.sequence - 1, self.victim.sequence + 2))
        places = [1, self.me.sequence, self.me.sequence + 1, *near, MAX_SEQUENCE]
        return self._random.choice(places)

    def wallet(self) -> dict[str, Any]:
        return wallet_body(self.sequence(), "the attacker's", "the attacker's")

    def tag(self) -> str:
        return f'"{self.victim.entity_tag(self.victim.sequence)}"'

    def any_of(self, *values: Any) -> Any:
        return self._random.choice(values)


TRIES: dict[tuple[str, str], Callable[[Attacker], Try]] = {
    ("POST", "/signup"): lambda a: Try(
        body={"email": a.email(), "password": a.password(), "clientSaltSeed": a.me.seed}
    ),
    ("POST", "/auth/full"): lambda a: Try(body={"email": a.email(), "password": a.password(), "deviceId": a.device()}),
    ("DELETE", "/auth/full"): lambda a: a.signed(),
    ("GET", "/client-salt-seed"): lambda a: Try(query={"email": base64.b64encode(a.email().encode()).decode()}),
    ("GET", "/wallet"): lambda a: a.signed(headers=a.any_of({}, {"If-None-Match": a.tag()})),
    ("POST", "/wallet"): lambda a: a.signed(body=a.wallet()),
    ("GET", "/wallet/history"): lambda a: a.signed(query=a.any_of({}, {"email": a.email(), "userId": a.word()})),
    ("GET", "/wallet/history/{sequence}"): lambda a: a.signed(
        path=f"{API}/wallet/history/{a.any_of(a.sequence(), a.sequence(), quote(a.word(), safe=''))}"
    ),
    ("POST", "/password"): lambda a: Try(
        body={
            "email": a.email(),
            "oldPassword": a.password(),
            "newPassword": "the attacker's new one",
            "clientSaltSeed": a.me.seed,
            **a.any_of({}, a.wallet()),
        }
    ),
    ("GET", "/devices"): lambda a: a.signed(query=a.any_of({}, {"userId": str(a.victim.user_id)})),
    ("DELETE", "/devices/{deviceId}"): lambda a: a.signed(
        path=f"{API}/devices/{quote(a.any_of(a.device(), a.victim.device), safe='')}"
    ),
    ("POST", "/account/delete"): lambda a: Try(body={"email": a.email(), "password": a.password()}),
    ("POST", "/verify/resend"): lambda a: Try(body={"email": a.email()}),
    ("GET", "/verify"): lambda a: Try(query={"verifyToken": a.token()}),
    ("POST", "/verify"): lambda a: Try(query={"verifyToken": a.token()}),
    ("GET", "/websocket"): lambda a: a.signed(socket=True),
    ("GET", "/"): lambda a: a.signed(),
    ("GET", "/.well-known/walletsync"): lambda a: a.signed(),
    ("GET", "/openapi.json"): lambda a: a.signed(),
    ("GET", "/docs"): lambda a: a.signed(),
    ("GET", "/healthz"): lambda a: a.signed(),
    ("GET", "/readyz"): lambda a: a.signed(),
}
"""What to try, for each row of the route table."""
