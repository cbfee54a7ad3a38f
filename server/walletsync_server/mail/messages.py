"""What our mails say: plain text, in ASCII, which is UTF-8 and passes every mail server as it is."""

import re
from datetime import datetime
from email.message import EmailMessage
from email.utils import format_datetime, make_msgid

from walletsync.protocol import API_PREFIX, VERIFY_PATH
from walletsync_server.services.mail_queue import Link, Outgoing

_PLAIN = re.compile(r"[a-z0-9!#$%&'*+/?^_`{|}~-]+(?:\.[a-z0-9!#$%&'*+/?^_`{|}~-]+)*@[a-z0-9.-]+")
_CONFIRM = """\
Somebody, probably you, signed up with this address at

  {url}

on {signed_up_at}. To confirm that it is your address, open this
page before {works_until} and press its button:

  {link}

The link confirms that one sign-up. If you signed up several times, use
the mail that names the time at which you chose your password.

If it was not you, do nothing: without the button there is no account.
"""
_HAS_ACCOUNT = """\
Somebody, probably you, signed up with this address at

  {url}

but it already has an account there. Nothing was changed: log in with the
password that you chose then.

If it was not you, there is nothing that you have to do.
"""
_INVITATION = """\
You are invited to keep your wallet in sync between your devices over the
server at

  {url}

Give your wallet this server's address, and sign up with the address that
this mail came to. The server keeps only what your devices have encrypted,
and never sees your password.

If you do not know what this is about, do nothing.
"""


def invitation(public_url: str) -> str:
    """Return what somebody is told who may sign up at this address."""
    return _INVITATION.format(url=public_url)


def compose_invitation(to: str, *, sender: str, public_url: str, now: datetime) -> EmailMessage:
    """Return the mail that says so; the arguments are those of `compose`."""
    return _mail(to, "You are invited", invitation(public_url), sender=sender, now=now)


def compose(outgoing: Outgoing, *, sender: str, public_url: str, now: datetime) -> EmailMessage:
    """Return the mail.

    Args:
        outgoing: what it is about.
        sender: address that it comes from.
        public_url: the server's address as clients write it, without a slash at its end.
        now: its date.
    """
    subject = "Confirm your address" if outgoing.link else "You have an account already"
    return _mail(outgoing.to, subject, _text(outgoing.link, public_url), sender=sender, now=now)


def _mail(to: str, subject: str, text: str, *, sender: str, now: datetime) -> EmailMessage:
    message = EmailMessage()
    message["From"] = sender
    message["To"] = _shown(to)
    message["Subject"] = subject
    message["Date"] = format_datetime(now)
    message["Message-ID"] = make_msgid(domain=sender.rpartition("@")[2])
    message["Auto-Submitted"] = "auto-generated"  # so that nobody's absence answers (RFC 3834)
    message.set_content(text, cte="7bit")
    return message


def _text(link: Link | None, public_url: str) -> str:
    if link is None:
        return _HAS_ACCOUNT.format(url=public_url)
    return _CONFIRM.format(
        url=public_url,
        signed_up_at=_moment(link.signed_up_at),
        works_until=_moment(link.works_until),
        link=f"{public_url}{API_PREFIX}{VERIFY_PATH}?verifyToken={link.token}",
    )


def _shown(address: str) -> str:
    """Return an address as its header has it.

    One that a header cannot have as it is, or where `=?` would begin an encoded word, is left out: the mail server gets
    it beside the mail anyway.
    """
    return address if _PLAIN.fullmatch(address) else "undisclosed-recipients:;"


def _moment(time: datetime) -> str:
    return f"{time.day} {time:%B %Y, %H:%M} UTC"
