"""Bridges to programs that are servers of the tests' own, and what each makes of wrong answers; docs/bridges.md."""

import json
import re
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.client.programs import PASSWORD, USER, BitcoinCore, Liana, Spoken, http_program, line_program
from tests.server.helpers import free_port
from walletsync.bridges import rpc
from walletsync.bridges.bitcoin_core import BitcoinCoreBridge
from walletsync.bridges.chosen import BRIDGES, Chosen, chosen
from walletsync.bridges.electrum import ElectrumBridge
from walletsync.bridges.liana import LianaBridge
from walletsync.bridges.rpc import address_of
from walletsync.errors import BridgeError, BridgeRefused, StoreUnusable, UsageError
from walletsync.formats.label_sense import Key, key_of

OURS, OTHER, THEIRS = "bcrt1qours", "bcrt1qother", "bcrt1qtheirs"
TX = 64 * "a"
COIN = f"{TX}:0"
SAYS_ALL = f"{USER} {PASSWORD} label-0c71"


@pytest.fixture
def folder() -> Iterator[Path]:
    """One with a short name, as the path of a socket has to be."""
    with tempfile.TemporaryDirectory(prefix="wallet-") as folder:
        yield Path(folder)


@pytest.fixture
def core() -> BitcoinCore:
    return BitcoinCore(OURS, OTHER)


@pytest.fixture
def core_runs(core: BitcoinCore, folder: Path) -> Iterator[Spoken]:
    (folder / ".cookie").write_text(f"{USER}:{PASSWORD}")
    with http_program(core) as spoken:
        yield spoken


@pytest.fixture
def core_bridge(core_runs: Spoken, folder: Path) -> BitcoinCoreBridge:
    return BitcoinCoreBridge(str(folder), core_runs.url, None)


def addr(ref: str) -> Key:
    return key_of("addr", ref)


def test_bitcoin_core_lists_sets_and_deletes(core: BitcoinCore, core_bridge: BitcoinCoreBridge) -> None:
    """Labels of its addresses, and of nothing else."""
    assert core_bridge.look().labels == {}
    core_bridge.set_label(addr(OURS), "rent")
    core_bridge.set_label(addr(OTHER), "rent")
    assert core_bridge.look().labels == {addr(OURS): "rent", addr(OTHER): "rent"}
    core_bridge.delete_label(addr(OTHER))
    assert core_bridge.look().labels == {addr(OURS): "rent"}
    core.forgets = "gone since it was listed"
    assert core_bridge.look().labels == {addr(OURS): "rent"}
    for _ in range(2):
        held = [core_bridge.can_hold(key) for key in (addr(OURS), addr(THEIRS), addr("bc1q"), key_of("tx", TX))]
        assert held == [True, False, False, False]
    with pytest.raises(BridgeRefused):
        core_bridge.set_label(addr(THEIRS), "rent")


def test_a_wallet_of_bitcoin_core_is_told_from_another(
    core: BitcoinCore, core_bridge: BitcoinCoreBridge, core_runs: Spoken, folder: Path
) -> None:
    """By its public keys, in whatever order; its name is in the address that is asked if it was given."""
    one = core_bridge.look().wallet
    core.descriptors.reverse()
    assert core_bridge.look().wallet == one
    core.descriptors.pop()
    assert core_bridge.look().wallet != one
    BitcoinCoreBridge(str(folder), core_runs.url, "a/b c").look()
    assert {*core_runs.paths} == {"/", "/wallet/a%2Fb%20c"}


def test_bitcoin_core_has_its_user_in_a_cookie_or_its_settings(core_bridge: BitcoinCoreBridge, folder: Path) -> None:
    """Where it has neither, it does not run."""
    core_bridge.look()
    (folder / ".cookie").unlink()
    (folder / "bitcoin.conf").write_text(f"# mine\nrpcuser={USER}\nrpcpassword = {PASSWORD}\n[regtest]\n")
    core_bridge.look()
    for content in (b"rpcuser=x\n", b"\xff"):
        (folder / "bitcoin.conf").write_bytes(content)
        with pytest.raises(BridgeError, match="does not answer"):
            core_bridge.look()


def test_liana_lists_sets_and_deletes(folder: Path) -> None:
    """Labels of addresses, transactions and coins, page by page; too long a one it refuses."""
    liana, bridge = Liana(), LianaBridge(str(folder), None, None)
    with line_program(folder / "lianad_rpc", liana):
        assert bridge.look().labels == {}
        keys = [addr(OURS), key_of("tx", TX), key_of("output", COIN)]
        for key in keys:
            assert bridge.can_hold(key)
            bridge.set_label(key, "rent")
        assert bridge.look().labels == dict.fromkeys(keys, "rent")
        bridge.delete_label(keys[0])
        assert bridge.look().labels == dict.fromkeys(keys[1:], "rent")
        assert not bridge.can_hold(key_of("xpub", "xpub6"))
        with pytest.raises(BridgeRefused):
            bridge.set_label(keys[0], 101 * "a")
        liana.labels |= {f"{OURS}{number:04}": f"label {number}" for number in range(2_000)}
        assert len(bridge.look().labels) == 2_002
        one = bridge.look().wallet
        liana.descriptors = {"main": {"value": "wsh(other)"}}
        assert bridge.look().wallet != one
    with pytest.raises(BridgeError, match="Liana does not answer"):
        bridge.look()


