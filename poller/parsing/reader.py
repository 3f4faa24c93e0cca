"""Read a message: its text, its files, and those inside its wrappings.

A winmail.dat and an opaque signature wrap the mail itself, an attached message is a forwarded mail, and a text may hold
files in itself. Wrappings are opened within bounds that the whole mail shares. A wrapping that cannot be read
completely stays a file.
"""

from __future__ import annotations

import tempfile
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, BinaryIO, Final, cast

from poller.mime import addresses, body, encoding_check, headers
from poller.mime.skeleton import Skeleton, build_skeleton
from poller.mime.transfer_encoding import PIECE_BYTES, Encoded, Span
from poller.model import ENCRYPTED_DEFECT, Address
from poller.parsing import attachments, held_files, parts, pictures, rtf, smime, tnef
from poller.parsing.parts import ByteSource, Leaf

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from poller.model import Attachment


@dataclass(slots=True)
class Contents:
    """The contents of a message, or of a wrapping."""

    author: Address = field(default_factory=lambda: Address("", ""))
    date: str = ""  # as the message says, on one line
    subject: str = ""  # decoded, on one line
    text: str = ""  # its own
    html: str = ""  # the source of all HTML in it
    attachments: list[Attachment] = field(default_factory=list)  # all in it; "" is the name of one that has none
    forwarded: list[Contents] = field(default_factory=list)
    defects: list[str] = field(default_factory=list)  # what could not be read, and is a file
    losses: list[str] = field(default_factory=list)  # what could not be read, and is in no file

    def whole_text(self) -> str:
        """Return the text, and below it that of each forwarded message, after its author and date."""
        texts = [self.text]
        for message in self.forwarded:
            address = f"<{message.author.addr_spec}>" if message.author.addr_spec else ""
            author = f"{message.author.display_name} {address}".strip()
            fields = (("De", author), ("Date", message.date), ("Objet", message.subject))
            texts.append("\n".join(f"{name}: {value}" for name, value in fields if value))
            texts.append(message.whole_text())
        return "\n\n".join(filter(None, texts))

    def forward(self, message: Contents) -> None:
        """Add a message that this one forwards, with all that is in it. Its losses become losses of this one."""
        self.forwarded.append(message)
        self.html = f"{self.html}\n{message.html}" if message.html else self.html
        self.attachments += message.attachments
        self.defects += message.defects
        self.losses += message.losses

    def take(self, wrapped: Contents) -> None:
        """Add everything of a wrapping but its text.

        A wrapping with losses stays a file, so that nothing is lost. Its losses are defects here.
        """
        self.html = f"{self.html}\n{wrapped.html}" if wrapped.html else self.html
        self.attachments += wrapped.attachments
        self.forwarded += wrapped.forwarded
        self.defects += [*wrapped.defects, *wrapped.losses]


MAX_PARTS: Final = 500
MAX_DEPTH: Final = 5  # of wrappings within wrappings
OPENED_BYTES: Final = 100 * 1024 * 1024  # of all wrappings in a mail; nested content counts once for each level
_IN_MEMORY_BYTES: Final = 256 * 1024  # a longer one is written to an unnamed temporary file while it is read
_RTF_BYTES: Final = 512 * 1024
_PGP: Final = "-----BEGIN PGP MESSAGE-----"


