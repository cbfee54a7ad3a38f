"""What an operator can set: one table, from which options, variables, keys of the file and their help all come."""

import dataclasses
import ipaddress
import os
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import limits

from walletsync.protocol import MAX_WALLET_BYTES, canonical_email
from walletsync_server.live.hub import MAX_LISTENERS
from walletsync_server.services.passwords import QUEUE
from walletsync_server.services.throttle import OFF, Rates
from walletsync_server.services.wallets import KEPT_BYTES

OPEN, ALLOWLIST, EMAIL = "open", "allowlist", "email"
LOGFMT, JSON = "logfmt", "json"
ON = "on"
LOG_LEVELS = "debug", "info", "warning", "error"
STARTTLS, TLS, NO_TLS = "starttls", "tls", "none"
CONNECTIONS = MAX_LISTENERS + 2000
LEAST_CONNECTIONS = 64
BODY_MEMORY = 256 * 1024 * 1024
MOST_WORKERS = 64
LEAST_BODY_MEMORY = 16 * 1024 * 1024
_ANY_ORIGIN = "*"
_SQLITE = "sqlite:///"
_POSTGRESQL = "postgresql://"
_LIVE = "valkey", "valkeys", "redis", "rediss"
_PASSWORD_IN_URL = re.compile(r"(?<=://)(?P<user>[^/?#@:]*):[^/?#]*@|(?<=[?&])(?P<name>(ssl)?password)=[^&#]*")
_MOST_WALLET_BYTES = 64 * 1024 * 1024
"""More would take the memory of several hundred MiB for a single request, since JSON may escape every byte."""
_WIDEST = {4: 8, 6: 7}
"""The networks for private use that are widest, 10.0.0.0/8 and fc00::/7, by the length of their prefixes."""
_CHECK, _HELP, _METAVAR = "check", "help", "metavar"

T = TypeVar("T")
Check = Callable[[Any], str]
"""Says what would be right as the end of a sentence, without the setting's name; nothing if the value is right."""


@dataclass(frozen=True)
class Mistake:
    """One thing that is wrong: the setting's name, as the person wrote it, and the rest of the sentence.

    The sentence repeats no value: it may be somebody's address.
    """

    name: str
    sentence: str

    def __str__(self) -> str:
        return f"{self.name} {self.sentence}"


class SettingsError(ValueError):
    """Settings are wrong. `mistakes` has all that is wrong with them, one line each in the message."""

    def __init__(self, *mistakes: Mistake) -> None:
        super().__init__("\n".join(map(str, mistakes)))
        self.mistakes = mistakes


def _number(least: int, most: int | None = None) -> Check:
    bounds = f"from {least} to {most}" if most is not None else f"at least {least}"
    return lambda value: "" if least <= value <= (value if most is None else most) else f"must be {bounds}."


def _one_of(*names: str) -> Check:
    return lambda value: "" if value in names else f"must be {', '.join(names[:-1])} or {names[-1]}."


def _each(check: Check, what: str) -> Check:
    def check_all(values: Collection[str]) -> str:
        numbered = ((number, check(value)) for number, value in enumerate(values, 1))
        return next((f"has a mistake in {what} number {number}: it {said}" for number, said in numbered if said), "")

    return check_all


def _or_empty(check: Check) -> Check:
    return lambda value: check(value) if value else ""


def _host(value: str) -> str:
    return "" if value else "is empty; give an address to listen on, such as 127.0.0.1."


def _database(value: str) -> str:
    if value.startswith(_POSTGRESQL):
        return "" if value.isprintable() and " " not in value else "must be a URL, in which a space is %20."
    file = value.removeprefix(_SQLITE)
    if file == value:
        return f"must be {_SQLITE}FILE or {_POSTGRESQL}USER@HOST/NAME."
    if not file or file.startswith(":") or "?" in file or "\0" in file:
        return f"must name a file, such as {_SQLITE}walletsync.db, without parameters."
    return ""


def _live(value: str) -> str:
    right = "must be a URL such as valkey://HOST:6379/0, or valkeys://, redis:// or rediss://, without parameters."
    try:
        parts = urlsplit(value)
        is_one = parts.scheme in _LIVE and bool(parts.hostname) and parts.port != 0
        str(parts.hostname).encode("idna")  # as whoever looks it up will, and then nobody expects that it fails
    except ValueError:  # brackets, a port or a name that make no sense
        is_one = False
    return "" if is_one and value.isprintable() and not set(value) & set("?# ") and _is_number(parts.path) else right


