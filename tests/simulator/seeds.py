"""Which salt seeds, and so which passwords, devices know of: none of them seals anything under an earlier one."""

from collections import defaultdict
from dataclasses import dataclass, field

from tests.simulator.lines import hold
from walletsync.store import DeviceState


@dataclass
class Seeds:
    """What each device has learned so far, by its name, in that order; and the versions that were looked at."""

    _known: dict[str, list[bytes]] = field(default_factory=lambda: defaultdict(list))
    _seen: set[str] = field(default_factory=set)

    def check(self, device: str, state: DeviceState) -> None:
        """Hold that what a device has sealed is not under a password that was changed since, as far as it knows."""
        known = self._known[device]
        for version in (state.synced, state.pending):
            if version is not None and version.known.digest not in self._seen:
                own = version.known.entries.get(device)
                if own is not None and own.digest == version.known.digest:
                    hold(version.seed not in known[:-1], f"{device} seals under an earlier password")
                    self._seen.add(version.known.digest)
        if state.seed is not None and state.seed not in known:
            known.append(state.seed)
