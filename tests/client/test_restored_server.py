"""A server that was restored from a backup, or an account that is gone: what people are told, and how they go on."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.client.edits import edit, restarted
from tests.client.rollbacks import restore_backup, take_backup
from tests.conftest import PASSWORD
from tests.insides import email_of, state_of, token_of
from tests.middle import GET_WALLET, HISTORY, POST_WALLET, Answer, Middle
from walletsync import Client
from walletsync.errors import (
    AccountExists,
    ForkDetected,
    RollbackDetected,
    SeedChanged,
    ServerUnreachable,
)
from walletsync_server.testing import RunningServer

Device = Callable[..., Client]
NEW = "a new password, also a long one"


@pytest.mark.promise("S-33", "S-35", "T-21")
def test_a_restored_server_is_explained_and_accepted_with_consent_only(
    tmp_path: Path, device: Device, running_server: RunningServer
) -> None:
    """No sync goes on by itself, also after a restart; with consent everything is there again, deletions included."""
    file = tmp_path / "laptop.wallet"
    laptop, phone = device("laptop", store=file), device("phone")
    edit(laptop, old=1, kept=1)
    backup = take_backup(running_server.database, email_of(laptop))
    edit(laptop, old=None, new=1)
    phone.sync()
    restore_backup(running_server.database, backup)
    with restarted(laptop, file) as laptop:
        for _ in range(2):
            with pytest.raises(RollbackDetected, match=r"restored from a backup.*accept_restored_server"):
                laptop.sync()
        assert laptop.get_document() == {"kept": 1, "new": 1}
        assert laptop.accept_restored_server().sequence == 2
        assert laptop.sync().sequence == 2
        edit(phone, phone=1)
        laptop.sync()
        assert laptop.get_document() == phone.get_document() == {"kept": 1, "new": 1, "phone": 1}
        assert laptop.fingerprint() == phone.fingerprint()
        with Client(laptop.realm) as stranger:
            stranger.set_account(email_of(laptop), PASSWORD)
            stranger.sync()
            assert stranger.get_document() == {"kept": 1, "new": 1, "phone": 1}


def test_the_line_that_was_left_cannot_be_replayed(
    tmp_path: Path, device: Device, running_server: RunningServer, middle: Middle
) -> None:
    """Once the restore is accepted, the versions that it took back are refused, also after a restart."""
    file = tmp_path / "laptop.wallet"
    laptop = device("laptop", store=file)
    edit(laptop, a=1)
    backup = take_backup(running_server.database, email_of(laptop))
    edit(laptop, a=2)
    edit(laptop, a=3)
    left = middle.wallet(token_of(laptop))
    restore_backup(running_server.database, backup)
    laptop.accept_restored_server()
    with restarted(laptop, file) as laptop:
        middle.always(GET_WALLET, left)
        with pytest.raises(ForkDetected) as told:
            laptop.sync()
        assert type(told.value) is ForkDetected, "it is this device's own line, and no namesake's"
        middle.honest()
        assert laptop.sync().sequence == 2
        assert laptop.get_document() == {"a": 3}


@pytest.mark.promise("S-36")
def test_whoever_knew_more_consents_as_well(device: Device, running_server: RunningServer) -> None:
    """The laptop brought along only what it knew: the phone, which had seen a later version, is asked, and adds it."""
    laptop, phone, tablet = device("laptop"), device("phone"), device("tablet")
    edit(laptop, a=1)
    phone.sync()
    tablet.sync()
    backup = take_backup(running_server.database, email_of(laptop))
    edit(laptop, a=2)
    phone.sync()
    edit(phone, phone=1)
    tablet.sync()
    restore_backup(running_server.database, backup)
    laptop.accept_restored_server()
    for client in (phone, tablet):
        with pytest.raises((RollbackDetected, ForkDetected)):
            client.sync()
    phone.accept_restored_server()
    tablet.sync()
    laptop.sync()
    for client in (laptop, phone, tablet):
        assert client.get_document() == {"a": 2, "phone": 1}
        assert not client.conflicts


@pytest.mark.promise("S-33")
def test_edits_made_on_the_restored_server_are_merged(device: Device, running_server: RunningServer) -> None:
    """A new device went on from the backup: what both sides changed since then is told apart by the kept versions."""
    laptop = device("laptop")
    edit(laptop, first=1, second=1, both=1)
    backup = take_backup(running_server.database, email_of(laptop))
    edit(laptop, first=None, both=2)
    restore_backup(running_server.database, backup)
    tablet = device("tablet")
    tablet.sync()
    edit(tablet, second=None, both=3, tablet=1)
    edit(tablet, tablet=2)
    with pytest.raises(ForkDetected, match="accept_restored_server"):
        laptop.sync()
    conflicts = laptop.accept_restored_server().conflicts
    assert laptop.get_document() == {"both": 3, "tablet": 2}
    assert [(conflict.path, conflict.base, conflict.mine) for conflict in conflicts] == [(("both",), 1, 2)]
    tablet.sync()
    assert tablet.get_document() == {"both": 3, "tablet": 2}


@pytest.mark.promise("P-134", "S-36")
def test_without_kept_versions_nothing_is_lost_but_deletions(
    device: Device, running_server: RunningServer, middle: Middle
) -> None:
    """Where the server keeps no version that both sides know, what either has is there."""
    laptop = device("laptop")
    edit(laptop, first=1)
    backup = take_backup(running_server.database, email_of(laptop))
    edit(laptop, first=None, laptop=1)
    restore_backup(running_server.database, backup)
    tablet = device("tablet")
    tablet.sync()
    edit(tablet, tablet=1)
    middle.always(HISTORY, Answer(200, {"versions": []}))
    with pytest.raises(ForkDetected):
        laptop.sync()
    laptop.accept_restored_server()
    assert laptop.get_document() == {"first": 1, "laptop": 1, "tablet": 1}


def test_what_a_device_wrote_that_was_restored_as_well_is_merged(
    tmp_path: Path, device: Device, running_server: RunningServer
) -> None:
    """The phone was put back together with the server and went on: its new version is none that the laptop knew."""
    file = tmp_path / "phone.wallet"
    laptop, phone = device("laptop"), device("phone", store=file)
    edit(laptop, kept=1)
    phone.sync()
    backup, files = take_backup(running_server.database, email_of(laptop)), file.read_bytes()
    edit(phone, phone=1)
    edit(phone, phone=2)
    laptop.sync()
    restore_backup(running_server.database, backup)
    phone.close()
    file.write_bytes(files)
    with restarted(phone, file) as phone:
        edit(phone, other=1)
        with pytest.raises(RollbackDetected):
            laptop.sync()
        laptop.accept_restored_server()
        assert laptop.get_document() == {"kept": 1, "phone": 2, "other": 1}
        phone.sync()
        assert phone.get_document() == {"kept": 1, "phone": 2, "other": 1}


def test_no_server_chooses_what_changes_are_measured_against(device: Device, running_server: RunningServer) -> None:
    """A version that the current one does not descend from would make all that came before it look deleted there."""
    laptop = device("laptop")
    edit(laptop, a=1)
    backup = take_backup(running_server.database, email_of(laptop))
    edit(laptop, laptop=1)
    left = laptop._api.version(laptop._session.credentials()[0], 2)
    edit(laptop, later=1)
    restore_backup(running_server.database, backup)
    tablet = device("tablet")
    tablet.sync()
    edit(tablet, tablet=1)
    edit(tablet, tablet=2)
    laptop._session.log_in()
    token, unlocked = laptop._session.credentials()
    laptop._device.continue_from(laptop._api.get_wallet(token), [left], unlocked, is_latest_password=True)
    assert laptop.get_document() == {"a": 1, "laptop": 1, "later": 1, "tablet": 2}


def test_an_unsynced_edit_that_takes_back_a_change_is_an_edit(device: Device, running_server: RunningServer) -> None:
    """What the backup has again by chance, someone decided here: it wins or is a conflict, and is never dropped."""
    laptop, phone = device("laptop"), device("phone")
    edit(laptop, taken_back=1, both=1)
    phone.sync()
    backup = take_backup(running_server.database, email_of(laptop))
    edit(laptop, taken_back=2, both=2)
    phone.sync()
    phone.set_document({"taken_back": 1, "both": 1})
    restore_backup(running_server.database, backup)
    tablet = device("tablet")
    tablet.sync()
    edit(tablet, both=3)
    phone.accept_restored_server()
    assert phone.get_document() == {"taken_back": 1, "both": 3}
    assert [(conflict.base, conflict.mine) for conflict in phone.conflicts] == [(1, 2), (2, 1)]


def test_what_was_undone_after_a_consent_stays_undone_or_is_a_conflict(
    device: Device, running_server: RunningServer
) -> None:
    """The laptop brought its line along and then took changes back; the phone had seen more, so it consents too.

    What the laptop deleted comes back: the phone cannot tell that from what the laptop never had.
    """
    laptop, phone = device("laptop"), device("phone")
    edit(laptop, a=1, deleted=1)
    phone.sync()
    backup = take_backup(running_server.database, email_of(laptop))
    edit(laptop, a=2)
    phone.sync()
    edit(phone, phone=1)
    restore_backup(running_server.database, backup)
    laptop.accept_restored_server()
    edit(laptop, a=1, deleted=None)
    phone.accept_restored_server()
    assert phone.get_document() == {"a": 1, "deleted": 1, "phone": 1}
    assert [(conflict.path, conflict.mine) for conflict in phone.conflicts] == [(("a",), 2)]
    laptop.sync()
    assert laptop.get_document() == phone.get_document()


def test_the_same_device_consents_again_to_an_even_older_backup(device: Device, running_server: RunningServer) -> None:
    """What its line passed before the first restore still tells deletions from what it never had."""
    laptop = device("laptop")
    edit(laptop, first=1, kept=1)
    oldest = take_backup(running_server.database, email_of(laptop))
    edit(laptop, second=1)
    older = take_backup(running_server.database, email_of(laptop))
    edit(laptop, first=None)
    for backup in (older, oldest):
        restore_backup(running_server.database, backup)
        laptop.accept_restored_server()
        assert laptop.get_document() == {"kept": 1, "second": 1}
        assert not laptop.conflicts


def test_a_device_that_followed_a_consent_remembers_what_it_went_through(
    device: Device, running_server: RunningServer
) -> None:
    """The same backup is restored once more: what was deleted since then stays deleted, whoever consents."""
    laptop, phone = device("laptop"), device("phone")
    edit(laptop, first=1, kept=1)
    phone.sync()
    backup = take_backup(running_server.database, email_of(laptop))
    edit(laptop, first=None)
    restore_backup(running_server.database, backup)
    laptop.accept_restored_server()
    edit(laptop, laptop=1)
    phone.sync()
    restore_backup(running_server.database, backup)
    phone.accept_restored_server()
    laptop.sync()
    assert laptop.get_document() == phone.get_document() == {"kept": 1, "laptop": 1}


def test_a_consent_tells_of_every_line_that_was_left(
    device: Device, running_server: RunningServer, middle: Middle
) -> None:
    """The server is restored once more before it is known who has heard of the first consent: nobody else is asked."""
    laptop, phone, tablet = device("laptop"), device("phone"), device("tablet")
    edit(laptop, a=1)
    oldest = take_backup(running_server.database, email_of(laptop))
    edit(laptop, a=2)
    older = take_backup(running_server.database, email_of(laptop))
    tablet.sync()
    edit(laptop, a=3)
    phone.sync()
    restore_backup(running_server.database, older)
    middle.lose_answer(POST_WALLET)
    with pytest.raises(ServerUnreachable):
        laptop.accept_restored_server()
    tablet.sync()
    restore_backup(running_server.database, oldest)
    laptop.accept_restored_server()
    for client in (phone, tablet):
        client.sync()
        assert client.get_document() == {"a": 3}
        assert client.fingerprint() == laptop.fingerprint()


def test_a_server_restored_to_nothing_gets_everything_back(device: Device, running_server: RunningServer) -> None:
    """The backup is from before the first version."""
    laptop, phone = device("laptop"), device("phone")
    backup = take_backup(running_server.database, email_of(laptop))
    edit(laptop, a=1)
    phone.sync()
    restore_backup(running_server.database, backup)
    for client in (laptop, phone):
        with pytest.raises(RollbackDetected, match="no wallet, but this device has seen version 1"):
            client.sync()
    assert laptop.accept_restored_server().sequence == 1
    phone.sync()
    assert phone.get_document() == {"a": 1}


def test_an_edit_whose_answer_got_lost_is_brought_along_once(
    device: Device, running_server: RunningServer, middle: Middle
) -> None:
    """It had landed, another device has seen it, and then the server was restored: the other one follows."""
    laptop, phone = device("laptop"), device("phone")
    edit(laptop, a=1)
    backup = take_backup(running_server.database, email_of(laptop))
    edit(laptop, a=2)
    laptop.set_document({"a": 3})
    middle.lose_answer(POST_WALLET)
    with pytest.raises(ServerUnreachable):
        laptop.sync()
    phone.sync()
    phone.set_document({"a": 3, "phone": 1})
    restore_backup(running_server.database, backup)
    laptop.accept_restored_server()
    assert phone.sync().sequence == 3
    assert phone.get_document() == {"a": 3, "phone": 1}


def test_accepting_when_there_is_nothing_to_accept_is_a_sync(device: Device) -> None:
    """Consent to what is no rollback changes nothing; a device that knows nothing takes what there is."""
    laptop, phone = device("laptop"), device("phone")
    edit(laptop, a=1)
    assert laptop.accept_restored_server().sequence == 1
    assert phone.accept_restored_server().sequence == 1
    assert not state_of(phone).owed_restores
    assert not phone.has_local_changes


@pytest.mark.promise("P-99", "P-100", "X-40")
def test_a_deleted_account_is_made_anew_with_the_document_kept(device: Device) -> None:
    """To the other device it looks like a changed password: it is told both, and begins at sequence 1 by consent."""
    laptop, phone = device("laptop"), device("phone")
    edit(laptop, a=1)
    edit(laptop, a=2)
    phone.sync()
    phone.set_document({"a": 2, "phone": 1})
    laptop.delete_account()
    assert laptop.get_document() == {"a": 2}
    for verb in (phone.sync, phone.register):
        with pytest.raises(SeedChanged, match=r"accept_new_password=True.*register\(anew=True\)"):
            verb()
    seed = state_of(phone).seed
    assert phone.register(anew=True).verified
    assert phone.sync().sequence == 1
    assert state_of(phone).seed != seed
    assert phone.get_document() == {"a": 2, "phone": 1}
    with pytest.raises(AccountExists):
        laptop.register()
    laptop.get_auth_token()
    laptop.sync()
    assert laptop.get_document() == {"a": 2, "phone": 1}


def test_a_device_that_knew_the_account_before_joins_the_new_one(device: Device, running_server: RunningServer) -> None:
    """It takes the new seed, is told that the history is another one, and joins with consent: nothing is lost."""
    laptop, phone = device("laptop"), device("phone")
    for number in range(3):
        edit(laptop, a=number)
    phone.sync()
    edit(phone, phone=1)
    laptop.sync()
    laptop.delete_account()
    laptop.register()
    edit(laptop, a=7)
    edit(laptop, laptop=1)
    phone.set_account(email_of(phone), PASSWORD, accept_new_password=True)
    with pytest.raises(RollbackDetected, match="the account was made anew"):
        phone.sync()
    phone.accept_restored_server()
    laptop.sync()
    assert laptop.get_document() == phone.get_document() == {"a": 7, "laptop": 1, "phone": 1}
    assert [conflict.mine for conflict in phone.conflicts] == [2]


def test_registering_while_the_account_lives_changes_nothing(device: Device) -> None:
    """The password was changed elsewhere and somebody takes that for a deletion: the account exists."""
    laptop, phone = device("laptop"), device("phone")
    edit(laptop, a=1)
    phone.sync()
    laptop.change_password(NEW)
    with pytest.raises(SeedChanged):
        phone.register()
    with pytest.raises(AccountExists):
        phone.register(anew=True)
    phone.set_account(email_of(phone), NEW, accept_new_password=True)
    assert phone.sync().sequence == 2
    assert phone.get_document() == {"a": 1}
