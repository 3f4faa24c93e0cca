"""Describe the files of a mail: the type of each, and a unique name for each."""

from __future__ import annotations

import hashlib
import posixpath
import re
from collections import Counter, deque
from dataclasses import replace
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

from poller.escaping import file_name, file_path
from poller.formats import magic
from poller.formats.references import last_part, read_references
from poller.formats.table import UNKNOWN, suffix_of_name
from poller.mime.transfer_encoding import PIECE_BYTES
from poller.model import Attachment, Kind
from poller.parsing import file_types

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from poller.parsing.parts import Leaf

APPLE_FILE: Final = "application/applefile"
LOGO_BYTES: Final = 16 * 1024  # of an image in a signature at most; a photograph has more
SMALL_BYTES: Final = 1 << 20  # a larger file has a fingerprint only where another one has its size
_NAME_CHARS: Final = 150
_SUFFIX_CHARS: Final = 10
_SIGNATURES: Final = {
    "application/pkcs7-signature",
    "application/x-pkcs7-signature",
    "application/pgp-signature",
    "application/pgp-keys",
}
_CARDS: Final = {"text/vcard", "text/x-vcard", "text/directory"}
_CID: Final = re.compile(r"""\bcid:([^"'\s<>()]{1,300})""", re.IGNORECASE)


def shown_by(html: str) -> set[str]:
    """Return the Content-IDs of the images that an HTML source shows (RFC 2392)."""
    return {unquote(cid) for cid in _CID.findall(html)}


def attachment(leaf: Leaf, shown: set[str], history: Collection[str] = ()) -> Attachment:
    """Describe a leaf as an attachment. Its name is "" where the sender gave none.

    `shown` holds the Content-IDs that the HTML beside it shows, `history` those of them that stand in the quoted
    history alone.
    """
    head, size_bytes, fingerprint = _measured(leaf)
    content_type, kind = file_types.sniff(head, size_bytes, leaf.name, leaf.open, leaf.content_type)
    name = file_name(leaf.name) if leaf.name else ""
    refused = file_types.refused(name, head, size_bytes)
    if suffix_of_name(name) == "svg" and not refused:
        with leaf.open() as stream:
            refused = file_types.has_script(stream)
    if head.startswith(magic.APPLE_DOUBLE):
        # Macs have the same name for it and for the file itself, and write it with a dot on other systems.
        name = file_name(leaf.name.removeprefix("._")) if leaf.name else ""
        name, content_type, kind = f"._{name}" if name else "", APPLE_FILE, Kind.OTHER
    is_image = kind is Kind.IMAGE and not refused
    is_shown = leaf.content_id in shown
    # Mail clients give a Content-ID to what is plainly attached, too. A winmail.dat has no multiparts.
    is_of_the_text = is_shown and ("multipart/related" in leaf.within or not leaf.within)
    return Attachment(
        filename=name,
        content_type=content_type,
        size_bytes=size_bytes,
        kind=Kind.OTHER if refused else kind,
        inline=is_shown and is_image and leaf.disposition != "attachment",
        content=leaf.content,
        logo=is_image and is_of_the_text and size_bytes <= LOGO_BYTES,
        incidental=_is_signature(leaf),
        fingerprint=fingerprint,
        refused=refused,
        shown=is_shown and is_image,
        quoted=leaf.content_id in history,
    )


def _measured(leaf: Leaf) -> tuple[bytes, int, str]:
    """Return the beginning of a file, its size in bytes, and its fingerprint, "" if it is large."""
    digest = hashlib.sha256()
    with leaf.open() as stream:
        head = stream.read(magic.HEAD_BYTES)
        if leaf.size_bytes is not None and leaf.size_bytes > SMALL_BYTES:
            return head, leaf.size_bytes, ""
        digest.update(head)
        size_bytes = len(head)
        while piece := stream.read(PIECE_BYTES):
            size_bytes += len(piece)
            if size_bytes <= SMALL_BYTES:
                digest.update(piece)
    return head, size_bytes, digest.hexdigest()[:32] if size_bytes <= SMALL_BYTES else ""


def _is_signature(leaf: Leaf) -> bool:
    """Return whether the leaf signs the mail, for programs or as a card of its author, and is no file that was sent."""
    if leaf.content_type in _CARDS:
        return leaf.disposition != "attachment"
    if leaf.name.lower() in {"smime.p7s", "signature.asc"}:
        return leaf.content_type in {*_SIGNATURES, UNKNOWN}
    return leaf.content_type in _SIGNATURES and "multipart/signed" in leaf.within