class Reading:
    """A mail being read, with the remaining bounds that all of its content shares."""

    def __init__(self) -> None:
        self._parts, self._opened_bytes, self._text_bytes = MAX_PARTS, OPENED_BYTES, body.BODY_BYTES
        self._html_chars = body.RENDERED_CHARS

    def message(self, skeleton: Skeleton, source: ByteSource, depth: int = 0) -> Contents:
        """Return the contents of the message whose bytes `source` holds.

        Raises:
            OSError: the bytes cannot be read, or there is no room on the disk to open a wrapping.
        """
        from_field = skeleton.header.first(b"from")
        author = next(iter(addresses.addresses(from_field)), Address(headers.decode(from_field[:200]), ""))
        date, subject = (headers.decode(skeleton.header.first(name)) for name in (b"date", b"subject"))
        found = Contents(author, date, subject, losses=list(skeleton.losses))
        leaves, losses = parts.leaves(skeleton, source, self._parts)
        self._parts -= len(leaves)
        found.losses += losses
        if not any(leaf.is_text() for leaf in leaves):
            leaves = [parts.as_text(leaf) for leaf in leaves]
        leaves = [self._decodable(leaf, found) for leaf in leaves]
        with ExitStack() as open_texts:
            leaves = [leaf for part in leaves for leaf in self._without_files(part, found, open_texts)]
            texts = self._texts(leaves, found)
            shown = attachments.shown_by(found.html)
            is_answer = depth == 0 and any(map(skeleton.header.first, (b"in-reply-to", b"references")))
            history = pictures.shown_in_history(found.html, subject) if is_answer else set()
            for number, leaf in enumerate(leaves):
                if leaf.is_text() or leaf.is_another_form():
                    continue
                wrapped = self._opened(leaf, depth)
                if wrapped is None or wrapped.losses:
                    file = attachments.attachment(leaf, shown, history)
                    if file.content_type == attachments.APPLE_FILE and attachments.has_data_fork(leaves, number):
                        file = replace(file, incidental=True)
                    found.attachments.append(file)
                if wrapped:
                    # Outlook may send the same text as a part of its own beside the winmail.dat.
                    texts[number] = "" if parts.is_outlook(leaf) and any(texts.values()) else wrapped.text
                    found.take(wrapped)
        found.text = "\n\n".join(texts[number] for number in sorted(texts) if texts[number])
        return found

    def _decodable(self, leaf: Leaf, found: Contents) -> Leaf:
        """Return a leaf with the encoding that it is in. What cannot be decoded is a loss."""
        checked = encoding_check.check(leaf.content, leaf.source.stream, is_text=leaf.is_text())
        found.losses += [checked.loss] if checked.loss else []
        return replace(leaf, content=checked.content, size_bytes=checked.size_bytes)

    def _texts(self, leaves: Sequence[Leaf], found: Contents) -> dict[int, str]:
        """Return the texts among the leaves, keyed by the number of the leaf at which each begins."""
        groups: dict[int, list[Leaf]] = {}
        begin: dict[int, int] = {}
        for number, leaf in enumerate(leaves):
            if leaf.is_text():
                group = leaf.alternative or -1 - number
                groups.setdefault(group, []).append(leaf)
                begin.setdefault(group, number)
        texts: dict[int, str] = {}
        sources: list[str] = []
        for group, alternatives in groups.items():
            read: dict[str, list[str]] = {}
            for leaf in alternatives:
                with leaf.open() as stream:
                    content, complete = self._text_of(stream, found)
                if encoding_check.holds_parts(content):
                    found.losses.append("MIME parts in the text")
                text = body.READERS[leaf.content_type](content, leaf.parameters, complete=complete)
                read.setdefault(leaf.content_type, []).append(text)
            html = read.pop("text/html", [])
            sources += html
            text = "\n".join(next(iter(read.values()), []))  # RFC 2046 section 5.1.4: the plainest comes first
            text = self._fuller(text, html)
            texts[begin[group]] = text.strip("\n") if text.strip() else ""
            if text.lstrip().startswith(_PGP):
                found.defects.append(ENCRYPTED_DEFECT)
        found.html = "\n".join(sources)
        return texts

    def _fuller(self, text: str, sources: Sequence[str]) -> str:
        limit = self._html_chars
        self._html_chars = max(0, limit - sum(len(source) for source in sources))
        return body.fuller(text, sources, limit)

    def _text_of(self, stream: BinaryIO, found: Contents, length: int = body.BODY_BYTES + 1) -> tuple[bytes, bool]:
        """Return up to `length` bytes of a stream, within the text bound, and whether that is all of it."""
        content = stream.read(min(length, self._text_bytes + 1))
        complete = len(content) <= self._text_bytes
        self._text_bytes -= min(self._text_bytes, len(content))
        if not complete:
            found.losses.append("text over 1 MB")
        return content, complete

    def _without_files(self, leaf: Leaf, found: Contents, open_texts: ExitStack) -> list[Leaf]:
        """Return the leaf, or if its text holds files, the text without them followed by the files."""
        held = held_files.held_by(leaf)
        text = open_texts.enter_context(self._decoded(leaf)) if held else None
        if text is None or len(held) > self._parts:
            found.losses += ["files in the text"] if held else []
            return [leaf]
        self._parts -= len(held)
        return held_files.taken_out(leaf, held, text)

    def _opened(self, leaf: Leaf, depth: int) -> Contents | None:
        """Return the contents of a wrapping, None if the leaf is none.

        If the contents have losses, the leaf also stays a file.
        """
        if "multipart/encrypted" in leaf.within:
            return Contents(losses=[ENCRYPTED_DEFECT])
        if not (parts.is_outlook(leaf) or parts.is_smime(leaf) or parts.is_message(leaf)):
            return None
        if depth >= MAX_DEPTH:
            return Contents(losses=[f"wrapped over {MAX_DEPTH} deep"])
        with self._decoded(leaf) as stream:
            if stream is None:
                return Contents(losses=["over 100 MB wrapped"])
            source = ByteSource(leaf.content, stream)
            if parts.is_outlook(leaf):
                return self._outlook(source, Span(0, stream.seek(0, 2)), depth + 1)
            return self._signed(source, depth + 1) if parts.is_smime(leaf) else self._forwarded(source, depth + 1)

    @contextmanager
    def _decoded(self, leaf: Leaf) -> Iterator[BinaryIO | None]:
        """Yield all of a leaf's bytes as a stream, or None if they exceed what may still be opened."""
        with tempfile.SpooledTemporaryFile(_IN_MEMORY_BYTES) as copy, leaf.open() as stream:
            while self._opened_bytes >= 0 and (piece := stream.read(PIECE_BYTES)):
                self._opened_bytes -= len(piece)
                copy.write(piece)
            yield cast("BinaryIO", copy) if self._opened_bytes >= 0 else None

    def _forwarded(self, source: ByteSource, depth: int) -> Contents | None:
        skeleton = build_skeleton(source.stream)
        if not skeleton.header.fields:
            return None
        found = Contents()
        found.forward(self.message(skeleton, source, depth))
        return found

    def _signed(self, source: ByteSource, depth: int) -> Contents | None:
        """Return the contents of the signed MIME entity (RFC 8551 section 3.5), None if there is none.

        A signed file that is no entity, such as an invoice, stays a file.
        """
        try:
            spans = smime.signed_content(source.stream)
        except smime.EncryptedError:
            return Contents(losses=[ENCRYPTED_DEFECT])
        except ValueError:
            return Contents(losses=["S/MIME part that cannot be read"])
        entity = Leaf(source, Encoded(source.content, spans, ""), "")
        with self._decoded(entity) as stream:
            if stream is None:
                return Contents(losses=["over 100 MB wrapped"])
            skeleton = build_skeleton(stream)
            if not skeleton.header.first(b"content-type"):
                return None
            found = self.message(skeleton, ByteSource(entity.content, stream), depth)
            return found if found.whole_text() or found.attachments else None

    def _outlook(self, source: ByteSource, where: Span, depth: int) -> Contents:
        try:
            mail = tnef.read(source.stream, where)
        except ValueError:
            return Contents(losses=["winmail.dat that cannot be read"])
        found = Contents(mail.author, mail.sent_at.strftime("%Y-%m-%d %H:%M UTC") if mail.sent_at else "", mail.subject)
        if not mail.whole:
            found.losses.append("winmail.dat that breaks off")
        found.text = self._outlook_text(mail, source.stream, found)
        for file in mail.files:
            self._parts -= 1
            if self._parts < 0:
                found.losses.append("more parts than are read")
                break
            content = Encoded(source.content, (file.span,), "")
            if not file.is_mail:
                leaf = Leaf(source, content, file.content_type, file.name, content_id=file.content_id)
                found.attachments.append(attachments.attachment(leaf, attachments.shown_by(found.html)))
            elif depth >= MAX_DEPTH:
                found.losses.append(f"wrapped over {MAX_DEPTH} deep")
            else:
                found.forward(self._outlook(source, file.span, depth + 1))
        return found

    def _outlook_text(self, mail: tnef.Mail, stream: BinaryIO, found: Contents) -> str:
        text = ""
        if mail.text:
            content, complete = self._stretch(stream, mail.text.span, found)
            text = body.plain(content, {"charset": mail.text.charset}, complete=complete)
        if mail.html:
            content, complete = self._stretch(stream, mail.html.span, found)
            found.html = body.html(content, {"charset": mail.html.charset}, complete=complete)
            text = self._fuller(text, [found.html])
        if mail.rtf and body.is_stub(text):
            content, _ = self._stretch(stream, mail.rtf, found)
            unpacked = rtf.unpacked(content, _RTF_BYTES)
            text = body.clean(rtf.text(unpacked))
            found.losses += ["rich text over 512 KB"] if len(unpacked) >= _RTF_BYTES else []
        return text.strip("\n") if text.strip() else ""

    def _stretch(self, stream: BinaryIO, span: Span, found: Contents) -> tuple[bytes, bool]:
        stream.seek(span.offset)
        return self._text_of(stream, found, span.length)
