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
    [("sqlite:///w.db", "w.db"), ("sqlite:////dev/w.db", "/dev/w.db"), ("sqlite:///a b/ü", "a b/ü")],
)
def test_database_names_a_file(database: str, file: str) -> None:
    """Three slashes begin a relative path, four one from the root; what is told of it begins at the root."""
    assert Settings(database=database).database_file == Path.cwd() / file


MAIL: dict[str, Any] = {"mail_server": "mail.example.com", "mail_from": "sync@example.com"}


@pytest.mark.parametrize(
    ("wrong", "names"),
    [
        ({"host": ""}, ["host"]),
        ({"port": -1}, ["port"]),
        ({"port": 65536}, ["port"]),
        ({"database": "walletsync.db"}, ["database"]),
        ({"database": "mysql://localhost/x"}, ["database"]),
        ({"database": "postgresql://localhost/a b"}, ["database"]),
        ({"database": "postgresql://localhost/x\0"}, ["database"]),
        ({"database": "sqlite://"}, ["database"]),
        ({"database": "sqlite:///"}, ["database"]),
        ({"database": "sqlite:///:memory:"}, ["database"]),
        ({"database": "sqlite:///w.db?mode=ro"}, ["database"]),
        ({"database": "sqlite:///w\0.db"}, ["database"]),
        ({"accounts": "closed"}, ["accounts"]),
        ({"accounts": "open", "allow": ["alice@example.com"]}, ["allow"]),
        ({"accounts": "open", "allow": ["nobody"]}, ["allow"]),
        ({"accounts": "email"}, ["public_url", "mail_server", "mail_from"]),
        ({"allow": ["alice@example.com", "Bob@example.com"]}, ["allow"]),
        ({"max_wallet_bytes": 0}, ["max_wallet_bytes"]),
        ({"connections": 63}, ["connections"]),
        ({"log_failed_logins": "yes"}, ["log_failed_logins"]),
        ({"body_memory": 16 * 1024 * 1024 - 1}, ["body_memory"]),
        ({"max_wallet_bytes": 64 * 1024 * 1024 + 1}, ["max_wallet_bytes"]),
        ({"trusted_proxies": ["0.0.0.0/0"]}, ["trusted_proxies"]),
        ({"trusted_proxies": ["0.0.0.0/1", "128.0.0.0/1"]}, ["trusted_proxies"]),
        ({"trusted_proxies": ["::/0"]}, ["trusted_proxies"]),
        ({"rate_signup": "5/0 minute", "rate_login": "20/hour;5/0minute"}, ["rate_signup", "rate_login"]),
        ({"public_url": "sync.example.com"}, ["public_url"]),
        ({"public_url": "http://sync.example.com"}, ["public_url"]),
        ({"public_url": "https://sync.example.com/"}, ["public_url"]),
        ({"public_url": "https://sync.example.com?a"}, ["public_url"]),
        ({"public_url": "https://a@sync.example.com"}, ["public_url"]),
        ({"public_url": "https://[sync"}, ["public_url"]),
        ({"public_url": "https://sync.example.com:0"}, ["public_url"]),
        ({"trusted_proxies": ["127.0.0.1", "10.0.0.1/8"]}, ["trusted_proxies"]),
        ({"cors_origins": ["https://*.example.com*/"]}, ["cors_origins"]),
        ({"cors_origins": ["https://wallet.example.com/"]}, ["cors_origins"]),
        ({"metrics_host": "", "metrics_port": 65536}, ["metrics_host", "metrics_port"]),
        ({"mail_server": "mail.example.com"}, ["mail_from"]),
        ({"mail_server": "mail.example.com", "mail_from": "nobody"}, ["mail_from"]),
        ({**MAIL, "mail_port": 0, "mail_security": "ssl"}, ["mail_port", "mail_security"]),
        ({**MAIL, "mail_username": "sync"}, ["mail_password_file"]),
        ({**MAIL, "mail_password_file": "/etc/password"}, ["mail_username"]),
        (
            {**MAIL, "mail_username": "sync", "mail_password_file": "p", "mail_security": "none"},
            ["mail_security"],
        ),
        ({"sockets_per_account": 0, "password_queue": 0}, ["sockets_per_account", "password_queue"]),
        ({"rate_signup": "", "rate_login": "often"}, ["rate_signup", "rate_login"]),
        ({"rate_seed": "0/minute", "rate_resend": "3/fortnight"}, ["rate_seed", "rate_resend"]),
    ],
)
def test_wrong_settings_are_named(wrong: dict[str, Any], names: list[str]) -> None:
    """All wrong settings are refused at once, each with its name, and an address is not repeated."""
    with pytest.raises(SettingsError) as raised:
        Settings(**wrong)
    assert [mistake.name for mistake in raised.value.mistakes] == names
    assert all(line.endswith(".") for line in str(raised.value).splitlines())
    assert "bob@example.com" not in str(raised.value).lower()


@pytest.mark.parametrize(
    "right",
    [
        {"public_url": "https://sync.example.com:8443/wallets"},
        {"public_url": "http://127.0.0.1:8090"},
        {"public_url": "http://localhost"},
        {"trusted_proxies": ["127.0.0.1", "::1", "10.0.0.0/8", "fc00::/7"]},
        {"max_wallet_bytes": 64 * 1024 * 1024},
        {"connections": 64, "body_memory": 16 * 1024 * 1024},
        {"cors_origins": ["https://wallet.example.com", "http://localhost:3000"]},
        {"rate_login": "5/second;100/hour"},
        {**MAIL, "accounts": "email", "public_url": "https://sync.example.com"},
        {**MAIL, "mail_username": "sync", "mail_password_file": "p", "mail_security": "tls", "mail_port": 465},
    ],
)
def test_right_settings_are_taken(right: dict[str, Any]) -> None:
    """What makes sense is taken as it is."""
    settings = Settings(**right)
    assert {name: getattr(settings, name) for name in right} == right


def test_number_of_a_wrong_address_is_told() -> None:
    """In a list of addresses, which are not repeated, the person finds the wrong one by its number."""
    with pytest.raises(SettingsError, match="in address number 2"):
        Settings(allow=["alice@example.com", "Bob@example.com"])


def test_mail_password_is_the_only_line_of_its_file(tmp_path: Path) -> None:
    """The password comes without the line's end, is in no repr, and no file means no password."""
    file = tmp_path / "password"
    file.write_text("open sesame\n")
    settings = Settings(**MAIL, mail_username="sync", mail_password_file=str(file))
    assert settings.mail_password() == "open sesame"
    assert "sesame" not in repr(settings)
    assert Settings().mail_password() == ""


@pytest.mark.parametrize("content", [None, b"", b"\n", b"two\nlines\n", b"\xff"])
def test_unusable_password_file_is_named(tmp_path: Path, content: bytes | None) -> None:
    """A file that is missing, empty, of several lines or no text is a mistake that names the setting."""
    file = tmp_path / "password"
    if content is not None:
        file.write_bytes(content)
    settings = Settings(**MAIL, mail_username="sync", mail_password_file=str(file))
    with pytest.raises(SettingsError, match="mail_password_file") as raised:
        settings.mail_password()
    assert "two" not in str(raised.value)
