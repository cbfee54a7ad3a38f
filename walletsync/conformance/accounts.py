"""The rules of servers that have `/.well-known/walletsync`: accounts, logins, a change of the password, the end."""

import re
from dataclasses import replace

from walletsync import protocol
from walletsync.conformance.extras import must_refuse
from walletsync.conformance.rules import EXTRAS, Rules
from walletsync.conformance.site import LOGIN, Account, Site, bearer, sealed, stranger
from walletsync.protocol import ErrorCode

ACCOUNTS = Rules()
_HEX = re.compile("[0-9a-f]{64}")
_MAX_USER = 2**53 - 1
TIME = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z")
"""What times look like on the wire."""


@ACCOUNTS.add("X-3", "The same sign-up again is a lost answer: 201.", EXTRAS)
def _takes_signup_again(site: Site) -> None:
    site.sign_up(site.account()).expect(201)


@ACCOUNTS.add("X-4", "An unknown address has a seed as well, the same one each time.", EXTRAS)
def _hides_who_has_an_account(site: Site) -> None:
    email = stranger().email
    first, again = (site.seed(email).expect(200) for _ in range(2))
    seed = first.field("clientSaltSeed")
    if not isinstance(seed, str) or not _HEX.fullmatch(seed) or again.field("clientSaltSeed") != seed:
        again.broken("the same 64 hex digits each time", "something else")


@ACCOUNTS.add("X-9", "A new login of a device makes its earlier token void.", EXTRAS)
def _replaces_tokens(site: Site) -> None:
    earlier = site.logged_in(site.account(), "replaced")
    later = site.logged_in(earlier, "replaced")
    site.get(earlier.token).expect(401)
    site.get(later.token).expect(200, 404)


@ACCOUNTS.add("X-10", "A device gives its token back: 204, and the token is void.", EXTRAS)
def _logs_out(site: Site) -> None:
    token = site.logged_in(site.account(), "leaving").token
    site.wire.ask("DELETE", LOGIN, headers=bearer(token)).expect(204)
    site.get(token).expect(401)


@ACCOUNTS.add(
    "X-11", "A change of the password replaces password, seed and wallet, and makes every token void.", EXTRAS
)
def _changes_password(site: Site) -> None:
    account, new = site.new_account(), stranger()
    site.stored(account.token)
    wallet = site.next(account.token)
    site.change_password(account, new, wallet).expect(200)
    changed = site.has_changed(account, new)
    site.get(account.token).expect(401)
    site.log_in(account, "first").expect(401)
    site.must_have(site.logged_in(changed, "first").token, wallet, "the wallet is not that of the change")
    reply = site.seed(account.email).expect(200)
    if reply.field("clientSaltSeed") != new.seed:
        reply.broken("the seed of the change", "another one")


@ACCOUNTS.add("X-12", "An account is deleted with its password: 204, and nobody logs in to it.", EXTRAS)
def _deletes_account(site: Site) -> None:
    account = site.new_account()
    site.delete(account).expect(204)
    site.log_in(account, "first").expect(401)
    site.get(account.token).expect(401)


@ACCOUNTS.add("X-29", "A sign-up with an address that is taken is 409 `account_exists`.", EXTRAS)
def _says_that_it_is_taken(site: Site) -> None:
    must_refuse(site.sign_up(replace(stranger(), email=site.account().email)), 409, ErrorCode.ACCOUNT_EXISTS)


@ACCOUNTS.add("X-30", "A wrong password and an unknown address are refused in the same words.", EXTRAS)
def _refuses_both_alike(site: Site) -> None:
    wrong = site.log_in(replace(site.account(), password=stranger().password), "other").expect(401)
    unknown = site.log_in(stranger(), "other").expect(401)
    if wrong.body != unknown.body:
        unknown.broken("the answer to a wrong password", "another one")


@ACCOUNTS.add("X-31", "A login tells a token of 64 hex digits, its expiration in UTC, a userId, and scope `*`.", EXTRAS)
def _tells_about_token(site: Site) -> None:
    reply = site.log_in(site.account(), "other").expect(200).must_say(scope="*")
    token, user, expiration = (reply.field(name) for name in ("token", "userId", "expiration"))
    if not isinstance(token, str) or not _HEX.fullmatch(token):
        reply.broken("`token`, 64 hex digits in lower case", "something else")
    if type(user) is not int or not 0 <= user <= _MAX_USER:
        reply.broken("`userId`, a number up to 2⁵³ - 1", "something else")
    if not isinstance(expiration, str) or not TIME.fullmatch(expiration):
        reply.broken("`expiration`, such as 2026-11-23T08:00:00Z", "something else")


