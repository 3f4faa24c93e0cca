"""Take from a folded text the phrases that contain a word of the vocabulary in an unrelated meaning.

"Tenir compte" opens no account, "of course" is no training, and a payment kiosk is an object to model.
"""

from __future__ import annotations

import re

from poller.triage.wording.vocabulary import any_of

# An empty screen ("page blanche") is not a product's colour: it is read as "ecran vide".
_EMPTY_SCREEN = any_of("""
    page blanche, page noire, ecran blanc, ecran noir, ecran bleu, blank page, white page, blank screen,
    black screen, white screen, blue screen, pantalla blanca, pantalla negra, schermo nero, schermo bianco
""")
# A question about price or delay asks for no explanation, whatever its first word is.
_PRICE_QUESTION = any_of("""
    quel ... prix, quel ... tarif, quel ... budget, quel ... cout, quel ... delai, quels ... tarifs, quels ... prix,
    quels ... delais, quels ... couts, quelle ... fourchette, a combien, what ... price, what ... cost,
    what ... fee, which ... price, how ... much
""")
_OFFER = any_of("""
    puis je vous envoyer, peut on vous envoyer, puis je envoyer, puis je commander, puis je avoir un devis,
    peut on avoir un devis, can i send, can we send, can i get a quote, can we get a quote, can i have a quote,
    can we have a quote, can i order, can we order, how do we order, how do i order, comment commander,
    comment passer commande, comment proceder, how do we proceed, where do i send, where do we send,
    where should i send, where should we send, where can i send, ou dois je envoyer
""")
# Things that are named after a payment, a card or an access are things to model.
_OBJECT = re.compile(
    r"\b(?:borne|terminal|terminaux|automate|distributeur|caisse|lecteur|serrure|guichet|tourniquet|portillon|boitier"
    r"|coffre|porte|etui|jeu|rampe|trappe|badge|controle|panneau|presentoir|cuve|meuble|machine|imprimante|station"
    r"|clavier|totem|ecran)s? (?:\w+ )?(?:d|de|a|pour|en) (?:l |la |les )?"
    r"(?:paiement|cartes?|carte bancaire|cartes bancaires|badges?|acces|code d acces|code|connexion|tickets?"
    r"|recus?|factures?|stockage|charge|affichage|login|test|mots? de passe|commande)\b"
    r"|\b(?:payments?|credit card|card|cards|badge login|login|access|ticket|receipt|invoice|display|storage|password"
    r"|badge|charging|record|vinyl|loading|contract|bug|crash)"
    r" (?:kiosk|terminal|machine|reader|holder|embosser|printer|turnstile|dispenser|cabinet|box|stand|rack|booth"
    r"|gate|counter|case|bench|unit|bed|shelf|shelves|tray|table|wallet|player|ramp|station|column|furniture|chair"
    r"|ottoman|trunk|basket|lock|door|keypad|lamp|toy|figure)(?:e?s)?\b"
    # Whatever a thing is shaped like, it is no matter of support.
    r"|(?<= en forme de )\w+|(?<= en forme d un )\w+|(?<= shaped like a )\w+"
)
_DECOYS = any_of("""
    compte gouttes, compte tours, compte pas, compte a rebours, compte rendu, compte rendus, comptes rendus,
    compte tenu, tenir compte, tenant compte, tient compte, prendre en compte, pris en compte, prise en compte,
    rendre compte, rends compte, rend compte, en cuenta, cuenta con, into account, on account of, account manager,
    compte bancaire, comptes bancaires, bank account, carte cadeau, carte de visite, carte de fidelite,
    carte postale, cartes de visite, porte cartes, jeu de cartes, business card*, gift card*, playing card*,
    greeting card*, card game*, point de connexion, trappe d acces, rampe d acces, acces pmr, acces handicap*,
    hors tva, tva comprise, tva incluse, on receipt of, upon receipt, contract furniture, contract grade,
    contract market, contract fabric*, formule 1, sous licence, under licence, under license, our plan is to,
    my plan is to, bug hotel, bug hotels, insect bug, crash test*, crash barrier*, crash pad*, crash cymbal*,
    crash mat*, flickering flame*, flickering candle*, stuck on the wall, stuck to, money box*, money clip*,
    privacy screen*, privacy panel*, privacy glass, privacy fence*, vert avocat, huile d avocat, presse avocat,
    noyau d avocat, tableau de bord ... voiture, tableau de bord ... bateau, tableau de bord ... vehicule,
    tableau de bord en, car dashboard, student desk*, student chair*, good job, great job, nice job, next job,
    panneau d affichage, panneaux d affichage, load bearing, loading ramp*, loading dock, load capacity,
    maximum load, max load, front loading, top loading, prise de charge, borne de charge, station de charge,
    charge maximale, charge utile, charge admissible, en charge de, prise en charge, prendre en charge,
    prend en charge, monte charge, free of charge, usb charger, phone charger, wall charger, battery charger,
    lien wetransfer, wetransfer link, lien de telechargement, download link, drive link, lien drive, lien dropbox,
    dropbox link, lien vers les photos, lien vers les plans, lien vers les fichiers, link to the photos,
    link to the drawings, link to the files, chain link*, late 18th, late 19th, late victorian, quel plaisir,
    can t wait, cannot wait, issue de secours, souci du detail, vide poche*, vide pomme, vide grenier, broken white,
    white background, fond blanc, of course, race course, golf course, first course, main course, mode d emploi,
    pret a l emploi, fiche technique, fiches techniques, fiche jointe, normal map*, capture the light, black friday,
    sous forme, sous quelle forme, en matiere de, in good shape, can you handle, to handle, please handle,
    handle this, step by step, taille du fichier, taille maximale, taille max, file size, salle d attente de,
    piece jointe
""")


def without_second_meanings(text: str) -> str:
    """Return a folded text without them. An empty screen reads "ecran vide", a question about a price "prix"."""
    for pattern, instead in (
        (_EMPTY_SCREEN, "ecran vide"),
        (_OFFER, " "),
        (_PRICE_QUESTION, "prix"),
        (_OBJECT, "objet"),
        (_DECOYS, " "),
    ):
        text = pattern.sub(instead, text)
    return text
