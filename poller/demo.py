"""The whole thing on local stand-ins: real mails, a real daemon, and at the end what an admin would see."""

from __future__ import annotations

import email
import email.policy
import tempfile
import threading
from contextlib import suppress
from email.header import decode_header, make_header
from typing import TYPE_CHECKING, Any

from integrations.errors import ConfigurationError
from poller import configuration, logs, parsing
from poller.daemon import Daemon
from poller.inbox import Inbox
from poller.samples import samples

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from integrations.sandbox import Sandbox
    from poller.memory import Standing
    from poller.settings import Settings

    Echo = Callable[[str], Any]


def run(echo: Echo, mails: Mapping[str, bytes] | None = None, *, keep: bool = False) -> dict[str, Standing]:
    """Dispatch mails (all samples by default) in a sandbox of their own; where each ended, by reference."""
    try:
        # The sandbox is an extra: it is imported when it is asked for.
        from integrations.sandbox import Sandbox  # noqa: PLC0415
    except ImportError as error:
        raise ConfigurationError(f"the sandbox needs {error.name}: pip install '.[sandbox]'") from error
    logs.configure("ERROR")
    echo("Starting stand-ins for IMAP, SMTP, S3, HubSpot, ClickUp and Claude ...")
    with Sandbox() as sandbox, tempfile.TemporaryDirectory() as state:
        values = sandbox.environment() | {"STATE_URL": f"sqlite:///{state}/poller.sqlite"}
        settings = configuration.from_names(values)
        subjects = {}
        for raw in (samples() if mails is None else mails).values():
            sandbox.imap.deliver(raw)
            subjects[_reference(settings, raw)] = _subject(raw)
        echo(f"Delivered {_count(len(subjects), 'mail')}; running the daemon until the inbox is empty.\n")
        ended = Daemon(settings).once(
            lambda reference, standing: _tell(echo, subjects.get(reference, "?"), reference, standing)
        )
        _show(echo, sandbox)
        if keep:
            echo("\nEverything is running. In another shell:\n")
            echo("\n".join(f"export {name}={value}" for name, value in values.items()))
            echo("\nthen `poller once` (in a checkout: ./dev poller once), or a mail client on that IMAP server.")
            echo("Ctrl-C ends it.")
            with suppress(KeyboardInterrupt):
                threading.Event().wait()
        return ended


def _reference(settings: Settings, raw: bytes) -> str:
    return parsing.reference_of(Inbox(settings).account, raw) or ""


def _subject(raw: bytes) -> str:
    header = email.message_from_bytes(raw, policy=email.policy.compat32)["Subject"]
    return str(make_header(decode_header(header or "(no subject)")))


def _tell(echo: Echo, subject: str, reference: str, standing: Standing) -> None:
    """What was decided about a mail, and what was created for it."""
    result = standing.result or {}
    sure = f", {result['confidence']:.0%} sure, by {result['decided_by']}" if "confidence" in result else ""
    review = "  (to be reviewed)" if result.get("needs_review") else ""
    echo(f"{subject}  [{reference}]\n    {standing.outcome.upper()}{sure}{review}")
    if result.get("reason"):
        echo(f"    because  {result['reason']}")
    for name in ("ticket", "subtask"):
        if result.get(name):
            echo(f"    {name:<8} {result[name]['url']}")
    for url in result.get("files", ()):
        echo(f"    file     {url}")


def _show(echo: Echo, sandbox: Sandbox) -> None:
    """The mailboxes as the admin's mail client shows them, and what the services hold."""
    echo("\nThe mailboxes, as the admin sees them:")
    for mailbox in sandbox.imap.mailboxes():
        messages = sandbox.imap.messages(mailbox)
        echo(f"  {mailbox} ({len(messages)})")
        for message in messages:
            echo(f"    - {_subject(message.raw)}  {' '.join(sorted(message.flags))}")
    made = {
        "contact": len(sandbox.hubspot.contacts),
        "ticket": len(sandbox.hubspot.tickets),
        "note": len(sandbox.hubspot.notes),
        "subtask": len(sandbox.clickup.subtasks),
        "file": len(sandbox.s3.objects),
        "notification": len(sandbox.smtp.messages),
    }
    echo(f"\nAt the services: {', '.join(_count(number, name) for name, number in made.items())}.")


def _count(number: int, name: str) -> str:
    return f"{number} {name}" if number == 1 else f"{number} {name}s"
