"""The route table."""

import functools
from collections.abc import Mapping
from typing import Any

from walletsync.protocol import (
    API_PREFIX,
    AUTH_PATH,
    DELETE_ACCOUNT_PATH,
    DEVICES_PATH,
    HISTORY_PATH,
    MAX_SEQUENCE,
    PASSWORD_PATH,
    RESEND_PATH,
    SEED_PATH,
    SIGNUP_PATH,
    VERIFY_PATH,
    WALLET_PATH,
    WEBSOCKET_PATH,
    WELL_KNOWN_PATH,
    DeleteAccountRequest,
    DeviceId,
    DevicesAnswer,
    HistoryAnswer,
    LoginAnswer,
    LoginRequest,
    PasswordAnswer,
    PasswordRequest,
    ResendAnswer,
    ResendRequest,
    SeedAnswer,
    Sequence,
    SignupAnswer,
    SignupRequest,
    Token,
    WalletAnswer,
    WalletRequest,
    WellKnown,
)
from walletsync_server.api import (
    about,
    accounts,
    devices,
    docs,
    history,
    home,
    openapi,
    passwords,
    seeds,
    tokens,
    updates,
    verification,
    wallets,
)
from walletsync_server.api.about import Health, Ready
from walletsync_server.api.http import Request, Response, json_response
from walletsync_server.api.pages import Page
from walletsync_server.api.table import PAGE, Answer, Parameter, Reads, Route
from walletsync_server.services import Services
from walletsync_server.services.errors import (
    AccountDisabled,
    AccountExists,
    BadRequest,
    Busy,
    Conflict,
    NoSuchDevice,
    NoSuchVersion,
    NotAllowed,
    NothingToFollow,
    NotVerified,
    NoWallet,
    NoWalletToChange,
    RateLimited,
    SequenceUsed,
    TooManyDevices,
    TooManySockets,
    Unavailable,
    UpgradeRequired,
    WalletRequired,
    WrongCredentials,
)

ROOT = ("",)
API = (API_PREFIX,)
BOTH = ("", API_PREFIX)
OPENAPI_PATH = "/openapi.json"
DOCS_PATH = "/docs"


def describe(_services: Services, _request: Request) -> Response:
    """GET `/openapi.json`."""
    return json_response(200, _document())


def show_docs(_services: Services, _request: Request) -> Response:
    """GET `/docs`."""
    return _docs().response(200)


@functools.cache
def _docs() -> Page:
    return docs.page(_document(), OPENAPI_PATH)


@functools.cache
def _document() -> Mapping[str, Any]:
    return openapi.document(ROUTES)


_ETAG = {"ETag": "Names this version; made from sequence, hmac and wallet."}
_VERIFY_TOKEN = Parameter(
    name="verifyToken",
    place="query",
    kind=Token,
    says="The token in the link, which works once, for two days.",
    required=True,
    example="5a" * 32,
)

