"""Hands one mail to an SMTP server. The caller decides when, and whether again."""

from __future__ import annotations

import smtplib
import ssl
from email.message import EmailMessage

from core.config_types import Smtp
from core.errors import InDoubt, LoginNeeded, Rejected, Retry

TIMEOUT_S = 30.0


def send(mail: EmailMessage, smtp: Smtp) -> str:
    """Send it and return the server's own words.

    Raises Retry (it did not go), InDoubt (the line broke after DATA: it may have
    gone; its Message-ID tells a duplicate), Rejected or LoginNeeded.
    """
    data_sent = False
    try:
        with _connected(smtp) as server:
            server.ehlo_or_helo_if_needed()
            if smtp.tls == "starttls":
                server.starttls(context=ssl.create_default_context())
                server.ehlo()
            if smtp.user and smtp.password is not None:
                server.login(smtp.user, smtp.password.reveal())
            data_sent = True
            refused = server.send_message(mail)
    except smtplib.SMTPAuthenticationError as error:
        raise LoginNeeded(f"{smtp.host} refuses the login", words=_words(error)) from None
    except smtplib.SMTPRecipientsRefused as error:
        codes = [code for code, _ in error.recipients.values()]
        kind = Retry if all(400 <= code < 500 for code in codes) else Rejected
        raise kind(f"{smtp.host} takes none of the recipients", words=str(codes)) from None
    except smtplib.SMTPResponseException as error:
        kind = Retry if 400 <= error.smtp_code < 500 else Rejected
        raise kind(f"{smtp.host} refuses the mail", words=_words(error)) from None
    except smtplib.SMTPNotSupportedError as error:
        raise Rejected(f"{smtp.host} offers no {smtp.tls}", words=str(error)) from None
    except (OSError, smtplib.SMTPException) as error:
        if data_sent:
            raise InDoubt(f"the line to {smtp.host} broke while sending") from error
        raise Retry(f"{smtp.host}:{smtp.port} cannot be reached", words=str(error)) from error
    return f"accepted by {smtp.host}" + (f", {len(refused)} refused" if refused else "")


def _connected(smtp: Smtp) -> smtplib.SMTP:
    if smtp.tls == "tls":
        return smtplib.SMTP_SSL(
            smtp.host, smtp.port, timeout=TIMEOUT_S, context=ssl.create_default_context()
        )
    return smtplib.SMTP(smtp.host, smtp.port, timeout=TIMEOUT_S)


def _words(error: smtplib.SMTPResponseException) -> str:
    words = error.smtp_error
    text = words.decode(errors="replace") if isinstance(words, bytes) else str(words)
    return f"{error.smtp_code} {text}"[:200]
