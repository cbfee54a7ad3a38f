"""Where settings come from: flags, else the environment, else a file, else defaults; and what is wrong with them."""

import difflib
import re
import tomllib
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from walletsync_server.settings import TABLE, VARIABLES, Mistake, Setting, Settings, SettingsError, find_mistakes

FILE_OPTION = "--config"
FILE_VARIABLE = f"{VARIABLES}CONFIG"
DEFAULT = "default"
_OF_THE_CLIENT = {f"{VARIABLES}{name}" for name in ("FILE", "PASSWORD_FILE", "NEW_PASSWORD_FILE")}
"""Variables that the client's command line reads; both may run on one machine."""
_OF_A_SERVICE = re.compile(r".*_(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)")
_PLACE_OF_A_SERVICE = re.compile("(tcp|udp|sctp)://.*")
"""Variables that Kubernetes makes in every pod for a Service whose name begins with walletsync, by name and value."""


@dataclass(frozen=True)
class Configuration:
    """Settings, and for each where it came from: an option, a variable, a file, or `default`.

    `of_services` names variables that look like ours and are Kubernetes' own. `load_again` does what `load` did.
    """

    settings: Settings
    origins: Mapping[str, str]
    of_services: Collection[str] = ()
    load_again: Callable[[], "Configuration"] = field(kw_only=True, repr=False, compare=False)


@dataclass(frozen=True)
class _Given:
    """A value as somebody wrote it: under which name, and where from."""

    written: Any
    name: str
    origin: str


class _Wrong(ValueError):
    """A value is not of the setting's kind; the message is the end of a sentence."""


def load(flags: Mapping[str, Any], environment: Mapping[str, str], file: str | None = None) -> Configuration:
    """Return the settings that apply.

    Args:
        flags: what the command line gave, by the setting's name; texts, or lists of them.
        environment: all variables; those that do not begin with WALLETSYNC_ are left alone, and so are those that
            Kubernetes makes for a Service of that name.
        file: the TOML file; by default the one that WALLETSYNC_CONFIG names, if it does.

    Raises:
        SettingsError: with every mistake in any of these, each under the name that it was written with.
    """
    mistakes: list[Mistake] = []
    path = file or environment.get(FILE_VARIABLE)
    given: dict[str, _Given] = {}
    if path:
        given |= _from_file(path, FILE_OPTION if file else FILE_VARIABLE, mistakes)
    of_services = tuple(sorted(name for name, written in environment.items() if _is_of_a_service(name, written)))
    given |= _from_environment({k: v for k, v in environment.items() if k not in of_services}, mistakes)
    given |= {
        name: _Given(written, TABLE[name].option, TABLE[name].option)
        for name, written in flags.items()
        if written not in (None, ())
    }
    values = dict(_values(given, mistakes))
    for mistake in find_mistakes(values):
        if mistake.name not in given:  # it is wrong that it is missing
            mistakes.append(Mistake(TABLE[mistake.name].option, mistake.sentence))
        elif mistake.name in values:  # else it is in the list already
            mistakes.append(Mistake(given[mistake.name].name, mistake.sentence))
    if mistakes:
        raise SettingsError(*mistakes)
    origins = {name: given[name].origin if name in given else DEFAULT for name in TABLE}
    return Configuration(Settings(**values), origins, of_services, load_again=partial(load, flags, environment, file))


def _is_of_a_service(variable: str, written: str) -> bool:
    """Say whether Kubernetes made this variable. One of them may have the name of a setting, WALLETSYNC_PORT."""
    is_place = variable.endswith("_PORT") and _PLACE_OF_A_SERVICE.fullmatch(written)
    return variable.startswith(VARIABLES) and bool(is_place or _OF_A_SERVICE.fullmatch(variable))


def _from_environment(environment: Mapping[str, str], mistakes: list[Mistake]) -> Iterator[tuple[str, _Given]]:
    by_variable = {setting.variable: setting for setting in TABLE.values()}
    for variable, written in environment.items():
        if variable in by_variable:
            yield by_variable[variable].name, _Given(written, variable, variable)
        elif variable.startswith(VARIABLES) and variable not in {FILE_VARIABLE, *_OF_THE_CLIENT}:
            mistakes.append(_unknown(variable, [FILE_VARIABLE, *by_variable]))


def _from_file(path: str, named_by: str, mistakes: list[Mistake]) -> Iterator[tuple[str, _Given]]:
    try:
        keys = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        mistakes.append(Mistake(path, f"is not valid TOML: {error}."))
    except (OSError, ValueError) as error:  # ValueError: no UTF-8, or no path
        reason = getattr(error, "strerror", None) or "it is not a text file"
        mistakes.append(Mistake(named_by, f"names a file that cannot be read, {path}: {reason}."))
    else:
        for key, written in keys.items():
            if key in TABLE:
                yield key, _Given(written, f"{path}: {key}", path)
            else:
                mistakes.append(_unknown(key, list(TABLE), f"{path}: "))


def _unknown(name: str, known: list[str], before: str = "") -> Mistake:
    close = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {close[0]}?" if close else "`walletsync-server config` lists all of them."
    return Mistake(f"{before}{name}", f"is not a setting; {hint}")


def _values(given: Mapping[str, _Given], mistakes: list[Mistake]) -> Iterator[tuple[str, Any]]:
    for name, each in given.items():
        try:
            yield name, _value(TABLE[name], each.written)
        except _Wrong as error:
            mistakes.append(Mistake(each.name, f"{error}"))


def _value(setting: Setting, written: Any) -> Any:
    """Return what was written as the setting's kind: TOML has kinds of its own, flags and variables are texts."""
    if setting.is_list:
        return _list(written)
    if isinstance(setting.default, int):
        return _whole_number(written)
    if not isinstance(written, str):
        raise _Wrong("must be a string in quotes.")
    return written


def _list(written: Any) -> tuple[str, ...]:
    if isinstance(written, str):
        return tuple(written.replace(",", " ").split())
    if not isinstance(written, list | tuple) or not all(isinstance(each, str) for each in written):
        raise _Wrong('must be a list of strings, such as ["…", "…"].')
    return tuple(written)


def _whole_number(written: Any) -> int:
    if isinstance(written, str) and re.fullmatch("-?[0-9]{1,18}", written):
        return int(written)
    if not isinstance(written, int) or isinstance(written, bool):
        raise _Wrong("must be a whole number.")
    return written
