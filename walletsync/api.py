"""HTTP only: what goes out as protocol types comes back as protocol types, or as an error.

Nothing is taken from the environment (netrc, proxies, CA bundles), no redirect is followed, every answer is bounded in
bytes and in time, and no text that a server chose gets into an error: it could be a secret of ours, reflected.
"""

import ipaddress
import time
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urlsplit

import msgspec
import requests
import urllib3
from msgspec import UNSET

from walletsync import errors
from walletsync.protocol import (
    API_PREFIX,
    AUTH_PATH,
    FEATURE_BEARER_TOKEN,
    MAX_WALLET_BYTES,
    PAYLOAD_VERSION,
    SEED_PATH,
    SIGNUP_PATH,
    WALLET_PATH,
    WELL_KNOWN_PATH,
    ErrorAnswer,
    ErrorCode,
    LoginAnswer,
    LoginRequest,
    SeedAnswer,
    SignupAnswer,
    SignupRequest,
    WalletAnswer,
    WalletRequest,
    WellKnown,
)

_DEFAULT_PORTS = {"http": 80, "https": 443}
_MAX_ANSWER_BYTES = 64 * 1024 * 1024
_CHUNK_BYTES = 64 * 1024
_ANSWER_SECONDS = 300.0

_T = TypeVar("_T")


@dataclass(frozen=True)
class Conflict:
    """409 to POST `/wallet`. `latest` is the current wallet, None where the server does not send it along."""

    latest: WalletAnswer | None


class Api:
    """One server's API. `url` is its origin and path; `timeout` seconds bound each wait for the network."""

    def __init__(
        self,
        url: str,
        *,
        timeout: float,
        proxy: str | None = None,
        ca_file: str | None = None,
        allow_plain_http: bool = False,
    ) -> None:
        self.url = normalised_url(url, allow_plain_http=allow_plain_http)
        self.features: frozenset[str] = frozenset()
        self.max_wallet_bytes = MAX_WALLET_BYTES
        self._timeout = timeout
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.verify = True if ca_file is None else ca_file
        if proxy is not None:
            self._session.proxies = {"http": proxy, "https": proxy}
        # Bodies are small or incompressible, and a decompressor is a bomb's fuse.
        self._session.headers.update({"Accept": "application/json", "Accept-Encoding": "identity"})

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def discover(self) -> bool:
        """Learn the server's limits and features; return False if it definitely tells none (404)."""
        status, body = self._exchange("GET", WELL_KNOWN_PATH, prefix="")
        if status == requests.codes.not_found:
            return False
        well_known = _decode(body, WellKnown) if status == requests.codes.ok else None
        if well_known is None:
            raise self._error(status, body)
        if PAYLOAD_VERSION not in well_known.payload_versions:
            raise errors.ProtocolError(
                f"The server does not speak version {PAYLOAD_VERSION} of the wallet payload. Update this client, or "
                "ask whoever runs the server to update it."
            )
        self.features = frozenset(well_known.features)
        self.max_wallet_bytes = well_known.limits.encrypted_wallet_bytes
        return True

    def signup(self, request: SignupRequest) -> SignupAnswer:
        """Make an account; the same request again is the same account."""
        status, body = self._exchange("POST", SIGNUP_PATH, json=request)
        if status != requests.codes.created:
            raise self._error(status, body, {409: errors.AccountExists, 403: errors.NotAllowed})
        return _decode(body, SignupAnswer)

    def seed(self, email_base64: str) -> SeedAnswer:
        """Ask for the salt seed of an account. A server may answer for one that does not exist, too."""
        status, body = self._exchange("GET", SEED_PATH, query={"email": email_base64})
        if status != requests.codes.ok:
            raise self._error(status, body, {404: errors.WrongCredentials})
        return _decode(body, SeedAnswer)

    def login(self, request: LoginRequest) -> LoginAnswer:
        """Trade the login password for a token."""
        status, body = self._exchange("POST", AUTH_PATH, json=request)
        if status != requests.codes.ok:
            raise self._error(status, body, {401: errors.WrongCredentials})
        return _decode(body, LoginAnswer)

    def get_wallet(self, token: str) -> WalletAnswer:
        """Get the current wallet.

        Raises:
            NoWallet: there is none.
        """
        headers, field = self._credentials(token)
        status, body = self._exchange("GET", WALLET_PATH, headers=headers, query=field)
        if status != requests.codes.ok:
            raise self._error(status, body, {401: errors.Unauthorized, 404: errors.NoWallet})
        return _supported(_decode(body, WalletAnswer))

    def post_wallet(self, token: str, request: WalletRequest) -> WalletAnswer | Conflict | None:
        """POST the next version. Returns what is current now; None if it is accepted by a server that tells no more."""
        headers, field = self._credentials(token)
        request = msgspec.structs.replace(request, **field)
        status, body = self._exchange("POST", WALLET_PATH, headers=headers, json=request)
        if status == requests.codes.ok:
            return None if body.strip() == b"{}" else _supported(_decode(body, WalletAnswer))
        if status == requests.codes.conflict:
            return Conflict(_wallet_of(_decode(body, ErrorAnswer)))
        raise self._error(status, body, {401: errors.Unauthorized})

    def _credentials(self, token: str) -> tuple[dict[str, str], dict[str, str]]:
        """Return headers and fields that carry the token: a field only for a server that knows nothing else."""
        if FEATURE_BEARER_TOKEN in self.features:
            return {"Authorization": f"Bearer {token}"}, {}
        return {}, {"token": token}

    def _exchange(
        self,
        method: str,
        path: str,
        *,
        prefix: str = API_PREFIX,
        json: msgspec.Struct | None = None,
        query: dict[str, str] | None = None,
        headers: dict[str, str] | None = None,
    ) -> tuple[int, bytes]:
        """Send one request, return status and body of the answer."""
        try:
            with self._session.request(
                method,
                self.url + prefix + path,
                params=query,
                data=None if json is None else msgspec.json.encode(json),
                headers={"Content-Type": "application/json"} | (headers or {}),
                timeout=self._timeout,
                allow_redirects=False,
                stream=True,
            ) as answer:
                return answer.status_code, self._read(answer)
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            # The exception's own text would show the URL, which can carry a token.
            raise errors.ServerUnreachable(
                f"No answer from {self.url} ({type(error).__name__}). Check the address and the network and try "
                "again: nothing is lost, and what may have arrived is not sent twice."
            ) from None

    def _read(self, answer: requests.Response) -> bytes:
        if answer.is_redirect:
            raise errors.ProtocolError(
                f"{self.url} redirects elsewhere, and no request follows a redirect. If you trust the new address, "
                "give that one as the server's URL."
            )
        if answer.headers.get("Content-Encoding", "identity") != "identity":
            raise errors.ProtocolError(
                f"{self.url} compressed its answer, which was not asked for. Turn that off for this path."
            )
        body = bytearray()
        deadline = time.monotonic() + _ANSWER_SECONDS
        while chunk := answer.raw.read1(_CHUNK_BYTES, decode_content=False):
            body += chunk
            if len(body) > _MAX_ANSWER_BYTES or time.monotonic() > deadline:
                raise errors.ProtocolError(
                    f"The answer of {self.url} does not end: it was cut off after {len(body):,} bytes."
                )
        return bytes(body)

    def _error(
        self, status: int, body: bytes, meanings: dict[int, type[errors.ServerError]] | None = None
    ) -> errors.ServerError:
        """Return the error for an answer: the class from its status, the sentence from the class or the code."""
        kind = (meanings or {}).get(status, errors.ServerError)
        code = _code_of(body)
        hint = _HINTS.get(kind) or _HINTS_BY_CODE.get(code, "Try again later, or ask whoever runs it.")
        told = f"{status} {code}" if code else str(status)
        return kind(f"The server {self.url} refused ({told}). {hint}", status=status, code=code)


