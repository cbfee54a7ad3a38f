"""A wire that loses requests and answers: no edit is lost, and none is doubled.

The documents are append logs, in which a doubled edit shows.
"""

from collections.abc import Callable

import pytest

from append_log import AppendLog, append
from tests.middle import GET_WALLET, LOGIN, POST_WALLET, SIGNUP, Answer, Middle
from walletsync import Client
from walletsync.errors import ServerError, ServerUnreachable
from walletsync.results import OutOfDate, Posted

Device = Callable[..., Client]


@pytest.fixture
def laptop(device: Device) -> Client:
    client = device("laptop", format=AppendLog())
    client.new_wallet_state()
    client.sync()
    return client


@pytest.fixture
def phone(laptop: Client, device: Device) -> Client:
    client = device("phone", format=AppendLog())
    client.sync()
    return client


def edit(client: Client, segment: str) -> None:
    client.set_document(append(client.get_document(), segment))


def lose(middle: Middle, client: Client) -> None:
    middle.lose_answer(POST_WALLET)
    with pytest.raises(ServerUnreachable):
        client.post_wallet()


@pytest.mark.promise("P-68", "P-77")
def test_a_repeated_post_is_the_same_request(laptop: Client, middle: Middle) -> None:
    """The answer to a POST gets lost; the next one sends exactly the same again and learns that it landed."""
    edit(laptop, "aaaa")
    lose(middle, laptop)
    assert laptop.has_local_changes
    assert laptop.post_wallet() == Posted(2)
    assert middle.answers[-1].raw == middle.answers[-2].raw
    assert not laptop.has_local_changes


@pytest.mark.promise("P-75")
def test_a_post_that_came_without_a_living_token_is_sent_again(laptop: Client, middle: Middle) -> None:
    """After a login, and to the byte: the 401 says that this copy was not stored."""
    edit(laptop, "aaaa")

    def once(_: bytes) -> Answer:
        middle.honest()
        return Answer(401, {"error": "Log in.", "code": "unauthorized"})

    middle.instead(POST_WALLET, once)
    assert laptop.sync().sequence == 2
    posts = [body for what, body in zip(middle.requests, middle.bodies, strict=True) if what == POST_WALLET]
    assert posts[-1] == posts[-2]
    assert middle.requests[-4:].count(LOGIN) == 1
    assert not laptop.has_local_changes


@pytest.mark.promise("P-68", "P-142")
def test_edits_after_a_lost_answer_go_out_as_the_next_version(laptop: Client, phone: Client, middle: Middle) -> None:
    """What was sent is settled first, then what came after is POSTed."""
    edit(laptop, "aaaa")
    lose(middle, laptop)
    edit(laptop, "bbbb")
    assert laptop.post_wallet() == Posted(3)
    phone.sync()
    assert phone.get_document() == laptop.get_document() == "-:aaaa:bbbb"


@pytest.mark.promise("P-70", "P-73")
def test_a_write_that_landed_unnoticed_is_recognised_in_what_others_built_on_it(
    laptop: Client, phone: Client, middle: Middle
) -> None:
    """It landed, another device went on from it: the merge base is that write, so nothing is doubled."""
    edit(laptop, "aaaa")
    lose(middle, laptop)
    phone.sync()
    edit(phone, "bbbb")
    phone.sync()
    edit(laptop, "cccc")
    assert laptop.post_wallet() == OutOfDate(3)
    assert laptop.get_document() == "-:aaaa:bbbb:cccc"
    laptop.sync()
    phone.sync()
    assert phone.get_document() == laptop.get_document() == "-:aaaa:bbbb:cccc"


@pytest.mark.promise("P-138")
def test_getting_settles_a_lost_answer_too(laptop: Client, middle: Middle) -> None:
    """GET shows the device's own write: it landed, and there is nothing to POST."""
    edit(laptop, "aaaa")
    lose(middle, laptop)
    assert not laptop.get_wallet().newer
    assert not laptop.has_local_changes
    assert laptop.merge_base == "-:aaaa"


@pytest.mark.promise("P-77")
def test_a_write_that_never_arrived_is_sent_again(laptop: Client, phone: Client, middle: Middle) -> None:
    """The request gets lost: it is still pending after a GET, and lands with the next POST."""
    middle.lose_request(POST_WALLET)
    edit(laptop, "aaaa")
    with pytest.raises(ServerUnreachable):
        laptop.post_wallet()
    assert not laptop.get_wallet().newer
    assert laptop.has_local_changes
    laptop.sync()
    phone.sync()
    assert phone.get_document() == "-:aaaa"


@pytest.mark.promise("P-71", "P-73")
def test_a_write_that_was_overtaken_is_merged(laptop: Client, phone: Client, middle: Middle) -> None:
    """The request gets lost and another device takes its sequence: the edit goes on top, once."""
    middle.lose_request(POST_WALLET)
    edit(laptop, "aaaa")
    with pytest.raises(ServerUnreachable):
        laptop.post_wallet()
    edit(phone, "bbbb")
    phone.sync()
    assert laptop.post_wallet() == OutOfDate(2)
    laptop.sync()
    middle.deliver_late()
    phone.sync()
    laptop.sync()
    assert phone.get_document() == laptop.get_document() == "-:bbbb:aaaa"


