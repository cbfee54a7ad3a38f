"""The settings of a server that runs: those that it began with, and what it takes of new ones without a restart."""

from collections.abc import Callable
from dataclasses import dataclass

from walletsync_server.settings import TABLE, Settings

LIVE = (
    *("allow", "public_url", "trusted_proxies", "cors_origins", "sockets_per_account", "log_level"),
    *("rate_signup", "rate_login", "rate_seed", "rate_resend"),
    *("mail_server", "mail_port", "mail_security", "mail_username", "mail_password_file", "mail_from"),
)
"""The settings that a server takes while it runs, when it is told to reload; the others need a restart."""


@dataclass(frozen=True)
class Reloaded:
    """What became of new settings: the names of those that changed, or of those that need a restart."""

    changed: tuple[str, ...] = ()
    waiting: tuple[str, ...] = ()


class CurrentSettings:
    """The settings that apply `now`. Whoever keeps something that was made of them asks to be told, by `on_change`."""

    def __init__(self, settings: Settings) -> None:
        self.now = settings
        self._users: list[Callable[[Settings], None]] = []

    def on_change(self, use: Callable[[Settings], None]) -> None:
        """Have `use` called with new settings. Only the first that asks may refuse them, by `SettingsError`."""
        self._users.append(use)

    def take(self, new: Settings) -> Reloaded:
        """Apply all of the settings `new`; or none of them if some need a restart, since they may belong together.

        Raises:
            SettingsError: if they cannot be used; then nothing has changed.
        """
        differ = tuple(name for name in TABLE if getattr(new, name) != getattr(self.now, name))
        if waiting := tuple(name for name in differ if name not in LIVE):
            return Reloaded(waiting=waiting)
        for use in self._users:
            use(new)
        self.now = new
        return Reloaded(changed=differ)
