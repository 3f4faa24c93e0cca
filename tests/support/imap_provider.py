"""A mail provider on loopback, with the peculiarities that Gmail and Exchange have and Dovecot has not."""

from __future__ import annotations

import base64
import re
import shlex
import socketserver
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Self

from tests.support.loopback_server import served

if TYPE_CHECKING:
    from collections.abc import Callable

GMAIL = "IMAP4rev1 UNSELECT IDLE NAMESPACE QUOTA ID XLIST CHILDREN X-GM-EXT-1"
EXCHANGE = "IMAP4 IMAP4rev1 AUTH=PLAIN AUTH=XOAUTH2 SASL-IR UIDPLUS ID UNSELECT CHILDREN IDLE NAMESPACE LITERAL+"
SYSTEM = r"\Answered \Flagged \Deleted \Seen \Draft"


def _came_today() -> bytes:
    # What came before the day of the first start is left alone: not a day that was over when the test began.
    return b"RFC822.SIZE %d INTERNALDATE " + f'"{datetime.now(UTC):%d-%b-%Y} 00:00:00 +0000"'.encode()


@dataclass(eq=False)
class Mail:
    """At Gmail one mail lies in many mailboxes, each of which is a label."""

    raw: bytes
    identity: int
    flags: set[str] = field(default_factory=set)


@dataclass
class Provider:
    """A server and one account: a context manager. Every command that came is in `commands`, without its tag."""

    before: str  # capabilities until the login
    after: str  # and from then on
    permanent: str = SYSTEM + r" \*"
    password: str = "sandbox"
    tokens: set[str] = field(default_factory=set)  # that are taken
    refusal: str = "NO [AUTHENTICATIONFAILED] Invalid credentials (Failure)"
    challenge: bytes = b""  # what a refused token is answered with first
    separator: str = "/"
    lies: tuple[str, ...] = ()  # commands that are answered OK and not done
    denied: dict[str, str] = field(default_factory=dict)  # by words of a command: what it is answered with; "" hangs up
    rights: dict[str, str] = field(default_factory=dict)  # by mailbox: what MYRIGHTS tells of it
    closed: str = ""  # what a SELECT is answered with
    refused: dict[int, str] = field(default_factory=dict)  # by UID: what a FETCH of it is answered with
    hang_ups: set[int] = field(default_factory=set)  # UIDs at a FETCH of which it hangs up
    silent: bool = False  # where it would hang up, it says nothing more instead
    withheld: dict[int, str] = field(
        default_factory=dict
    )  # by UID: its content is "NIL", "" (no item), "torn" behind a piece, "BYE": it hangs up, or words of a refusal
    strange: set[int] = field(default_factory=set)  # UIDs that SEARCH lists and FETCH does not know
    hidden: set[int] = field(default_factory=set)  # UIDs that STATUS counts already, and SEARCH does not know yet
    facts: bytes = field(default_factory=_came_today)  # what a row of a FETCH says of a message of this size
    origin: Callable[[int, int], bytes] = lambda first, _: (
        b"<%d>" % first
    )  # offset and size of a piece -> its name in a row
    blank: bytes = b""  # what it sends behind each literal of a FETCH
    all_at_once: bool = False  # a piece is answered with the whole message
    counts: str = ""  # what a STATUS is answered with in place of the truth
    found: str = ""  # and a SEARCH
    splits: bool = False  # a SEARCH is answered with a line for each message
    extends: bool = False  # it is answered with ESEARCH
    full: str = "BAD unknown command"  # what an APPEND is answered with
    taken: bool = False  # somebody takes the first message of the next MOVE or COPY before it is carried out
    remade_by: str = ""  # the mailbox whose selection somebody waited for to make the others anew
    uidvalidity: int = 7
    uidvalidity_in: tuple[str, ...] = ("SELECT", "STATUS")  # the answers that tell it
    last_uid: int = 0  # the highest that any mailbox ever had
    boxes: dict[str, dict[int, Mail]] = field(default_factory=lambda: {"INBOX": {}})
    commands: list[str] = field(default_factory=list)
    host = "127.0.0.1"
    security = "none"
    username = "support@figurative.example"
    port = 0

    @property
    def gmail(self) -> bool:
        return "X-GM-EXT-1" in self.after

    def __enter__(self) -> Self:
        if self.gmail:
            self.boxes["[Gmail]/Tous les messages"] = {}
        provider = self

        class Session(_Session):
            def handle(self) -> None:
                self.serve(provider)

        self._running = ExitStack()
        self.port = self._running.enter_context(served(Session))
        return self

    def __exit__(self, *_: object) -> None:
        self._running.close()

    def deliver(self, raw: bytes) -> Mail:
        mail = Mail(raw, 1_800_000_000_000_000_000 + sum(map(len, self.boxes.values())))
        self.put(mail, "INBOX")
        if self.gmail:
            self.put(mail, "[Gmail]/Tous les messages")
        return mail

    def put(self, mail: Mail, box: str) -> int:
        if self.gmail and mail in self.boxes[box].values():
            return next(uid for uid, found in self.boxes[box].items() if found is mail)
        uid = max(self.boxes[box], default=0) + len(self.commands) + 1
        self.boxes[box][uid] = mail
        return uid

    def take(self, mail: Mail, box: str) -> None:
        self.boxes[box] = {uid: found for uid, found in self.boxes[box].items() if found is not mail}

    def where(self, mail: Mail) -> set[str]:
        """The mailboxes that it is in."""
        return {name for name, box in self.boxes.items() if any(found.raw == mail.raw for found in box.values())}


