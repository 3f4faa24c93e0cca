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
    "R\u0435: x",
    "VS: x",
    "Odg: x",
    "VÁ: x",
    "Ats: x",
    "Отв: x",
    "Απ: x",
    "回复\uff1ax",
    "返信: x",
    "회신: x",
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
    "VL: x",
    "Пересл: x",
    "ΠΡΘ: x",
    "转发: x",
    "転送: x",
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


def test_prefix_of_two_meanings_is_settled_by_the_history() -> None:
    danish = "Se nedenfor.\n\nFra: Ana <ana@example.com>\nSendt: 3. november 2026\nTil: Lou\nEmne: x"
    finnish = "Kiitos!\n\nLähettäjä: Ana <ana@example.com>\nAihe: x"
    assert prefix_of("VS: x", danish) is Prefix.FORWARD
    assert prefix_of("VS: x", "<div><b>Fra: </b>Ana</div>") is Prefix.FORWARD
    assert prefix_of("VS: x", finnish) is Prefix.ANSWER
    assert without_prefixes("VS: RE: x") == "x"


@pytest.mark.parametrize("piece", ["Re: ", "[x] ", "[", "(", "***", "re:[", " ", "ext: "])
def test_prefix_is_found_in_one_pass(piece: str) -> None:
    one_pass(lambda subject: (prefix_of(subject), without_prefixes(subject)), piece)
