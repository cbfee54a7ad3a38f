"""Everything that may run beside a password change, in every order of their transactions, on a real database.

Each transaction is a turn of its own, and so is what follows a commit. After every order: no token of before is alive,
no wallet under the old key is the current one, and of several changes one was made.
"""

import hashlib
import tempfile
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import apsw
import psycopg
import pytest

from tests.attack.turns import InTurns, Played, Turns, every_order
from tests.conftest import ON_POSTGRESQL
from tests.postgres import Postgres
from tests.server.helpers import cheap_passwords
from walletsync_server.live.hub import Hub
from walletsync_server.services import build_services, errors
from walletsync_server.services.coroutines import run_blocking
from walletsync_server.services.tokens import IssuedToken
from walletsync_server.services.updates import Subscription
from walletsync_server.storage import open_storage
from walletsync_server.storage.interface import Content

EMAIL, OLD, NEW, OTHER = "alice@example.com", "old password", "new password", "other password"
NEW_SEED = b"n" * 32
FIRST, POSTED, LATE, CHANGED, OTHERWISE = "first", "posted", "forged ahead", "under a new key", "under another new key"
_TABLES = "known_clients", "tokens", "wallets", "accounts"  # in the order in which rows may go


class Scene:
    """An account with a wallet and two devices, and what may be done to it, by name."""

    def __init__(self, url: str, sql: Any) -> None:
        """`sql` is a connection of its own to the database of `url`, of whichever driver."""
        self.turns = Turns(most_actors=3)
        self.storage = InTurns(open_storage(url, inline=True), self.turns)
        self.passwords = cheap_passwords()
        self.hub = Hub()
        self.services = build_services(
            self.storage,
            may_sign_up=lambda email: True,
            max_wallet_bytes=1000,
            passwords=self.passwords,
            hub=self.hub,
        )
        self.services.accounts.sign_up(EMAIL, OLD, bytes(32))
        self.laptop = self.services.accounts.log_in(EMAIL, OLD, "laptop").token
        self.phone = self.services.accounts.log_in(EMAIL, OLD, "phone").token
        self._post(1, FIRST)
        self._sql = sql
        for table in _TABLES:
            self._sql.execute(f"CREATE TEMP TABLE first_{table} AS SELECT * FROM {table}")  # noqa: S608 - no input

    def set_up(self) -> None:
        """Bring the database back to its first state."""
        self._sql.execute("BEGIN")
        for table in _TABLES:
            self._sql.execute(f"DELETE FROM {table}")  # noqa: S608 - no input
        for table in reversed(_TABLES):
            self._sql.execute(f"INSERT INTO {table} SELECT * FROM first_{table}")  # noqa: S608 - no input
        self._sql.execute("COMMIT")

    def close(self) -> None:
        self.turns.close()
        self._sql.close()
        self.storage.close()

    def change(self) -> None:
        self._change(NEW, NEW_SEED, CHANGED)

    same_change = change

    def other_change(self) -> None:
        self._change(OTHER, NEW_SEED, OTHERWISE)

    def post(self) -> Content:
        return self._post(2, POSTED)

    def late_post(self) -> Content:
        """Post what would follow the change, as a device that forged ahead under the old key."""
        return self._post(3, LATE)

    def login(self) -> IssuedToken:
        return self.services.accounts.log_in(EMAIL, OLD, "tablet")

    def new_login(self) -> IssuedToken:
        return self.services.accounts.log_in(EMAIL, NEW, "tablet")

    def socket(self) -> Subscription:
        return self.services.updates.listen(self.phone, lambda: None)

    def _change(self, new: str, seed: bytes, text: str) -> None:
        self.services.password_change.change(EMAIL, OLD, new, seed, self._wallet(2, text))

    def _post(self, sequence: int, text: str) -> Content:
        return run_blocking(
            self.services.wallets.write(self.laptop, sequence=sequence, encrypted_wallet=text, hmac="h")
        )

    def _wallet(self, sequence: int, text: str) -> Content:
        return self.services.wallets.checked(sequence, text, "h")

    def check(self, names: Sequence[str], results: Sequence[object]) -> None:
        """Compare what is stored, and what everybody was told, with what may come of these actors."""
        result = dict(zip(names, results, strict=True))
        made = {name for name in names if name.endswith("change") and result[name] is None}
        refused = {type(result[name]) for name in names if name.endswith("change") and name not in made}
        login, new_login = result.get("login"), result.get("new_login")
        assert all(isinstance(each, IssuedToken | errors.WrongCredentials | None) for each in (login, new_login))
        tokens = {hashed(self.laptop), hashed(self.phone)}
        if isinstance(result.get("post"), Content):  # so every change came too late for its sequence
            assert (made, refused) == (set(), {errors.SequenceUsed})
            assert isinstance(login, IssuedToken | None)
            assert not isinstance(new_login, IssuedToken)
            password, epoch, texts = OLD, 1, [FIRST, POSTED]
            self._leave(result.get("socket"), hung_up=False)
        else:
            assert refused <= {errors.WrongCredentials}
            assert ("other_change" in made) + bool(made & {"change", "same_change"}) == 1
            assert "same_change" not in names or ("same_change" in made) == ("change" in made)
            password, epoch, texts = (OTHER, 2, [OTHERWISE]) if "other_change" in made else (NEW, 2, [CHANGED])
            tokens = set()
            login = None  # if it was issued a token, this is void
            self._leave(result.get("socket"), hung_up=True)
        tokens |= {hashed(each.token) for each in (login, new_login) if isinstance(each, IssuedToken)}
        ((found, *account),) = self._sql.execute("SELECT password_hash, epoch, current_sequence FROM accounts")
        assert self.passwords.verify(found, password)
        assert account == [epoch, 2]
        assert {row for (row,) in self._sql.execute("SELECT token_hash FROM tokens")} == tokens
        rows = list(self._sql.execute("SELECT sequence, encrypted_wallet FROM wallets ORDER BY sequence"))
        assert rows == list(zip(range(3 - len(texts), 3), map(str.encode, texts), strict=True))

    def _leave(self, subscription: object, *, hung_up: bool) -> None:
        """Check that a socket is over if it has to be, and knows the current sequence if not, and let it go."""
        if isinstance(subscription, Subscription):
            assert subscription.listener.is_over == hung_up
            assert hung_up or subscription.listener.take() == 2
            subscription.leave()
        else:
            assert subscription is None or (hung_up and isinstance(subscription, errors.Unauthorized))
        assert len(self.hub) == 0


