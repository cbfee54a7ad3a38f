"""The route table, and the one function that answers any request by it."""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from walletsync.protocol import (
    API_PREFIX,
    AUTH_PATH,
    DELETE_ACCOUNT_PATH,
    DEVICES_PATH,
    HISTORY_PATH,
    PASSWORD_PATH,
    SEED_PATH,
    SIGNUP_PATH,
    WALLET_PATH,
    WELL_KNOWN_PATH,
)
from walletsync_server import logs
from walletsync_server.api import about, accounts, devices, errors, history, passwords, seeds, tokens, wallets
from walletsync_server.api.http import Request, Response
from walletsync_server.services import Services
from walletsync_server.services.errors import ServiceError, TooLarge, Unavailable
from walletsync_server.steps import Steps, finished

Handler = Callable[[Services, Request], Response | Steps[Response]]

ROOT = ("",)
API = (API_PREFIX,)
BOTH = ("", API_PREFIX)

_LONGEST_ESCAPE = len(r"\u0000")  # the most that JSON can make of one byte of a wallet
_BODY_ALLOWANCE = 64 * 1024  # bytes for everything but the wallet
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


def body_limit(max_wallet_bytes: int) -> int:
    """Return how many bytes a body may have, so that every wallet within its limit fits, however it is escaped."""
    return _LONGEST_ESCAPE * max_wallet_bytes + _BODY_ALLOWANCE


@dataclass(frozen=True)
class Route:
    """One row of the table: what answers `method` on `path` below each of `prefixes`.

    A path may end with a parameter, `/{name}`, which stands for all that is left, slashes too, but not for nothing.
    """

    method: str
    path: str
    handler: Handler
    prefixes: Iterable[str]


ROUTES = (
    Route("POST", SIGNUP_PATH, accounts.sign_up, BOTH),
    Route("POST", AUTH_PATH, tokens.log_in, BOTH),
    Route("DELETE", AUTH_PATH, tokens.log_out, BOTH),
    Route("GET", SEED_PATH, seeds.salt_seed, API),
    Route("GET", WALLET_PATH, wallets.get_wallet, BOTH),
    Route("POST", WALLET_PATH, wallets.post_wallet, BOTH),
    Route("GET", HISTORY_PATH, history.list_versions, API),
    Route("GET", f"{HISTORY_PATH}/{{sequence}}", history.get_version, API),
    Route("POST", PASSWORD_PATH, passwords.change_password, API),
    Route("GET", DEVICES_PATH, devices.list_devices, API),
    Route("DELETE", f"{DEVICES_PATH}/{{deviceId}}", devices.revoke_device, API),
    Route("POST", DELETE_ACCOUNT_PATH, accounts.delete_account, API),
    Route("GET", WELL_KNOWN_PATH, about.well_known, ROOT),
    Route("GET", "/healthz", about.healthy, ROOT),
    Route("GET", "/readyz", about.ready, ROOT),
)


def _by_path() -> dict[str, dict[str, Handler]]:
    table: dict[str, dict[str, Handler]] = {}
    for route in ROUTES:
        for prefix in route.prefixes:
            methods = table.setdefault(prefix + route.path, {})
            methods[route.method] = route.handler
            if route.method == "GET":
                methods["HEAD"] = route.handler
    return table


class Api:
    """Answers requests; every front door hands them here. `body_limit` is in bytes."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._table = _by_path()
        self._parametrised = {path.partition("{")[0]: path for path in self._table if "{" in path}
        self.body_limit = body_limit(services.about.description.limits.encrypted_wallet_bytes)

    def answer(self, request: Request) -> Response:
        """Return the answer to any request, and log that it came. Never raises."""
        return finished(self.answering(request))

    def answering(self, request: Request) -> Steps[Response]:
        """Do what `answer` does without holding the thread while the disk works."""
        started = time.perf_counter()
        template, argument = self._find(request.path)
        response = yield from self._answer(replace(request, argument=argument), self._table.get(template))
        logs.request(
            # Both are the client's words, so only those that this server knows are repeated.
            method=request.method if request.method in METHODS else "other",
            route=template or "none",
            status=response.status,
            seconds=time.perf_counter() - started,
        )
        return replace(response, body=b"") if request.method == "HEAD" else response

    def _find(self, path: str) -> tuple[str, str]:
        """Return the path of the route as the table has it, empty if there is none, and the parameter's value."""
        if path in self._table and path not in self._parametrised.values():
            return path, ""
        for prefix, template in self._parametrised.items():
            if path.startswith(prefix) and path != prefix:
                return template, path.removeprefix(prefix)
        return "", ""

    def _answer(self, request: Request, methods: Mapping[str, Handler] | None) -> Steps[Response]:
        if methods is None:
            return errors.not_found()
        handler = methods.get(request.method)
        if handler is None:
            return errors.method_not_allowed(methods)
        try:
            if len(request.body) > self.body_limit:
                raise TooLarge
            answer = handler(self._services, request)
            return answer if isinstance(answer, Response) else (yield from answer)
        except Unavailable as error:
            logs.unavailable(str(error.__cause__))
            return errors.refusal(error)
        except ServiceError as error:
            return errors.refusal(error)
        except Exception as error:  # noqa: BLE001 - the last resort: a client gets JSON and no word of the fault
            logs.unexpected(error)
            return errors.unexpected()
