"""Image and compose files: what they set, mount and reach is what the server has. `tests/box/` runs the image."""

import ipaddress
import json
import os
import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import pytest

from tests.apt import require
from tests.cheap_server import CheapServer
from tests.postgres import Postgres
from tests.server.proxies import DEPLOY
from walletsync_server.configuration import load
from walletsync_server.settings import TABLE, VARIABLES, Settings
from walletsync_server.storage.postgres.links import MOST

ROOT = DEPLOY.parent
NAME = "sync.example.com"
DATA, BACKUPS = "/var/lib/walletsync", "/var/lib/walletsync-backups"
USER = "10001"
DOCKERFILE = (DEPLOY / "Dockerfile").read_text().replace("\\\n", " ")
COMPOSED = sorted(DEPLOY.glob("*/compose.yml"))


def instructions(name: str) -> list[str]:
    """Return what follows an instruction of the Dockerfile, for all of its lines that begin with it."""
    return re.findall(rf"^{name} +(.*)$", DOCKERFILE, re.MULTILINE)


def image_variables() -> dict[str, str]:
    return dict(word.split("=", 1) for line in instructions("ENV") for word in line.split())


def composed(file: Path, **variables: str) -> dict[str, Any]:
    """Return what docker-compose understands of a file; fail with its words if it does not."""
    program = require("docker-compose", "docker-compose", "--no-install-recommends")
    words = [program, "--file", str(file), "config"]
    environment = {"PATH": os.environ["PATH"], **variables}
    ended = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    return msgspec.yaml.decode(ended.stdout, type=dict[str, Any])