class _Session(socketserver.StreamRequestHandler):
    """One connection."""

    disable_nagle_algorithm = True
    provider: Provider
    selected = ""

    def serve(self, provider: Provider) -> None:
        self.provider, self.known = provider, False
        self._say("* OK Gimap ready")
        while line := self.rfile.readline().decode():
            tag, _, command = line.strip().partition(" ")
            provider.commands.append(command)
            name = command.split()[0].lower()
            if name == "uid":
                name = f"uid_{command.split()[1].lower()}"
            denials = [answer for words, answer in provider.denied.items() if words in command]
            answer = denials[0] if denials else getattr(self, f"do_{name}", lambda _: "BAD unknown command")(command)
            if not answer:
                if provider.silent:
                    self.rfile.read()  # until the client has had enough
                return
            self._say(f"{tag} {answer}")
            if name == "logout":
                return

    def _say(self, line: str | bytes) -> None:
        self.wfile.write((line if isinstance(line, bytes) else line.encode()) + b"\r\n")
        self.wfile.flush()

    @property
    def _box(self) -> dict[int, Mail]:
        return self.provider.boxes[self.selected]

    def _chosen(self, words: str) -> dict[int, Mail]:
        """The messages of a UID set."""
        shown = {uid: mail for uid, mail in self._box.items() if uid not in self.provider.hidden}
        last = str(max(shown, default=0))
        ranges = [sorted(map(int, part.replace("*", last).split(":"))) for part in words.split(",")]
        return {uid: mail for uid, mail in shown.items() if any(each[0] <= uid <= each[-1] for each in ranges)}

    def do_capability(self, _: str) -> str:
        self._say(f"* CAPABILITY {self.provider.after if self.known else self.provider.before}")
        return "OK done"

    def do_authenticate(self, command: str) -> str:
        self._say("+ ")
        given = base64.b64decode(self.rfile.readline()).decode()
        proofs = {f"\0{self.provider.username}\0{self.provider.password}"}
        proofs |= {f"user={self.provider.username}\x01auth=Bearer {each}\x01\x01" for each in self.provider.tokens}
        if given in proofs:
            self.known = True
        elif "XOAUTH2" in command and self.provider.challenge:
            self._say(b"+ " + base64.b64encode(self.provider.challenge))
            if self.rfile.readline() != b"\r\n":
                return "BAD an empty line is wanted"
        return "OK done" if self.known else self.provider.refusal

    def do_login(self, command: str) -> str:
        self.known = shlex.split(command)[1:] == [self.provider.username, self.provider.password]
        return "OK done" if self.known else self.provider.refusal

    def do_id(self, _: str) -> str:
        self._say("* ID NIL")
        return "OK done"

    def do_namespace(self, _: str) -> str:
        self._say(f'* NAMESPACE (("" "{self.provider.separator}")) NIL NIL')
        return "OK done"

    def do_list(self, command: str) -> str:
        for name in ("",) if command == 'LIST "" ""' else self.provider.boxes:
            flags = r"\HasNoChildren \All" if name.startswith("[Gmail]") else r"\HasNoChildren"
            self._say(f'* LIST ({flags}) "{self.provider.separator}" "{name}"')
        return "OK done"

    def do_select(self, command: str) -> str:
        if self.provider.closed:
            return self.provider.closed
        self.selected = shlex.split(command)[1]
        self._say(f"* FLAGS ({SYSTEM})")
        self._say(f"* OK [PERMANENTFLAGS ({self.provider.permanent})] limited")
        self._say(f"* {len(self._box)} EXISTS")
        self.provider.uidvalidity += self.selected == self.provider.remade_by
        if "SELECT" in self.provider.uidvalidity_in:
            self._say(f"* OK [UIDVALIDITY {self.provider.uidvalidity}] valid")
        return "OK [READ-WRITE] done"

    def do_status(self, command: str) -> str:
        box = self.provider.boxes[shlex.split(command)[1]]
        last = self.provider.last_uid = max(self.provider.last_uid, max(box, default=0))
        uids = f"UIDNEXT {last + 1}"
        if "STATUS" in self.provider.uidvalidity_in:
            uids += f" UIDVALIDITY {self.provider.uidvalidity}"
        self._say(f'* STATUS "x" ({self.provider.counts or f"MESSAGES {len(box)} {uids}"})')
        return "OK done"

    def do_noop(self, _: str) -> str:
        return "OK done"

    do_subscribe = do_noop

    def do_myrights(self, command: str) -> str:
        name = shlex.split(command)[1]
        self._say(f'* MYRIGHTS "{name}" {self.provider.rights[name]}')
        return "OK done"

    def do_append(self, _: str) -> str:
        return self.provider.full

    def do_create(self, command: str) -> str:
        name = shlex.split(command)[1]
        if name.casefold() in map(str.casefold, self.provider.boxes):
            return "NO [ALREADYEXISTS] Duplicate folder name (Failure)"
        if "*" in name:
            return "NO [CANNOT] Invalid folder name (Failure)"
        self.provider.boxes[name] = {}
        return "OK done"

    def do_uid_search(self, command: str) -> str:
        if "CHARSET" in command and "US-ASCII" not in command:
            return "NO [BADCHARSET (US-ASCII)] The specified charset is not supported."
        if "KEYWORD" in command:
            return "BAD Command Argument Error. 11"
        found = self._chosen("1:*")
        if named := re.search(r" UID ([\d:,*]+)", command.removeprefix("UID")):
            found = self._chosen(named[1])
        if identity := re.search(r"X-GM-MSGID (\d+)", command):
            found = {uid: mail for uid, mail in found.items() if mail.identity == int(identity[1])}
        uids = [uid for uid, mail in found.items() if r"\Deleted" not in mail.flags or "UNDELETED" not in command]
        told = self.provider.found or " ".join(map(str, reversed(uids)))
        if self.provider.extends:
            self._say(f'* ESEARCH (TAG "x") UID ALL {told.replace(" ", ",")}')
            return "OK done"
        for line in told.split() if self.provider.splits else [told]:
            self._say(f"* SEARCH {line}".rstrip())
        return "OK done"

    def do_uid_fetch(self, command: str) -> str:
        _, _, uids, items = command.split(maxsplit=3)
        if refused := [answer for uid, answer in self.provider.refused.items() if uid in self._chosen(uids)]:
            return refused[0]
        chosen = {uid: mail for uid, mail in self._chosen(uids).items() if uid not in self.provider.strange}
        withheld = [self.provider.withheld.get(uid, "") for uid in chosen if "PEEK[]" in items]
        if no := [content for content in withheld if content.startswith("NO ")]:
            return no[0]
        if not self._hang_ups(items).isdisjoint(chosen):
            return ""
        for number, (uid, mail) in enumerate(chosen.items(), 1):
            header = mail.raw.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
            labels = [self._label(name) for name, box in self.provider.boxes.items() if mail in box.values()]
            row = b"UID %d FLAGS (%s)" % (uid, " ".join(sorted(mail.flags)).encode())
            if "RFC822.SIZE" in items:
                row += b" " + self.provider.facts.replace(b"%d", b"%d" % len(mail.raw))
            if "X-GM" in items:
                # The label of the mailbox that is open is not told.
                shown = " ".join(label for label in labels if label and label != self._label(self.selected))
                row += f" X-GM-MSGID {mail.identity} X-GM-LABELS ({shown})".encode()
            if "HEADER" in items:
                origin = self.provider.origin(0, 1 << 18)
                row += b" BODY[HEADER]%s {%d}\r\n%s%s" % (origin, len(header), header, self.provider.blank)
            if piece := re.search(r"BODY.PEEK\[\]<(\d+)\.(\d+)>", items):
                first, size = int(piece[1]), int(piece[2])
                part = mail.raw if self.provider.all_at_once else mail.raw[first : first + size]
                name = self.provider.origin(first, size)
                content = b" BODY[]%s {%d}\r\n%s%s" % (name, len(part), part, self.provider.blank)
                nil = b" BODY[]%s NIL" % name
                given = {None: content, "NIL": nil, "torn": nil if first else content}
                row += given.get(self.provider.withheld.get(uid), b"")
            self._say(b"* %d FETCH (%s)" % (number, row))
        return "OK done"

    def _hang_ups(self, items: str) -> set[int]:
        """The UIDs at which it hangs up when these items are requested."""
        whole = {uid for uid, content in self.provider.withheld.items() if content == "BYE" and "PEEK[]" in items}
        return self.provider.hang_ups | whole

    def _label(self, box: str) -> str:
        return {"INBOX": r'"\\Inbox"'}.get(box, "" if box.startswith("[Gmail]") else f'"{box}"')

    def do_uid_store(self, command: str) -> str:
        _, _, uids, what, values = command.split(maxsplit=4)
        # "\\Inbox" in quotes, \Seen as it is.
        given = [re.sub(r'^"|"$', "", word).replace("\\\\", "\\") for word in re.findall(r'"[^"]*"|[^\s()]+', values)]
        for mail in list(self._chosen(uids).values()) if what.split(".")[0][1:] not in self.provider.lies else ():
            if "X-GM-LABELS" not in what:
                kept = {flag for flag in given if flag in SYSTEM or r"\*" in self.provider.permanent}
                mail.flags = mail.flags | kept if what[0] == "+" else mail.flags - kept
            for label in given if "X-GM-LABELS" in what else ():
                box = "INBOX" if label == r"\Inbox" else label
                if what[0] == "+":
                    self.provider.put(mail, box)
                elif box != self.selected:  # of the mailbox that is open nothing is taken away
                    self.provider.take(mail, box)
        return "OK done"

    def do_uid_copy(self, command: str, *, moves: bool = False) -> str:
        _, name, uids, *_ = command.split()
        if ("MOVE" if moves else "COPY") in self.provider.lies:
            return "OK done"
        if self.provider.taken:
            self.provider.taken = False
            self.provider.take(next(iter(self._chosen(uids).values())), self.selected)
            return "NO [EXPUNGEISSUED] Some of the messages no longer exist"
        target = shlex.split(command)[3]
        for uid, mail in self._chosen(uids).items():
            copy = mail if moves or self.provider.gmail else Mail(mail.raw, mail.identity, set(mail.flags))
            new = self.provider.put(copy, target)
            if moves:
                self.provider.take(mail, self.selected)
            if "UIDPLUS" in self.provider.after:
                self._say(f"* OK [COPYUID 7 {uid} {new}] {name.lower()}")
        return "OK done"

    def do_uid_move(self, command: str) -> str:
        return self.do_uid_copy(command, moves=True) if "MOVE" in self.provider.after.split() else "BAD no MOVE"

    def do_uid_expunge(self, command: str) -> str:
        for mail in self._chosen(command.split()[2]).values():
            # As an account may be set up: what is expunged is deleted.
            for box in self.provider.boxes if self.provider.gmail else (self.selected,):
                self.provider.take(mail, box)
        return "OK done"

    def do_logout(self, _: str) -> str:
        self._say("* BYE bye")
        return "OK done"