def _is_number(path: str) -> bool:
    return re.fullmatch("(/[0-9]{0,4})?", path) is not None


def _address(value: str) -> str:
    try:
        canonical_email(value)
    except ValueError as error:
        return f"cannot be used: {error}."
    return ""


def _network(value: str) -> str:
    try:
        network = ipaddress.ip_network(value)
    except ValueError:
        return "must be an address or a network, such as 127.0.0.1 or 10.0.0.0/8."
    if network.prefixlen < _WIDEST[network.version]:
        return "must not be so wide: whoever is in it may claim to be anybody; name the proxies alone."
    return ""


def _origin(value: str) -> str:
    right = "must be an origin as browsers send it, such as https://wallet.example.com, or * for all."
    is_one = _has_host(value) and value == "{0.scheme}://{0.netloc}".format(urlsplit(value))
    return "" if is_one or value == _ANY_ORIGIN else right


def _public_url(value: str) -> str:
    if not _has_host(value) or set(value) & set("?#@") or value.endswith("/"):
        return "must be the address that clients use, such as https://sync.example.com, without a slash at its end."
    parts = urlsplit(value)
    if parts.scheme == "http" and not is_loopback(str(parts.hostname)):
        return "must begin with https://, since anybody along the way can read passwords and tokens over http://."
    return ""


