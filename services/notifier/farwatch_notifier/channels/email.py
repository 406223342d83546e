"""Email: HTML and text in one message, threaded per incident, through an SMTP server."""

import asyncio
import re
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from email.utils import formatdate, parseaddr

import aiosmtplib

from farwatch_events.channels import EmailConfig
from farwatch_notifier.channels.email_body import render_html, render_text
from farwatch_notifier.channels.parts import JOINER, headline
from farwatch_notifier.message import Alert
from farwatch_notifier.outbound import Outbound
from farwatch_notifier.outcome import DeliveryError, Sent, redact
from farwatch_notifier.text import one_line

STEP_TIMEOUT_SECONDS = 15.0
TOTAL_TIMEOUT_SECONDS = 30.0
SUBJECT_LIMIT = 200
_NOT_ID = re.compile(r"[^A-Za-z0-9._-]")


def render(config: EmailConfig, alert: Alert, dedup_key: str) -> EmailMessage:
    """The message without its Date. Its id comes from the key, so that a repeat is recognised."""
    message = EmailMessage(policy=SMTP_POLICY)
    domain = _NOT_ID.sub("", parseaddr(config.from_email)[1].rpartition("@")[2]) or "farwatch.invalid"
    root = f"<farwatch.{_NOT_ID.sub('-', alert.thread)}@{domain}>"
    message["Subject"] = subject_of(alert)
    message["From"] = config.from_email
    message["To"] = ", ".join(config.recipients)
    message["Message-ID"] = f"<{dedup_key}@{domain}>"
    message["In-Reply-To"] = root
    message["References"] = root
    message["Auto-Submitted"] = "auto-generated"
    message["X-Farwatch-Moment"] = alert.kind
    message.set_content(render_text(alert), cte="quoted-printable")
    message.add_alternative(render_html(alert), subtype="html", cte="quoted-printable")
    return message


def subject_of(alert: Alert) -> str:
    """What looks like an encoded word would be decoded, and line breaks in it would begin headers of their own."""
    return one_line(headline(alert), SUBJECT_LIMIT).replace("=?", f"={JOINER}?")


async def send(config: EmailConfig, alert: Alert, dedup_key: str, outbound: Outbound) -> Sent:
    rendered = f"{headline(alert)}\n\n{render_text(alert)}"
    shown = _shown(config, alert, dedup_key)
    try:
        message = render(config, alert, dedup_key)
        message["Date"] = formatdate(usegmt=True)
        async with asyncio.timeout(TOTAL_TIMEOUT_SECONDS):
            refused, said = await _submit(config, message, outbound)
    except (aiosmtplib.SMTPException, OSError, TimeoutError, ValueError) as failure:
        error, permanent = _judge(failure)
        clean = redact(error, (config.password or "",))
        raise DeliveryError(clean, permanent=permanent, request=shown, answer=clean, rendered=rendered) from None
    notes = [f"{address} was refused: {reply.code} {reply.message}" for address, reply in refused.items()]
    return Sent(rendered=rendered, request=shown, answer="\n".join([said, *notes]))


async def _submit(
    config: EmailConfig, message: EmailMessage, outbound: Outbound
) -> tuple[dict[str, aiosmtplib.SMTPResponse], str]:
    return await aiosmtplib.send(
        message,
        sender=parseaddr(config.from_email)[1],
        recipients=[parseaddr(address)[1] for address in config.recipients],
        hostname=config.smtp_server,
        port=config.smtp_port,
        username=config.username,
        password=config.password,
        use_tls=config.use_tls == "tls",
        start_tls=config.use_tls == "starttls",
        tls_context=None if config.use_tls == "none" else outbound.tls,
        local_hostname=outbound.own_name,
        timeout=STEP_TIMEOUT_SECONDS,
    )


def _shown(config: EmailConfig, alert: Alert, dedup_key: str) -> str:
    signed_in = f"as {config.username}" if config.username else "without signing in"
    lines = [
        f"SMTP {config.smtp_server}:{config.smtp_port} ({config.use_tls}, {signed_in})",
        f"From: {config.from_email}",
        f"To: {', '.join(config.recipients)}",
        f"Subject: {subject_of(alert)}",
        f"Message-ID: {dedup_key}",
    ]
    return "\n".join(lines)


def _judge(failure: Exception) -> tuple[str, bool]:
    """The sentence for people, and whether it is final: SMTP's 5xx are, its 4xx and the network are not."""
    if isinstance(failure, aiosmtplib.SMTPRecipientsRefused):
        codes = [each.code for each in failure.recipients]
        said = "; ".join(f"{each.recipient}: {each.code} {each.message}" for each in failure.recipients)
        return f"all recipients were refused: {said}", all(code >= 500 for code in codes)
    if isinstance(failure, aiosmtplib.SMTPResponseException):
        return f"the mail server answered {failure.code} {failure.message}", failure.code >= 500
    if isinstance(failure, aiosmtplib.SMTPNotSupported):
        return f"the mail server cannot do what is configured: {failure.message}", True
    if isinstance(failure, TimeoutError):
        return "the mail server did not answer in time", False
    if isinstance(failure, ValueError):
        return f"the message cannot be made: {failure}", True
    if type(failure) is aiosmtplib.SMTPException:
        return f"the mail server cannot do what is configured: {failure.message}", True
    return f"no connection to the mail server: {_with_cause(failure)}", False


def _with_cause(failure: Exception) -> str:
    """The library's own text ends in nothing when the cause has no text."""
    cause = failure.__cause__
    return f"{failure}{type(cause).__name__}" if cause is not None and not str(cause) else str(failure)
