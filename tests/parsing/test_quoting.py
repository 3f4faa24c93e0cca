"""Find the part of a text that was written for this mail, without the history below it."""

from __future__ import annotations

import pytest

from poller.parsing.quoting import newest_part
from tests.support.effort import one_pass

NEW = "Bonjour,\n\nLa porte est trop claire.\n\nCamille"
OLD = "Bonjour, voici la version 3.\nCordialement"
RULE = "_" * 32
QUOTED = "> Bonjour, voici la version 3.\n> Cordialement"

HISTORIES = {
    "gmail": f"Le mar. 3 nov. 2026 à 10:12, Studio <s@example.com> a écrit :\n\n{QUOTED}",
    "gmail, no-break spaces": f"Le mar. 3 nov. 2026 à 10:12, Studio <s@example.com> a écrit\u00a0:\n\n{QUOTED}",
    "gmail, narrow no-break space": f"Le mar. 3 nov. 2026 à 10:12, Studio <s@example.com> a écrit\u202f:\n{QUOTED}",
    "gmail, wrapped": f"Le mar. 3 nov. 2026 à 10:12, Studio\n<studio@example.com> a écrit :\n\n{QUOTED}",
    "gmail, wrapped twice": f"Le mar. 3 nov. 2026 à 10:12, Studio\nFigurative <s@example.com>\na écrit :\n{QUOTED}",
    "gmail, history not marked": f"Le mar. 3 nov. 2026 à 10:12, Studio <s@example.com> a écrit :\n{OLD}",
    "thunderbird": f"Le 03/11/2026 à 10:12, Studio a écrit :\n{QUOTED}",
    "yahoo": f"Le lundi 2 novembre 2026 à 10:00:00 UTC+1, Studio <s@example.com> a écrit :\n{OLD}",
    "address first": f"Studio <studio@example.com> a écrit le 3 nov. 2026 à 10:12 :\n{OLD}",
    "apple, english": f"On 3 Nov 2026, at 10:12, Studio <s@example.com> wrote:\n\n{QUOTED}",
    "german": f"Am 03.11.2026 um 10:12 schrieb Studio <studio@example.com>:\n{QUOTED}",
    "outlook": f"De : Studio <studio@example.com>\nEnvoyé : mardi 3 novembre 2026\nÀ : C\nObjet : V3\n\n{OLD}",
    "outlook, ruled": f"{RULE}\nDe : Studio\nEnvoyé : mardi 3 novembre\nÀ : C\nObjet : V3\n\n{OLD}",
    "outlook, bold": f"*De :* Studio\n*Envoyé :* mardi 3 novembre 2026 10:12\n*À :* Camille\n*Objet :* V3\n\n{OLD}",
    "outlook, spaced": f"De : Studio\n\nEnvoyé : mardi 3 novembre 2026\n\nÀ : Camille\n\nObjet : V3\n\n{OLD}",
    "outlook, english": f"From: Studio\nSent: Tuesday, November 3, 2026\nTo: Camille\nSubject: V3\n\n{OLD}",
    "outlook, original": f"-----Message d'origine-----\nDe : Studio\n\n{OLD}",
    "outlook, apostrophe": f"-----Message d’origine-----\nDe : Studio\n\n{OLD}",
    "zimbra": f"----- Mail original -----\nDe: Studio\n{OLD}",
    "android": f"-------- Message original --------\nDe : Studio\n{OLD}",
    "orange": f"> Message du 02/11/26 10:12\n> De : Studio\n> {OLD}",
    "orange, long year": f'> Message du 12/03/26 10:22\n> De : "S" <s@example.com>\n> A : c@example.com\n> {OLD}',
    "orange, not marked": f'Message du 12/03/26 10:22\nDe : "S" <s@e.fr>\nA : "C" <c@e.fr>\nObjet : V3\n{OLD}',
    "sfr": f"{'=' * 40}\n\nMessage du : 12/03/2026 10:22\nDe : S <s@e.fr>\nA : c@e.fr\nCopie à :\nSujet : V3\n\n{OLD}",
    "la poste": f"De : Studio <s@e.fr>\nEnvoyé : 12/03/2026 10:22\nA : c@e.fr\nObjet : V3\n{OLD}",
    "on one line": f"De : Studio <s@e.fr> Envoyé : mardi 3 novembre 2026 10:12 À : C <c@e.fr> Objet : V3\n\n{OLD}",
    "on one line, no address": f"De : Studio Envoyé : mardi 3 novembre 2026 10:12 À : Camille Objet : V3\n\n{OLD}",
    "date first": f"envoyé : 12 mars 2026 à 10:22\nde : S <s@e.fr>\nà : C <c@e.fr>\nobjet : V3\n\n{OLD}",
    "date first, one line": f"envoyé : 12 mars 2026 à 10:22 de : S <s@e.fr> à : c@e.fr objet : V3\n{OLD}",
    "subject first": f"Objet : V3\nDate : Tue, 3 Nov 2026 10:12:00 +0100\nDe : S <s@e.fr>\nÀ : C\n\n{OLD}",
    "two lines": f"De : S <s@e.fr> Envoyé : 3 novembre\nÀ : C Objet : V3\n{OLD}",
    "values below": f"De :\nS <s@e.fr>\nEnvoyé :\nmardi\nÀ :\nCamille\n\n{OLD}",
    "outlook, iso date": f"From: Studio\nDate: 2026-11-03 10:12\nTo: Camille\nSubject: V3\n\n{OLD}",
    "only marked": QUOTED,
    "iphone": f"Envoyé de mon iPhone\n\n> Le 3 nov. 2026 à 10:12, Studio <s@example.com> a écrit :\n{QUOTED}",
    "iphone, alone": "Envoyé de mon iPhone",
    "outlook mobile": f"Obtenir Outlook pour iOS<https://aka.ms>\n{RULE}\nDe : S\nEnvoyé : 3\nÀ : C\n{OLD}",
    "outlook mobile, html": "[Obtenir Outlook pour Android](https://aka.ms/AAb9ysg)",
    "sent from": "Sent from my Galaxy",
    "signature": "-- \nCamille Roy\nDirectrice, Portes Roy\nUn devis ? Une facture ? Écrivez-nous",
    "signature and history": f"-- \nCamille Roy\n\nLe 3 nov. 2026 à 10:12, Studio <s@example.com> a écrit :\n{QUOTED}",
}  # fmt: skip
SIGNED = (
    "Envoyé à partir de Courrier pour Windows",
    "Envoyé à partir de [Courrier](https://go.microsoft.com/fwlink/?LinkId=550986) pour Windows",
    "Provenance : [Courrier](https://go.microsoft.com/fwlink/?LinkId=550986) pour Windows 10",
    "Provenance : Courrier pour Windows",
    "Envoyé avec la messagerie sécurisée Proton Mail.",
    "Envoyé avec la messagerie sécurisée [Proton Mail.](https://proton.me/mail/home)",
    "Envoyé depuis Proton Mail pour Android.",
    "Sent with Proton Mail secure email.",
    "Sent with [Proton Mail](https://proton.me/) secure email.",
    "Sent from Mail for Windows",
    "Sent from Yahoo Mail on Android",
    "Sent from my Samsung Galaxy smartphone.",
    "Cet e-mail a été envoyé depuis mon mobile Orange",
    "Envoyé depuis l'application Mail Orange",
    "Envoyé depuis l’application Mail Bouygues Telecom",
    "Envoyé depuis mon mobile Bouygues",
    "Envoyé depuis mon mobile Free",
    "Envoyé depuis mon appareil mobile Samsung.",
    "Envoyé depuis Yahoo Mail pour iPhone",
    "Yahoo Mail : Recherchez, organisez, soyez maître de votre boîte de réception",
    "Envoyé depuis SFR Mail",
    "Envoyé depuis l'appli La Poste",
    "Envoyé depuis mon webmail Free",
    "Envoyé de mon iPhone 15 Pro Max",
    "Envoyé à partir d’Outlook pour Android",
    "Télécharger Outlook pour iOS<https://aka.ms/o0ukef>",
    "Téléchargez Outlook pour Android",
    "Get Outlook for iOS",
    "[Get Outlook for iOS](https://aka.ms/o0ukef)",
)