ROUTES = (
    Route(
        method="POST",
        path=SIGNUP_PATH,
        handler=Reads(SignupRequest, accounts.sign_up),
        prefixes=BOTH,
        summary="Make an account. The same address, password and seed once more are treated as a retry.",
        answers={201: Answer("The account exists, or waits until its address is confirmed.", SignupAnswer)},
        refusals=(NotAllowed, AccountExists, RateLimited, Busy, Unavailable),
    ),
    Route(
        method="POST",
        path=AUTH_PATH,
        handler=Reads(LoginRequest, tokens.log_in),
        prefixes=BOTH,
        summary="Log a device in. The token that it had before becomes void.",
        answers={200: Answer("A token for this device.", LoginAnswer)},
        refusals=(WrongCredentials, NotVerified, AccountDisabled, TooManyDevices, RateLimited, Busy, Unavailable),
    ),
    Route(
        method="DELETE",
        path=AUTH_PATH,
        handler=tokens.log_out,
        prefixes=BOTH,
        summary="Log out the device that asks.",
        answers={204: Answer("The token is void.")},
        needs_token=True,
        refusals=(Unavailable,),
    ),
    Route(
        method="GET",
        path=SEED_PATH,
        handler=seeds.salt_seed,
        prefixes=API,
        summary="Get the salt seed of an account. An unknown address gets one as well, always the same.",
        parameters=(
            Parameter(
                name="email",
                place="query",
                says="The address in standard base64 with padding. Line breaks in it are dropped.",
                required=True,
                example="YWxpY2VAZXhhbXBsZS5jb20=",
            ),
        ),
        answers={200: Answer("The seed.", SeedAnswer)},
        refusals=(RateLimited, Unavailable),
    ),
    Route(
        method="GET",
        path=WALLET_PATH,
        handler=wallets.get_wallet,
        prefixes=BOTH,
        quick=True,
        summary="Get the current wallet.",
        parameters=(
            Parameter(
                name="If-None-Match",
                place="header",
                says="Entity tags of versions that the client has.",
                example='"9f86d081884c7d65"',
            ),
        ),
        answers={
            200: Answer("The current wallet.", WalletAnswer, _ETAG),
            304: Answer("The client already has it.", headers=_ETAG),
        },
        needs_token=True,
        refusals=(NoWallet, Unavailable),
    ),
    Route(
        method="POST",
        path=WALLET_PATH,
        handler=Reads(WalletRequest, wallets.post_wallet),
        prefixes=BOTH,
        quick=True,
        summary="Replace the wallet, if its sequence is the next one.",
        answers={200: Answer("It is the current wallet now, or was already.", WalletAnswer, _ETAG)},
        needs_token=True,
        refusals=(Conflict, NothingToFollow, Unavailable),
    ),
    Route(
        method="GET",
        path=HISTORY_PATH,
        handler=history.list_versions,
        prefixes=API,
        summary="List the versions of the wallet that are kept.",
        answers={200: Answer("The versions, the current one first.", HistoryAnswer)},
        needs_token=True,
        refusals=(Unavailable,),
    ),
    Route(
        method="GET",
        path=f"{HISTORY_PATH}/{{sequence}}",
        handler=history.get_version,
        prefixes=API,
        summary="Get a version of the wallet that is kept.",
        parameters=(
            Parameter(
                name="sequence",
                place="path",
                kind=Sequence,
                says=f"From 1 to {MAX_SEQUENCE}.",
                required=True,
                example=7,
            ),
        ),
        answers={200: Answer("That version.", WalletAnswer, _ETAG)},
        needs_token=True,
        quick=True,
        refusals=(BadRequest, NoSuchVersion, Unavailable),
    ),
    Route(
        method="POST",
        path=PASSWORD_PATH,
        handler=Reads(PasswordRequest, passwords.change_password),
        prefixes=API,
        summary="Change password and seed, and with them the wallet, if there is one. All devices are logged out.",
        answers={200: Answer("Everything is changed, or was already.", PasswordAnswer)},
        refusals=(
            WrongCredentials,
            AccountDisabled,
            SequenceUsed,
            WalletRequired,
            NoWalletToChange,
            RateLimited,
            Busy,
            Unavailable,
        ),
    ),
    Route(
        method="GET",
        path=DEVICES_PATH,
        handler=devices.list_devices,
        prefixes=API,
        summary="List the devices that are logged in.",
        answers={200: Answer("The devices.", DevicesAnswer)},
        needs_token=True,
        refusals=(Unavailable,),
    ),
    Route(
        method="DELETE",
        path=f"{DEVICES_PATH}/{{deviceId}}",
        handler=devices.revoke_device,
        prefixes=API,
        summary="Log a device out.",
        parameters=(
            Parameter(
                name="deviceId",
                place="path",
                kind=DeviceId,
                says="The device's own name for itself, percent-encoded.",
                required=True,
                example="laptop",
            ),
        ),
        answers={204: Answer("Its token is void.")},
        needs_token=True,
        refusals=(NoSuchDevice, Unavailable),
    ),
    Route(
        method="POST",
        path=DELETE_ACCOUNT_PATH,
        handler=Reads(DeleteAccountRequest, accounts.delete_account),
        prefixes=API,
        summary="Delete the account and everything that belongs to it.",
        answers={204: Answer("The account is gone, and everything that belonged to it.")},
        refusals=(WrongCredentials, NotVerified, AccountDisabled, RateLimited, Busy, Unavailable),
    ),
    Route(
        method="POST",
        path=RESEND_PATH,
        handler=Reads(ResendRequest, verification.resend),
        prefixes=API,
        summary="Ask for another mail. The answer does not tell whether a sign-up waits to be confirmed.",
        answers={200: Answer("If a sign-up waits, a mail will come.", ResendAnswer)},
        refusals=(RateLimited, Unavailable),
    ),
    Route(
        method="GET",
        path=VERIFY_PATH,
        handler=verification.show_button,
        prefixes=API,
        summary="Open the link in a mail: a page with a button, which does the same as POST.",
        parameters=(_VERIFY_TOKEN,),
        answers={
            200: Answer("The page. Nothing was looked up or changed.", PAGE),
            400: Answer("A page: the link is not complete.", PAGE),
        },
    ),
    Route(
        method="POST",
        path=VERIFY_PATH,
        handler=verification.confirm,
        prefixes=API,
        summary="Confirm an address. The button on the link's page sends this; the body is ignored.",
        parameters=(_VERIFY_TOKEN,),
        answers={
            200: Answer("A page: the account is ready.", PAGE),
            400: Answer("A page: the link is not complete.", PAGE),
            404: Answer("A page: the link was used, has expired or never existed.", PAGE),
        },
        refusals=(Unavailable,),
    ),
    Route(
        method="GET",
        path=WEBSOCKET_PATH,
        handler=updates.connect,
        prefixes=API,
        quick=True,
        summary="Open a WebSocket, which says `wallet-update:<sequence>` for the current wallet and for each new one.",
        answers={101: Answer("From here on it is a WebSocket.")},
        needs_token=True,
        refusals=(UpgradeRequired, TooManySockets, Unavailable),
    ),
    Route(
        method="GET",
        path="/",
        handler=home.show_home,
        prefixes=ROOT,
        quick=True,
        summary="Read in a browser what this server is, and where its address belongs.",
        answers={200: Answer("A page.", PAGE)},
    ),
    Route(
        method="GET",
        path=WELL_KNOWN_PATH,
        handler=about.well_known,
        prefixes=ROOT,
        quick=True,
        summary="Ask what this server accepts and what it can do beyond the common protocol.",
        answers={200: Answer("What the server says about itself.", WellKnown)},
    ),
    Route(
        method="GET",
        path=OPENAPI_PATH,
        handler=describe,
        prefixes=ROOT,
        summary="Get this document.",
        answers={200: Answer("An OpenAPI document.", dict[str, Any])},
    ),
    Route(
        method="GET",
        path=DOCS_PATH,
        handler=show_docs,
        prefixes=ROOT,
        summary="Read this document in a browser.",
        answers={200: Answer("A page.", PAGE)},
    ),
    Route(
        method="GET",
        path="/healthz",
        handler=about.healthy,
        prefixes=ROOT,
        quick=True,
        summary="Ask whether the process answers.",
        answers={200: Answer("It does.", Health)},
    ),
    Route(
        method="GET",
        path="/readyz",
        handler=about.ready,
        prefixes=ROOT,
        summary="Ask whether the database answers and can be written to as well.",
        answers={200: Answer("It does.", Ready)},
        refusals=(Unavailable,),
    ),
)


QUICK = frozenset(
    (method, prefix + route.path)
    for route in ROUTES
    if route.quick
    for prefix in route.prefixes
    for method in route.methods
)
"""What may be answered where nothing must wait, as method and path."""
ASKING = frozenset(
    (method, prefix + route.path)
    for route in ROUTES
    if route.quick and route.needs_token
    for prefix in route.prefixes
    for method in route.methods
)
"""Those of them that ask the database, which may wait."""
WITH_WALLET = frozenset(
    (route.method, prefix + route.path) for route in ROUTES if route.reads_wallet for prefix in route.prefixes
)
"""Where a body may have a wallet in it, as method and path."""