def test_liana_has_neither_url_nor_name(folder: Path) -> None:
    """It has a socket and one wallet."""
    for url, wallet in (("http://127.0.0.1:1", None), (None, "savings")):
        with pytest.raises(UsageError, match="--folder"):
            LianaBridge(str(folder), url, wallet)


NONSENSE: tuple[Any, ...] = (None, 1, "x", [], [1], {}, {"x": 1}, [["x"]], [[1, 2]], {"labels": 1}, {"labels": [1]})


def electrum(folder: Path, url: str) -> ElectrumBridge:
    (folder / "config").write_text(json.dumps({"rpcuser": USER, "rpcpassword": PASSWORD}))
    return ElectrumBridge(str(folder), url, None)


def core_of(folder: Path, url: str) -> BitcoinCoreBridge:
    (folder / ".cookie").write_text(f"{USER}:{PASSWORD}")
    return BitcoinCoreBridge(str(folder), url, None)


@pytest.mark.parametrize("bridge", [electrum, core_of])
def test_an_answer_that_is_none_is_no_empty_wallet(
    bridge: Callable[[Path, str], ElectrumBridge | BitcoinCoreBridge], folder: Path
) -> None:
    """Whatever a program says: it is an error, with nothing in it of what the program said or was sent."""
    with http_program(lambda method, params: SAYS_ALL) as spoken:
        made = bridge(folder, spoken.url)
        bodies = [b"", b"{", b"[]", b"{}", 100_000 * b"[", SAYS_ALL.encode(), json.dumps({"error": SAYS_ALL}).encode()]
        bodies += [json.dumps({"result": each}).encode() for each in (SAYS_ALL, *NONSENSE)]
        for status in (200, 301, 401, 403, 404, 500):
            for body in bodies:
                spoken.instead = status, body
                with pytest.raises(BridgeError) as raised:
                    made.look()
                assert not any(word in str(raised.value) for word in SAYS_ALL.split())
                assert raised.value.__cause__ is None


def saying(answer: Any) -> Callable[[str, Any], Any]:
    """Return a program that has one answer."""
    return lambda method, params: answer


def test_wrong_answers_of_a_line_are_errors(folder: Path) -> None:
    """As those over HTTP."""
    for nonsense in (SAYS_ALL, *NONSENSE):
        with (
            line_program(folder / "lianad_rpc", saying(nonsense)),
            pytest.raises(BridgeError, match="something else than expected"),
        ):
            LianaBridge(str(folder), None, None).look()
        (folder / "lianad_rpc").unlink()


