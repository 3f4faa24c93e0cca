"""Recognise an answer and a forward by the prefix of the subject."""

from __future__ import annotations

import pytest

from poller.mime.subject import Prefix, prefix_of, without_prefixes
from tests.support.effort import one_pass

ANSWERS = (
    "Re: x",
    "RE : x",
    "Ré: x",
    "AW: x",
    "Antw: x",
    "SV: x",
    "R: x",
    "RES: x",
    "Odp: x",
    "Re[2]: x",
    "RE (3): x",
    "Re\uff1a x",
    "RE: TR: x",
    "AW: WG: x",
    "[EXTERNAL] Re: x",
    "[liste-projet] [SPAM?] RE: Fwd: x",
    "{Spam?} Re: x",
    "(EXT) AW: x",
    "***SPAM*** Re: x",
    "*EXTERNAL* Re: x",
    "EXT: Re: x",
    "[Ext] : RE: x",
    "\u26a0\ufe0f RE: x",
    "R\u00e9p. : x",
)
FORWARDS = (
    "TR: x",
    "TR\u00a0: x",
    "Fwd: x",
    "FW : x",
    "WG: x",
    "I: x",
    "RV: x",
    "ENC: x",
    "VB: x",
    "PD: x",
    "Doorst: x",
    "TR: RE: x",
    "[EXTERNAL] TR: x",
    "[EXT][SPAM?]  Fwd: RE: x",
    "External: Fwd: x",
    "Externe - TR: x",
)
NEITHER = (
    "x",
    "",
    "Trop : x",
    "Ti: x",
    "[EXTERNAL] x",
    "[Re: x] y",
    "Retour: x",
    "Fauteuil re: x",
    "[" * 50,
    "Re x",
    "Externe : x",
)


@pytest.mark.parametrize("subject", ANSWERS)
def test_outermost_prefix_marks_an_answer(subject: str) -> None:
    assert prefix_of(subject) is Prefix.ANSWER
    assert without_prefixes(subject) == "x"


@pytest.mark.parametrize("subject", FORWARDS)
def test_outermost_prefix_marks_a_forward(subject: str) -> None:
    assert prefix_of(subject) is Prefix.FORWARD
    assert without_prefixes(subject) == "x"


@pytest.mark.parametrize("subject", NEITHER)
def test_subject_without_prefix_is_left_as_it_is(subject: str) -> None:
    assert prefix_of(subject) is None
    assert without_prefixes(subject) == subject


@pytest.mark.parametrize("piece", ["Re: ", "[x] ", "[", "(", "***", "re:[", " ", "ext: "])
def test_prefix_is_found_in_one_pass(piece: str) -> None:
    one_pass(lambda subject: (prefix_of(subject), without_prefixes(subject)), piece)
