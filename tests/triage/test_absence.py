"""Recognise notices of absence, and no mail of a person who says more."""

from __future__ import annotations

import pytest

from poller.triage.absence import absence
from tests.triage.helpers import answer, request


@pytest.mark.parametrize(
    "text",
    [
        "Votre message m'est bien parvenu. Je suis absente jusqu'au 9 et en prendrai connaissance à mon retour.",
        "Je suis en congés jusqu'au 9 novembre. Je vous répondrai dès mon retour.",
        "Ich bin bis zum 9. November nicht im Büro. Ihre E-Mail wird nicht weitergeleitet.",
        "I am out of the office until Monday and will reply to your message on my return.",
        "Actuellement en congé maternité, je ne suis pas joignable. Merci d'adresser vos messages à Paul Roy.",
        "Je suis en arrêt maladie jusqu'au 20. Vos messages ne seront pas lus. Adressez-vous à Paul Roy.",
        "Estoy de vacaciones hasta el 16 de noviembre y no tendré acceso al correo.",
        "Je ne fais plus partie des effectifs. Merci d'adresser vos demandes à contact@example.com.",
        "I no longer work at Example. Please direct your enquiries to hello@example.com.",
    ],
)
def test_answer_that_tells_what_becomes_of_the_mail_is_a_notice(text: str) -> None:
    assert absence(answer("Re: Devis", text)) == "auto-reply (text)"
    assert absence(request(subject="Devis", text=text)) is None


@pytest.mark.parametrize(
    ("subject", "text"),
    [
        ("Absent", "Actuellement en déplacement, je n'ai pas accès à mes mails. Je reviens vers vous au plus vite."),
        ("Away", "I will be away on annual leave until Friday and will return on Monday. I will respond to it then."),
        ("Absence RTT", "Je suis en RTT aujourd'hui, de retour demain."),
        ("Absent ce jour", "Je suis absent ce jour. En cas de problème, merci de contacter Paul au 01 02 03 04 05."),
        ("Absent ce jour", "Absent ce jour, mais joignable par téléphone. Voici les coordonnées de ma collègue."),
        ("Absent", "Je suis en congés jusqu'au 9. Pour une facture, écrivez à ana@e.example."),
        ("Absent", "De retour lundi. Pour toute question de facturation, contactez Ana au 01 02 03 04 05."),
        ("Congés", "De retour le 9. Pour vos devis, écrivez à v@e.example ; pour vos factures, à c@e.example."),
        ("Away", "I am on annual leave until Monday. If your request concerns an invoice, please contact a@e.example."),
        ("Im Urlaub", "Ich bin im Urlaub. Bei Fragen zu Rechnungen wenden Sie sich bitte an b@e.example."),
        ("Afwezig", "Ik ben afwezig tot maandag. Voor facturen kunt u mailen naar b@e.example."),
        ("Away", "I am away until Monday. If there is any issue with your order, please call 555 0100."),
        (
            "Absence du bureau",
            "Je suis absente et de retour lundi.\nCordialement,\nAna Roy, achats et logistique de la maison Roy",
        ),
    ],
)
def test_notice_of_absence_that_says_nothing_more_is_automatic(subject: str, text: str) -> None:
    assert absence(answer(subject, text))


@pytest.mark.parametrize(
    ("subject", "text"),
    [
        ("Re: Devis", "Je suis absente jusqu'au 9, je prendrai connaissance de la V3 à mon retour. La couleur va ?"),
        ("Re: Devis", "Je serai absente du 9 au 13. Pouvez-vous lancer la modélisation avant mon retour ?"),
        ("Re: Devis", "J'ai quitté l'entreprise Roy. J'aimerais un modèle 3D pour ma boutique, contactez-moi."),
        ("Re: Devis", "Je suis en déplacement jusqu'à lundi sans accès à mes mails, refaites donc les pieds en noyer."),
        ("Re: Devis", "Paul ne fait plus partie des effectifs, adressez-moi le fichier."),
        ("Re: Devis", "En congés du 9 au 13. Votre message sera traité par ma collègue, qui valide la V3."),
        ("Re: Devis", "Votre mail m'est bien parvenu, je suis absent demain, appelez-moi jeudi."),
        ("Re: Devis", "Je ne travaille plus chez Roy, écrivez-moi ici maintenant pour le canapé."),
        (
            "Re: Devis",
            "Je suis absent jusqu'au 12. Votre message sera lu par Paul. À bientôt pour la lampe de notre salon.",
        ),
        (
            "Re: Preventivo",
            "Sono in ferie fino al 9, il suo messaggio sarà letto da Anna. La sedia deve essere in noce.",
        ),
        ("Absent ce jour", "Je suis absent aujourd'hui, voici le problème : l'écran reste noir."),
        ("Absent ce jour", "Absent ce jour. Le problème persiste."),
        (
            "Absence",
            "Je suis en déplacement. Pour la facture, écrivez-moi sur a@e.example, elle est fausse.",
        ),
        (
            "Congés",
            "Pour la facture, écrivez à ma nouvelle adresse a@e.example, je suis en congés jusqu'à lundi.",
        ),
        ("Absence", "Je suis absente demain. Pour la commode, le fichier envoyé à p@e.example est vide."),
        ("Absence du bureau", "Je suis absente jusqu'au 9 novembre, les plans de la table sont en pièce jointe."),
        ("Away", "I am away until Friday; attached are the drawings of the lamp."),
        ("Congés", "Je suis en congés ce soir, il me faudrait la version finale de la table avant."),
        ("En déplacement", "Je suis en déplacement, voici les cotes de la console : 120 x 40 x 80."),
        ("Away", "I am currently away but the issue is urgent: our product page is blank."),
        ("Away", "I am away today. The AR button does nothing on my phone, customers are complaining."),
        ("Afwezig", "Ik ben afwezig vandaag, maar de viewer werkt niet meer op onze site."),
        ("Out of office", "I'm out of the office, here is the problem: the viewer shows nothing."),
        ("Out of office", "I am out of the office until Monday, but the checkout button is gone since your update."),
        ("Congés", "Je suis en congés jusqu'au 9. Les plans de la table sont dans le dossier partagé hier."),
        ("Fermeture annuelle", "Notre atelier est fermé du 3 au 20 août. Livrez la console avant le 1er."),
        ("Re: Devis", "Je ne travaille plus chez Roy. Voici ma nouvelle adresse : ana@e.example. La lampe est belle."),
        ("Re: Devis", "Je ne suis plus dans les délais : adressez le tout directement au client."),
        ("Re: 3D", "I no longer work with Blender. Write the file in USDZ."),
    ],
)
def test_answer_of_a_person_who_says_more_is_no_notice(subject: str, text: str) -> None:
    assert absence(answer(subject, text)) is None