def test_a_request_that_arrives_late_lands_once(laptop: Client, phone: Client, middle: Middle) -> None:
    """A POST that was given up arrives after all, before its repetition: it is one version."""
    middle.lose_request(POST_WALLET)
    edit(laptop, "aaaa")
    with pytest.raises(ServerUnreachable):
        laptop.post_wallet()
    middle.deliver_late()
    edit(laptop, "bbbb")
    laptop.sync()
    phone.sync()
    assert phone.get_document() == laptop.get_document() == "-:aaaa:bbbb"
    assert phone.wallet_state is not None
    assert phone.wallet_state.sequence == 3


def test_an_edit_taken_back_after_a_lost_answer_is_taken_back(laptop: Client, phone: Client, middle: Middle) -> None:
    """The document is as it was, but the server may have the edit: syncing settles that and brings it back."""
    edit(laptop, "aaaa")
    lose(middle, laptop)
    laptop.set_document("-")
    assert laptop.has_local_changes
    laptop.sync()
    phone.sync()
    assert phone.get_document() == laptop.get_document() == "-"


@pytest.mark.promise("P-74")
@pytest.mark.parametrize("status", [400, 413])
def test_a_post_that_is_refused_for_good_is_not_sent_again(laptop: Client, middle: Middle, status: int) -> None:
    """Too large for something in between, say: a smaller document is what goes out next."""
    edit(laptop, "aaaa")
    edit(laptop, "bbbb")
    middle.always(POST_WALLET, Answer(status, b""))
    with pytest.raises(ServerError):
        laptop.sync()
    middle.honest()
    laptop.set_document("-:cccc")
    laptop.sync()
    assert laptop.merge_base == "-:cccc"
    assert laptop.wallet_state is not None
    assert laptop.wallet_state.sequence == 2


@pytest.mark.promise("P-74")
@pytest.mark.parametrize("arrived", [True, False])
def test_a_repetition_that_is_refused_for_good_is_settled_first(laptop: Client, middle: Middle, arrived: bool) -> None:
    """Whether the first try landed is told by the current wallet, not by the refusal."""
    edit(laptop, "aaaa")
    (middle.lose_answer if arrived else middle.lose_request)(POST_WALLET)
    with pytest.raises(ServerUnreachable):
        laptop.post_wallet()
    middle.always(POST_WALLET, Answer(413, b""))
    with pytest.raises(ServerError):
        laptop.post_wallet()
    assert laptop.merge_base == ("-:aaaa" if arrived else "-")
    middle.honest()
    edit(laptop, "bbbb")
    laptop.sync()
    assert laptop.merge_base == "-:aaaa:bbbb"


def test_the_first_version_may_get_lost_as_well(device: Device, middle: Middle) -> None:
    """Before anything was synced, a lost answer is settled the same way."""
    laptop = device("laptop", format=AppendLog())
    laptop.new_wallet_state()
    edit(laptop, "aaaa")
    lose(middle, laptop)
    edit(laptop, "bbbb")
    laptop.sync()
    assert laptop.merge_base == "-:aaaa:bbbb"


@pytest.mark.promise("P-67")
def test_a_lost_answer_survives_a_restart(
    tmp_path: object, device: Device, middle: Middle, phone: Client, laptop: Client
) -> None:
    """The pending write is in the store: after a restart, it is settled without doubling."""
    options = {"format": AppendLog(), "store": f"{tmp_path}/tablet.wallet"}
    tablet = device("tablet", **options)
    tablet.sync()
    edit(tablet, "aaaa")
    lose(middle, tablet)
    tablet.close()
    phone.sync()
    edit(phone, "bbbb")
    phone.sync()
    tablet = device("tablet", **options)
    edit(tablet, "cccc")
    tablet.sync()
    assert tablet.get_document() == "-:aaaa:bbbb:cccc"


@pytest.mark.promise("N-4", "P-45")
@pytest.mark.parametrize("what", [SIGNUP, LOGIN])
def test_signing_up_and_logging_in_can_be_repeated(what: str, middle: Middle, address: Callable[[], str]) -> None:
    """A lost answer to either is no dead end: the same call again succeeds."""
    with Client(middle.url, device_id="laptop") as client:
        client.set_account(address(), "a password of eight letters or more")
        for call, request in ((client.register, SIGNUP), (client.get_auth_token, LOGIN)):
            if request == what:
                middle.lose_answer(what)
                with pytest.raises(ServerUnreachable):
                    call()
            call()


def test_an_error_of_the_network_holds_no_secret(laptop: Client, middle: Middle) -> None:
    """The message says what to do, and neither it nor its causes show the token."""
    middle.lose_answer(GET_WALLET)
    with pytest.raises(ServerUnreachable, match="nothing is lost") as raised:
        laptop.get_wallet()
    cause = raised.value.__cause__
    assert isinstance(cause, ConnectionError)  # what the system said
    # Any of these would hold the request, for whoever reports errors to see.
    assert (cause.__traceback__, cause.__cause__, cause.__context__, raised.value.__context__) == (None,) * 4
