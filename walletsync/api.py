"""The server's HTTP endpoints, a method each: types of the protocol go out and come back, or an error does.

No text that a server chose gets into an error: it could be a secret of ours, reflected.
"""

import functools
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar
from urllib.parse import quote

import msgspec
from msgspec import UNSET

from walletsync import errors, refusals
from walletsync.protocol import (
    API_PREFIX,
    AUTH_PATH,
    DELETE_ACCOUNT_PATH,
    DEVICES_PATH,
    FEATURE_BEARER_TOKEN,
    FEATURE_HISTORY,
    FEATURE_WALLET_IN_ANSWERS,
    HISTORY_PATH,
    MAX_WALLET_BYTES,
    PASSWORD_PATH,
    PAYLOAD_VERSION,
    SEED_PATH,
    SIGNUP_PATH,
    WALLET_PATH,
    WEBSOCKET_PATH,
    WELL_KNOWN_PATH,
    DeleteAccountRequest,
    DevicesAnswer,
    ErrorAnswer,
    ErrorCode,
    HistoryAnswer,
    LoginAnswer,
    LoginRequest,
    PasswordAnswer,
    PasswordRequest,
    SeedAnswer,
    SignupAnswer,
    SignupRequest,
    WalletAnswer,
    WalletRequest,
    WellKnown,
    wallet_digest,
)
from walletsync.realm import normalised_url
from walletsync.refusals import Meaning
from walletsync.remedies import Remedy
from walletsync.transport import IF_NONE_MATCH, NOT_MODIFIED, Transport

_OK, _CREATED, _NO_CONTENT = 200, 201, 204
_UNAUTHORIZED, _NOT_FOUND, _CONFLICT, _TOO_LARGE = 401, 404, 409, 413
_NOT_NOW = (429, 502, 503, 504)
_GATEWAY_FAILED = (502, 503, 504)
_LONGEST_PAUSE = 30
"""Seconds that are waited at most where nobody says for how long; they double from 1."""
_MAX_ANSWER_BYTES = 64 * 1024
_MAX_WALLET_ANSWER_BYTES = 64 * 1024 * 1024

_P = ParamSpec("_P")
_T = TypeVar("_T")

if TYPE_CHECKING:
    from walletsync.live import Listener


@dataclass(frozen=True)
class ConflictAnswer:
    """409 to POST `/wallet`. `latest` is the current wallet, None where the server does not send it along."""

    latest: WalletAnswer | None


def _names_request(method: Callable[Concatenate["Api", _P], _T]) -> Callable[Concatenate["Api", _P], _T]:
    """Let what `method` raises about an answer name the request."""

    @functools.wraps(method)
    def ask(self: "Api", /, *arguments: _P.args, **options: _P.kwargs) -> _T:
        try:
            return method(self, *arguments, **options)
        except errors.WalletSyncError as error:
            error.request_id = error.request_id or self._request_id
            raise

    return ask


