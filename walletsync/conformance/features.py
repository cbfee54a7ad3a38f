"""The rules of what a server lists among its `features`, but for live updates."""

from urllib.parse import quote

from walletsync import protocol
from walletsync.conformance.accounts import TIME
from walletsync.conformance.extras import must_refuse
from walletsync.conformance.rules import Rules
from walletsync.conformance.site import WALLET, Payload, Site, bearer, sealed, stranger
from walletsync.conformance.wire import Reply
from walletsync.protocol import ErrorCode

FEATURES = Rules()
_HISTORY = protocol.API_PREFIX + protocol.HISTORY_PATH
_DEVICES = protocol.API_PREFIX + protocol.DEVICES_PATH


def _must_be_current(reply: Reply, wallet: Payload) -> None:
    if any(reply.field(name) != value for name, value in wallet.items()):
        reply.broken("the current wallet", "another one, or none")


def _listed(reply: Reply, name: str) -> list[Payload]:
    """Return a list of objects in an answer."""
    found = reply.expect(200).field(name)
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        reply.broken(f"a list of objects as `{name}`", "something else")
    return list(found)


@FEATURES.add("B-1", "The token is taken from the Authorization header.", protocol.FEATURE_BEARER_TOKEN)
def _takes_bearer(site: Site) -> None:
    token = site.account().token
    wallet = site.next(token)
    site.wire.ask("POST", WALLET, wallet, headers=bearer(token)).expect(200)
    _must_be_current(site.wire.ask("GET", WALLET, headers=bearer(token)).expect(200), wallet)


@FEATURES.add("B-2", "A token in the header goes before one in body or query.", protocol.FEATURE_BEARER_TOKEN)
def _prefers_header(site: Site) -> None:
    token, void = site.account().token, bearer("0" * 64)
    before = site.current(token)
    site.wire.ask("GET", WALLET, query={"token": token}, headers=void).expect(401)
    site.wire.ask("POST", WALLET, site.next(token) | {"token": token}, headers=void).expect(401)
    site.must_have(token, before, "a POST with a void token was stored")


@FEATURES.add("C-1", "A wallet that is stored comes back in the answer.", protocol.FEATURE_WALLET_IN_ANSWERS)
def _answers_with_stored(site: Site) -> None:
    token = site.account().token
    wallet = site.next(token)
    _must_be_current(site.post(token, wallet).expect(200), wallet)


@FEATURES.add("C-2", "A conflict is answered with the current wallet.", protocol.FEATURE_WALLET_IN_ANSWERS)
def _answers_with_current(site: Site) -> None:
    token = site.account().token
    wallet = site.stored(token)
    reply = site.post(token, sealed(wallet["sequence"]))
    must_refuse(reply, 409, ErrorCode.CONFLICT)
    _must_be_current(reply, wallet)


@FEATURES.add("H-1", "Earlier versions are listed, the current one first.", protocol.FEATURE_HISTORY)
def _lists_history(site: Site) -> None:
    token = site.account().token
    site.stored(token)
    last = site.stored(token)["sequence"]
    reply = site.wire.ask("GET", _HISTORY, headers=bearer(token))
    if [each.get("sequence") for each in _listed(reply, "versions")[:2]] != [last, last - 1]:
        reply.broken("the current version first, then the one before", "something else")


@FEATURES.add("H-2", "An earlier version comes as it was stored; one that never was is 404.", protocol.FEATURE_HISTORY)
def _gives_earlier(site: Site) -> None:
    token = site.account().token
    earlier = site.stored(token)
    last = site.stored(token)["sequence"]
    path = f"{_HISTORY}/{earlier['sequence']}"
    _must_be_current(site.wire.ask("GET", path, headers=bearer(token)).expect(200), earlier)
    must_refuse(site.wire.ask("GET", f"{_HISTORY}/{last + 1}", headers=bearer(token)), 404, ErrorCode.NOT_FOUND)


@FEATURES.add("H-3", "The list says when, by which device and how large each version is.", protocol.FEATURE_HISTORY)
def _describes_versions(site: Site) -> None:
    token = site.account().token
    wallet = site.stored(token)
    reply = site.wire.ask("GET", _HISTORY, headers=bearer(token))
    current = (_listed(reply, "versions") or [{}])[0]
    if not TIME.fullmatch(str(current.get("time"))):
        reply.broken("`time`, such as 2026-11-23T08:00:00Z", "something else")
    if current.get("deviceId") != site.device("first"):
        reply.broken("the device that stored it as `deviceId`", "something else")
    if current.get("size") != len(wallet["encryptedWallet"]):
        reply.broken("the bytes of `encryptedWallet` as `size`", "something else")


@FEATURES.add("H-4", "After a change of the password no earlier version is left.", protocol.FEATURE_HISTORY)
def _purges_history(site: Site) -> None:
    account, new = site.new_account(), stranger()
    site.stored(account.token)
    site.change_password(account, new, site.next(account.token)).expect(200)
    token = site.logged_in(site.has_changed(account, new), "first").token
    reply = site.wire.ask("GET", _HISTORY, headers=bearer(token))
    if [each.get("sequence") for each in _listed(reply, "versions")] != [2]:
        reply.broken("the version of the change alone", "something else")
    site.wire.ask("GET", f"{_HISTORY}/1", headers=bearer(token)).expect(404)


@FEATURES.add(
    "D-1", "Devices are listed, and logged out by their id: 204, and the token is void.", protocol.FEATURE_DEVICES
)
def _logs_devices_out(site: Site) -> None:
    account, name = site.account(), site.device("lost phone é")  # which has to be escaped in a path
    lost = site.logged_in(account, "lost phone é").token
    reply = site.wire.ask("GET", _DEVICES, headers=bearer(account.token))
    if name not in [each.get("deviceId") for each in _listed(reply, "devices")]:
        reply.broken("the device that just logged in", "a list without it")
    site.wire.ask("DELETE", f"{_DEVICES}/{quote(name)}", headers=bearer(account.token)).expect(204)
    site.get(lost).expect(401)


@FEATURES.add("D-2", "The list says since when and until when each device is logged in.", protocol.FEATURE_DEVICES)
def _describes_devices(site: Site) -> None:
    reply = site.wire.ask("GET", _DEVICES, headers=bearer(site.account().token))
    for device in _listed(reply, "devices"):
        if not all(TIME.fullmatch(str(device.get(name))) for name in ("since", "expiration")):
            reply.broken("`since` and `expiration`, such as 2026-11-23T08:00:00Z", "something else")


@FEATURES.add("D-3", "To log out a device that is not logged in is 404 `not_found`.", protocol.FEATURE_DEVICES)
def _knows_no_such_device(site: Site) -> None:
    path = f"{_DEVICES}/{site.device('never seen')}".replace(" ", "%20")
    must_refuse(site.wire.ask("DELETE", path, headers=bearer(site.account().token)), 404, ErrorCode.NOT_FOUND)
