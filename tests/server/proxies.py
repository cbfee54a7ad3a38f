"""Real reverse proxies in front of a real server, run with the configuration files of `deploy`."""

import http.client
import os
import socket
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import trustme

from tests.apt import require
from tests.server.helpers import Answer, Wire, until

DEPLOY = Path(__file__).parents[2] / "deploy"
HOST = "localhost"
NAME_IN_DEPLOY, SERVER_IN_DEPLOY = "sync.example.com", "127.0.0.1:8090"
_NGINX = """
daemon off;
pid {folder}/pid;
error_log {folder}/main.log;
{user}
events {{}}
http {{
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {site};
}}
"""


class TlsWire(Wire):
    """TLS to a proxy, from an address of this machine; trusts only the authority of the test."""

    def __init__(self, port: int, authority: trustme.CA, source: str = "127.0.0.1") -> None:
        self.port = port
        self.context = ssl.create_default_context()
        authority.configure_trust(self.context)
        self.source = source

    def send(self, method: str, target: str, body: bytes, headers: dict[str, str]) -> Answer:
        connection = http.client.HTTPSConnection(HOST, self.port, context=self.context)
        here = "::1" if ":" in self.source else "127.0.0.1"
        plain = socket.create_connection((here, self.port), timeout=60, source_address=(self.source, 0))
        connection.sock = self.context.wrap_socket(plain, server_hostname=HOST)
        try:
            connection.request(method, target, body or None, headers)
            response = connection.getresponse()
            names = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, names, response.read())
        finally:
            connection.close()


class Proxy:
    """A proxy that runs. `port` speaks TLS, `plain` does not; `log` is everything that it has written."""

    def __init__(self, folder: Path, port: int, plain: int = 0) -> None:
        self.port = port
        self.plain = plain
        self.folder = folder

    def log(self) -> str:
        return "".join(file.read_text() for file in self.folder.glob("*.log"))


@contextmanager
def nginx(folder: Path, server: str, authority: trustme.CA) -> Iterator[Proxy]:
    """Run nginx with the example in front of `server`, an address with a port."""
    program = require("nginx")
    with _free_port() as port, _free_port() as plain:
        changes = {
            "listen 80;": f"listen 127.0.0.1:{plain};",
            "listen [::]:80;": f"listen [::1]:{plain};",
            "listen 443 ssl": f"listen 127.0.0.1:{port} ssl",
            "listen [::]:443 ssl": f"listen [::1]:{port} ssl",
            "/var/www/html": f"{folder}/html",
            f"server_name {NAME_IN_DEPLOY};": f"server_name {HOST};",
            SERVER_IN_DEPLOY: server,
            "/var/log/nginx/walletsync.log": f"{folder}/site.log",
            **_certificate(folder, authority),
        }
        site = _changed("nginx.conf", folder, changes)
        main = folder / "main.conf"
        user = "user root;" if os.geteuid() == 0 else ""  # the folder of a test is its user's only
        main.write_text(_NGINX.format(folder=folder, site=site, user=user))
        with _running([program, "-p", str(folder), "-c", str(main)], folder, port):
            yield Proxy(folder, port, plain)


@contextmanager
def caddy(folder: Path, server: str, authority: trustme.CA) -> Iterator[Proxy]:
    """Run Caddy with the example in front of `server`, an address with a port."""
    program = require("caddy")
    with _free_port() as port:
        certificate, key = _certificate(folder, authority).values()
        address = f"https://{HOST}:{port} {{\n\tbind 127.0.0.1 [::1]"
        changes = {
            "{\n\t# Req": "{\n\tadmin off\n\tauto_https disable_redirects\n\t# Req",
            f"\n{{$SYNC_NAME:{NAME_IN_DEPLOY}}} {{": f"\n{address}\n\ttls {certificate} {key}",
            f"{{$SYNC_SERVERS:{SERVER_IN_DEPLOY}}}": server,
        }
        site = _changed("Caddyfile", folder, changes)
        with _running([program, "run", "--config", str(site), "--adapter", "caddyfile"], folder, port):
            yield Proxy(folder, port)


def _changed(name: str, folder: Path, changes: dict[str, str]) -> Path:
    """Write an example to `folder` with what a test cannot have as it is; everything else is as it is read."""
    text = (DEPLOY / name).read_text()
    for old, new in changes.items():
        assert old in text, f"deploy/{name} has no {old!r} any more"
        text = text.replace(old, new)
    file = folder / name
    file.write_text(text)
    return file


def _certificate(folder: Path, authority: trustme.CA) -> dict[str, str]:
    """Make a certificate; return the names of its files in the examples, and what they are here."""
    made = authority.issue_cert(HOST)
    names = {"fullchain.pem": made.cert_chain_pems[0], "privkey.pem": made.private_key_pem}
    for name, blob in names.items():
        blob.write_to_path(str(folder / name))
    return {f"/etc/letsencrypt/live/{NAME_IN_DEPLOY}/{name}": f"{folder}/{name}" for name in names}


@contextmanager
def _free_port() -> Iterator[int]:
    """Keep a port that nobody is given by chance; a proxy may listen on it all the same."""
    with socket.socket() as reserved:
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        reserved.bind(("127.0.0.1", 0))
        yield reserved.getsockname()[1]


@contextmanager
def _running(command: list[str], folder: Path, port: int) -> Iterator[None]:
    log = folder / "output.log"
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder)}
    with log.open("w") as output, subprocess.Popen(command, env=environment, stdout=output, stderr=output) as process:
        try:
            until(lambda: _accepts(port) or process.poll() is not None)
            assert process.poll() is None, log.read_text()
            yield
        finally:
            process.terminate()


def _accepts(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0