class Api:
    """One server's API. `url` is its origin and path.

    `tells_current`, `keeps_history` and `max_wallet_bytes` are what `discover` learned: whether answers to a POST carry
    the current wallet, whether earlier versions can be read, and how large `encryptedWallet` may be.
    """

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
        if proxy is not None and self.url.startswith("http:") and not allow_plain_http:
            normalised_url(proxy)  # a proxy beyond this machine would see what plain http carries
        self.tells_current = False
        self.keeps_history = False
        self.max_wallet_bytes = MAX_WALLET_BYTES
        self._takes_bearer = False
        self._proxy = proxy
        self._patience = 0.0
        self._request_id: str | None = None
        self._sleep: Callable[[float], object] = time.sleep
        self._transport = Transport(timeout=timeout, proxy=proxy, ca_file=ca_file)

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()

    @contextmanager
    def patience(self, seconds: float) -> Iterator[None]:
        """Send a request again, inside, where the server asks to come back later, waiting `seconds` in all at most.

        It says so of what it has not done, and all requests may come twice: that is how a lost answer is settled.
        """
        self._patience = seconds
        try:
            yield
        finally:
            self._patience = 0.0

    @_names_request
    def discover(self) -> bool:
        """Learn the server's limits and features; return False if it certainly has none to tell (404)."""
        status, body = self._exchange("GET", WELL_KNOWN_PATH, prefix="")
        if status == _NOT_FOUND:
            return False
        if status != _OK:
            raise self._refusal(status, body)
        well_known = _decode(body, WellKnown)
        if PAYLOAD_VERSION not in well_known.payload_versions or FEATURE_BEARER_TOKEN not in well_known.features:
            raise errors.ProtocolError(
                f"The server does not speak version {PAYLOAD_VERSION} of the wallet payload with tokens in a header. "
                "Update this client, or ask whoever runs the server to update it."
            )
        self._takes_bearer = True
        self.tells_current = FEATURE_WALLET_IN_ANSWERS in well_known.features
        self.keeps_history = FEATURE_HISTORY in well_known.features
        self.max_wallet_bytes = well_known.limits.encrypted_wallet_bytes
        return True

    @_names_request
    def signup(self, request: SignupRequest) -> SignupAnswer:
        """Make an account; sending the same request again makes no second one."""
        status, body = self._exchange("POST", SIGNUP_PATH, json=request)
        if status != _CREATED:
            raise self._refusal(status, body, {409: refusals.ACCOUNT_EXISTS, 403: refusals.NOT_ALLOWED})
        return _decode(body, SignupAnswer)

    @_names_request
    def seed(self, email_base64: str) -> SeedAnswer:
        """Ask for the salt seed of an account. A server may answer for one that does not exist, too."""
        status, body = self._exchange("GET", SEED_PATH, query={"email": email_base64})
        if status != _OK:
            # Ours answers for every address, so there a 404 is something in between, and no word about the account.
            is_word = not self._takes_bearer and _is_error(body)
            raise self._refusal(status, body, {404: refusals.WRONG_CREDENTIALS} if is_word else {})
        return _decode(body, SeedAnswer)

    @_names_request
    def login(self, request: LoginRequest) -> LoginAnswer:
        """Trade the login password for a token."""
        status, body = self._exchange("POST", AUTH_PATH, json=request)
        if status != _OK:
            is_unverified = _code_of(body) == ErrorCode.NOT_VERIFIED
            meaning = refusals.NOT_VERIFIED if is_unverified else refusals.WRONG_CREDENTIALS
            raise self._refusal(status, body, {401: meaning})
        return _decode(body, LoginAnswer)

    @_names_request
    def get_wallet(self, token: str, known: WalletAnswer | None = None) -> WalletAnswer:
        """Get the current wallet: `known`, in an answer of a few bytes, where the server says that it still is.

        Raises:
            NoWallet: there is none.
        """
        headers, field = self._credentials(token)
        if known is not None:
            digest = wallet_digest(known.sequence, known.encrypted_wallet, known.hmac).hex()
            headers |= {IF_NONE_MATCH: f'"{digest}"'}
        status, body = self._exchange("GET", WALLET_PATH, headers=headers, query=field)
        if status == NOT_MODIFIED and known is not None:
            return known
        if status != _OK:
            # What is in between may say 404, too, which is no word about the wallet.
            is_word = _code_of(body) == ErrorCode.NO_WALLET if self._takes_bearer else _is_error(body)
            no_wallet = {404: refusals.NO_WALLET} if is_word else {}
            raise self._refusal(status, body, {401: refusals.UNAUTHORIZED} | no_wallet)
        return _supported(_decode(body, WalletAnswer))

    @_names_request
    def post_wallet(self, token: str, request: WalletRequest) -> WalletAnswer | ConflictAnswer | None:
        """POST the next version. Returns what is current now; None if it is accepted by a server that tells no more."""
        headers, field = self._credentials(token)
        request = msgspec.structs.replace(request, **field)
        status, body = self._exchange("POST", WALLET_PATH, headers=headers, json=request)
        if status == _OK:
            return None if body.strip() == b"{}" else _supported(_decode(body, WalletAnswer))
        if status == _CONFLICT:
            return ConflictAnswer(_wallet_of(_decode(body, ErrorAnswer)))
        raise self._refusal(status, body, {401: refusals.UNAUTHORIZED})

    @_names_request
    def history(self, token: str) -> HistoryAnswer:
        """List the versions that the server keeps."""
        headers, field = self._credentials(token)
        status, body = self._exchange("GET", HISTORY_PATH, headers=headers, query=field)
        if status != _OK:
            raise self._refusal(status, body, {401: refusals.UNAUTHORIZED} | _UNKNOWN_ROUTE)
        return _decode(body, HistoryAnswer)

    @_names_request
    def version(self, token: str, sequence: int) -> WalletAnswer:
        """Get one version that the server keeps, the one that was asked for."""
        headers, field = self._credentials(token)
        status, body = self._exchange("GET", f"{HISTORY_PATH}/{sequence}", headers=headers, query=field)
        if status != _OK:
            raise self._refusal(status, body, _of_a_list(body, refusals.NO_SUCH_VERSION))
        answer = _supported(_decode(body, WalletAnswer))
        if answer.sequence != sequence:
            raise errors.ProtocolError(
                f"The server was asked for version {sequence} of the wallet and presented version {answer.sequence}. "
                "Nothing of it was used; ask whoever runs the server."
            )
        return answer

    @_names_request
    def change_password(self, token: str | None, request: PasswordRequest) -> None:
        """Change password, seed and wallet at once; sending the same request again makes no second change.

        The token proves nothing here: who shows one has room at a server that strangers keep busy.
        """
        status, body = self._exchange("POST", PASSWORD_PATH, headers=self._shown(token), json=request)
        if status != _OK:
            meanings = {401: refusals.WRONG_CREDENTIALS, 409: refusals.PASSWORD_UNCHANGED}
            raise self._refusal(status, body, meanings | _UNKNOWN_ROUTE)
        _decode(body, PasswordAnswer)

    @_names_request
    def devices(self, token: str) -> DevicesAnswer:
        """List the devices that hold a token."""
        headers, field = self._credentials(token)
        status, body = self._exchange("GET", DEVICES_PATH, headers=headers, query=field)
        if status != _OK:
            raise self._refusal(status, body, {401: refusals.UNAUTHORIZED} | _UNKNOWN_ROUTE)
        return _decode(body, DevicesAnswer)

    @_names_request
    def revoke_device(self, token: str, device_id: str) -> None:
        """Make the token of a device void."""
        headers, field = self._credentials(token)
        path = f"{DEVICES_PATH}/{quote(device_id, safe='')}"
        status, body = self._exchange("DELETE", path, headers=headers, query=field)
        if status != _NO_CONTENT:
            raise self._refusal(status, body, _of_a_list(body, refusals.NO_SUCH_DEVICE))

    @_names_request
    def log_out(self, token: str) -> None:
        """Make the token void; one that is void already is fine."""
        headers, field = self._credentials(token)
        status, body = self._exchange("DELETE", AUTH_PATH, headers=headers, query=field)
        if status not in (_NO_CONTENT, _UNAUTHORIZED):
            raise self._refusal(status, body, _UNKNOWN_ROUTE)

    @_names_request
    def delete_account(self, token: str | None, request: DeleteAccountRequest) -> None:
        """Delete the account and all that the server has of it. The token is shown as with `change_password`."""
        status, body = self._exchange("POST", DELETE_ACCOUNT_PATH, headers=self._shown(token), json=request)
        if status != _NO_CONTENT:
            raise self._refusal(status, body, {401: refusals.WRONG_CREDENTIALS} | _UNKNOWN_ROUTE)

    def listen(self, token: Callable[[], str | None], on_news: Callable[[], None]) -> "Listener":
        """Listen on the server's WebSocket; `token` returns the one that holds."""
        if self._proxy is not None:
            raise errors.UsageError("There are no live updates through a proxy.", remedy=Remedy.POLL)
        from walletsync.live import Listener  # only who listens needs a WebSocket

        return Listener(
            self.url.replace("http", "ws", 1) + API_PREFIX + WEBSOCKET_PATH,
            token=token,
            on_news=on_news,
            tls=self._transport.tls if self.url.startswith("https:") else None,
        )

    def _credentials(self, token: str) -> tuple[dict[str, str], dict[str, str]]:
        """Return headers and fields that carry the token: a field only for a server that knows nothing else."""
        if self._takes_bearer:
            return self._shown(token), {}
        return {}, {"token": token}

    def _shown(self, token: str | None) -> dict[str, str]:
        """Return headers that show a token, if there is one and the server takes it there."""
        return {"Authorization": f"Bearer {token}"} if token is not None and self._takes_bearer else {}

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
        """Send one request, again as long as the server wants that and `patience` lasts; return status and body.

        Raises:
            RetryLater: the server asks to come back later than that.
        """
        body = None if json is None else msgspec.json.encode(json)
        pause = 0
        while True:
            self._request_id = None
            answer = self._transport.exchange(
                method,
                self.url + prefix + path,
                query=query,
                headers={"Content-Type": "application/json"} | (headers or {}),
                body=body,
                limit=_MAX_WALLET_ANSWER_BYTES if path.startswith(WALLET_PATH) else _MAX_ANSWER_BYTES,
            )
            retry_after = answer.retry_after
            if retry_after is None and answer.status in _GATEWAY_FAILED and not _is_error(answer.body):
                pause = min(2 * pause or 1, _LONGEST_PAUSE)
                retry_after = pause  # what is in between does not reach the server, which is so while that starts
            self._request_id = answer.request_id
            if answer.status not in _NOT_NOW or retry_after is None:
                return answer.status, answer.body
            if retry_after > self._patience:
                raise self._not_now(answer.status, answer.body, retry_after)
            self._patience -= retry_after
            self._sleep(retry_after)

    def _not_now(self, status: int, body: bytes, retry_after: int) -> errors.RetryLater:
        code = _code_of(body)
        label = f"{status} {code}" if code else str(status)
        is_ours = _is_error(body) or status not in _GATEWAY_FAILED
        why = "is too busy, or was asked too often" if is_ours else "does not answer to what stands in front of it"
        number, unit = (retry_after, "second") if retry_after < 100 else (-(-retry_after // 60), "minute")
        return errors.RetryLater(
            f"The server {self.url} {why} ({label}). Try again in {number} {unit}"
            f"{'' if number == 1 else 's'}; nothing is lost, and nothing is stored twice.",
            status=status,
            code=code,
            retry_after=retry_after,
        )

    def _refusal(
        self, status: int, body: bytes, meanings: Mapping[int, Meaning] = MappingProxyType({})
    ) -> errors.ServerError:
        """Return the error for an answer: what its status means for this request, or else its code for any."""
        code = _code_of(body) or _CODES_BY_STATUS.get(status)
        meaning = meanings.get(status) or refusals.BY_CODE.get(code, refusals.UNKNOWN)
        label = f"{status} {code}" if code else str(status)
        return meaning.kind(
            f"The server {self.url} refused ({label}). {meaning.sentence}",
            status=status,
            code=code,
            remedy=meaning.remedy,
        )


_CODES_BY_STATUS = {_NOT_FOUND: ErrorCode.NOT_FOUND, _TOO_LARGE: ErrorCode.TOO_LARGE}
"""What an answer without a code of ours means, be it of another server or of something in between."""

_UNKNOWN_ROUTE = dict.fromkeys((_NOT_FOUND, 405, 501), refusals.NOT_OFFERED)
"""What servers say to a request for one of our extras that they do not have."""


def _decode(body: bytes, kind: type[_T]) -> _T:
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise errors.ProtocolError(
            f"The server's answer is not the {kind.__name__} that the protocol asks for. Nothing of it was used; check "
            "that the address is that of a wallet-sync server."
        ) from None


def _code_of(body: bytes) -> str | None:
    """Return the code if it is one that we know: any other text of the server stays out of our messages."""
    try:
        code: Any = msgspec.json.decode(body, type=ErrorAnswer).code
        return ErrorCode(code)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ValueError):
        return None


def _is_error(body: bytes) -> bool:
    """Tell whether this is an error as a wallet-sync server words it, be it one of other people's."""
    try:
        msgspec.json.decode(body, type=ErrorAnswer)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return False
    return True


def _of_a_list(body: bytes, no_such: Meaning) -> dict[int, Meaning]:
    """Return what statuses mean where one of many was asked for: a 404 of ours is about that one."""
    about_it = {} if _code_of(body) is None else {_NOT_FOUND: no_such}
    return {_UNAUTHORIZED: refusals.UNAUTHORIZED} | _UNKNOWN_ROUTE | about_it


def _supported(wallet: WalletAnswer) -> WalletAnswer:
    if wallet.version != PAYLOAD_VERSION:
        raise errors.ProtocolError(
            f"The wallet is in version {wallet.version} of the payload; this client knows version {PAYLOAD_VERSION}. "
            "Update this client."
        )
    return wallet


def _wallet_of(answer: ErrorAnswer) -> WalletAnswer | None:
    wallet, sequence, hmac = answer.encrypted_wallet, answer.sequence, answer.hmac
    if wallet is UNSET or sequence is UNSET or hmac is UNSET:
        return None
    version = PAYLOAD_VERSION if answer.version is UNSET else answer.version
    return _supported(WalletAnswer(encrypted_wallet=wallet, sequence=sequence, hmac=hmac, version=version))
