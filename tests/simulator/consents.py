"""Who left the server's line for another one, why, and what may come back by that.

A server that was restored from a backup goes on from an earlier version than devices know, and an account that was
made anew from none. No edit is ever lost by that. What was deleted stays deleted, too, where one device's person
consents, whose device has a version in common with what the server keeps: the others follow by themselves. It may come
back, out of what some device still has, until all are on the server's line again, where

- the account was made anew, or the server does not keep the last version that its line has in common with the
  device's, or not all that links its current one to that; or the device has skipped that version, or
- a second person has to consent, because the first one's device had not seen all.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from tests.simulator.device import Device
from tests.simulator.lines import Lines, hold
from walletsync.continuity import Known
from walletsync.store import DeviceState

_ANEW = ""


@dataclass
class Consent:
    """What a device knew when its person consented, and on which line. `carrier` is the version that tells others."""

    left: set[str]
    line: str
    carrier: str | None = None


@dataclass
class Consents:
    """What was consented to since all devices were on the server's line."""

    lines: Lines
    is_loose: bool = False
    """Whether what was deleted may come back."""
    _made: int = 0
    _left_by: dict[str, set[str]] = field(default_factory=dict)
    """By the name of a restore, what its author knew; by "", what those knew who made the account anew or deleted it.

    Devices follow these as well, if they are behind in versions and epoch, so that it looks like a changed password.
    """
    _given: list[Consent] = field(default_factory=list)
    _owed: dict[str, Consent] = field(default_factory=dict)
    """By device, the one that it has not told the others."""
    _known: dict[str, Known | None] = field(default_factory=dict)
    _knows_of: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    """By device, the versions that it had, and those that it was told of as the last one of another device."""

    def give(self, device: Device, state: DeviceState, *, tells_others: bool) -> None:
        """Take note that a person consents now, at a device, or deletes or makes the account, which tells nobody."""
        device.tells_others = tells_others and (device.tells_others or not device.left)
        for version in (state.synced, state.pending):
            if version is not None:
                device.left.add(version.known.digest)

    def check(self, device: Device, state: DeviceState, kept: Callable[[], Iterable[str]]) -> None:
        """Hold that a device left its line only with consent: its person's, or that of someone who knew all it does.

        `kept` returns the versions that the server keeps.
        """
        now, before = None if state.synced is None else state.synced.known, self._known.get(device.name)
        self._known[device.name] = now
        if before is not None:
            self._knows_of[device.name].update(entry.digest for entry in before.entries.values())
        if now is not None:
            hold(now.digest in self.lines.before, f"{device.name} believes in what the server never had")
        self._tell(device, state)
        if before is None or now is before:
            return
        if now is not None and self.lines.descends(now.digest, before.digest):
            return
        left, device.left = device.left, set()
        restores = () if now is None else now.restores
        names = [_ANEW, *(each.name for each in restores)]
        follows = any(self.lines.any_descends(self._left_by.get(name, ()), before.digest) for name in names)
        own = next(reversed((*restores, *state.owed_restores)), None)
        self._left_by.setdefault(_ANEW if own is None else own.name, set()).update(left)
        if follows:
            return
        hold(bool(left), f"{device.name} left its line by itself")
        if device.tells_others:
            self._owed.setdefault(device.name, Consent(left, before.line))
            self._tell(device, state)
        self._made += 1
        shared = next((each for each in self.lines.linked(kept()) if self.lines.descends(before.digest, each)), None)
        if self._made > 1 or shared not in self._knows_of[device.name]:
            self.is_loose = True

    def _tell(self, device: Device, state: DeviceState) -> None:
        """Take note of it if the server has the first version since a device's consent."""
        if device.name in self._owed and not state.owed_restores:
            consent = self._owed.pop(device.name)
            if state.synced is not None:
                consent.carrier = state.synced.known.digest
                self._given.append(consent)

    def follows(self, known: Known) -> bool:
        """Tell whether a device that knows `known` has to go on without being asked.

        It is on the server's line; or that line goes on from what someone else consented to, who knew all it does.
        """
        return self.lines.are_now(known.digest) or any(
            each.line == known.line
            and self.lines.are_now(each.carrier)
            and self.lines.any_descends(each.left, known.digest)
            for each in self._given
        )

    def settle(self, states: Iterable[DeviceState]) -> None:
        """Take note of it if all devices are on the server's line: then what is deleted stays so again."""
        if not self.is_loose and self._made == 0:
            return
        for state in states:
            is_there = state.synced is not None and self.lines.are_now(state.synced.known.digest)
            if state.document is not None and (state.owed_restores or not is_there):
                return
        self.is_loose, self._made = False, 0