@pytest.mark.parametrize("history", HISTORIES.values(), ids=HISTORIES)
def test_newest_part_drops_history_below(history: str) -> None:
    assert newest_part(f"{NEW}\n\n{history}\n") == NEW


@pytest.mark.parametrize("line", SIGNED)
def test_newest_part_drops_only_app_signature(line: str) -> None:
    assert newest_part(f"{NEW}\n\n{line}\n") == NEW
    assert newest_part(f"{line}\n\n{NEW}") == NEW


FORWARDS = (
    "---------- Forwarded message ---------",
    "---------- Message transféré ---------",
    "-------- Message transféré --------",
    "Début du message transféré :",
    "Début du message réexpédié\u00a0:",
    "Begin forwarded message:",
)


@pytest.mark.parametrize("line", FORWARDS)
def test_newest_part_keeps_whole_forward(line: str) -> None:
    text = f"Pour vous.\n\n{line}\nDe : Client <c@example.com>\nDate : mardi\nÀ : moi\nObjet : Vase\n\n{OLD}"
    assert newest_part(text) == text


def test_newest_part_drops_forward_inside_history() -> None:
    history = f"Le 3 nov. 2026 à 10:12, X <x@example.com> a écrit :\n\n---------- Forwarded message ---------\n{OLD}"
    assert newest_part(f"{NEW}\n\n{history}") == NEW


