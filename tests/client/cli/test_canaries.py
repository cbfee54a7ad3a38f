"""Every command, and a server that knows all the secrets and says them everywhere: the command line repeats none."""

import traceback
from collections.abc import Callable
from types import SimpleNamespace

import pytest

from tests.canaries import forms_of
from tests.client.cli.machines import Machine, Make, commands
from tests.conftest import PASSWORD
from tests.middle import Answer, Middle
from walletsync import crypto
from walletsync.crypto import Binding
from walletsync.protocol import API_PREFIX
from walletsync.store import Store

NEW, MISTYPED, IN_VALUE = "canary-new-0c61", "canary-mistyped-0c62", "canary-value-0c63"
CALLS = {
    "init": "init other.json --server {url} --email other@example.com --realm canary",
    "register": "register",
    "login": "login",
    "logout": "logout",
    "password": "password",
    "devices": "devices",
    "delete-account": "delete-account --yes",
    "pull": "pull",
    "push": "push",
    "put": "put",
    "sync": "sync --accept-restored-server",
    "watch": "watch",
    "ui": "ui --no-browser",
    "service install": "service install",
    "service uninstall": "service uninstall",
    "service status": "service status",
    "bridge electrum": "bridge electrum --folder .",
    "bridge bitcoin-core": "bridge bitcoin-core --folder .",
    "bridge liana": "bridge liana --folder .",
    "bridge off": "bridge off",
    "bridge status": "bridge status",
    "rename": "rename another",
    "status": "status",
    "wallets": "wallets",
    "conflicts": "conflicts",
    "resolve": "resolve 1 mine",
    "log": "log",
    "history": "history",
    "export": "export --version 1",
    "diff": "diff 1",
    "restore": "restore 1",
    "fingerprint": "fingerprint",
    "conformance": "conformance {url}",
}
"""Each command as it is called here."""
ASKS_NOBODY = (
    "init",
    "ui",
    "status",
    "wallets",
    "put",
    "conflicts",
    "fingerprint",
    "service uninstall",
    "service status",
    "bridge off",
    "bridge status",
    "rename",
)
"""They ask the server nothing, and do not fail by it."""


class Everywhere(dict[str, Callable[[bytes], Answer]]):
    """Answers every request of a client but those that are let through."""

    def __init__(self, answer: Answer, but: tuple[str, ...]) -> None:
        super().__init__()
        self._answer, self._but = answer, but

    def __contains__(self, what: object) -> bool:
        return what not in self._but

    def __getitem__(self, what: str) -> Callable[[bytes], Answer]:
        return lambda _: self._answer


def interrupted(_: float) -> None:
    """End what would go on for ever."""
    raise KeyboardInterrupt


def secrets_of(laptop: Machine) -> dict[str, str]:
    with Store(laptop.folder / "wallet.json.walletsync" / "store") as store:
        state = store.load()
    assert state is not None
    assert state.seed is not None
    assert state.token is not None
    assert state.realm is not None
    keys = crypto.derive(PASSWORD, Binding(state.realm, laptop.email, state.seed))
    return {
        "password": PASSWORD,
        "new password": NEW,
        "mistyped password": MISTYPED,
        "value in the document": IN_VALUE,
        "seed": state.seed.hex(),
        "token": state.token,
        "login key": keys.login,
        "encryption key": keys.encryption.hex(),
        "mac key": keys.mac.hex(),
    }


def test_every_command_is_called() -> None:
    """One that is new has to be tried as well."""
    assert CALLS.keys() == commands().keys()


@pytest.mark.parametrize("command", CALLS)
def test_no_command_says_a_secret(command: str, make: Make, middle: Middle, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither on stderr, nor, where it fails, on stdout, nor in the error that ends it."""
    monkeypatch.setattr("walletsync.cli.sync.time", SimpleNamespace(sleep=interrupted))
    monkeypatch.setattr("walletsync.cli.ui.serving.Page.serve", interrupted)
    monkeypatch.setenv("PATH", "")  # nothing is installed as a service
    laptop = make("laptop", middle.url)
    laptop.types(PASSWORD, NEW)
    laptop.ok("register")
    laptop.write({"a": 1})
    laptop.ok("sync")
    laptop.write({"a": IN_VALUE})
    secrets, said, failed = secrets_of(laptop), "", 0
    everything = " ".join(secrets.values())
    words = CALLS[command].format(url=middle.url)
    kept = {each: each.read_bytes() for each in laptop.folder.rglob("*") if each.is_file()}
    steps = ("GET /.well-known/walletsync", f"GET {API_PREFIX}/client-salt-seed", f"POST {API_PREFIX}/auth/full")
    for status in (200, 301, 401, 404, 409, 500):
        for but in ((), steps):
            body = {
                "error": everything,
                "code": everything,
                "encryptedWallet": everything,
                "sequence": 1,
                "hmac": everything,
            }
            middle._instead = Everywhere(Answer(status, body, {"Location": everything}), but)
            for typed in (PASSWORD, MISTYPED):
                laptop.types(typed, NEW)
                result = laptop.run(words)
                said += result.stderr + (result.stdout if result.exit_code else "")
                said += repr(result.exception) + "".join(traceback.format_exception(*result.exc_info or (None,) * 3))
                failed += result.exit_code != 0
            for file, content in kept.items():
                file.write_bytes(content)
    middle._instead = {}
    assert failed > 0 or command in ASKS_NOBODY
    for name, secret in secrets.items():
        for form in forms_of(secret):
            at = said.lower().find(form.lower())
            assert at < 0, f"{name} as {form[:4]}…: {said[max(0, at - 300) : at + 40]}"
