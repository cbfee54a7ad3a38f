"""One client and several threads, processes, or `with`: each call waits for its turn, or is refused at once."""

import asyncio
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.client.edits import putting
from tests.conftest import PASSWORD
from tests.insides import email_of
from tests.middle import GET_WALLET, Answer, Middle
from walletsync import Client
from walletsync.errors import DocumentError, NotReady, SyncGaveUp, UsageError
from walletsync.formats.json import JSONFormat
from walletsync.merge import Merged
from walletsync_server.testing import RunningServer

Device = Callable[..., Client]
EDITS = 25


class Meeting(JSONFormat):
    """Lets another thread try to edit while a sync merges."""

    def __init__(self) -> None:
        super().__init__()
        self.meanwhile: Callable[[], object] | None = None

    def merge(self, base: Any, mine: Any, theirs: Any) -> Merged[Any]:
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile is not None:
            meanwhile()
        return super().merge(base, mine, theirs)


@pytest.mark.parametrize(
    "edit",
    [
        lambda phone: phone.set_document({"both": 1, "phone": 1, "late": 2}),
        lambda phone: phone.update_document(lambda document: document | {"late": 2}),
        lambda phone: phone.add_document({"late": 2}, based_on={}),
        lambda phone: phone.merge_document(lambda document: Merged(document | {"late": 2}, ())),
    ],
    ids=["set", "update", "add", "merge"],
)
def test_an_edit_waits_for_the_sync_that_another_thread_is_in(device: Device, edit: Callable[[Client], object]) -> None:
    """It does not come between what the sync has read and what it saves, where it would vanish."""
    format = Meeting()
    laptop, phone = device("laptop"), device("phone", format=format)
    laptop.set_document({"both": 1})
    laptop.sync()
    phone.sync()
    laptop.set_document({"both": 1, "laptop": 1})
    laptop.sync()
    phone.set_document({"both": 1, "phone": 1})
    thread = threading.Thread(target=edit, args=(phone,))

    def meanwhile() -> None:
        thread.start()
        thread.join(0.3)

    format.meanwhile = meanwhile
    phone.sync()
    thread.join()
    assert phone.get_document()["late"] == 2


@pytest.mark.promise("P-142")
def test_no_edit_vanishes_beside_a_thread_that_syncs(running_server: RunningServer, address: Callable[[], str]) -> None:
    """Whoever listens syncs in the listener's thread, as `listen()` says, and edits in another one."""
    email, failures = address(), list[BaseException]()
    with Client(running_server.url, device_id="laptop") as laptop, Client(running_server.url) as phone:
        laptop.set_account(email, PASSWORD)
        laptop.register()
        laptop.set_document({f"n{number}": number for number in range(200)})
        laptop.sync()
        phone.set_account(email, PASSWORD)
        phone.sync()

        def sync() -> None:
            try:
                phone.sync()
            except SyncGaveUp:
                pass  # the laptop was faster each time
            except Exception as error:  # noqa: BLE001 - the test fails by it below
                failures.append(error)

        def edit_laptop() -> None:
            for number in range(EDITS):
                laptop.update_document(putting(f"laptop {number}"))
                with suppress(SyncGaveUp):
                    laptop.sync()

        with phone.listen(sync), ThreadPoolExecutor() as pool:
            others = pool.submit(edit_laptop)
            for number in range(EDITS):
                phone.update_document(putting(f"phone {number}"))
                phone.add_document({f"added {number}": 1}, based_on={})
            others.result()
        phone.sync()
        laptop.sync()
        expected = {f"{name} {number}" for name in ("laptop", "phone", "added") for number in range(EDITS)}
        assert expected <= set(phone.get_document())
        assert phone.get_document() == laptop.get_document()
        assert phone.conflicts == laptop.conflicts == ()
        assert failures == []


def held(middle: Middle) -> tuple[threading.Event, threading.Event]:
    """Let the server hold the wallet back; return what tells that somebody waits for it, and what lets it go on."""
    waits, goes_on = threading.Event(), threading.Event()

    def answer(answer: Answer) -> Answer:
        waits.set()
        goes_on.wait()
        return answer

    middle.change(GET_WALLET, answer)
    return waits, goes_on


def test_looking_does_not_wait_for_a_sync(device: Device, middle: Middle) -> None:
    """A program can show the document, and what waits, while another thread waits for the network."""
    laptop = device("laptop")
    laptop.set_document({"a": 1})
    laptop.sync()
    waits, goes_on = held(middle)
    with ThreadPoolExecutor() as pool:
        syncing = pool.submit(laptop.sync)
        waits.wait()
        try:
            assert laptop.get_document() == laptop.merge_base == {"a": 1}
            assert laptop.conflicts == ()
            assert not laptop.has_local_changes
            assert laptop.is_logged_in
            assert laptop.fingerprint().sequence == 1
            assert not syncing.done()
        finally:
            goes_on.set()
        assert syncing.result().sequence == 1