def hashed(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    """A scene on a file, in memory where there is a folder for that: nothing here depends on what a sync costs."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as folder:  # noqa: S108
        file = Path(folder) / "w.db"
        scene = Scene(f"sqlite:///{file}", apsw.Connection(str(file)))
        yield scene
        scene.close()


@pytest.fixture(scope="module")
def scene_on_postgresql(postgres: Postgres) -> Iterator[Scene]:
    """The same in a database of PostgreSQL, where each transaction has a connection of its own."""
    url = postgres.new_storage()
    scene = Scene(url, psycopg.connect(url, autocommit=True))
    yield scene
    scene.close()


IN_EVERY_RUN = {
    ("change", "post", "login"): 512,
    ("change", "post", "same_change"): 310,
    ("change", "post", "other_change"): 620,
    ("change", "late_post", "login"): 1318,
    ("change", "login", "other_change"): 1680,
    ("change", "post", "socket"): 192,
}
"""Who acts, and how many orders there are: 1,680 where each takes three turns, fewer where somebody takes fewer, is
refused or does the same as another. Another number means that a turn was lost, or that there is a new one."""
MORE = {
    ("change", "login", "new_login"): 282,
    ("change", "login", "socket"): 414,
    ("change", "same_change", "socket"): 253,
    ("change", "other_change", "socket"): 506,
    ("change", "same_change", "other_change"): 1665,
}
ALL = IN_EVERY_RUN | MORE
FEW = 200
"""Orders that are so few that every run plays them over PostgreSQL, too."""


@pytest.mark.promise("T-23", "X-11")
@pytest.mark.parametrize(
    ("names", "count"),
    [*IN_EVERY_RUN.items(), *(pytest.param(*each, marks=pytest.mark.security) for each in MORE.items())],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_every_order_around_a_password_change_is_right(scene: Scene, names: Sequence[str], count: int) -> None:
    """No write under an old key, no live token of before, one change made: whatever the order of the transactions."""
    play_every_order(scene, names, count)


@pytest.mark.promise("T-23")
@pytest.mark.parametrize(
    ("names", "count"),
    [pytest.param(*each, marks=[] if ON_POSTGRESQL or each[1] < FEW else pytest.mark.security) for each in ALL.items()],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_every_order_is_right_on_postgresql(scene_on_postgresql: Scene, names: Sequence[str], count: int) -> None:
    """As many orders as in a file: what holds others up there, and what a transaction sees of them, is the same."""
    play_every_order(scene_on_postgresql, names, count)


def play_every_order(scene: Scene, names: Sequence[str], count: int) -> None:
    works = [getattr(scene, name) for name in names]
    played_orders = 0

    def play(beginning: Sequence[int]) -> Played:
        scene.set_up()
        return scene.turns.play(works, beginning)

    for played in every_order(play):
        try:
            scene.check(names, played.results)
        except AssertionError:
            print(f"{names} in the order {played.order} came to {played.results}")
            raise
        played_orders += 1
    assert played_orders == count


def test_every_order_is_played_once() -> None:
    """9! / (3! 3! 3!) of three that take three turns each; half as many if two of them do the same."""
    turns = Turns(most_actors=3)

    def work() -> None:
        turns.wait()
        turns.wait()
        turns.wait()

    others = [lambda: work(), lambda: work()]
    for works, count in ([work, *others], 1680), ([work, work, others[0]], 840):
        played = [tuple(each.order) for each in every_order(partial(turns.play, works))]
        assert len(played) == len(set(played)) == count
        assert all(sorted(order) == [0, 0, 0, 1, 1, 1, 2, 2, 2] for order in played)
    turns.close()
