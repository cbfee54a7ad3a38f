"""A client as other people wrote it for LBRY's wallet-sync API 3, which knows nothing of ours.

It sends strings without a Content-Type, its token in bodies and queries, the address in a base64 with line breaks, and
wants no more of an answer than its status and the fields that the API names. Written for tests from the API's public
description; its key derivation is as theirs, but cheap.
"""

import base64
import hashlib
import hmac
import json
import secrets
from typing import Any

import requests
import websocket


class Refused(Exception):
    """The server answered with a status that the client does not expect; it is the only argument."""


class LbryClient:
    """One device. The document is a text; `sequence` and `text` are what it saw last on the server."""

    def __init__(self, url: str, email: str, password: str, device_id: str) -> None:
        self._api = f"{url}/api/3"
        self._email = email
        self._password = password
        self._device_id = device_id
        self._seed = ""
        self._token = "bad-token"
        self.sequence = 0
        self.text = ""

    def register(self) -> None:
        self._seed = secrets.token_hex(32)
        body = {"email": self._email, "password": self._login_password, "clientSaltSeed": self._seed}
        self._post("/signup", body, expected=201)

    def fetch_seed(self) -> str:
        """Ask for the seed as a device does that did not register."""
        self._seed = self._get("/client-salt-seed", email=base64.encodebytes(self._email.encode())).json()[
            "clientSaltSeed"
        ]
        return self._seed

    def log_in(self) -> None:
        body = {"email": self._email, "password": self._login_password, "deviceId": self._device_id}
        self._token = self._post("/auth/full", body, expected=200).json()["token"]

    def use_password(self, password: str) -> None:
        """Take over a password that another device has set."""
        self._password = password
        self.fetch_seed()

    def pull(self) -> bool:
        """Get the wallet; return whether there is one."""
        try:
            answer = self._get("/wallet", token=self._token).json()
        except Refused as refused:
            if refused.args == (404,):
                return False
            raise
        text = self._open(answer["encryptedWallet"])
        if not hmac.compare_digest(answer["hmac"], self._hmac(answer["sequence"], answer["encryptedWallet"])):
            raise ValueError("somebody else made this wallet")
        self.sequence, self.text = answer["sequence"], text
        return True

    def push(self, text: str) -> bool:
        """Send a wallet as the next one; return whether the server took it."""
        try:
            self._post("/wallet", {"token": self._token, **self._sealed(text)}, expected=200)
        except Refused as refused:
            if refused.args == (409,):
                return False
            raise
        self.sequence, self.text = self.sequence + 1, text
        return True

    def change_password(self, new: str, *, with_wallet: bool) -> bool:
        """Change it, with the wallet under the new key or without one; return whether the server did."""
        old_password, old_seed, old = self._login_password, self._seed, self._password
        self._password, self._seed = new, secrets.token_hex(32)
        body = {
            **(self._sealed(self.text) if with_wallet else {}),
            "email": self._email,
            "oldPassword": old_password,
            "newPassword": self._login_password,
            "clientSaltSeed": self._seed,
        }
        try:
            self._post("/password", body, expected=200)
        except Refused as refused:
            self._password, self._seed = old, old_seed
            if refused.args == (409,):
                return False
            raise
        self.sequence += with_wallet
        return True

    def listen(self) -> websocket.WebSocket:
        """Return an open socket that tells of new wallets."""
        address = self._api.replace("http", "ws", 1)
        return websocket.create_connection(f"{address}/websocket?token={self._token}", timeout=20)

    @property
    def _keys(self) -> bytes:
        salt = hashlib.sha256(f"{self._email}:{self._seed}".encode()).hexdigest().encode()[:32]
        return hashlib.scrypt(self._password.encode(), salt=salt, n=16, r=8, p=1, dklen=64)

    @property
    def _login_password(self) -> str:
        return base64.b64encode(self._keys[:32]).decode()

    def _hmac(self, sequence: int, encrypted_wallet: str) -> str:
        return hmac.new(self._keys[32:], f"{sequence}:{encrypted_wallet}".encode(), hashlib.sha256).hexdigest()

    def _sealed(self, text: str) -> dict[str, Any]:
        """Return the wallet's fields. What encrypts it is another program; here it only says under which password."""
        encrypted = base64.b64encode(json.dumps([self._password, text]).encode()).decode()
        sequence = self.sequence + 1
        return {"encryptedWallet": encrypted, "sequence": sequence, "hmac": self._hmac(sequence, encrypted)}

    def _open(self, encrypted_wallet: str) -> str:
        password, text = json.loads(base64.b64decode(encrypted_wallet))
        if password != self._password:
            raise ValueError("this wallet is under another password")
        return str(text)

    def _get(self, path: str, **query: str | bytes) -> requests.Response:
        return self._checked(requests.get(self._api + path, params=query, timeout=20), 200)

    def _post(self, path: str, body: dict[str, Any], *, expected: int) -> requests.Response:
        return self._checked(requests.post(self._api + path, json.dumps(body), timeout=20), expected)

    def _checked(self, response: requests.Response, expected: int) -> requests.Response:
        if response.status_code != expected:
            raise Refused(response.status_code)
        return response