def has_data_fork(leaves: Sequence[Leaf], at: int) -> bool:
    """Return whether the file of which a leaf holds what a Mac adds is there too, with bytes in it (RFC 1740).

    It is the next part of a multipart/appledouble, whatever its name, or a part of the same name without "._".
    """
    fork = leaves[at]
    below = leaves[at + 1] if at + 1 < len(leaves) else fork
    pair = fork.within[-1:] == ("multipart/appledouble",) and below.within == fork.within
    name = fork.name.removeprefix("._")
    named = [leaf for leaf in leaves if name and leaf.name == name]
    return any(map(_is_data, [below, *named] if pair else named))


def _is_data(leaf: Leaf) -> bool:
    with leaf.open() as stream:
        return leaf.content_type != APPLE_FILE and stream.read(len(magic.APPLE_DOUBLE)) not in {b"", magic.APPLE_DOUBLE}


def told_apart(attachments: Sequence[Attachment]) -> list[Attachment]:
    """Return the attachments, with a fingerprint wherever two have the same size, and for each image in the text.

    Such an image may have come with an earlier mail. Others need none: to digest a 3D file takes as long as to decode
    it.

    Raises:
        OSError: the spool file cannot be read.
    """
    sizes = Counter(file.size_bytes for file in attachments)
    return [
        replace(file, fingerprint=_fingerprint(file))
        if not file.fingerprint and (file.shown or sizes[file.size_bytes] > 1)
        else file
        for file in attachments
    ]


def with_side_files(attachments: Sequence[Attachment]) -> list[Attachment]:
    """Return the attachments, each with the path by which a 3D file among them refers to it.

    Where such a path is not safe, the file's name stands in its place. The 3D files are read only if there is another
    file that may be meant.

    Raises:
        OSError: the spool file cannot be read.
    """
    models = [file for file in attachments if file.kind is Kind.MODEL and not file.refused]
    if not models or sum(not file.refused for file in attachments) == 1:
        return list(attachments)
    paths = _paths(models)
    return [
        replace(file, side=paths[key] or file.filename)
        if not file.refused and (key := _key(file.filename)) in paths
        else file
        for file in attachments
    ]


def _paths(models: Sequence[Attachment]) -> dict[str, str]:
    """Return the path by which each file is referred to, by its name in lower case. "" where no path is safe.

    A path counts from the file that has it, which may itself lie in a folder: a material in that of its textures.
    """
    references: dict[str, list[str]] = {}
    for model in models:
        references.setdefault(_key(model.filename), []).extend(_references(model))
    named = {_key(path) for paths in references.values() for path in paths}
    found: dict[str, str] = {}
    waiting = deque(sorted(references, key=named.__contains__))
    while waiting:
        name = waiting.popleft()
        folder = found.get(name, "").rpartition("/")[0]
        for path in references.pop(name, []):
            key = _key(path)
            # A path of the author's machine often stands beside the relative one.
            found[key] = found.get(key) or file_path(posixpath.join(folder, path.replace("\\", "/")))
            if key in references:
                waiting.appendleft(key)
    return found


def _key(path: str) -> str:
    return file_name(last_part(path)).casefold()


def _references(model: Attachment) -> tuple[str, ...]:
    suffix = file_types.opens_as(model).lower().rpartition(".")[2]
    with model.content.open() as stream:
        return read_references(stream, suffix)


def _fingerprint(file: Attachment) -> str:
    digest = hashlib.sha256()
    with file.content.open() as stream:
        while piece := stream.read(PIECE_BYTES):
            digest.update(piece)
    return digest.hexdigest()[:32]


def named(attachments: Iterable[Attachment]) -> tuple[Attachment, ...]:
    """Return the attachments, each with a name of its own. Names that differ in case alone count as equal.

    A name may be a path: then no other file has the name of one of its folders.
    """
    attachments = list(attachments)
    taken = {folder.casefold(): 1 for file in attachments for folder in _folders(file.filename)}
    found = []
    for number, file in enumerate(attachments, start=1):
        name = wanted = file.filename or f"piece-jointe-{number}{file_types.suffix_of(file.content_type)}"
        while name.casefold() in taken:
            taken[wanted.casefold()] += 1
            name = _numbered(wanted, taken[wanted.casefold()])
        taken[name.casefold()] = 1
        found.append(replace(file, filename=name))
    return tuple(found)


def _folders(path: str) -> Iterator[str]:
    while folder := path.rpartition("/")[0]:
        yield folder
        path = folder


def _numbered(path: str, number: int) -> str:
    folder, slash, name = path.rpartition("/")
    stem, dot, suffix = name.rpartition(".")
    if not stem or len(suffix) > _SUFFIX_CHARS:
        stem, dot, suffix = name, "", ""
    end = f" ({number}){dot}{suffix}"
    room = _NAME_CHARS - len(folder + slash + end)
    if room < 1:
        folder, slash, room = "", "", _NAME_CHARS - len(end)
    return folder + slash + stem[:room].rstrip() + end
