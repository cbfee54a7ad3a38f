"""Settings: what is accepted, and that every mistake is told clearly."""

from pathlib import Path
from typing import Any

import pytest

from walletsync_server.settings import Settings, SettingsError


def test_nobody_may_sign_up_by_default() -> None:
    """The default is a list of nobody."""
    settings = Settings()
    assert settings.nobody_may_sign_up
    assert not settings.may_sign_up("alice@example.com")


def test_allowed_addresses_may_sign_up() -> None:
    """With a list, those in it and nobody else."""
    settings = Settings(allow=["alice@example.com"])
    assert not settings.nobody_may_sign_up
    assert settings.may_sign_up("alice@example.com")
    assert not settings.may_sign_up("bob@example.com")
    assert "alice" not in repr(settings)


def test_everybody_may_sign_up_when_open() -> None:
    """Open means everybody."""
    settings = Settings(accounts="open")
    assert not settings.nobody_may_sign_up
    assert settings.may_sign_up("bob@example.com")


@pytest.mark.parametrize(
    ("database", "file"),
    [("sqlite:///w.db", "w.db"), ("sqlite:////var/w.db", "/var/w.db"), ("sqlite:///a b/ü", "a b/ü")],
)
def test_database_names_a_file(database: str, file: str) -> None:
    """Three slashes begin a relative path, four one from the root."""
    assert Settings(database=database).database_file == Path(file)


@pytest.mark.parametrize(
    ("wrong", "word"),
    [
        ({"host": ""}, "host"),
        ({"port": -1}, "port"),
        ({"port": 65536}, "port"),
        ({"database": "walletsync.db"}, "database"),
        ({"database": "postgresql://localhost/x"}, "database"),
        ({"database": "sqlite://"}, "database"),
        ({"database": "sqlite:///"}, "database"),
        ({"database": "sqlite:///:memory:"}, "database"),
        ({"database": "sqlite:///w.db?mode=ro"}, "database"),
        ({"database": "sqlite:///w\0.db"}, "database"),
        ({"accounts": "closed"}, "accounts"),
        ({"accounts": "open", "allow": ["alice@example.com"]}, "allow"),
        ({"allow": ["alice@example.com", "Bob@example.com"]}, "number 2"),
        ({"max_wallet_bytes": 0}, "max_wallet_bytes"),
    ],
)
def test_wrong_setting_is_named(wrong: dict[str, Any], word: str) -> None:
    """A wrong setting is refused with its name, and an address is not repeated."""
    with pytest.raises(SettingsError, match=word) as raised:
        Settings(**wrong)
    assert str(raised.value).endswith(".")
    assert "example.com" not in str(raised.value)
