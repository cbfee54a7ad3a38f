"""Sends the mails of the queue over SMTP, in a thread of its own, so that no request waits for a mail server."""

import smtplib
import threading
from collections.abc import Callable
from datetime import datetime

from walletsync_server.mail.messages import compose
from walletsync_server.mail.smtp import Route, connect
from walletsync_server.observe import logs
from walletsync_server.services.mail_queue import MailQueue, Outgoing

SENT, FAILED, REFUSED = "sent", "failed", "refused"
PAUSE_SECONDS = 1.0
"""How long between two looks at the queue. Mails are not sent at once: the time of an answer must not depend on what
its mail says."""
LONGEST_PAUSE_SECONDS = 60.0
"""The same after several failures, each of which doubles it."""
STOP_SECONDS = 5.0
"""How long a mail that is being sent may still take when the server stops."""
_CLOSING = 421  # the mail server's code for an end of the connection


class Mailer:
    """The thread, from `start` to `close`. It outlives every failure, of the mail server and of the database.

    `route` may be set anew, for every mail that is taken from the queue afterwards. `on_try` is told what became of
    each try: `sent`, `failed` if there will be another, `refused` if not.
    """

    def __init__(
        self, mails: MailQueue, route: Route, *, clock: Callable[[], datetime], on_try: Callable[[str], None]
    ) -> None:
        self._mails = mails
        self.route = route
        self._clock = clock
        self._on_try = on_try
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="mailer", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def close(self) -> None:
        """Finish the mail that is being sent, within `STOP_SECONDS`; the others wait for the next start."""
        self._stopping.set()
        self._thread.join(STOP_SECONDS)

    def _run(self) -> None:
        pause = PAUSE_SECONDS
        while not self._stopping.wait(pause):
            try:
                self._deliver()
            except Exception as error:  # noqa: BLE001 - the last resort: what fails now will be tried again
                logs.mail_failed(error)
                self._on_try(FAILED)
                pause = min(pause * 2, LONGEST_PAUSE_SECONDS)
            else:
                pause = PAUSE_SECONDS

    def _deliver(self) -> None:
        """Send what is due, over one connection."""
        if not self._mails.are_due():
            return
        route = self.route
        with connect(route) as connection:
            while not self._stopping.is_set() and (outgoing := self._mails.take()):
                if self.route != route:  # asked when the mail is ours: whoever set it anew may have queued this one
                    self._mails.put_back(outgoing)
                    return
                self._send(connection, route, outgoing)

    def _send(self, connection: smtplib.SMTP, route: Route, outgoing: Outgoing) -> None:
        """Send one mail and say what became of it; raise what ends the connection."""
        try:
            message = compose(outgoing, sender=route.sender, public_url=route.public_url, now=self._clock())
            connection.send_message(message, route.sender, [outgoing.to])
        except (smtplib.SMTPRecipientsRefused, smtplib.SMTPDataError) as error:
            code = _code_of(error)
            logs.event("mail_refused", smtp_code=code)
            if code >= 500:
                self._mails.refused(outgoing)
                self._on_try(REFUSED)
            else:
                self._mails.failed(outgoing)
                if code == _CLOSING:
                    raise
                self._on_try(FAILED)
        except Exception:
            self._mails.failed(outgoing)
            raise
        else:
            self._mails.sent(outgoing)
            logs.event("mail_sent")
            self._on_try(SENT)


def _code_of(error: smtplib.SMTPRecipientsRefused | smtplib.SMTPDataError) -> int:
    """Return the mail server's code for the only recipient that the mail had."""
    if isinstance(error, smtplib.SMTPDataError):
        return error.smtp_code
    ((code, _),) = error.recipients.values()
    return code
