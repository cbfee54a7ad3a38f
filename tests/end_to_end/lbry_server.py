"""A server that knows LBRY's wallet-sync API 3 and nothing of ours, as other people run it.

It refuses unknown fields, takes the token in the body and the query only, answers an accepted POST with `{}` and a
refused one without a wallet, and has no `.well-known`. Written for tests from the API's public description.
"""

import base64
import json
import secrets
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

FIELDS = {
    "/api/3/signup": {"email", "password", "clientSaltSeed"},
    "/api/3/auth/full": {"email", "password", "deviceId"},
    "/api/3/wallet": {"token", "encryptedWallet", "sequence", "hmac"},
}


class LbryServer:
    """Listens on a port of its own; `headers` has those of every request."""

    def __init__(self) -> None:
        self.headers: list[dict[str, str]] = []
        self._accounts: dict[str, dict[str, Any]] = {}
        self._tokens: dict[str, str] = {}
        self._lock = threading.Lock()
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True  # or each answer of two writes would take 40 ms

            def do_GET(self) -> None:
                server._handle(self)

            do_POST = do_GET

            def log_message(self, *_: object) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,))
        self.url = f"http://127.0.0.1:{self._http.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()

    def forget_accounts(self) -> None:
        """Have no accounts, as after a loss of everything."""
        with self._lock:
            self._accounts.clear()
            self._tokens.clear()

    def _handle(self, handler: BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers.get("Content-Length", 0)))
        parts = urlsplit(handler.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        self.headers.append(dict(handler.headers.items()))
        with self._lock:
            status, answer = self._answer(handler.command, parts.path, query, body)
        raw = json.dumps(answer).encode()
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(raw)))
        handler.end_headers()
        handler.wfile.write(raw)

    def _answer(self, method: str, path: str, query: dict[str, str], body: bytes) -> tuple[int, dict[str, Any]]:
        if method == "GET" and path == "/api/3/client-salt-seed":
            return self._seed(query["email"])
        if method == "GET" and path == "/api/3/wallet":
            return self._get(query.get("token", ""))
        if method != "POST" or path not in FIELDS:
            return 404, {"error": "Not Found"}
        fields = json.loads(body)
        if set(fields) != FIELDS[path]:
            return 400, {"error": "Bad Request: unknown or missing field"}
        if path == "/api/3/signup":
            return self._signup(fields)
        return self._login(fields) if path == "/api/3/auth/full" else self._post(fields)

    def _signup(self, fields: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        if fields["email"] in self._accounts:
            return 409, {"error": "Conflict: Error registering: user exists"}
        self._accounts[fields["email"]] = fields | {"wallet": None}
        return 201, {"verified": True}

    def _seed(self, email: str) -> tuple[int, dict[str, Any]]:
        account = self._accounts.get(base64.b64decode(email).decode())
        if account is None:
            return 404, {"error": "Not Found: No match for email"}
        return 200, {"clientSaltSeed": account["clientSaltSeed"]}

    def _login(self, fields: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        account = self._accounts.get(fields["email"])
        if account is None or account["password"] != fields["password"]:
            return 401, {"error": "Unauthorized: No match for email and/or password"}
        token = secrets.token_hex(32)
        self._tokens[token] = fields["email"]
        return 200, {
            "token": token,
            "deviceId": fields["deviceId"],
            "scope": "*",
            "userId": 1,
            "expiration": "2026-12-07T04:53:25.123456Z",
        }

    def _get(self, token: str) -> tuple[int, dict[str, Any]]:
        if token not in self._tokens:
            return 401, {"error": "Unauthorized: Token Not Found"}
        wallet = self._accounts[self._tokens[token]]["wallet"]
        return (404, {"error": "Not Found: No wallet"}) if wallet is None else (200, wallet)

    def _post(self, fields: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        if fields["token"] not in self._tokens:
            return 401, {"error": "Unauthorized: Token Not Found"}
        account = self._accounts[self._tokens[fields.pop("token")]]
        current = 0 if account["wallet"] is None else account["wallet"]["sequence"]
        if fields["sequence"] != current + 1:
            return 409, {"error": "Conflict: Bad sequence number"}
        account["wallet"] = fields
        return 200, {}
