"""Take from a mail's text what a letter quotes of it, and the sentence that a list of messages shows."""

from __future__ import annotations

import re

from poller.escaping import one_line, plain_text

QUOTATION_CHARS = 1_500
_SENTENCE_CHARS = 150
_ABRIDGED = " […]"
_BLANK_LINES = re.compile(r"\n[ \t\xa0]*(?:\n[ \t\xa0]*)+")
# A line that greets and says nothing else: « Bonjour, », « Chère Madame Petit, ».
_GREETING = re.compile(
    r"(?:bonjour|bonsoir|salut|coucou|madame|monsieur|mesdames|messieurs|ch[eè]re?s?|hello|hi|dear)\b[^.!?\n]{0,60}[,!.]?\s*",
    re.IGNORECASE,
)
_SENTENCE = re.compile(r".+?[.!?…](?=\s|$)")


def quotation(text: str) -> str:
    """Return the words of a mail with one blank line between paragraphs, and at most 1,500 characters of them."""
    words = _BLANK_LINES.sub("\n\n", plain_text(text[: 4 * QUOTATION_CHARS])).strip()
    if len(words) <= QUOTATION_CHARS:
        return words
    kept = words[: QUOTATION_CHARS - len(_ABRIDGED)]
    whole = kept.rpartition(" ")[0]  # not half a word, unless the word is very long
    return (whole if len(whole) > QUOTATION_CHARS // 2 else kept).rstrip() + _ABRIDGED


def first_sentence(text: str) -> str:
    """Return the first sentence after a greeting, on one line of at most 150 characters."""
    lines = [line for line in plain_text(text[:QUOTATION_CHARS]).split("\n") if line.strip()]
    if len(lines) > 1 and _GREETING.fullmatch(lines[0].strip()):
        lines = lines[1:]
    words = " ".join(" ".join(lines).split())
    found = _SENTENCE.match(words)
    return one_line(found[0] if found else words, _SENTENCE_CHARS)