def test_a_cancelled_sync_goes_on_and_the_next_verb_waits_for_it(device: Device, middle: Middle) -> None:
    """asyncio cannot end a thread; what comes next does not run beside it."""
    laptop = device("laptop")
    laptop.set_document({"a": 1})
    laptop.sync()
    waits, goes_on = held(middle)

    async def cancel_and_edit() -> None:
        syncing = asyncio.create_task(asyncio.to_thread(laptop.sync))
        await asyncio.to_thread(waits.wait)
        syncing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await syncing
        editing = asyncio.create_task(asyncio.to_thread(laptop.set_document, {"a": 2}))
        assert not (await asyncio.wait([editing], timeout=0.2))[0]
        goes_on.set()
        await editing

    asyncio.run(cancel_and_edit())
    assert laptop.get_document() == {"a": 2}
    assert laptop.sync().sequence == 2


def test_an_update_is_all_or_nothing(device: Device) -> None:
    """What the function raises comes out, what it forgets to return is an error, and the document stays."""
    laptop = device("laptop")
    with pytest.raises(NotReady, match="no wallet"):
        laptop.update_document(lambda document: document)
    laptop.set_document({"a": 1})
    assert laptop.update_document(lambda document: document | {"b": 2}) == {"a": 1, "b": 2}
    with pytest.raises(ZeroDivisionError):
        laptop.update_document(lambda document: document | {"c": 1 // 0})
    with pytest.raises(DocumentError):
        laptop.update_document(lambda document: document.clear())
    assert laptop.get_document() == {"a": 1, "b": 2}


def test_a_verb_inside_a_verb_of_the_same_thread_is_refused(device: Device) -> None:
    """It would change what the outer one has read; looking is fine."""
    laptop = device("laptop")
    laptop.set_document({"a": 1})
    inner: list[Callable[[Any], object]] = [
        lambda _: laptop.sync(),
        lambda _: laptop.close(),
        lambda _: laptop.set_document({}),
        lambda _: laptop.update_document(putting("b")),
    ]
    for verb in inner:
        with pytest.raises(UsageError, match="has called the client"):
            laptop.update_document(verb)
    assert laptop.update_document(lambda _: laptop.get_document() | {"b": 2}) == {"a": 1, "b": 2}
    assert laptop.sync().sequence == 1


def test_a_closed_client_sends_nothing(device: Device, middle: Middle) -> None:
    """Nor does it edit what it could not keep; closing it again is fine."""
    laptop = device("laptop")
    laptop.set_document({"a": 1})
    laptop.close()
    laptop.close()
    middle.requests.clear()
    for verb in (laptop.sync, laptop.get_wallet, laptop.register, lambda: laptop.set_document({})):
        with pytest.raises(NotReady, match=r"is closed\. Make a new client"):
            verb()
    assert middle.requests == []


def test_a_client_is_for_one_with(middle: Middle) -> None:
    """The end of the inner one would close it under the outer one."""
    with Client(middle.url) as client:
        with pytest.raises(NotReady, match="in a `with` already"):
            client.__enter__()
        client.set_account("ada@example.com", PASSWORD)
    with pytest.raises(NotReady, match="closed"):
        client.__enter__()


FORKED = """
import os, sys
from walletsync import Client
from walletsync.errors import NotReady

url, file, email, password = sys.argv[1:]
with Client(url, store=file, device_id="laptop") as client:
    client.set_account(email, password)
    client.set_document({"before": 1})
    child = os.fork()
    if child == 0:
        try:
            client.set_document({"child": 1})
        except NotReady as error:
            print(error)
        sys.exit()  # which also ends the `with`
    assert os.waitpid(child, 0)[1] == 0
    client.set_document({"after": 1})
    database = client._device._store._database
    database.execute("PRAGMA cache_size = 1")  # so that what is not committed gets into the file
    database.execute("BEGIN")
    database.execute("UPDATE state SET value = ?", (b"half" * 100_000,))
    os._exit(0)  # as if the machine lost its power in the middle of the next change
"""


def test_a_forked_process_is_refused_and_breaks_nothing(device: Device, middle: Middle, tmp_path: Path) -> None:
    """Neither its calls nor its end touch the file, which stays safe against a crash of the process that has it."""
    email, file = email_of(device("phone")), tmp_path / "laptop.wallet"
    program = [sys.executable, "-c", FORKED, middle.url, str(file), email, PASSWORD]
    said = subprocess.run(program, capture_output=True, text=True, check=True).stdout
    assert "this one was forked from it. Make a new client" in said
    with Client(middle.url, store=file) as client:
        assert client.get_document() == {"after": 1}