def _has_host(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # brackets or a port that make no sense
        return False


def _rate(value: str) -> str:
    if value == OFF:
        return ""
    try:
        rates = limits.parse_many(value)
    except ValueError:
        rates = []
    right = f"must be a rate such as 30/minute, several such as 5/second;100/hour, or {OFF}."
    return "" if rates and all(map(int, re.findall("[0-9]+", value))) else right  # 5/0 minute says nothing


def _setting(default: T, help: str, metavar: str, check: Check | None = None, *, repr: bool = True) -> T:
    metadata = {_HELP: help, _METAVAR: metavar, _CHECK: check or (lambda value: "")}
    return dataclasses.field(default=default, repr=repr, metadata=metadata)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings of one server, checked. What each means is its `help`; an empty text is one that is not set.

    Raises:
        SettingsError: with everything that is wrong.
    """

    host: str = _setting("127.0.0.1", "Address to listen on.", "ADDRESS", _host)
    port: int = _setting(8090, "Port to listen on; 0 picks a free one.", "PORT", _number(0, 65535))
    database: str = _setting(
        "sqlite:///walletsync.db",
        "Where the data is kept: sqlite:///FILE, sqlite:////FILE from the root of the disk, or "
        "postgresql://USER@HOST/NAME.",
        "URL",
        _database,
        repr=False,
    )
    live: str = _setting(
        "",
        "The Valkey or Redis that all servers on one PostgreSQL database share, such as valkey://HOST:6379/0.",
        "URL",
        _or_empty(_live),
        repr=False,
    )
    workers: int = _setting(
        1,
        "Processes that serve; several need a PostgreSQL database and a Valkey, and one more process watches them.",
        "NUMBER",
        _number(1, MOST_WORKERS),
    )
    accounts: str = _setting(
        ALLOWLIST,
        "Who may sign up: everybody, the addresses that were allowed, or whoever confirms an address by e-mail.",
        f"{OPEN}|{ALLOWLIST}|{EMAIL}",
        _one_of(OPEN, ALLOWLIST, EMAIL),
    )
    allow: Collection[str] = _setting(
        (), "An address that may sign up, in lower case.", "ADDRESS", _each(_address, "address"), repr=False
    )
    max_wallet_bytes: int = _setting(
        MAX_WALLET_BYTES,
        "The largest encrypted wallet that is stored, in bytes.",
        "BYTES",
        _number(1, _MOST_WALLET_BYTES),
    )
    kept_bytes: int = _setting(
        KEPT_BYTES,
        "Most bytes of all kept versions of a wallet together, where the account has no quota; the oldest go first.",
        "BYTES",
        _number(0),
    )
    public_url: str = _setting(
        "", "The server's address as clients use it; links in mails begin with it.", "URL", _or_empty(_public_url)
    )
    trusted_proxies: Collection[str] = _setting(
        (),
        "A reverse proxy, by address or network, that is trusted to say where a request comes from.",
        "NETWORK",
        _each(_network, "network"),
    )
    cors_origins: Collection[str] = _setting(
        (), "A web page's origin that may use the server from a browser.", "ORIGIN", _each(_origin, "origin")
    )
    metrics_host: str = _setting("127.0.0.1", "Address to serve metrics on.", "ADDRESS", _host)
    metrics_port: int = _setting(0, "Port to serve metrics on; 0 turns them off.", "PORT", _number(0, 65535))
    mail_server: str = _setting("", "The SMTP server that sends mail for this server.", "HOST")
    mail_port: int = _setting(587, "Its port: 587 is usual for starttls, 465 for tls.", "PORT", _number(1, 65535))
    mail_security: str = _setting(
        STARTTLS,
        "How the connection to it is encrypted.",
        f"{STARTTLS}|{TLS}|{NO_TLS}",
        _one_of(STARTTLS, TLS, NO_TLS),
    )
    mail_username: str = _setting("", "Name to log in to it with.", "NAME", repr=False)
    mail_password_file: str = _setting(
        "", "File that holds the password to log in to it with, and nothing else.", "FILE"
    )
    mail_from: str = _setting("", "The sender's address in mails from this server.", "ADDRESS", _or_empty(_address))
    sockets_per_account: int = _setting(10, "WebSockets that an account may have open.", "NUMBER", _number(1))
    connections: int = _setting(
        CONNECTIONS,
        "Connections that may be open at once; beyond that, idle ones of the network that has most of them are closed.",
        "NUMBER",
        _number(LEAST_CONNECTIONS),
    )
    body_memory: int = _setting(
        BODY_MEMORY,
        "Memory for the bodies of requests and answers, in bytes; a quarter of it is for clients without a token.",
        "BYTES",
        _number(LEAST_BODY_MEMORY),
    )
    rate_signup: str = _setting(
        Rates.signup, "Sign-ups that one network may try; off for no limit, as with the other rates.", "RATE", _rate
    )
    rate_login: str = _setting(
        Rates.login,
        "Passwords that one network may try, beside those of devices that are known; off also lifts the "
        "limits per account.",
        "RATE",
        _rate,
    )
    rate_seed: str = _setting(Rates.seed, "Salt seeds that one network may ask for.", "RATE", _rate)
    rate_resend: str = _setting(Rates.resend, "Mails that one network may ask to be sent again.", "RATE", _rate)
    password_queue: int = _setting(
        QUEUE,
        "Passwords of strangers that may wait to be checked, and as many of devices that are known; beyond that, "
        "clients are told to try again later.",
        "NUMBER",
        _number(1),
    )
    log_format: str = _setting(LOGFMT, "The format of the log's lines.", f"{LOGFMT}|{JSON}", _one_of(LOGFMT, JSON))
    log_level: str = _setting(
        "info",
        "The least severe level that is logged; debug is for developers.",
        "|".join(LOG_LEVELS),
        _one_of(*LOG_LEVELS),
    )
    log_failed_logins: str = _setting(
        OFF,
        "Whether wrong passwords are logged with the address they came from, for fail2ban; never with the account.",
        f"{OFF}|{ON}",
        _one_of(OFF, ON),
    )

    def __post_init__(self) -> None:
        mistakes = list(find_mistakes(vars(self)))
        if mistakes:
            raise SettingsError(*mistakes)

    @property
    def has_file(self) -> bool:
        """Whether the database is a file of this machine, not one of a database server."""
        return self.database.startswith(_SQLITE)

    @property
    def database_name(self) -> str:
        """What a person is shown of `database`: its file, or its URL without a password."""
        return str(self.database_file) if self.has_file else without_password(self.database)

    @property
    def database_file(self) -> Path:
        """The file that `database` names, from the root of the disk and without links; only where it `has_file`."""
        return Path(os.path.realpath(self.database.removeprefix(_SQLITE)))

    @property
    def rates(self) -> Rates:
        """The rates as the services take them."""
        return Rates(signup=self.rate_signup, login=self.rate_login, seed=self.rate_seed, resend=self.rate_resend)

    @property
    def nobody_may_sign_up(self) -> bool:
        """Whether these settings refuse every sign-up."""
        return self.accounts == ALLOWLIST and not self.allow

    @property
    def plain_on_the_network(self) -> bool:
        """Whether clients would reach this server over a network and, as far as it knows, without TLS in front."""
        return not is_loopback(self.host) and not self.public_url.startswith("https://")

    def may_sign_up(self, email: str) -> bool:
        """Say whether this canonical address may sign up."""
        return self.accounts != ALLOWLIST or email in self.allow

    def mail_password(self) -> str:
        """Return what `mail_password_file` holds, without the line's end; nothing if there is none.

        Raises:
            SettingsError: if the file cannot be read, or holds nothing or several lines.
        """
        if not self.mail_password_file:
            return ""
        try:
            lines = Path(self.mail_password_file).read_text().splitlines()
        except (OSError, UnicodeError, ValueError) as error:
            reason = getattr(error, "strerror", None) or "it is not a text file"
            raise SettingsError(Mistake("mail_password_file", f"cannot be read: {reason}.")) from None
        if len(lines) != 1 or not lines[0]:
            raise SettingsError(Mistake("mail_password_file", "must name a file with one line, the password."))
        return lines[0]


@dataclass(frozen=True)
class Setting:
    """What the table says about one setting."""

    name: str
    default: Any
    help: str
    metavar: str
    check: Check

    @property
    def option(self) -> str:
        """Its name on the command line."""
        return f"--{self.name.replace('_', '-')}"

    @property
    def variable(self) -> str:
        """Its name in the environment."""
        return f"{VARIABLES}{self.name.upper()}"

    @property
    def is_list(self) -> bool:
        """Whether it may be given several times."""
        return isinstance(self.default, tuple)


VARIABLES = "WALLETSYNC_"
TABLE = {
    field.name: Setting(
        field.name, field.default, field.metadata[_HELP], field.metadata[_METAVAR], field.metadata[_CHECK]
    )
    for field in dataclasses.fields(Settings)
}


def find_mistakes(values: Mapping[str, Any]) -> list[Mistake]:
    """Return all that is wrong with these values, each by itself and in relation to others; missing ones are right."""
    alone = [Mistake(name, said) for name, value in values.items() if (said := TABLE[name].check(value))]
    wrong = {mistake.name for mistake in alone}
    right = {name: setting.default for name, setting in TABLE.items()} | dict(values)
    together = [mistake for mistake in _together(right) if mistake.name not in wrong]
    return alone + together


def _together(values: Mapping[str, Any]) -> list[Mistake]:
    accounts = values["accounts"]
    found = []
    if accounts in (OPEN, EMAIL) and values["allow"]:
        found.append(
            Mistake(
                "allow", f"has no effect where accounts is {accounts}: leave it out, or set accounts to {ALLOWLIST}."
            )
        )
    if values["live"] and values["database"].startswith(_SQLITE):
        found.append(Mistake("live", "is for servers that share a PostgreSQL database; leave it out with SQLite."))
    if values["workers"] > 1:
        if values["database"].startswith(_SQLITE):
            found.append(Mistake("workers", "must be 1 with SQLite, whose file one process has for itself."))
        elif not values["live"]:
            found.append(
                Mistake("live", "must be set where there are several workers, since by it they tell each other.")
            )
    if accounts == EMAIL:
        found += [
            Mistake(name, f"must be set where accounts is {EMAIL}.")
            for name in ("public_url", "mail_server", "mail_from")
            if not values[name]
        ]
    elif values["mail_server"] and not values["mail_from"]:
        found.append(Mistake("mail_from", "must be set where there is a mail_server."))
    if bool(values["mail_username"]) != bool(values["mail_password_file"]):
        missing = "mail_password_file" if values["mail_username"] else "mail_username"
        found.append(Mistake(missing, "must be set as well, since a login needs both a name and a password."))
    if values["mail_username"] and values["mail_security"] == NO_TLS:
        found.append(
            Mistake("mail_security", f"must not be {NO_TLS} with a login, since anybody along the way could read it.")
        )
    return found


def without_password(url: str) -> str:
    """Return a database's URL as it may be shown: three dots stand for each password in it."""
    return _PASSWORD_IN_URL.sub(lambda found: f"{found['name']}=…" if found["name"] else f"{found['user']}:…@", url)


def is_loopback(host: str) -> bool:
    """Say whether only this machine reaches a server that listens on this address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
