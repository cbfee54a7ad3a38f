"""GET and POST wallet: compare-and-swap, conflicts, retries, entity tags; through both front doors."""

import pytest

from tests.server.helpers import API, Account, log_in
from walletsync.protocol import wallet_digest

pytestmark = pytest.mark.every_database


def wallet(sequence: int, text: str = "-", hmac: str = "h") -> dict[str, object]:
    return {"version": 1, "encryptedWallet": text, "sequence": sequence, "hmac": hmac}


@pytest.mark.promise("W-1", "X-25")
def test_no_wallet_yet_is_404(account: Account) -> None:
    """Reading before the first write is 404 with a code."""
    answer = account.get()
    assert (answer.status, answer.code) == (404, "no_wallet")


@pytest.mark.promise("W-7", "X-25")
def test_first_write_has_sequence_one(account: Account) -> None:
    """Any other sequence is 409 `no_wallet` without a wallet, and surely was not applied."""
    answer = account.post(2)
    assert (answer.status, answer.code) == (409, "no_wallet")
    assert answer.json.keys() == {"error", "code", "applied"}
    assert answer.json["applied"] is False
    assert account.post(1).status == 200


@pytest.mark.promise("C-1", "W-3", "X-24")
def test_accepted_write_answers_the_wallet(account: Account) -> None:
    """200 carries the wallet that is the current one now; GET answers the same bytes and tag."""
    posted = account.post(1, "first", "tag")
    assert (posted.status, posted.json) == (200, wallet(1, "first", "tag"))
    got = account.get()
    assert got.body == posted.body
    digest = wallet_digest(1, "first", "tag").hex()
    assert got.headers["etag"] == posted.headers["etag"] == f'"{digest}"'


@pytest.mark.promise("P-29", "W-4")
@pytest.mark.parametrize("text", ["-", "%d", "\0", "\u00e4\U0001f511", '"\\', "\ud83d\ude00", "a\r\n\t", " ", "\ufeff"])
def test_wallet_comes_back_byte_for_byte(account: Account, text: str) -> None:
    """The server neither parses nor changes what it keeps."""
    text = text.encode("utf-16", "surrogatepass").decode("utf-16")
    assert account.post(1, text, text).json == wallet(1, text, text)
    assert account.get().json == wallet(1, text, text)


@pytest.mark.promise("W-9", "X-7")
def test_identical_write_is_a_lost_answer(account: Account) -> None:
    """The current wallet again is 200 and nothing changes, from any device of the account."""
    account.post(1, "first")
    before = account.get()
    again = account.post(1, "first")
    assert (again.status, again.json) == (200, wallet(1, "first"))
    other = log_in(account.wire, account.email, device="phone").json["token"]
    assert Account(account.wire, account.email, other).post(1, "first").status == 200
    assert account.get().body == before.body
    assert account.post(2, "second").status == 200


@pytest.mark.promise("C-2", "N-1", "W-5", "W-6", "X-24")
@pytest.mark.parametrize(("sequence", "text", "hmac"), [(2, "-", "h"), (2, "2", "other"), (1, "2", "h"), (9, "2", "h")])
def test_conflict_answers_the_current_wallet(account: Account, sequence: int, text: str, hmac: str) -> None:
    """Whatever is not the next sequence and not the current wallet is 409 with the current wallet; nothing changes."""
    account.post(1, "1")
    account.post(2, "2")
    answer = account.post(sequence, text, hmac)
    assert (answer.status, answer.code) == (409, "conflict")
    assert answer.headers["etag"] == account.get().headers["etag"]
    assert answer.json == {
        "error": answer.json["error"],
        "code": "conflict",
        "applied": False,
        **account.get().json,
    }
    assert account.get().json == wallet(2, "2")


@pytest.mark.promise("N-1", "X-26")
def test_applied_tells_what_became_of_a_write(account: Account) -> None:
    """True for a superseded write that is kept, false for what never was, absent for what is older than memory."""
    for sequence in range(1, 16):
        assert account.post(sequence, f"wallet {sequence}").status == 200
    # 15 is the current one, and the nine before it are kept: 6 … 14; so is the first, 1
    for kept in (14, 6, 1):
        assert account.post(kept, f"wallet {kept}").json["applied"] is True
        assert account.post(kept, "another").json["applied"] is False
        assert account.post(kept, f"wallet {kept}", "other").json["applied"] is False
    assert account.post(15, "another").json["applied"] is False
    assert account.post(17, "wallet 17").json["applied"] is False
    listed = account.wire("GET", f"{API}/wallet/history", token=account.token).json["versions"]
    older, *_, newer = sorted({2, 3, 4, 5} - {each["sequence"] for each in listed})  # an hour that ends keeps two
    assert "applied" not in account.post(newer, f"wallet {newer}").json
    assert "applied" not in account.post(older, "another").json
    assert account.get().json == wallet(15, "wallet 15")


