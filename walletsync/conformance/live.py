"""The rules of live updates: a WebSocket on which the server says the number of each new wallet."""

from collections.abc import Iterator
from contextlib import contextmanager

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection

from walletsync import protocol
from walletsync.conformance.rules import Rules
from walletsync.conformance.site import LOGIN, Site, bearer, sealed, stranger
from walletsync.conformance.wire import Broken, Refused

LIVE = Rules()
NEWS_SECONDS = 10.0
"""How long a server may take to say what is new."""
_WEBSOCKET = protocol.API_PREFIX + protocol.WEBSOCKET_PATH
_TOKEN_IS_VOID = 1008
_LONGEST_MESSAGE = 1024


class Ear:
    """One WebSocket."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection

    def must_hear(self, sequence: int) -> None:
        """Raise `Broken` unless the server says this sequence next, in time."""
        wanted = f"`wallet-update:{sequence}`"
        try:
            said = self._connection.recv(NEWS_SECONDS)
        except TimeoutError:
            raise Broken(f"GET {_WEBSOCKET}: expected {wanted}, came nothing in {NEWS_SECONDS:.0f} s") from None
        except ConnectionClosed:
            raise Broken(f"GET {_WEBSOCKET}: expected {wanted}, came the end of the connection") from None
        if said != f"wallet-update:{sequence}":
            raise Broken(f"GET {_WEBSOCKET}: expected the text {wanted}, came another message")

    def say(self, text: str) -> None:
        """Send a message."""
        self._connection.send(text)

    def must_end(self, *codes: int) -> None:
        """Raise `Broken` unless the server says no more and closes the connection, in time, with one of these codes."""
        wanted = f"the end of the connection{f', with code {codes[0]}' if codes else ''}"
        try:
            self._connection.recv(NEWS_SECONDS)
        except TimeoutError:
            raise Broken(f"GET {_WEBSOCKET}: expected {wanted}, came nothing in {NEWS_SECONDS:.0f} s") from None
        except ConnectionClosed as closed:
            code = closed.rcvd.code if closed.rcvd else None
            if codes and code not in codes:
                raise Broken(f"GET {_WEBSOCKET}: expected {wanted}, came the end with {code or 'no code'}") from None
            return
        raise Broken(f"GET {_WEBSOCKET}: expected {wanted}, came a message")


@contextmanager
def _listening(site: Site, token: str) -> Iterator[Ear]:
    with site.wire.listening(_WEBSOCKET, token) as connection:
        yield Ear(connection)


@LIVE.add("L-1", "Without a WebSocket's handshake, its path is 426.", protocol.FEATURE_LIVE_UPDATES)
def _wants_handshake(site: Site) -> None:
    site.wire.ask("GET", _WEBSOCKET, headers=bearer(site.account().token)).expect(426)


@LIVE.add("L-2", "Who connects is told the current sequence at once.", protocol.FEATURE_LIVE_UPDATES)
def _tells_current(site: Site) -> None:
    token = site.account().token
    sequence = site.stored(token)["sequence"]
    with _listening(site, token) as ear:
        ear.must_hear(sequence)


@LIVE.add("L-3", "Who listens is told the sequence of each new wallet.", protocol.FEATURE_LIVE_UPDATES)
def _tells_news(site: Site) -> None:
    token = site.account().token
    sequence = site.stored(token)["sequence"]
    with _listening(site, token) as ear:
        ear.must_hear(sequence)
        for _ in range(2):  # one by one: who is slow may miss some
            ear.must_hear(site.stored(token)["sequence"])


@LIVE.add("L-4", "Without a wallet nothing is told, until there is one.", protocol.FEATURE_LIVE_UPDATES)
def _tells_nothing(site: Site) -> None:
    token = site.new_account().token
    with _listening(site, token) as ear:
        site.post(token, sealed(1)).expect(200)
        ear.must_hear(1)


@LIVE.add("L-5", "A handshake with a void token is 401.", protocol.FEATURE_LIVE_UPDATES)
def _refuses_void_token(site: Site) -> None:
    try:
        with _listening(site, "0" * 64):
            came = 101
    except Refused as refused:
        came = refused.status
    if came != 401:
        raise Broken(f"GET {_WEBSOCKET}, with a void token: expected status 401, came {came}")


@LIVE.add("L-6", "A device that is logged out is hung up on, with 1008.", protocol.FEATURE_LIVE_UPDATES)
def _hangs_up_on_void_token(site: Site) -> None:
    account = site.account()
    sequence = site.stored(account.token)["sequence"]
    token = site.logged_in(account, "listening").token
    with _listening(site, token) as ear:
        ear.must_hear(sequence)
        site.wire.ask("DELETE", LOGIN, headers=bearer(token)).expect(204)
        ear.must_end(_TOKEN_IS_VOID)


@LIVE.add("L-7", "A change of the password hangs up on every device, with 1008.", protocol.FEATURE_LIVE_UPDATES)
def _hangs_up_on_change(site: Site) -> None:
    account, new = site.new_account(), stranger()
    with _listening(site, account.token) as ear:
        site.change_password(account, new).expect(200)
        site.has_changed(account, new)
        ear.must_end(_TOKEN_IS_VOID)


@LIVE.add("L-8", "A message of more than 1,024 bytes ends the connection.", protocol.FEATURE_LIVE_UPDATES)
def _ends_with_large_message(site: Site) -> None:
    token = site.account().token
    sequence = site.stored(token)["sequence"]
    with _listening(site, token) as ear:
        ear.must_hear(sequence)
        ear.say("a" * (_LONGEST_MESSAGE + 1))
        ear.must_end()