KEPT = {
    "a plan's dimensions": "Le tenon :\nDe : 10 mm\nÀ : 20 mm\nObjet : charnière",
    "a sentence with wrote": "Le 3 novembre on m'a écrit que la facture est fausse : voir ci-joint.",
    "what somebody wrote": "Le 3 novembre, votre studio m’a écrit :\n« la V3 est prête ».\nElle ne l’est pas.",
    "likewise, to us": "Le 3 mars 2026 votre service nous a écrit :\nla V3 est prête. Elle ne l'est pas.",
    "likewise, english": "On 3 March your studio wrote to me:\nV3 is ready. It is not.",
    "in writing": "Merci de me répondre par écrit.\nL. Faucher",
    "a colon after a date": "Le 12 mars 2026 :\nlivraison de la table",
    "a long text below two dashes": "Deux lots.\n--\n" + "\n".join(f"Ligne {n}" for n in range(20)),
    "dashes in a text": "Le pied --- en chêne --- est trop court.",
    "a plan with a day": "Le tenon :\nDe : 10 mm\nÀ : 20 mm\nDate : demain\n\nMerci de faire un devis.",
    "a plan with a title block": "Le tenon :\nDe : 10 mm\nÀ : 20 mm\nDate : 12/03/2026\nObjet : charnière",
    "a plan below a rule": f"Le tenon :\n{'-' * 20}\nDe : 10 mm\nÀ : 20 mm\nDate : demain",
    "dimensions on a line": "Le tenon :\nDe : 10 mm À : 20 mm Date : demain Objet : charnière",
    "a journey": "La livraison :\nDe : Lyon\nÀ : Paris\nDate : 12 mars 2026\nPeut-on la suivre en 3D ?",
    "a journey at a time": "La livraison :\nDe : Lyon\nÀ : Paris\nDate : 12 mars 2026 à 10:00\nMerci",
    "a form": "Nouvelle demande\nDe : Ana <ana@e.fr>\nObjet : Devis\n\nCorps du message :\nUn vase en 3D.",
    "a form with a date": (
        "Nouvelle demande\nDe : Ana <ana@e.fr>\nDate : 12/03/2026 10:22\nObjet : Devis\nTél : 01\nMessage : Un vase."
    ),
    "a message of a day": "Bonjour,\nMessage du 12/03/26 resté sans réponse : la porte est trop claire.",
    "a subject of its own": "Bonjour,\nObjet : facture 12\nDate : 12/03/2026\nElle est fausse.",
    "sent from the customer's own app": "Envoyé depuis l'application, le modèle reste noir.",
    "sent by post": "Envoyé par La Poste le 3 mars, le pied est arrivé cassé.",
    "sent by mail": "Envoyé par mail hier à votre service : aucune réponse.",
    "sent from an account": "Envoyé depuis mon compte client : le plan est faux.",
    "sent from a phone, with a question": "Envoyé depuis mon téléphone hier : vous avez reçu le plan ?",
    "sent by the carrier": "Envoyé par mon transporteur vendredi.",
    "received by the supplier": "Sent from my supplier last week, and it is wrong.",
    "an app to download": "Télécharger le modèle ne marche pas.",
}


@pytest.mark.parametrize("text", KEPT.values(), ids=KEPT)
def test_newest_part_keeps_text_resembling_history(text: str) -> None:
    assert newest_part(text) == text


def test_newest_part_keeps_inline_and_bottom_replies() -> None:
    text = f"Le 3 nov. 2026 à 10:12, X <x@example.com> a écrit :\n{QUOTED}\n\nOui.\n\n> Quelle couleur ?\n\nRouge."
    assert newest_part(text).split() == ["Oui.", "Rouge."]


@pytest.mark.parametrize(
    "text", [QUOTED, "-- \nCamille Roy", "Envoyé de mon iPhone", f"De : S\nEnvoyé : 3\nÀ : C\n\n{OLD}"]
)
def test_newest_part_is_whole_text_when_all_is_quoted(text: str) -> None:
    assert newest_part(text) == text


@pytest.mark.parametrize(
    "line",
    [
        "Le 1 a écrit x",
        "On x",
        "--",
        ">",
        "",
        "De : 1",
        "Le 1 " * 50 + ":",
        "-" * 200,
        "<a@b> a écrit" * 20,
        "De : " * 50,
        "[" * 400,
        "envoyé de mon " * 20,
    ],
)
def test_newest_part_is_linear_in_hostile_text(line: str) -> None:
    one_pass(newest_part, line + "\n", 100_000)