_HINTS: dict[type[errors.ServerError], str] = {
    errors.Unauthorized: "This device is not signed in any more: get_auth_token() signs it in again.",
    errors.WrongCredentials: (
        "Check the address and the password. If the server moved, its earlier address is needed as `realm=`. An "
        "account that does not exist is made by register()."
    ),
    errors.AccountExists: "An account with this address exists: sign in with get_auth_token() instead.",
    errors.NotAllowed: "It does not let this address sign up; ask whoever runs it to allow it.",
    errors.NoWallet: "There is no wallet yet: make one with new_wallet_state() and post_wallet().",
}
_HINTS_BY_CODE: dict[str | None, str] = {
    ErrorCode.TOO_LARGE: "The wallet is over the server's limit; make it smaller, or ask for a higher limit.",
    ErrorCode.TOO_MANY_DEVICES: "The account has as many devices as it may; sign one of them out.",
    ErrorCode.BAD_REQUEST: "It does not understand this client; update the older of the two.",
}


def normalised_url(url: str, *, allow_plain_http: bool = False) -> str:
    """Return origin and path of a server's URL in the one form that keys are bound to.

    Scheme and host in lower case, no default port, no slash at the end.

    Raises:
        InvalidServerURL: with a sentence that says what is wrong.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
        host = (parts.hostname or "").encode("idna").decode()
    except ValueError:  # of which UnicodeError is one
        raise errors.InvalidServerURL(_WANTED_URL) from None
    if parts.scheme not in _DEFAULT_PORTS or not host:
        raise errors.InvalidServerURL(_WANTED_URL)
    if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
        raise errors.InvalidServerURL(
            "A server's URL is only its scheme, host, port and path: no name, password, query or fragment."
        )
    if parts.scheme == "http" and not (allow_plain_http or _is_loopback(host)):
        raise errors.InvalidServerURL(
            "Plain http would show tokens to the network: use https, or pass allow_plain_http=True for a network that "
            "you trust."
        )
    shown_host = f"[{host}]" if ":" in host else host
    shown_port = "" if port in (None, _DEFAULT_PORTS[parts.scheme]) else f":{port}"
    return f"{parts.scheme}://{shown_host}{shown_port}{parts.path.rstrip('/')}"


_WANTED_URL = "A server's URL looks like https://wallet.example.com or http://127.0.0.1:8090."


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _decode(body: bytes, kind: type[_T]) -> _T:
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise errors.ProtocolError(
            f"The server's answer is no {kind.__name__} of the protocol. Nothing of it was used; check that the "
            "address is that of a wallet-sync server."
        ) from None


def _code_of(body: bytes) -> str | None:
    """Return the code if it is one that we know: any other text of the server stays out of our messages."""
    try:
        code: Any = msgspec.json.decode(body, type=ErrorAnswer).code
        return ErrorCode(code)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ValueError):
        return None


def _supported(wallet: WalletAnswer) -> WalletAnswer:
    if wallet.version != PAYLOAD_VERSION:
        raise errors.ProtocolError(
            f"The wallet is in version {wallet.version} of the payload, this client knows version {PAYLOAD_VERSION}. "
            "Update this client."
        )
    return wallet


def _wallet_of(answer: ErrorAnswer) -> WalletAnswer | None:
    wallet, sequence, hmac = answer.encrypted_wallet, answer.sequence, answer.hmac
    if wallet is UNSET or sequence is UNSET or hmac is UNSET:
        return None
    version = PAYLOAD_VERSION if answer.version is UNSET else answer.version
    return _supported(WalletAnswer(encrypted_wallet=wallet, sequence=sequence, hmac=hmac, version=version))
