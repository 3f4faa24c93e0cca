"""What lies in the mailboxes and at the services, as JSON: taken from stand-ins, and put back into others."""

from __future__ import annotations

import base64
import itertools
from contextlib import suppress
from dataclasses import asdict
from datetime import datetime
from email import message_from_bytes, policy
from typing import TYPE_CHECKING, Any

from imapclient.exceptions import IMAPClientError

from integrations.sandbox.clickup import Task
from integrations.sandbox.clickup_comments import Comment
from integrations.sandbox.hubspot_crm import Record
from integrations.sandbox.smtp import Delivered

if TYPE_CHECKING:
    from imapclient import IMAPClient

    from integrations.sandbox import Sandbox

CRLF = "\r\n"
FIELDS = ("Message-ID", "Subject")  # of a letter that was sent: what it is known by


def taken(box: Sandbox) -> dict[str, Any]:
    """All that there is, but for what was asked and what goes wrong."""
    crm = box.hubspot.crm
    kinds = list(crm.custom_properties)
    return {
        "mailboxes": _mailboxes(box),
        "hubspot": {
            "records": {kind: [asdict(record) for record in crm.records(kind)] for kind in kinds},
            "links": [[*key, ids] for key, ids in crm._links.items()],
        },
        "clickup": [asdict(task) for task in box.clickup.tasks.values()],
        "r2": [
            {"key": each.key, "content_type": each.content_type, "body": base64.b64encode(each.body).decode()}
            for each in box.s3.objects
        ],
        "letters": [
            {"sender": each.sender, "recipients": each.recipients, "header": _header(each)}
            for each in box.smtp.messages
        ],
    }


def put_back(box: Sandbox, world: dict[str, Any]) -> None:
    """Let empty stand-ins hold all of it, under the ids that it had."""
    _fill_mailboxes(box, world["mailboxes"])
    crm = box.hubspot.crm
    for kind, records in world["hubspot"]["records"].items():
        crm._records[kind] = {each["id"]: Record(**each) for each in records}
    crm._links = {(kind, id_, to_kind): ids for kind, id_, to_kind, ids in world["hubspot"]["links"]}
    crm._ids = itertools.count(next(crm._ids) + sum(map(len, crm._records.values())))
    for each in world["clickup"]:
        comments = [Comment(**comment) for comment in each["comments"]]
        box.clickup.tasks[each["id"]] = Task(**each | {"comments": comments})
    made = [comment for task in box.clickup.tasks.values() for comment in task.comments]
    box.clickup._ids = itertools.count(len(box.clickup.tasks))
    box.clickup._comment_ids = itertools.count(next(box.clickup._comment_ids) + len(made))
    for each in world["r2"]:
        backend = box.s3._backend()
        key = backend.put_object(box.s3.bucket, each["key"], base64.b64decode(each["body"]))
        key.set_metadata({"Content-Type": each["content_type"]})
    for each in world["letters"]:
        raw = CRLF.join([*each["header"], "", ""]).encode()
        box.smtp.messages.append(Delivered(each["sender"], tuple(each["recipients"]), raw, tls=False, username=""))


def lines(raw: bytes) -> list[str]:
    """A mail in UTF-8, fit to be read in a file."""
    return raw.replace(b"\r\n", b"\n").decode().split("\n")


def mail(text: list[str]) -> bytes:
    """The mail of these lines, as a server gives it."""
    return CRLF.join(text).encode()


def _header(letter: Delivered) -> list[str]:
    message = message_from_bytes(letter.raw, policy=policy.compat32)
    return [f"{name}: {' '.join(str(message[name]).split())}" for name in FIELDS]


def _mailboxes(box: Sandbox) -> dict[str, list[dict[str, Any]]]:
    with box.imap.session() as client:
        client.normalise_times = False  # else a time comes in the zone of this machine, and without it
        return {name: _messages(client, name) for name in box.imap.mailboxes()}


def _messages(client: IMAPClient, name: str) -> list[dict[str, Any]]:
    client.select_folder(name, readonly=True)
    rows = client.fetch(client.search(), ["FLAGS", "INTERNALDATE", "BODY.PEEK[]"])
    return [
        {
            "received_at": row[b"INTERNALDATE"].isoformat(),
            "flags": sorted(flag.decode() for flag in set(row[b"FLAGS"]) - {rb"\Recent"}),
            "raw": lines(row[b"BODY[]"]),
        }
        for _, row in sorted(rows.items())
    ]


def _fill_mailboxes(box: Sandbox, mailboxes: dict[str, list[dict[str, Any]]]) -> None:
    with box.imap.session() as client:
        for name, messages in mailboxes.items():
            with suppress(IMAPClientError):  # There is one.
                client.create_folder(name)
            for each in messages:
                received_at = datetime.fromisoformat(each["received_at"])
                client.append(name, mail(each["raw"]), tuple(each["flags"]), received_at)