@pytest.mark.promise("P-28")
def test_highest_sequence_is_a_conflict_beyond_reach(account: Account) -> None:
    """2³²−1 is a sequence like any other, one more is none."""
    account.post(1)
    assert account.post(2**32 - 1).code == "conflict"
    assert account.post(2**32).code == "bad_request"


@pytest.mark.promise("X-5")
@pytest.mark.parametrize("version", ["0", "2", "-1", "1" + "0" * 5000, '"1"', "true", "null", "1.0", "1.5", "[]", "{}"])
@pytest.mark.parametrize("rest", ['"encryptedWallet":"-","sequence":1,"hmac":"h"', '"wallets":[{"sequence":"1"}]'])
def test_other_payload_versions_are_refused(account: Account, version: str, rest: str) -> None:
    """Anything but 1 as `version` has an error code of its own, whatever that version has for fields."""
    body = f'{{{rest},"version": {version} }}'.encode()
    answer = account.wire("POST", f"{API}/wallet", body, token=account.token)
    assert (answer.status, answer.code) == (400, "unsupported_version")
    assert account.get().code == "no_wallet"


@pytest.mark.parametrize(
    "body",
    [
        b'{"version": 1 ,"wallets":[]}',
        b'{"version":NaN}',
        b'{"version":}',
        b'{"version":2',
        b'{"version":2,"hmac":"\xe4"}',
        b'[{"version":2}]',
        b'{"wallet":{"version":2}}',
        b'{"version":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    ],
)
def test_version_does_not_excuse_the_rest(account: Account, body: bytes) -> None:
    """Version 1 with bad fields, and what is no JSON object, stay a bad request."""
    answer = account.wire("POST", f"{API}/wallet", body, token=account.token)
    assert (answer.status, answer.code) == (400, "bad_request")


@pytest.mark.promise("X-24")
def test_payload_version_may_be_said(account: Account) -> None:
    """`version` 1 is the same as none."""
    assert account.post(1, version=1).json["version"] == 1


@pytest.mark.promise("X-8")
def test_matching_entity_tag_is_304(account: Account) -> None:
    """304 has the tag and no body, for exact and weak tags, in lists, and for the star."""
    tag = account.post(1).headers["etag"]
    matching = [tag, f"W/{tag}", f'"other", {tag}', f'W/"x",W/{tag} ,"y"', "*", " * "]
    for condition in matching:
        answer = account.get(**{"If-None-Match": condition})
        assert (answer.status, answer.body) == (304, b""), condition
        assert answer.headers["etag"] == tag
        assert "content-type" not in answer.headers


@pytest.mark.promise("X-8")
def test_other_entity_tags_are_200(account: Account) -> None:
    """What is not the current tag, or no tag at all, gets the wallet."""
    old = account.post(1, "1").headers["etag"]
    tag = account.post(2, "2").headers["etag"]
    for condition in [old, '""', '"x"', tag.strip('"'), tag.upper(), '"*"', "", ","]:
        answer = account.get(**{"If-None-Match": condition})
        assert (answer.status, answer.json) == (200, wallet(2, "2")), condition
        assert answer.headers["etag"] == tag


def test_star_without_a_wallet_is_404(account: Account) -> None:
    """There is nothing that could be unchanged."""
    assert account.get(**{"If-None-Match": "*"}).code == "no_wallet"


@pytest.mark.promise("X-18")
def test_head_answers_as_get_without_the_body(account: Account) -> None:
    """HEAD has status and headers of GET."""
    account.post(1, "x" * 1000)
    got = account.get()
    head = account.wire("HEAD", f"{API}/wallet", token=account.token)
    assert (head.status, head.body) == (200, b"")
    assert head.headers["etag"] == got.headers["etag"]
    assert head.headers["content-length"] == str(len(got.body))


@pytest.mark.promise("X-27")
@pytest.mark.parametrize("prefix", ["", API])
def test_both_prefixes_are_the_same_wallet(account: Account, prefix: str) -> None:
    """The flat paths and /api/3 have the same handlers."""
    account.post(1, "1")
    assert account.wire("GET", f"{prefix}/wallet", token=account.token).json == wallet(1, "1")
