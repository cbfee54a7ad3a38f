"""A real Electrum for tests: Debian's, without a network and on regtest; apt-get installs it where it is missing."""

import ast
import json
import secrets
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from tests.apt import require
from tests.server.helpers import until
from walletsync.bridges.rpc import Address, HttpRpc
from walletsync.errors import BridgeError

_BECH32 = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"


class Electrum:
    """An Electrum with a folder of its own and a wallet in it: a new one, or that of a `seed`."""

    def __init__(self, folder: Path, seed: str | None = None, *, port: int | None = None) -> None:
        require("electrum", "", "--no-install-recommends")
        self._root = folder
        self.folder = folder / "regtest"
        self._process: subprocess.Popen[bytes] | None = None
        if port is not None:
            self._command("setconfig", "rpcport", str(port))
        if seed is None:
            seed = json.loads(self._command("create"))["seed"]
        else:
            self._command("restore", seed)
        self.seed = seed
        with ExitStack() as undo:
            undo.callback(self.end)  # nobody else knows it yet
            self.start()
            self.load()
            undo.pop_all()

    def start(self) -> None:
        """Start its daemon; no wallet is open in it."""
        words = self._words("daemon")
        self._process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until(lambda: (self.folder / "daemon").exists() and "(" in (self.folder / "daemon").read_text())
        until(self._answers)

    def stop(self) -> None:
        """End it, as closing its window does."""
        if self._process is not None:
            self.call("stop")
            assert self._process.wait(60) == 0
            self._process = None

    def end(self) -> None:
        """Whatever it does, it does so no more."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def load(self, wallet: Path | None = None) -> None:
        """Open a wallet."""
        assert self.call("load_wallet", **({} if wallet is None else {"wallet_path": str(wallet)}))

    def call(self, method: str, **params: Any) -> Any:
        """Return the result of a call."""
        config = json.loads((self.folder / "config").read_bytes())
        kind, where, _ = ast.literal_eval((self.folder / "daemon").read_text())
        address = Address(socket=Path(where)) if kind == "unix" else Address(*where)
        return HttpRpc("Electrum", address, (config["rpcuser"], config["rpcpassword"])).call(method, params)

    def addresses(self) -> list[str]:
        """Return those of the wallet."""
        found: list[str] = self.call("listaddresses")
        return found

    def label(self, key: str, label: str) -> None:
        """Give a label, as a person does in its window."""
        self.call("setlabel", key=key, label=label)

    def labels(self) -> dict[str, str]:
        """Return the labels of addresses."""
        found = {address: ast.literal_eval(label) for address, label in self.call("listaddresses", labels=True)}
        return {address: label for address, label in found.items() if label}

    def receive(self, *addresses: str) -> str:
        """Have a transaction in the history that pays to addresses of the wallet; return its id."""
        outputs = "".join((1000).to_bytes(8, "little").hex() + _script(each) for each in addresses)
        coin = secrets.token_hex(32) + "00000000" + "00" + "ffffffff"
        paid = self.call("addtransaction", tx=f"0200000001{coin}{len(addresses):02x}{outputs}00000000")
        assert isinstance(paid, str)
        return paid

    def new_wallet(self, name: str) -> Path:
        """Make another wallet, which is not open yet."""
        path = self.folder / "wallets" / name
        self.call("create", wallet_path=str(path))
        return path

    def _answers(self) -> bool:
        try:
            return bool(self.call("ping"))
        except (OSError, ValueError, SyntaxError, LookupError, TypeError, BridgeError):
            return False  # it has not written where it listens, or only half of that, or does not listen yet

    def _words(self, *command: str) -> list[str]:
        return ["electrum", "--regtest", "--offline", "-D", str(self._root), *command]

    def _command(self, *command: str) -> str:
        done = subprocess.run(self._words(*command), capture_output=True, text=True, timeout=100, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout


def _script(address: str) -> str:
    """Return the script, with its length, that pays to an address in bech32 of version 0."""
    bits = "".join(f"{_BECH32.index(each):05b}" for each in address.rpartition("1")[2][1:-6])
    program = bytes(int(bits[at : at + 8], 2) for at in range(0, len(bits) - 7, 8))
    script = bytes([0, len(program)]) + program
    return bytes([len(script)]).hex() + script.hex()


@contextmanager
def electrums() -> Iterator["Electrums"]:
    """Several of them, in folders with short names: the path of a socket has at most 107 bytes."""
    with tempfile.TemporaryDirectory(prefix="electrum-") as folder:
        made = Electrums(Path(folder))
        try:
            yield made
        finally:
            made.end()


class Electrums:
    """Makes them, and ends them all."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._made: list[Electrum] = []

    def make(self, seed: str | None = None, *, port: int | None = None) -> Electrum:
        """Make one."""
        made = Electrum(self._folder / str(len(self._made)), seed, port=port)
        self._made.append(made)
        return made

    def end(self) -> None:
        """End all."""
        for each in self._made:
            each.end()
