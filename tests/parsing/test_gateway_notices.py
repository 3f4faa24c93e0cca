"""Drop the notices that gateways print around a mail, and nothing that a person wrote."""

from __future__ import annotations

import pytest

from poller.parsing.gateway_notices import without_notices
from poller.parsing.quoting import newest_part
from tests.support.effort import one_pass

NEW = "Bonjour,\n\nMerci de modéliser le banc.\n\nCamille"

BANNERS = (
    "ATTENTION : Ce message provient de l'extérieur. Ne cliquez pas sur les liens.",
    "CAUTION: This email originated from outside of the organization. Do not\nclick links unless you know\nthe sender.",
    "[EXTERNAL EMAIL]",
    "*** MAIL EXTERNE ***",
    "[EXTERNAL EMAIL] Do not click links or open attachments unless you recognize the sender.",
    "*** MAIL EXTERNE *** Ne cliquez sur aucun lien sans connaître l'expéditeur, soyez prudent.",
    "Ce mail provient d'un expéditeur externe.\nNe cliquez pas sur les liens, n'ouvrez pas les pièces jointes.",
    "Vous n’obtenez pas souvent d’e-mail à partir de c@example.com. [Pourquoi c’est important](https://aka.ms/x)",
    "[Ce message vient de l'extérieur de l'entreprise]",
    "⚠ EXPÉDITEUR EXTERNE : soyez vigilant avant de cliquer sur les liens.",
    "You don't often get email from c@example.com. [Learn why this is important](https://aka.ms/x)",
)
DISCLAIMERS = (
    "Ce message est confidentiel et destiné à l'usage exclusif du destinataire.\nSi vous le recevez par erreur, merci.",
    "This email is confidential and intended solely for the addressee. If you received it in error, please\ndelete it.",
    "CONFIDENTIALITÉ : Ce courriel est confidentiel. Toute diffusion est interdite sans l'accord de l'expéditeur.",
    "The information contained in this message is privileged and for the intended recipient. Disclosure is prohibited.",
    "L'absence de virus dans ce courrier électronique a été vérifiée par le logiciel antivirus Avast.",
    "[https://ipmcdn.avast.com/icon.gif]<https://www.avast.com/sig> Garanti sans virus. www.avast.com<https://avast.com>",
    "AVIS : Ce courrier est destiné à son seul destinataire et confidentiel, avertir l'expéditeur.",
    "L'intégrité de ce message n'est pas assurée. Le détruire s'il n'était pas pour vous, et avertir l'expéditeur.",
    "Pensez à l'environnement avant d'imprimer ce message.",
    "Avant d'imprimer cet e-mail, pensez à l'environnement.",
    "Antes de imprimir este mensaje, piense en el medio ambiente.",
    "N'imprimez ce mail que si c'est nécessaire.",
    "Bitte denken Sie an die Umwelt, bevor Sie diese E-Mail ausdrucken.",
    "<https://www.avast.com/sig-email?utm>\tSans virus.www.avast.com <https://www.avast.com/sig>\n<#DAB4FAD8-2DD7>",
    "DISCLAIMER: The information in this email is confidential. It is intended solely for the addressee.",
    "Le informazioni contenute in questo messaggio sono riservate al destinatario. Se per errore, cancellarle.",
    "Dit bericht is vertrouwelijk. Indien u het per abuis ontvangt, verzoeken wij u het te verwijderen.",
    "Esta mensagem é confidencial. Se a recebeu por engano, elimine-a e avise o remetente.",
)


@pytest.mark.parametrize("banner", BANNERS)
def test_warning_above_text_is_dropped(banner: str) -> None:
    assert newest_part(f"{banner}\n\n{NEW}") == NEW
    assert newest_part(f"{banner}\n{NEW}") == NEW


@pytest.mark.parametrize("disclaimer", DISCLAIMERS)
def test_disclaimer_below_text_is_dropped(disclaimer: str) -> None:
    assert newest_part(f"{NEW}\n\n____\n{disclaimer}\n\n{DISCLAIMERS[0]}") == NEW
    assert newest_part(f"{NEW}\n{disclaimer}") == NEW


@pytest.mark.parametrize(
    "text",
    [
        "Attention : la pièce jointe montre le mur extérieur.",
        "Ce message est confidentiel : ne montrez pas le banc, il sort en mars et le modèle doit rester secret.",
        "L'expéditeur du colis est externe à notre société, voir la pièce jointe.",
        "Ce message d'erreur apparaît quand je veux supprimer un modèle.",
        "Attention, ce message vient de mon adresse externe : ouvrez les pièces jointes.\n\nLe banc est en chêne.",
        "Externe\n\nPorte en chêne.",
        "External door, oak, 90 cm.",
        "[EXTERNAL] Please model the bench of our organisation, see the attachment.",
        "[Le banc extérieur]\n\nIl est en chêne.",
        "[Cet e-mail contient le plan de la terrasse extérieure]\n\nMerci.",
        "Expéditeur externe\n\nLe champ est faux dans votre formulaire.",
        "Bonjour,\nce message vous a été envoyé par erreur, merci de supprimer le ticket.",
        "Ce message annule le précédent, envoyé par erreur au mauvais destinataire : supprimer le premier banc.",
        "Este mensaje sustituye al anterior, enviado por error. Elimina el primer plano, el destinatario es Roy.",
        "Merci.\n\nAvant d'imprimer la pièce, pensez à vérifier l'épaisseur du socle.",
        "N'imprimez que la version 2, avec le pied long.",
        "Antes de imprimir necesitamos que corrijan el grosor de las paredes.",
        "Prima di stampare il prototipo vorremmo le pareti più spesse.",
        "Please consider the environment of the scene: a living room.",
        "Pensez à l'environnement autour du produit : un salon clair.",
        "L'absence de virus dans votre archive n'est pas prouvée : renvoyez la lampe.",
    ],
)
def test_text_resembling_notice_is_kept(text: str) -> None:
    assert without_notices(text) == text


@pytest.mark.parametrize("notice", [BANNERS[0], DISCLAIMERS[0]])
def test_text_that_is_all_notice_is_kept(notice: str) -> None:
    """Nothing would be left of the mail."""
    assert newest_part(notice) == notice


@pytest.mark.parametrize(
    "line", ["\n", "a\n", "ce message ", "ce message\n", f"{BANNERS[0]}\n", f"{DISCLAIMERS[3]}\n", "["]
)
def test_notices_are_found_in_one_pass(line: str) -> None:
    one_pass(without_notices, line, 100_000)
