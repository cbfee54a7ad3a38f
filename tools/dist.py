"""`make dist`: builds what people install into dist/, holds it against the sources, and tries it where nothing else is.

    python -m tools.dist             # whatever the working tree has
    python -m tools.dist --release   # only what may be published, see RELEASING.md

The backend is the pinned one and fetches nothing. The same commit gives the same bytes, so that anybody can build a
release again and compare. `dist/` holds what passed, or what it held before.
"""

import argparse
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
import zipfile
from collections.abc import Mapping, Sequence
from configparser import ConfigParser
from datetime import date
from pathlib import Path
from typing import Any

from packaging.metadata import Metadata
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
SOURCES = {"walletsync": "", "walletsync_server": "server"}
"""Each distribution's package, and where its pyproject.toml lies; they have the same version."""

_UV = (sys.executable, "-m", "uv", "--no-config", "pip")
_SERVE = (
    "from urllib.request import urlopen\n"
    "from walletsync_server.testing import RunningServer\n"
    "with RunningServer() as server:\n"
    "    print(urlopen(server.url + '/healthz').status, urlopen(server.url + '/docs').status, server.stop())\n"
)


class Refused(Exception):
    """This must not be published as it is; the message says what to do."""


def main(arguments: Sequence[str], root: Path = ROOT) -> int:
    """Fill `dist/` of the repository `root`; return the exit code, 1 after a sentence on stderr."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.dist", description="Build, check and try both distributions."
    )
    parser.add_argument("--release", action="store_true", help="refuse what must not be published")
    demanded = parser.parse_args(arguments).release
    try:
        version = version_of(root)
        if demanded:
            demand_release(root, version)
        with tempfile.TemporaryDirectory(prefix="walletsync-dist-") as temporary:
            built = Path(temporary) / "built"
            build(root, built, epoch=_git(root, "log", "-1", "--format=%ct"))
            check(root, built, version)
            try_out(built, Path(temporary) / "environment", version)
            shutil.rmtree(root / "dist", ignore_errors=True)
            shutil.copytree(built, root / "dist")
    except Refused as refused:
        print(refused, file=sys.stderr)
        return 1
    for file in sorted((root / "dist").iterdir()):
        print(f"{hashlib.sha256(file.read_bytes()).hexdigest()}  dist/{file.name}")
    return 0


def run(*command: str | Path, folder: Path | None = None, variables: Mapping[str, str] | None = None) -> str:
    """Run a command; return its stdout.

    Raises:
        Refused: with all that it wrote, if it fails.
    """
    environment = {**os.environ, **(variables or {})}
    done = subprocess.run(
        [*map(str, command)], capture_output=True, text=True, check=False, cwd=folder, env=environment
    )
    if done.returncode:
        raise Refused(f"{' '.join(map(str, command))} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


def _git(root: Path, *words: str) -> str:
    return run("git", *words, folder=root).rstrip()


# What a release is


def version_of(root: Path) -> str:
    """Return the version of both distributions."""
    files = [f"{folder}/{package}/__init__.py".lstrip("/") for package, folder in SOURCES.items()]
    versions = [re.findall(r'^__version__ = "(.+)"$', (root / file).read_text(), re.MULTILINE) for file in files]
    if len({*map(tuple, versions)}) != 1 or len(versions[0]) != 1:
        raise Refused(
            f"Both distributions are released together: write the same __version__ into {' and '.join(files)}."
        )
    version = str(versions[0][0])
    if f"walletsync=={version}" not in _project(root / "server")["dependencies"]:
        raise Refused(
            "The server takes the wire contract from the client of its own version: "
            f"write walletsync=={version} into the dependencies of server/pyproject.toml."
        )
    return version


def demand_release(root: Path, version: str) -> None:
    """Refuse what is no release: one has a dated heading in the changelog and a tag, all of it is committed, and its
    metadata names the addresses where the project really is."""
    mistakes = []
    heading = re.search(rf"^## \[{re.escape(version)}\] - (.*)$", (root / "CHANGELOG.md").read_text(), re.MULTILINE)
    if heading is None or not _is_date(heading[1]):
        mistakes.append(
            f"CHANGELOG.md has no heading `## [{version}] - {date.today()}`: write it above the entries of this "
            "version, with the day of the release; or correct __version__."
        )
    if changed := _git(root, "status", "--porcelain"):
        mistakes.append(f"This is not committed, so the tag would not have it; commit or remove it:\n{changed}")
    if f"v{version}" not in _git(root, "tag", "--points-at", "HEAD").splitlines():
        mistakes.append(
            f"The tag v{version} is not at HEAD: `git tag v{version}`, or check out the commit that has it."
        )
    for folder in SOURCES.values():
        if "example.com" in str(_project(root / folder)["urls"]):
            file = Path(folder) / "pyproject.toml"
            mistakes.append(f"{file} has example.com under [project.urls]: write where this repository is hosted.")
    if mistakes:
        raise Refused("\n".join((f"{version} cannot be released:", *(f"- {mistake}" for mistake in mistakes))))


def _is_date(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def _project(source: Path) -> dict[str, Any]:
    found: dict[str, Any] = tomllib.loads((source / "pyproject.toml").read_text())["project"]
    return found


# Building


def build(root: Path, folder: Path, *, epoch: str) -> None:
    """Build wheels and sdists of both distributions into `folder`.

    Args:
        epoch: the time that everything in them gets, in seconds since 1970: that of the commit.
    """
    for source in SOURCES.values():
        _build(root / source, folder, "--sdist", "--wheel", epoch=epoch)


def _build(source: Path, folder: Path, *kinds: str, epoch: str) -> None:
    words = ("-m", "build", "--no-isolation", *kinds, "--outdir")
    run(sys.executable, *words, folder, source, variables={"SOURCE_DATE_EPOCH": epoch})


# Checking


def check(root: Path, folder: Path, version: str) -> None:
    """Refuse what differs from what the sources of `root` promise."""
    for package, source in SOURCES.items():
        wheel, sdist = folder / f"{package}-{version}-py3-none-any.whl", folder / f"{package}-{version}.tar.gz"
        _check_wheel(wheel, root / source, package, version)
        _check_sdist(sdist, root / source, version)
        _check_same_wheel(sdist, wheel)
    run(sys.executable, "-m", "twine", "check", "--strict", *sorted(folder.iterdir()))


def _check_wheel(wheel: Path, source: Path, package: str, version: str) -> None:
    with zipfile.ZipFile(wheel) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    about = f"{package}-{version}.dist-info/"
    packed = {name for name in files if not name.startswith(about)}
    here = {str(file.relative_to(source)) for file in (source / package).rglob("*") if file.is_file()}
    here = {name for name in here if "/__pycache__/" not in name}
    _demand(wheel, "files", packed, here)
    if f"{package}/py.typed" not in packed:
        raise Refused(f"{wheel.name} has no {package}/py.typed, so that nobody's type checker believes its types.")
    _check_metadata(wheel, files[f"{about}METADATA"], source, version)
    commands = ConfigParser(delimiters="=")
    commands.read_string(files[f"{about}entry_points.txt"].decode())
    _demand(wheel, "commands", dict(commands["console_scripts"]), _project(source)["scripts"])
    _demand(wheel, "licence", files[f"{about}licenses/LICENSE"], (source / "LICENSE").read_bytes())


def _check_sdist(sdist: Path, source: Path, version: str) -> None:
    top = sdist.name.removesuffix(".tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.removeprefix(f"{top}/").partition("/")[0] for name in archive.getnames()}
        information = archive.extractfile(f"{top}/PKG-INFO")
        assert information is not None  # noqa: S101 - for the type checker: it is a file
        _check_metadata(sdist, information.read(), source, version)
    settings = tomllib.loads((source / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["sdist"]
    always = {".gitignore", "LICENSE", "PKG-INFO", "pyproject.toml", _project(source)["readme"]}
    promised = {name.strip("/").partition("/")[0] for name in (*always, *settings["include"])}
    _demand(sdist, "files and folders", names, promised)


def _check_metadata(file: Path, text: bytes, source: Path, version: str) -> None:
    found, project = Metadata.from_email(text), _project(source)
    extras = project.get("optional-dependencies", {})
    needed = [f"{each}; extra == '{extra}'" for extra, group in extras.items() for each in group]
    for what, is_there, promised in (
        ("Name", found.name, project["name"]),
        ("Version", str(found.version), version),
        ("Requires-Python", str(found.requires_python), project["requires-python"]),
        ("Requires-Dist", {*(found.requires_dist or ())}, {*map(Requirement, [*project["dependencies"], *needed])}),
        ("Project-URL", found.project_urls, project["urls"]),
        ("Classifier", sorted(found.classifiers or ()), sorted(project["classifiers"])),
        ("License-Expression", found.license_expression, project["license"]),
        ("License-File", found.license_files, project["license-files"]),
        ("description", found.description, (source / project["readme"]).read_text()),
    ):
        _demand(file, what, is_there, promised)


def _check_same_wheel(sdist: Path, wheel: Path) -> None:
    """Refuse an sdist that misses something that the wheel has, or makes it differently."""
    with tempfile.TemporaryDirectory(prefix="walletsync-sdist-") as folder, tarfile.open(sdist) as archive:
        archive.extractall(folder, filter="data")
        epoch = str(archive.getmember(f"{sdist.name.removesuffix('.tar.gz')}/PKG-INFO").mtime)
        _build(Path(folder) / sdist.name.removesuffix(".tar.gz"), Path(folder) / "built", "--wheel", epoch=epoch)
        if (Path(folder) / "built" / wheel.name).read_bytes() != wheel.read_bytes():
            raise Refused(f"{sdist.name} builds to another wheel than {wheel.name}.")


def _demand(file: Path, what: str, found: object, promised: object) -> None:
    if found == promised:
        return
    if isinstance(found, set) and isinstance(promised, set):
        extra, missing = (sorted(map(str, names)) for names in (found - promised, promised - found))
        raise Refused(f"{file.name}, {what}: should not be there: {extra}; missing: {missing}")
    raise Refused(f"{file.name}, {what}: {found!r} instead of {promised!r}")


# Trying out


def try_out(folder: Path, environment: Path, version: str) -> None:
    """Install both wheels into a new environment; refuse them if a command does not start, or the server not serve."""
    client, server = (folder / f"{package}-{version}-py3-none-any.whl" for package in SOURCES)
    python = install(environment, f"{client}[cli]", server)
    for command in ("walletsync", "walletsync-server"):
        said = run(python.parent / command, "--version", folder=environment)
        if said != f"{command}, version {version}\n":
            raise Refused(f"`{command} --version` says {said!r}.")
    if (said := run(python, "-I", "-c", _SERVE, folder=environment)) != "200 200 0\n":
        raise Refused(f"The server answered /healthz and /docs, and ended after SIGTERM, with {said!r}.")


def install(environment: Path, *wheels: Path | str) -> Path:
    """Install wheels into a new environment, with what they need as requirements.lock has it; return its Python.

    Names alone are resolved, since what stands for a wheel's hash is the lock, and no index.
    """
    run(sys.executable, "-m", "venv", "--without-pip", environment)
    python = environment / "bin" / "python"
    entries = re.findall(r"^\S+==.*?(?=^\S|\Z)", (ROOT / "requirements.lock").read_text(), re.MULTILINE | re.DOTALL)
    wanted, pins, locked = (environment / name for name in ("wanted.txt", "pins.txt", "locked.txt"))
    wanted.write_text("".join(f"{wheel}\n" for wheel in wheels))
    pins.write_text("".join(entry.partition("\n")[0].rstrip("\\") + "\n" for entry in entries))
    plain = ("--quiet", "--no-header", "--no-annotate", "--only-binary", ":all:", "--constraint", pins)
    needed = run(*_UV, "compile", *plain, "--python", python, wanted)
    names = {line.partition("==")[0] for line in needed.splitlines()}
    locked.write_text("".join(entry for entry in entries if entry.partition("==")[0] in names))
    to_install = (*_UV, "install", "--quiet", "--python", python, "--no-deps", "--only-binary", ":all:")
    run(*to_install, "--require-hashes", "--requirement", locked)
    run(*to_install, *wheels)
    run(*_UV, "check", "--quiet", "--python", python)
    return python


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