@ACCOUNTS.add("X-32", "An address with capital letters is 400.", EXTRAS)
def _wants_one_form(site: Site) -> None:
    site.log_in(replace(site.account(), email=site.account().email.upper()), "other").expect(400)


@ACCOUNTS.add("X-33", "A salt seed with capital letters is taken, and told in lower case.", EXTRAS)
def _tells_seed_in_lower_case(site: Site) -> None:
    account = replace(stranger(), seed="ABCDEF01" * 8)
    site.sign_up(account).expect(201)
    reply = site.seed(account.email).expect(200)
    if reply.field("clientSaltSeed") != account.seed.lower():
        reply.broken("the seed of the sign-up, in lower case", "another one")


@ACCOUNTS.add("X-34", "The same password again, or a part of a wallet, is no change of the password: 400.", EXTRAS)
def _refuses_senseless_change(site: Site) -> None:
    account = _with_wallet(site)
    for new, wallet in ((replace(stranger(), password=account.password), sealed(2)), (stranger(), {"sequence": 2})):
        must_refuse(site.change_password(account, new, wallet), 400, ErrorCode.BAD_REQUEST)
        _must_be_unchanged(site, account)


@ACCOUNTS.add("X-35", "A change of the password with a wrong old one is 401 `wrong_credentials`.", EXTRAS)
def _refuses_change_by_strangers(site: Site) -> None:
    account = _with_wallet(site)
    guess = replace(account, password=stranger().password)
    must_refuse(site.change_password(guess, stranger(), sealed(2)), 401, ErrorCode.WRONG_CREDENTIALS)
    _must_be_unchanged(site, account)


@ACCOUNTS.add("X-36", "A change of the password without the wallet that there is, is 409 `wallet_required`.", EXTRAS)
def _wants_wallet_with_change(site: Site) -> None:
    account = _with_wallet(site)
    must_refuse(site.change_password(account, stranger()), 409, ErrorCode.WALLET_REQUIRED)
    _must_be_unchanged(site, account)


@ACCOUNTS.add("X-37", "A change of the password with a wallet that is too late is 409 `conflict`.", EXTRAS)
def _refuses_late_change(site: Site) -> None:
    account = _with_wallet(site)
    must_refuse(site.change_password(account, stranger(), sealed(1)), 409, ErrorCode.CONFLICT)
    _must_be_unchanged(site, account)


def _with_wallet(site: Site) -> Account:
    account = site.new_account()
    site.stored(account.token)
    return account


def _must_be_unchanged(site: Site, account: Account) -> None:
    """Raise `Broken` if the account's old password or its first wallet is no more what it was."""
    site.log_in(account, "second").expect(200)
    site.get(account.token).expect(200).must_say(sequence=1)


@ACCOUNTS.add("X-38", "Without a wallet, a change of the password with one is 409 `no_wallet`.", EXTRAS)
def _refuses_wallet_with_change(site: Site) -> None:
    account = site.new_account()
    must_refuse(site.change_password(account, stranger(), sealed(1)), 409, ErrorCode.NO_WALLET)
    site.must_have(account.token, None, "the wallet of a change that was refused is there")


@ACCOUNTS.add(
    "X-39", "Deleting an account takes its password: with another one it is 401, and nothing is gone.", EXTRAS
)
def _keeps_account(site: Site) -> None:
    account = _with_wallet(site)
    must_refuse(site.delete(replace(account, password=stranger().password)), 401, ErrorCode.WRONG_CREDENTIALS)
    site.get(account.token).expect(200)


@ACCOUNTS.add("X-40", "An account that is made anew has no wallet, and begins with sequence 1.", EXTRAS)
def _begins_anew(site: Site) -> None:
    account = site.new_account()
    site.stored(account.token)
    site.delete(account).expect(204)
    again = replace(stranger(), email=account.email)
    site.sign_up(again).expect(201)
    token = site.logged_in(site.has_changed(account, again), "first").token
    site.get(token).expect(404)
    site.post(token, sealed(1)).expect(200)


@ACCOUNTS.add("X-41", "Asking for the mail again is answered the same, whoever asks.", EXTRAS)
def _answers_resend_alike(site: Site) -> None:
    path = protocol.API_PREFIX + protocol.RESEND_PATH
    known, unknown = (site.wire.ask("POST", path, {"email": each.email}) for each in (site.account(), stranger()))
    if known.expect(200).body != unknown.expect(200).body:
        unknown.broken("the answer that an account gets", "another one")
