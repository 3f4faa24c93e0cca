"""Read a request as the rules and the learnt models do: the sender's own words, folded, and the files."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from poller.escaping import one_line, plain_text
from poller.mime.subject import prefix_of, without_prefixes
from poller.triage.wording.look_alikes import as_seen
from poller.triage.wording.second_meanings import without_second_meanings

if TYPE_CHECKING:
    from poller.model import Attachment, Kind, Request

MAX_READ_CHARS: Final = 20_000  # a mail that has not said what it wants by then is not for the rules to decide
_MAX_TEXT_CHARS: Final = 2_000  # that are embedded
_MAX_SUBJECT_CHARS: Final = 300
_MAX_FILES: Final = 10
_MAX_BYTES: Final = 3_000  # in all: a Chinese or Japanese text takes as long as a Latin one of three times its length
_ARTICLES: Final = frozenset({"les", "des", "une", "nos", "mes", "the", "our", "los", "las", "der", "die", "das"})


@dataclass(frozen=True, slots=True)
class Mail:
    """The parts of a request that the rules read."""

    said: str  # folded: the sender's own words, and the subject unless it comes from an older mail
    everything: str  # folded: `said`, a signature, the subject in any case, the files' names
    names: str  # folded: the files' names
    files: tuple[Attachment, ...]  # without those that the HTML shows by their cid, and those that no person sent

    def of_kind(self, *kinds: Kind) -> tuple[Attachment, ...]:
        """Return the files of these kinds."""
        return tuple(file for file in self.files if file.kind in kinds)


def folded(text: str) -> str:
    """Fold a text into words: lower case, no accents, single spaces, " . " at each sentence or line end.

    A word is read as it is seen: without soft hyphens and other marks that nobody sees, and in letters of one script.
    """
    decomposed = unicodedata.normalize("NFKD", text[:MAX_READ_CHARS])
    plain = "".join(c for c in decomposed if not unicodedata.combining(c) and unicodedata.category(c) != "Cf")
    sentences = re.split(r"[.!?;:](?=\s|$)|\n", as_seen(plain).casefold())
    return " . ".join(" ".join(re.findall(r"[^\W_]+", sentence)) for sentence in sentences)


def read_mail(request: Request) -> Mail:
    """Return what the rules read of a request."""
    files = tuple(each for each in request.attachments if not (each.inline or each.incidental))
    names = _plain("\n".join(attachment.filename for attachment in files))
    subject = _plain(without_prefixes(request.subject))
    return Mail(
        said=_plain(f"{_own_subject(request)}\n{_own_words(request)}".lstrip("\n")),
        # Each is cut by itself: a ZIP of textures has more names than are read.
        everything=f"{subject} . {names} . {_plain(request.newest)}",
        names=names,
        files=files,
    )


def text_of(request: Request) -> str:
    """Return what is embedded of a request: its own subject and words, and file names, nothing about the sender."""
    names = (
        one_line(each.filename) for each in request.attachments[:_MAX_FILES] if not (each.inline or each.incidental)
    )
    said = plain_text(_own_words(request).strip() or request.newest.strip() or request.text)[:_MAX_TEXT_CHARS]
    text = f"{one_line(_own_subject(request), _MAX_SUBJECT_CHARS)}\n{said}\n{' '.join(names)}"
    return as_seen(text).encode()[:_MAX_BYTES].decode(errors="ignore")


def _own_subject(request: Request) -> str:
    """Return the subject, empty where it comes from an older mail."""
    return request.subject if prefix_of(request.subject) is None else ""


def _own_words(request: Request) -> str:
    """Return the newest part without quoted lines, up to a line that begins with the sender's name.

    Text that a company prints below its people's names is not part of the request.
    """
    name = folded(request.author.display_name)
    names = set(re.findall(r"\w{3,}", name)) - _ARTICLES  # shorter ones are articles too: "Le Goff"
    lines = [line for line in request.newest[:MAX_READ_CHARS].split("\n") if not line.startswith(">")]
    starts = ((at, folded(line[:100])) for at, line in enumerate(lines) if at)
    ends = (at for at, start in starts if start.partition(" ")[0] in names or (name and start.startswith(name)))
    return "\n".join(lines[: next(ends, len(lines))])


def _plain(text: str) -> str:
    return without_second_meanings(folded(text))
