"""Hands one mail to an SMTP server. The caller decides when, and whether again.

What may be in doubt is only what left after DATA; everything before it surely did
not happen, and once the server took the mail, nothing it does later unsends it.
"""

from __future__ import annotations

import contextlib
import smtplib
import ssl
from collections.abc import Callable
from email import policy
from email.message import EmailMessage
from email.utils import getaddresses

from core.config_types import Smtp
from core.crash import crash_point
from core.errors import InDoubt, LoginNeeded, Rejected, Retry
from core.seal import hide, scrub

TIMEOUT_S = 30.0

#: Reaches the server, which has said its greeting.
Connect = Callable[[Smtp], smtplib.SMTP]


def connected(smtp: Smtp) -> smtplib.SMTP:
    """Raises what smtplib and ssl raise."""
    if smtp.tls == "tls":
        context = ssl.create_default_context()
        return smtplib.SMTP_SSL(smtp.host, smtp.port, timeout=TIMEOUT_S, context=context)
    return smtplib.SMTP(smtp.host, smtp.port, timeout=TIMEOUT_S)


def send(mail: EmailMessage, smtp: Smtp, connect: Connect = connected) -> str:
    """Send it and return what became of it, in words.

    Raises Retry (it did not go), InDoubt (the line broke after DATA: it may have
    gone; its Message-ID tells a duplicate), Rejected or LoginNeeded.
    """
    if smtp.password is not None:
        hide(smtp.password.reveal())
    crash_point("mail.connecting")
    server = _reached(smtp, connect)
    try:
        _introduce(server, smtp)
        refused = _envelope(server, smtp, mail)
        _data(server, smtp, mail)
        crash_point("mail.accepted")
    finally:
        with contextlib.suppress(OSError, smtplib.SMTPException):
            server.quit()
        server.close()
    return f"accepted by {smtp.host}" + (f"; refused: {', '.join(refused)}" if refused else "")


def _reached(smtp: Smtp, connect: Connect) -> smtplib.SMTP:
    try:
        return connect(smtp)
    except smtplib.SMTPResponseException as error:
        raise _refusal(smtp, error.smtp_code, error.smtp_error) from None
    except ssl.SSLCertVerificationError as error:
        raise _untrusted(smtp, error) from None
    except (OSError, smtplib.SMTPException) as error:
        raise _unreachable(smtp, error) from error


def _introduce(server: smtplib.SMTP, smtp: Smtp) -> None:
    """EHLO, TLS if asked, login if given. Never goes on in clear when TLS was asked for."""
    try:
        server.ehlo_or_helo_if_needed()
        if smtp.tls == "starttls":
            server.starttls(context=ssl.create_default_context())
            server.ehlo()
        if smtp.user and smtp.password is not None:
            server.login(smtp.user, smtp.password.reveal())
    except smtplib.SMTPAuthenticationError as error:
        said = _said(error.smtp_code, error.smtp_error)
        if 400 <= error.smtp_code < 500:
            raise Retry(f"{smtp.host} cannot check the login now", words=said) from None
        raise LoginNeeded(f"{smtp.host} refuses the login", words=said) from None
    except smtplib.SMTPResponseException as error:
        raise _refusal(smtp, error.smtp_code, error.smtp_error) from None
    except smtplib.SMTPNotSupportedError as error:
        raise Rejected(f"{smtp.host} offers no {smtp.tls}", words=str(error)) from None
    except ssl.SSLCertVerificationError as error:
        raise _untrusted(smtp, error) from None
    except (OSError, smtplib.SMTPException) as error:
        raise _unreachable(smtp, error) from error


def _envelope(server: smtplib.SMTP, smtp: Smtp, mail: EmailMessage) -> list[str]:
    """MAIL and RCPT. Returns what was said of recipients refused beside accepted ones."""
    refused: list[tuple[int, bytes]] = []
    recipients = _addresses(mail, "To")
    try:
        code, words = server.mail(_addresses(mail, "From")[0])
        if code != 250:
            raise _refusal(smtp, code, words)
        for recipient in recipients:
            code, words = server.rcpt(recipient)
            if code not in (250, 251):
                refused.append((code, words))
    except (OSError, smtplib.SMTPException) as error:
        raise _unreachable(smtp, error) from error
    if len(refused) == len(recipients):
        later = all(400 <= code < 500 for code, _ in refused)
        kind = Retry if later else Rejected
        raise kind(f"{smtp.host} takes none of the recipients", words=_said(*refused[0]))
    return [_said(code, words) for code, words in refused]


def _data(server: smtplib.SMTP, smtp: Smtp, mail: EmailMessage) -> None:
    try:
        code, words = server.data(mail.as_bytes(policy=policy.SMTP))
    except smtplib.SMTPDataError as error:  # it did not want to begin
        raise _refusal(smtp, error.smtp_code, error.smtp_error) from None
    except (OSError, smtplib.SMTPException) as error:
        raise InDoubt(
            f"the line to {smtp.host} broke while sending; the mail may have gone"
        ) from error
    if code != 250:
        raise _refusal(smtp, code, words)


def _addresses(mail: EmailMessage, header: str) -> list[str]:
    return [address for _, address in getaddresses([str(mail[header])])]


def _refusal(smtp: Smtp, code: int, words: bytes | str) -> Retry | Rejected:
    kind = Retry if 400 <= code < 500 else Rejected
    return kind(f"{smtp.host} refuses the mail", words=_said(code, words))


def _untrusted(smtp: Smtp, error: ssl.SSLCertVerificationError) -> Rejected:
    said = str(error.verify_message)
    return Rejected(f"the certificate of {smtp.host} does not verify", words=said)


def _unreachable(smtp: Smtp, error: Exception) -> Retry:
    said = scrub(str(error))[:200]
    return Retry(f"{smtp.host}:{smtp.port} cannot be reached", words=said)


def _said(code: int, words: bytes | str) -> str:
    text = words.decode(errors="replace") if isinstance(words, bytes) else words
    return scrub(f"{code} {' '.join(text.split())}")[:200]