@pytest.fixture(scope="module", params=COMPOSED, ids=lambda file: file.parent.name)
def compose(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Each compose file, as docker-compose reads it."""
    return composed(request.param, SYNC_NAME=NAME)


def ours(compose: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the services that run our image."""
    found = {name: each for name, each in compose["services"].items() if each["image"] == "walletsync-server"}
    assert found
    return found


def servers(compose: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the services that serve: what the image does by itself."""
    return {name: each for name, each in ours(compose).items() if "entrypoint" not in each}


def settings_of(service: dict[str, Any]) -> Settings:
    """Return what the server makes of the image's variables and the service's; a mistake in them is told."""
    variables = {
        name: value
        for name, value in {**image_variables(), **service.get("environment", {})}.items()
        if name.startswith(VARIABLES)
    }
    assert set(variables) <= {setting.variable for setting in TABLE.values()}
    return load({}, variables, None).settings


def test_image_runs_as_a_user_without_rights() -> None:
    """By number, so that a host can tell that it is not root; the folders that it writes to are its own."""
    assert instructions("USER") == [f"{USER}:{USER}"]
    assert f"useradd --uid {USER} " in DOCKERFILE
    assert json.loads(instructions("VOLUME")[0]) == [DATA, BACKUPS]
    assert re.search(
        rf"install --directory --mode 700 --owner walletsync --group walletsync +{DATA} {BACKUPS}", DOCKERFILE
    )


def test_settings_of_the_image_are_right() -> None:
    """Its variables are settings, the port is the one that is exposed and asked, and the data is in the volume."""
    settings = settings_of({})
    assert [str(settings.port)] == instructions("EXPOSE")
    assert f"http://127.0.0.1:{settings.port}/readyz" in DOCKERFILE
    assert str(settings.database_file.parent) == DATA == instructions("WORKDIR")[-1]
    assert settings.host == "0.0.0.0"  # noqa: S104 - in a network of its own


def test_health_check_tells_a_server_from_none(tmp_path: Path) -> None:
    """The command of the image, at the port of a server here: 0 while that is ready, anything else after its end."""
    (line,) = instructions("HEALTHCHECK")
    program, *words = json.loads(line.partition("CMD ")[2])
    assert program == "/opt/walletsync/bin/python"
    with CheapServer(database=tmp_path / "walletsync.db") as server:
        port = server.url.rpartition(":")[2]
        command = ["python3", *(word.replace("8090", port) for word in words)]
        assert subprocess.run(command, check=False).returncode == 0
    assert subprocess.run(command, check=False, capture_output=True).returncode == 1


def test_nothing_secret_is_in_the_image() -> None:
    """No variable or argument that could hold a secret, and of the repository only what is installed."""
    assert not instructions("ARG")
    assert not [name for name in image_variables() if re.search("password|secret|token|key", name, re.IGNORECASE)]
    copied = {word for line in instructions("COPY") if "--from" not in line for word in line.split()[:-1]}
    assert copied == {"LICENSE", "deploy/image.lock", "docs/package.md", "pyproject.toml", "server", "walletsync"}
    sent = (DEPLOY / "Dockerfile.dockerignore").read_text().split("\n*\n")[1].splitlines()
    assert {line.removeprefix("!") for line in sent if line.startswith("!")} == copied


def pins(lock: Path) -> dict[str, set[str]]:
    """Return the hashes of each package with its version and marker."""
    entries = re.findall(r"^(\S+==[^\\\n]+)((?: \\\n +--hash=\S+)+)", lock.read_text(), re.MULTILINE)
    return {name.partition(" ;")[0].strip(): set(re.findall(r"--hash=(\S+)", hashes)) for name, hashes in entries}


def test_the_image_has_what_the_lock_pins() -> None:
    """Its own lock has nothing but what requirements.lock has, byte for byte, and all that the server asks for."""
    whole, image = pins(ROOT / "requirements.lock"), pins(DEPLOY / "image.lock")
    assert image.items() <= whole.items(), "run `make lock`"
    project = tomllib.loads((ROOT / "server" / "pyproject.toml").read_text())["project"]
    asked = [*project["dependencies"], *(each for extra in project["optional-dependencies"].values() for each in extra)]
    names = {re.split(r"[\[<>=!~ ;]", each)[0].lower() for each in asked} - {"walletsync"}
    assert names <= {pin.partition("==")[0] for pin in image}, "run `make lock`"


def test_services_have_no_rights(compose: dict[str, Any]) -> None:
    """Each of ours has a root that it cannot write to, no capability, and no way to more."""
    for service in ours(compose).values():
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert service["tmpfs"] == ["/tmp"]  # noqa: S108 - of the container
        assert "user" not in service
        assert "privileged" not in service


def test_settings_of_the_services_are_right(compose: dict[str, Any]) -> None:
    """Their variables are settings, clients come by https, and who is trusted is the proxy alone."""
    (proxy,) = compose["services"]["caddy"]["networks"].values()
    for service in servers(compose).values():
        settings = settings_of(service)
        assert settings.public_url == f"https://{NAME}"
        assert settings.trusted_proxies == (proxy["ipv4_address"],)
        assert not settings.plain_on_the_network
        assert "ports" not in service, "clients reach it through the proxy only"
        assert set(service["networks"]) <= set(compose["services"]["caddy"]["networks"]) | {"data"}
    (network,) = (compose["networks"][name] for name in compose["services"]["caddy"]["networks"])
    (config,) = network["ipam"]["config"]
    subnet, given = ipaddress.IPv4Network(config["subnet"]), ipaddress.IPv4Network(config["ip_range"])
    assert given.subnet_of(subnet)
    address = ipaddress.IPv4Address(proxy["ipv4_address"])
    assert address in subnet
    assert address not in given, "a server, which starts earlier, may get it"


def test_caddy_leads_to_the_servers(compose: dict[str, Any], tmp_path: Path) -> None:
    """Caddy itself reads the file that it is given, and finds every server at the port of that."""
    caddy = compose["services"]["caddy"]
    assert f"{DEPLOY / 'Caddyfile'}:/etc/caddy/Caddyfile:ro" in caddy["volumes"]
    assert {port["target"] for port in caddy["ports"]} == {80, 443}
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), **caddy["environment"]}
    words = [require("caddy"), "adapt", "--adapter", "caddyfile", "--config", str(DEPLOY / "Caddyfile")]
    adapted = json.loads(subprocess.run(words, env=environment, capture_output=True, check=True).stdout)
    found = sorted(re.findall(r'"dial": "([^"]+)"', json.dumps(adapted)))
    assert found == sorted(f"{name}:{settings_of(each).port}" for name, each in servers(compose).items())
    assert f'"host": ["{NAME}"]' in json.dumps(adapted)


def test_the_name_has_to_be_said() -> None:
    """Without one, nothing starts, and the sentence says what is missing."""
    with pytest.raises(AssertionError, match="the name under which clients reach the server"):
        composed(COMPOSED[0])


def test_data_and_backups_are_in_volumes(compose: dict[str, Any]) -> None:
    """What a service writes outlives its container: every folder is a named volume at the image's place for it."""
    for service in ours(compose).values():
        mounted = [each.split(":") for each in service.get("volumes", [])]
        assert {target for _, target, *_ in mounted} <= {DATA, BACKUPS}
        assert {name for name, *_ in mounted} <= set(compose["volumes"])
        if settings_of(service).has_file:
            assert DATA in {target for _, target, *_ in mounted}


def test_the_database_of_two_servers() -> None:
    """Both use the one that is there, and one Valkey; it has connections enough, and its password is in no variable."""
    compose = composed(DEPLOY / "two-servers" / "compose.yml", SYNC_NAME=NAME)
    database = compose["services"]["database"]
    urls = {settings_of(each).database for each in servers(compose).values()}
    assert urls == {"postgresql://walletsync@database/walletsync?passfile=/run/secrets/pgpass"}
    assert len(servers(compose)) == 2
    assert {settings_of(each).live for each in servers(compose).values()} == {"valkey://valkey:6379/0"}
    assert "valkey" in compose["services"]
    (most,) = [int(word.partition("=")[2]) for word in database["command"] if word.startswith("max_connections=")]
    assert most >= 2 * MOST + 20
    assert database["environment"] == {
        **{"POSTGRES_USER": "walletsync", "POSTGRES_DB": "walletsync"},
        "POSTGRES_PASSWORD_FILE": "/run/secrets/database-password",
    }
    assert compose["networks"]["data"]["internal"] is True
    # PostgreSQL's image makes the database by a server that answers at its socket alone, and that takes a while.
    assert "--host=127.0.0.1" in database["healthcheck"]["test"]
    assert database["healthcheck"]["start_period"] == "2m"
    valkey = compose["services"]["valkey"]["command"]
    policy = valkey[valkey.index("--maxmemory-policy") + 1]
    assert f"`maxmemory-policy {policy}`" in (ROOT / "server" / "README.md").read_text()
    assert valkey[valkey.index("--protected-mode") + 1] == "no", "it refuses all others where nobody needs a password"
    ignored = (ROOT / ".gitignore").read_text().splitlines()
    assert {Path(secret["file"]).name for secret in compose["secrets"].values()} <= set(ignored)


def test_the_password_is_made_as_the_file_says(postgres: Postgres, tmp_path: Path) -> None:
    """The commands at its top make a password and a file with it, by which a server is let in."""
    text = (DEPLOY / "two-servers" / "compose.yml").read_text()
    (made,) = re.findall(r"^#     (umask .* >pgpass)$", text, re.MULTILINE)
    subprocess.run(made, shell=True, cwd=tmp_path, check=True)  # noqa: S602 - a line of ours
    password, file = (tmp_path / "database-password").read_text().strip(), tmp_path / "pgpass"
    assert len(password) == 48
    postgres.execute(f"CREATE ROLE walletsync LOGIN PASSWORD '{password}'")
    postgres.new_database("OWNER walletsync")
    where = f"localhost:{postgres.port}"
    file.write_text(file.read_text().replace("database:5432", where))
    with psycopg.connect(f"postgresql://walletsync@{where}/postgres?passfile={file}") as connection:
        assert connection.execute("SELECT current_user").fetchone() == ("walletsync",)
    file.write_text(file.read_text().replace(password, "another"))
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(f"postgresql://walletsync@{where}/postgres?passfile={file}")


def test_backups_are_those_of_the_unit() -> None:
    """The compose file makes, checks and keeps them as the example for systemd does."""
    service = composed(DEPLOY / "one-server" / "compose.yml", SYNC_NAME=NAME)["services"]["backup"]
    unit = (DEPLOY / "walletsync-backup.service").read_text()
    (script,) = service["command"]
    for words in ("walletsync-server backup ", "walletsync-server verify-backup ", "-mtime +30 -delete"):
        assert words in script
        assert words in unit
    assert BACKUPS in script