def test_an_answer_without_end_is_none(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is a limit to what is read."""
    monkeypatch.setattr(rpc, "_MAX_ANSWER_BYTES", 1000)
    with (
        http_program(lambda method, params: 1000 * "x") as spoken,
        pytest.raises(BridgeError, match="something else than expected"),
    ):
        core_of(folder, spoken.url).look()


def test_a_program_that_says_nothing_is_not_waited_for_for_ever(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither at a port nor at a socket."""
    monkeypatch.setattr(rpc, "_SECONDS", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as silent, socket.socket(socket.AF_UNIX) as also_silent:
        also_silent.bind(str(folder / "lianad_rpc"))
        also_silent.listen()
        (folder / "daemon").write_text(repr(("unix", str(folder / "lianad_rpc"), 1.0)))
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        by_socket = electrum(folder, url)
        for bridge in (core_of(folder, url), LianaBridge(str(folder), None, None), by_socket):
            with pytest.raises(BridgeError, match="does not answer"):
                bridge.look()
        with pytest.raises(BridgeError, match="does not answer"):
            ElectrumBridge(str(folder), None, None).look()


@pytest.mark.parametrize("kind", [socket.AF_INET, socket.AF_UNIX])
def test_a_program_that_says_a_little_at_a_time_is_not_waited_for_for_ever(
    kind: socket.AddressFamily, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of an answer has to be there in time, not the next bit of it."""
    monkeypatch.setattr(rpc, "_SECONDS", 0.3)
    with socket.socket(kind) as listening, ThreadPoolExecutor() as pool:
        listening.bind(str(folder / "lianad_rpc") if kind == socket.AF_UNIX else ("127.0.0.1", 0))
        listening.listen()

        def dribble() -> None:
            with listening.accept()[0] as connection, suppress(OSError):
                connection.sendall(b"" if kind == socket.AF_UNIX else b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n")
                for _ in range(100):
                    connection.sendall(b" ")
                    time.sleep(0.05)

        said = pool.submit(dribble)
        port = 0 if kind == socket.AF_UNIX else listening.getsockname()[1]
        bridge = core_of(folder, f"http://127.0.0.1:{port}") if port else LianaBridge(str(folder), None, None)
        begin = time.monotonic()
        with pytest.raises(BridgeError, match="does not answer"):
            bridge.look()
        assert time.monotonic() - begin < 3
        said.result()


def test_no_proxy_is_asked(core_bridge: BitcoinCoreBridge, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the environment says."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")
    core_bridge.look()


@pytest.mark.parametrize(
    "written",
    [
        "",
        "x(",
        "()",
        "('unix',)",
        "('tcp', ('192.0.2.1', 7777), 1.0)",
        "('tcp', ('localhost.example.com', 7777), 1.0)",
        "('tcp', 1, 1.0)",
    ],
)
def test_where_electrum_listens_is_believed_of_this_machine_alone(written: str, folder: Path) -> None:
    """No password goes elsewhere; what is half written is no place."""
    electrum(folder, "http://127.0.0.1:1")
    (folder / "daemon").write_text(written)
    with pytest.raises(BridgeError, match="does not answer"):
        ElectrumBridge(str(folder), None, None).look()


def test_electrum_listens_at_a_port_of_this_machine(folder: Path) -> None:
    """It wrote which; the wallet may be named, and be labelled while it is asked."""
    asked: list[Any] = []

    def answers(method: str, params: Any) -> Any:
        asked.append(params)
        if method == "onchain_history":
            return {"transactions": []}
        return [[OURS, "'rent'"]] if len(asked) > 1 else [[OURS, "''"]]

    with http_program(answers) as spoken:
        port = int(re.findall(r"\d+", spoken.url)[-1])
        electrum(folder, spoken.url)
        (folder / "daemon").write_text(repr(("tcp", ("127.0.0.1", port), 1.0)))
        bridge = ElectrumBridge(str(folder), None, "savings")
        assert bridge.look().labels == {addr(OURS): "rent"}
        bridge.delete_label(addr(OURS))
        assert asked[-1] == {"key": OURS, "label": "", "wallet": "savings"}
        assert len(asked) == 7


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("127.0.0.1:1", "not one"),
        ("http://", "not one"),
        ("http://127.0.0.1:x", "not one"),
        ("http://127.0.0.1/path", "not one"),
        ("http://127.0.0.1/?a", "not one"),
        ("ftp://127.0.0.1", "not one"),
        ("http://[::1", "not one"),
        ("http://user:canary@127.0.0.1:1", "out of the URL"),
        ("http://192.0.2.1:1", "https alone"),
        ("http://example.com:1", "https alone"),
    ],
)
def test_a_url_that_would_give_something_away_is_none(url: str, told: str) -> None:
    """Nor one that is none."""
    with pytest.raises(UsageError, match=told) as raised:
        address_of(url, 1)
    assert "canary" not in str(raised.value)


def test_an_encrypted_address_may_be_anywhere(folder: Path) -> None:
    """A program that does not speak TLS there gets nothing of the password."""
    assert address_of("https://example.com", 8332) == rpc.Address("example.com", 8332, is_encrypted=True)
    assert address_of("http://localhost:5/", 8332) == rpc.Address("localhost", 5)
    with http_program(lambda method, params: None) as spoken:
        with pytest.raises(BridgeError, match="does not answer"):
            core_of(folder, spoken.url.replace("http:", "https:")).look()
        assert spoken.paths == []


def test_what_was_chosen_is_read_again(tmp_path: Path) -> None:
    """What is damaged is told, and what no bridge is known for."""
    file = tmp_path / "bridge.json"
    assert chosen(file) is None
    file.write_text('{"name": "electrum", "folder": "x", "identity": "y"}')
    assert chosen(file) == Chosen(name="electrum", folder="x", identity="y")
    for damaged in ('{"name": "other"}', "{", '{"name": "electrum", "password": "x"}'):
        file.write_text(damaged)
        with pytest.raises(StoreUnusable, match="choose the bridge anew"):
            chosen(file)
    file.unlink()
    file.mkdir()
    with pytest.raises(StoreUnusable):
        chosen(file)


def test_every_bridge_is_in_the_usual_place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where there is none, nothing answers; the page names each."""
    monkeypatch.setenv("HOME", str(tmp_path))
    page = (Path(__file__).parents[2] / "docs" / "bridges.md").read_text()
    for name, make in BRIDGES.items():
        assert f"`{name}`" in page
        with pytest.raises(BridgeError, match="does not answer"):
            make(None, None, None).look()
