"""Turn a posted body into fields and files, within bounds, and report what is wrong with them."""

from __future__ import annotations

import json
import logging
import re
import tempfile
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Final, Self

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from poller.escaping import one_line
from poller.forms.problems import Problem, Wrong
from poller.mime.addresses import takes_no_answer
from poller.model import Address

if TYPE_CHECKING:
    from io import BufferedRandom
    from types import TracebackType

    from poller.config.settings import FormsSettings

JSON_BYTES = 1_000_000  # it is read whole; a text is never that long, and files come as multipart/form-data
PIECE_BYTES = 1 << 18
MOST_PARTS = 200
MOST_WRONG = 20

# As a browser takes one for valid, but with a dot-atom before the @ and a dot behind it (RFC 5322 section 3.4.1).
EMAIL: Final = (
    r"^[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
    r"@([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z]([A-Za-z0-9-]{0,61}[A-Za-z0-9])$"
)
# What is left of a text that is shown (`escaping.plain_text`): neither spaces nor invisible characters.
VISIBLE: Final = (
    r"[^\s\x00-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ufffe\uffff"
    "\U000e0000-\U000e007f]"
)
KEY: Final = r"^[!-~]{1,255}$"
# The most characters of each field but `message`, which has a setting.
LENGTHS: Final = {"email": 254, "name": 100, "subject": 200, "idempotency_key": 255}
_EMAIL, _KEY = re.compile(EMAIL[:-1] + r"\Z"), re.compile(KEY[:-1] + r"\Z")

# Its message about a body that is cut short may quote the body.
logging.getLogger("python_multipart").setLevel(logging.ERROR)


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that was sent along."""

    filename: str  # as the browser gave it
    content_type: str  # likewise; "" when it gave none
    content: BufferedRandom  # at its beginning


@dataclass(frozen=True, slots=True)
class Submission:
    """A form as a customer filled it in."""

    email: str  # an addr-spec in ASCII
    name: str  # "" when not given
    subject: str  # likewise
    message: str  # at least one character
    files: tuple[Upload, ...]
    idempotency_key: str  # "" when not given


class FormBody:
    """A parsed body: a context manager, at whose end the files are gone."""

    def __init__(self) -> None:
        """Start with nothing in it."""
        self.fields: dict[str, str] = {}
        self.files: list[Upload] = []
        self.wrong: list[Wrong] = []  # problems found so far, each once
        self.open = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        # On a full disk the rest cannot be written, and it is no longer needed.
        with suppress(OSError):
            self.open.close()

    def find(self, field: str, code: str) -> None:
        """Record what is wrong with a field, whose name may be a stranger's words."""
        wrong = Wrong(one_line(field, 50), code)
        if wrong not in self.wrong and len(self.wrong) < MOST_WRONG:
            self.wrong.append(wrong)

    def take(self, body: IO[bytes], content_type: str, limits: FormsSettings) -> None:
        """Parse the body, which is in a file.

        Raises:
            Problem: 400 for a body that is not what its Content-Type says, 413, 415, 422 for JSON that is no object or
                too many files.
        """
        media_type, options = parse_options_header(content_type)
        if media_type == b"application/json":
            self._take_json(body)
        elif media_type == b"multipart/form-data" and options.get(b"boundary"):
            _Parts(self, limits).read(body, options[b"boundary"])
        else:
            raise Problem(415, "the body must be application/json or multipart/form-data; charset=utf-8")

    def _take_json(self, body: IO[bytes]) -> None:
        text = body.read(JSON_BYTES + 1)
        if len(text) > JSON_BYTES:
            raise Problem(413, f"JSON may have {JSON_BYTES} bytes; send files as multipart/form-data")
        try:
            given = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise Problem(400, "the body is not JSON") from error
        if not isinstance(given, dict):
            raise Problem(422, "the body must be a JSON object")
        for name, value in given.items():
            if isinstance(value, str):
                self.fields[name] = value
            else:
                self.find(name, "not_text")

    def submission(self, limits: FormsSettings, ours: str) -> Submission:
        """Return the submission, checked. `ours` is the address that forms come from.

        Raises:
            Problem: 422, with all that is wrong.
        """
        fields, lengths = self.fields, LENGTHS | {"message": limits.max_text_chars}
        for name, value in fields.items():
            if name not in lengths and name != limits.honeypot:
                self.find(name, "not_a_file" if name == "files" else "unknown")
            elif len(value) > lengths.get(name, JSON_BYTES):
                self.find(name, "too_long")
        for name in ("email", "message"):
            if not re.search(VISIBLE, fields.get(name, "")) and not any(each.field == name for each in self.wrong):
                self.find(name, "missing")
        if (email := fields.get("email", "")) and not _EMAIL.match(email):
            self.find("email", "invalid")
        elif email and (takes_no_answer(Address("", email)) or re.sub(r"\+[^@]*@", "@", email).lower() == ours.lower()):
            self.find("email", "no_answer")
        if "idempotency_key" in fields and not _KEY.match(fields["idempotency_key"]):
            self.find("idempotency_key", "invalid")
        if self.wrong:
            raise Problem(422, "some fields cannot be taken", wrong=tuple(self.wrong))
        name, subject, key = (fields.get(each, "") for each in ("name", "subject", "idempotency_key"))
        return Submission(email, name, subject, fields["message"], tuple(self.files), key)


