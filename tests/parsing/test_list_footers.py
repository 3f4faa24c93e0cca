"""Drop what a mailing list adds below a mail, and nothing of the mail."""

from __future__ import annotations

import pytest

from poller.parsing.list_footers import without_list_footers
from poller.parsing.quoting import newest_part

NEW = "Bonjour,\n\nMerci de modéliser le banc.\n\nCamille"
RULE = "_" * 47
FOOTERS = {
    "Mailman 2": f"{RULE}\nAchats mailing list\nAchats@lists.example.com\nhttps://l.example.com/mailman/listinfo/achats",
    "Mailman 3": f"{RULE}\nAchats mailing list -- achats@example.com\nTo unsubscribe mail to achats-leave@e.fr",
    "Mailman, French": f"{RULE}\nListe de diffusion Achats\nAchats@lists.example.com",
    "Google Groups": "You received this message because you are subscribed to the Google Groups group.\n"
    "To unsubscribe, send an email to achats+unsubscribe@example.com.",
    "Google Groups, French": "-- \nVous recevez ce message, car vous êtes abonné au groupe Google Groupes « Achats ».\n"
    "Pour vous désabonner, accédez à https://groups.google.com/d/msgid/achats/CAB.",
    "Sympa": "--\nPour se désinscrire : https://listes.example.com/sigrequest/achats",
    "LISTSERV": "#####################\n\nTo unsubscribe:\nmailto:ACHATS-SIGNOFF-REQUEST@example.com",
    "Groups.io": "-=-=-=-=-\nGroups.io Links: You receive all messages sent to this group.\n"
    "Mute: https://groups.io/mt/1/2\n-=-=-=-=-",
}


@pytest.mark.parametrize("footer", FOOTERS.values(), ids=FOOTERS)
def test_list_footer_is_dropped_below_text_and_quote(footer: str) -> None:
    assert newest_part(f"{NEW}\n\n{footer}\n") == NEW
    assert newest_part(f"{NEW}\n\n> Voici la V3.\n{FOOTERS['Mailman 2']}\n{footer}") == NEW


@pytest.mark.parametrize(
    "text",
    [
        FOOTERS["Mailman 2"],
        f"{NEW}\n{RULE}\nFauteuil A\nTo unsubscribe my account, what must I do?",
        f"{NEW}\n--\nThe banner of our mailing list",
        f"{NEW}\n______\nNotre mailing list",
        "Les fichiers :\n--\nliste de diffusion presse\nvoir presse-request@example.com",
        "=====\nProjet A\n=====\nVoir https://groups.google.com/d/forum/x pour les plans",
        f"Voici la page : https://l.example.com/mailman/listinfo/achats\n\n{NEW}",
        f"{NEW}\n{RULE}\n" + "Ligne\n" * 13 + "Achats mailing list",
        f"{NEW}\n-----\nProjet : banc en chêne\nDevis à envoyer à devis-request@roy.example",
        f"{NEW}\n***\nLes cotes : https://groups.io/g/atelier/message/12",
        f"{NEW}\n--\nVoir https://groups.google.com/d/msgid/atelier/CAB",
        f"{NEW}\n==\nLa page /mailman/ de votre lecteur est blanche.",
        f"{NEW}\n~~\nI am on team+leave@acme.example this week, and the viewer is blank.",
    ],
)
def test_text_that_names_a_list_is_kept(text: str) -> None:
    assert without_list_footers(text) == text
