"""What an operator can set."""

from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

from walletsync.protocol import MAX_WALLET_BYTES, canonical_email

OPEN, ALLOWLIST = "open", "allowlist"
_SQLITE = "sqlite:///"


class SettingsError(ValueError):
    """A setting is wrong; the sentence says which and what would be right."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings of one server, checked.

    Attributes:
        host: address to listen on.
        port: 0 picks a free one.
        database: `sqlite:///FILE`, where FILE may be relative, or `sqlite:////FILE` from the root.
        accounts: who may sign up: `open` is everybody, `allowlist` those in `allow`.
        allow: canonical e-mail addresses. By default nobody.
        max_wallet_bytes: limit of `encryptedWallet`, in bytes of UTF-8.

    Raises:
        SettingsError: if one is wrong.
    """

    host: str = "127.0.0.1"
    port: int = 8090
    database: str = "sqlite:///walletsync.db"
    accounts: str = ALLOWLIST
    allow: Collection[str] = field(default=(), repr=False)
    max_wallet_bytes: int = MAX_WALLET_BYTES

    def __post_init__(self) -> None:
        if not self.host:
            raise SettingsError("host is empty; give an address to listen on, such as 127.0.0.1.")
        if not 0 <= self.port <= 65535:
            raise SettingsError("port must be from 0 (picks a free one) to 65535.")
        self._check_database()
        if self.accounts not in (OPEN, ALLOWLIST):
            raise SettingsError(f"accounts must be {OPEN} or {ALLOWLIST}.")
        if self.accounts == OPEN and self.allow:
            raise SettingsError(f"accounts is {OPEN}, so everybody may sign up: leave allow out, or set {ALLOWLIST}.")
        for number, address in enumerate(self.allow, 1):
            try:
                canonical_email(address)
            except ValueError as error:
                raise SettingsError(f"allow, address number {number}: {error}.") from None
        if self.max_wallet_bytes < 1:
            raise SettingsError("max_wallet_bytes must be at least 1.")

    def _check_database(self) -> None:
        file = self.database.removeprefix(_SQLITE)
        if file == self.database:
            raise SettingsError(f"database must be {_SQLITE}FILE; this server knows no other yet.")
        if not file or file.startswith(":") or "?" in file or "\0" in file:
            raise SettingsError(f"database must name a file, such as {_SQLITE}walletsync.db, without parameters.")

    @property
    def database_file(self) -> Path:
        """The file that `database` names."""
        return Path(self.database.removeprefix(_SQLITE))

    @property
    def nobody_may_sign_up(self) -> bool:
        """Whether these settings refuse every sign-up."""
        return self.accounts == ALLOWLIST and not self.allow

    def may_sign_up(self, email: str) -> bool:
        """Say whether this canonical address may sign up."""
        return self.accounts == OPEN or email in self.allow
