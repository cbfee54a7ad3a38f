"""No server gets, stores or logs a secret in the whole of the documentation's run; and a client or a server that does
otherwise is found out by the same search."""

import itertools
import re

import pytest

from tests.docs.evidence import recorded
from tests.docs.trees import code, notebook
from tests.leaks import Search
from tools.docs.normalise import normalise, without_outputs
from tools.docs.notebooks import read_all, to_text
from tools.docs.project import ROOT


@pytest.mark.security  # for a minute of processor time
def test_no_secret_of_the_tour_reaches_a_server_or_stays_there() -> None:
    """In no encoding and however packed: no text of a wallet, no password, no key anywhere; what logs in, and tokens,
    on the wire in their places alone, and in no file and no log.

    The search means something: it was the run whose outputs are committed, all its notebooks had something to hide,
    each login and token that came to a server is known, and the files of devices are full of what is searched for.
    """
    with recorded({name: without_outputs(tour) for name, tour in read_all(ROOT).items()}) as run:
        assert [str(each.failure) for each in run.runs if each.failure] == []
        for each in run.runs:
            committed = (ROOT / f"notebooks/{each.name}.ipynb").read_text()
            assert to_text(normalise(each.name, each.notebook, private=[])) == committed
        assert run.leaks() == []

        assert all(run.typed("password"))
        assert all(run.typed("encryption"))
        assert sum(map(bool, run.typed("document"))) == len(run.runs) - 1, "01 is about tokens"
        derived = {login.strip('"').encode() for login in set().union(*run.typed("login"))}
        assert run.logins - derived == {b"a wrong password"}
        assert run.shown <= run.tokens
        search = Search(run.secrets())
        found = "\n".join(itertools.chain(*itertools.starmap(search.found, run.devices.items())))
        assert 'there is the text "tx1":"rent" as base64, in room/' in found
        assert "there is a token as it is, in room/" in found


BEGIN = """from tour import PASSWORD, logged_in
from walletsync import crypto

email = "{name}@example.com"
laptop, = logged_in(server_url, email, "laptop")
laptop.set_document({{"labels": {{"first": "is honest, by {name}"}}}})
laptop.sync()
"""

FAULTS = {
    "honest": "",
    "plain": """
def seal(keys, binding, *, plaintext, **about):
    return crypto.Sealed(plaintext.decode("latin-1"), "00" * 32)

crypto.seal = seal
laptop.set_document({"labels": {"kind": "not encrypted"}})
laptop.post_wallet()
""",
    "packed": """
import base64, gzip, zlib, zstandard

def deflated(plaintext):
    packing = zlib.compressobj(wbits=-15)
    return packing.compress(plaintext) + packing.flush()

def post(pack, word):
    def seal(keys, binding, *, plaintext, **about):
        return crypto.Sealed(base64.b64encode(pack(plaintext)).decode(), "00" * 32)

    crypto.seal = seal
    laptop.set_document({"labels": {word: "too short to be packed in the document's own way"}})
    laptop.post_wallet()

post(zlib.compress, "with zlib")
post(gzip.compress, "with gzip")
post(zstandard.compress, "with zstd")
post(deflated, "with deflate")
""",
    "talkative": """
import base64, requests
from urllib.parse import urlencode

seed = requests.get(f"{server_url}/api/3/client-salt-seed?email={base64.b64encode(email.encode()).decode()}").json()
keys = crypto.derive(PASSWORD, crypto.Binding(server_url, email, bytes.fromhex(seed["clientSaltSeed"])))
requests.get(server_url, headers={"X-Key": keys.encryption.hex()})
requests.get(f"{server_url}/?{urlencode({'mac': base64.urlsafe_b64encode(keys.mac)})}")
requests.post(server_url, data=PASSWORD.encode().hex().upper())
requests.post(server_url, json={"hint": keys.login})
requests.get(server_url, params={"token": laptop.get_auth_token().value})
""",
    "server": """
import sys
from walletsync_server.testing import RunningServer

FAULTY = '''
import sys
from walletsync_server.cli import main
from walletsync_server.services import passwords, tokens

def say(token):
    print("a token:", token, file=sys.stderr, flush=True)
    return hashed(token)

hashed, tokens._hash = tokens._hash, {hash_of_a_token}
main()
'''

class Faulty(RunningServer):
    def _command(self):
        return [sys.executable, "-c", FAULTY.replace("{hash_of_a_token}", self.fault), *self._words()]

for Faulty.fault in ("say", "bytes.fromhex"):
    server = Faulty(accounts="open").start()
    logged_in(server.url, email, "laptop")
    server.stop()
""",
}


FOUND = [
    # plain
    r"the text not encrypted as it is, in wire/\w+\.asked",
    r"the text not encrypted as it is, in shared/walletsync\.db-wal",
    r"the text not encrypted as it is, in the rows of shared/walletsync\.db",
    # packed
    r"the text with zlib as it is, in zlib in base64 in wire/\w+\.asked",
    r"the text with gzip as it is, in gzip in base64 in wire/\w+\.asked",
    r"the text with zstd as it is, in zstd in base64 in wire/\w+\.asked",
    r"the text with deflate as it is, in deflate in base64 in wire/\w+\.asked",
    # talkative
    r"the encryption key of talkative@example\.com as hex, in wire/\w+\.asked",
    r"the mac key of talkative@example\.com as (URL-safe )?base64, in wire/\w+\.asked",
    r"the login key of talkative@example\.com as it is, in wire/\w+\.asked",
    r"the password 'correct horse battery staple' as hex in capitals, in wire/\w+\.asked",
    r"a token as it is, in wire/\w+\.asked",
    # server
    r"a token as it is, in room/walletsync-server-\w+/server\.log",
    r"a token as it is, in room/walletsync-server-\w+/walletsync\.db",
    r"a token as it is, in stopped/[\d-]+/walletsync\.db-wal",
    r"a token as it is, in the rows of stopped/[\d-]+/walletsync\.db",
]


def test_a_client_or_a_server_that_tells_is_found_out() -> None:
    """By name, in which form, and where; and of the one that is honest, and of the rest, nothing is said."""
    cells = {name: [code("begin", BEGIN.format(name=name)), code("fault", end)] for name, end in FAULTS.items()}
    with recorded({name: without_outputs(notebook(*both)) for name, both in cells.items()}) as run:
        assert [str(each.failure) for each in run.runs if each.failure] == []
        leaks = run.leaks()
    said = "\n".join(leaks)
    assert [each for each in FOUND if not re.search(f"^there is {each}$", said, re.MULTILINE)] == [], said
    named = {leak.removeprefix("there is ").partition(" as ")[0] for leak in leaks}
    assert {name for name in named if "@" in name} == {
        f"the {key} key of talkative@example.com" for key in ("encryption", "mac", "login")
    }
    assert not [leak for leak in leaks if "is honest" in leak]