class _Parts:
    """The parts of multipart/form-data (RFC 7578), each file written to a file of its own."""

    def __init__(self, filled: FormBody, limits: FormsSettings) -> None:
        self._filled, self._limits = filled, limits
        self._parts, self._ended = 0, False
        self._header = bytearray(), bytearray()
        self._headers: dict[bytes, bytes] = {}
        self._name, self._text, self._text_bytes = "", bytearray(), 0
        self._upload: Upload | None = None

    def read(self, body: IO[bytes], boundary: bytes) -> None:
        try:
            parser = MultipartParser(
                boundary,
                {
                    "on_part_begin": self._part_begins,
                    "on_header_field": lambda data, start, end: self._header[0].extend(data[start:end]),
                    "on_header_value": lambda data, start, end: self._header[1].extend(data[start:end]),
                    "on_header_end": self._header_ends,
                    "on_headers_finished": self._content_begins,
                    "on_part_data": self._content,
                    "on_part_end": self._part_ends,
                    "on_end": self._end,
                },
            )
            while piece := body.read(PIECE_BYTES):
                parser.write(piece)
            parser.finalize()
        except FormParserError as error:
            raise Problem(400, "the body is not multipart/form-data") from error
        if not self._ended:
            raise Problem(400, "the body is cut short")

    def _end(self) -> None:
        self._ended = True

    def _part_begins(self) -> None:
        self._parts += 1
        if self._parts > MOST_PARTS:
            raise Problem(413, f"a form may have {MOST_PARTS} parts")
        self._header, self._headers = (bytearray(), bytearray()), {}
        self._name, self._text, self._upload = "", bytearray(), None

    def _header_ends(self) -> None:
        field, value = self._header
        self._headers[bytes(field).lower()] = bytes(value)
        self._header = (bytearray(), bytearray())

    def _content_begins(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition", b""))
        self._name = options.get(b"name", b"").decode("utf-8", "replace")
        if b"filename" not in options:
            return
        if len(self._filled.files) >= self._limits.max_files:
            raise Problem(422, f"a form may bring {self._limits.max_files} files", wrong=(Wrong("files", "too_many"),))
        self._upload = Upload(
            options[b"filename"].decode("utf-8", "replace"),
            self._headers.get(b"content-type", b"").decode("ascii", "replace"),
            self._filled.open.enter_context(tempfile.TemporaryFile()),  # noqa: SIM115  the stack closes it
        )

    def _content(self, data: bytes, start: int, end: int) -> None:
        if self._upload:
            self._upload.content.write(data[start:end])
            return
        self._text.extend(data[start:end])
        self._text_bytes += end - start
        if self._text_bytes > JSON_BYTES:
            raise Problem(413, f"the fields that are no files may have {JSON_BYTES} bytes")

    def _part_ends(self) -> None:
        filled, upload = self._filled, self._upload
        if upload is None:
            if self._name in filled.fields:
                filled.find(self._name, "repeated")
            filled.fields[self._name] = self._text.decode("utf-8", "replace")
        elif self._name != "files":
            filled.find(self._name, "not_text" if self._name in {*LENGTHS, "message"} else "unknown")
        # Where no file was chosen, a browser sends one without name and content.
        elif upload.filename or upload.content.tell():
            upload.content.seek(0)
            filled.files.append(upload)
