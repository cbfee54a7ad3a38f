"""An account that somebody made at a server where not everybody can: logged in to as a client does."""

from walletsync import crypto
from walletsync.conformance.site import Account, Site
from walletsync.conformance.wire import Broken, NotTried, Wire
from walletsync.errors import InvalidAddress, WrongCredentials
from walletsync.protocol import canonical_email
from walletsync.realm import normalised_url


def given_account(url: str, email: str, password: str, *, ca_file: str | None = None) -> Account:
    """Return the account that a person made with this password; its login key is derived as docs/crypto.md says.

    It takes a second and 256 MiB.

    Raises:
        InvalidAddress: `email` is not in its canonical form.
        InvalidServerURL: `url` is none of a server, or plain http to another machine.
        UsageError: `ca_file` cannot be read.
        WrongCredentials: the server has no seed of this address.
        ServerUnreachable: no answer came.
    """
    try:
        canonical_email(email)
    except ValueError as error:
        raise InvalidAddress(f"The address cannot be used: {error}.") from None
    realm = normalised_url(url)
    wire = Wire(url, ca_file=ca_file)
    try:
        reply = Site(wire).seed(email)
        seed = str(reply.expect(200).field("clientSaltSeed"))
        binding = crypto.Binding(realm, email, bytes.fromhex(seed))
    except (Broken, NotTried, ValueError):
        raise WrongCredentials("The server tells no salt seed of this address.", status=reply.status) from None
    finally:
        wire.close()
    return Account(email, crypto.derive(password, binding).login, seed)
