"""Hold the words that the rules know: comma-separated phrases of folded text, mostly French and English.

A phrase is chosen for what people mean by it. A longer phrase is used if the bare word also means something else:
"slow" turns up in "slow rotation", "plan" in "Pro plan", "carte" in "carte de visite".
"""

from __future__ import annotations

import re


def _any(phrases: str) -> re.Pattern[str]:
    """Return a pattern for any of the phrases: "*" is the rest of a word, " ... " is up to five words in between."""
    escaped = (re.escape(" ".join(phrase.split())) for phrase in phrases.split(","))
    loose = (phrase.replace(r"\*", r"\w*").replace(r"\ \.\.\.\ ", r" (?:\w+ ){0,5}?") for phrase in escaped)
    return re.compile(r"\b(?:" + "|".join(loose) + r")\b")


# Phrases that contain a word of the lists below in an unrelated meaning. They are removed before the rules read.
DECOYS = _any("""
    compte gouttes, compte tours, compte rendu, compte rendus, compte tenu, tenir compte, tenant compte,
    tient compte, prendre en compte, pris en compte, prise en compte, rendre compte, rends compte, rend compte,
    carte cadeau, carte de visite, par carte postale
""")

# An empty screen ("page blanche") is not a product's colour: it is read as "ecran vide".
EMPTY_SCREEN = _any("""
    page blanche, page noire, ecran blanc, ecran noir, ecran bleu, blank page, white page, blank screen,
    black screen, white screen, blue screen, pantalla blanca, pantalla negra, schermo nero, schermo bianco
""")

ASKS = _any("""
    pouvez vous, pourriez vous, pourrais tu, peux tu, pouvez, pourriez, veuillez, merci de, voudrais, voudrions,
    on voudrait, aimerais, aimerions, souhait*, besoin, cherch*, commander, could you, can you, could we, please,
    would like, we d like, i d like, i d love, we d love, we need, i need, we want, i want, looking for, looking to,
    bitte, mochte, mochten, brauchen, benotigen, konnten sie, quisiera, quisieramos, necesit*, queremos, podriais,
    podrian, vorrei, vorremmo, potete, potreste
""")

# The studio's work. Only its customers use the words from PRICES to LOOKS, all customers those of NAMES.
PRICES = _any("""
    devis, tarif, tarifs, prix, cout, couts, couter*, coutent, budget, chiffrage, combien, quote, quotes, quotation,
    price, prices, cost, costs, pricing, estimate, fee, angebot, kosten, kostet, preis, presupuesto, precio,
    preventivo, costo, how much
""")
MODELLING = _any("modeliser, modelise*, modelisez, remodelis*, modelled, modeled, modelar, modellier*, modellare")
MAKING = _any("""
    creer, creation, creez, realis*, conception, concevoir, produire, preparer, transformer, tirer, convertir,
    numeriser, create, creating, make, made, build, produce, turn ... into, convert, digitise, digitize, prepare,
    crear, creare, realizzare, hacer, erstellen, anfertigen, umwandeln
""")
CHANGES = _any("""
    modifier, modifiez, modification, modifications, rectifi*, rajouter, refaire, refaites, refasse*, raccourci*,
    rallong*, elargi*, epaissi*, agrandi*, retextur*, textur*, simplifie*, alleger, decliner, declinaison*,
    remplacer ... par, ajouter, ajoutez, ajout, retouche*, modify, amend, tweak*, redo, rework, remake, retexture,
    add, replace, swap, resize, reshape, simplify, anpassen, andern, cambiar, anadir, rehacer*, modificare,
    aggiungere, should be, should have, shouldn t, devrait, devraient, doit etre, doivent etre, deberia*, dovrebbe,
    sollte, put ... right, fix both, wrong way, trop court*, trop long*, trop haut*, trop bas*, trop fin*,
    trop large*, trop grand*, trop petit*, too high, too low, too short, too long, too thick, too thin, too wide,
    too dark, too big, too small, a bit high, a bit low, version corrigee, retours, next version, nouvelle version
""")
INPUTS = _any("""
    photo, photos, photographie*, picture, pictures, plans, plan du, plan de la, plan cote*, floor plan, croquis,
    dessin, dessins, drawing, drawings, sketch*, blueprint*, dimension*, cotes, mesures, measurements, echantillon*,
    sample, samples, swatch*, nuancier*, cad, cao, step, stp, iges, dxf, dwg, stl, scan, scans, fotos, masse,
    misure, medidas, disegn*, zeichnung*, muster, colis, atelier, studio, artist*, graphiste*, modeleur*,
    reference images
""")
# Words for materials, colours and shapes: a customer has no reason to write them to the accounts department.
LOOKS = _any("""
    cm, mm, couleur*, coloris, teinte*, colour*, color, colors, ral, finition*, finish*, texture*, materiau*,
    matiere*, material, materials, bois, wood*, chene, oak, noyer, walnut, metal*, acier, steel, inox, laiton,
    brass, bronze, cuivre, copper, alu, aluminium, verre, glass, cuir, leather, tissu*, fabric*, velours, velvet,
    marbre, marble, ceramique, ceramic*, email blanc, emaux, beton, concrete, stone, rotin, osier, laine, wool,
    coton, linen, plastique, rouge, bleu, verte, jaune, noire, blanche, red, blue, green, yellow, black, brown,
    grey, gray, forme, formes, shape*, taille*, hauteur, largeur, profondeur, height, width, depth, diametre,
    diameter, poignee*, handle*, couvercle*, lid, lids, pied, pieds, leg, legs, door, doors, tiroir*, drawer*,
    variante*, variant*, variation*, gamme, legno, holz, farbe*, madera, colore
""")
# Phrases about the start of work, a quote or a parcel. They do not occur in complaints about an invoice.
GO_AHEAD = _any("""
    bon pour accord, devis ... signe, devis ... accepte, devis ... valide, go ahead, on y va, vous pouvez demarrer,
    lancez, commande ferme, signed quote, quote ... signed, next step, what happens next, please start, start on,
    you can start, start work*, get started, commencer, demarrer, lancer, prototype*, on repart, cette fois,
    fun part, nouveau projet, new project
""")
THREE_D = _any("""
    3d, 3 d, trois dimensions, realite augmentee, augmented reality, realidad aumentada, realta aumentata, en ar,
    in ar, modele ar, modeles ar, ar model, ar models, ar ready, ar version, version ar
""")
NAMES = _any("""
    modele, modeles, model, models, modelo, modelos, modello, modelli, modell, modelle, modelisation, modelisations,
    modelling, modeling, modelado, modellazione
""")

# Topics of support requests. Each key completes « Le message parle … ».
TOPICS = {
    "de facturation": _any("""
        facture*, facturation, invoic*, billing, billed, receipt, paiement*, payment, payments, paid, prelev*,
        debite*, direct debit, charged, overcharg*, double charge, carte bancaire, carte bleue, carte est refusee,
        carte refusee, card was, card declined, declined, credit card, virement*, bank transfer, wire transfer,
        iban, rib, rembours*, refund*, money back, chargeback, credit note, tva, vat, trop percu, impaye*, overdue,
        remittance, recrediter, accounts receivable, accounts payable, ar department, ar team, ar contact,
        ar mailbox, aging, statement of account, comptabilite, stripe, paypal, sepa, rechnung*, zahlung*, mahnung*,
        uberwiesen, uberweisung, factura, facturas, reembolso, cobrado, fattura, fatture, pagamento, rimborso,
        addebit*
    """),
    "d’accès au compte": _any("""
        mot de passe, mots de passe, password*, passwort*, contrasena, log in, logging in, login, sign in,
        signing in, signed out, sign out, logged out, locked out, me connecter, nous connecter, se connecter,
        me connecte, connexion, deconnect*, identifiant, identifiants, espace client, my account, our account,
        the account, user account, mon compte, notre compte, un compte, compte utilisateur, compte client, comptes,
        accounts, 2fa, double authentification, two factor, verification code, code de verification, utilisateur*,
        username, droits d acces, admin rights, reset link, reinitialis*, merge, user seat*, extra seat*, acces,
        anmelden, einloggen, konto, benutzerkonto, cuenta, accedere, iniciar sesion
    """),
    "d’abonnement": _any("""
        abonnement*, subscription*, subscribe*, resili*, renouvel*, renew, renewal, renewed, renews, upgrade*,
        downgrade*, free plan, pro plan, our plan, my plan, your plan, free trial, trial, essai gratuit,
        periode d essai, cancel my, cancel our, cancel the, canceling, cancelling, cancellation, formule, licence*,
        license*, licensing, contrat*, contract, quota*, kundig*, suscripcion, abbonamento, disdire, cancelar
    """),
    "d’un dysfonctionnement": _any("""
        bug, bugs, bugue*, buggy, beug*, erreur*, error*, fehler*, errore, ne ... affiche ... pas,
        ne ... affiche plus, ne s affiche*, n affiche*, ne s ouvre*, n ouvre*, ne fonctionne*, fonctionne pas,
        fonctionne plus, ne marche*, marche pas, marche plus, ne charge*, ne repond*, n apparai*, ne tourne plus,
        ne demarre*, doesn t work, not working, stopped working, doesn t load, won t load, not loading,
        isn t loading, does not load, doesn t open, won t open, doesn t show, not showing, doesn t appear,
        not responding, unresponsive, won t start, plante*, crash*, freez*, frozen, fige*, gele, ecran vide, 404,
        403, 500, 502, 503, 504, bad gateway, time out, timeout, timed out, stuck, bloque, bloquee, panne, outage,
        is down, hors service, saccade*, tres lent, is slow, so slow, very slow, too slow, painfully slow, slow to,
        slowly, clignote*, flicker*, vanished, disappeared, disparu*, upside down, inactif, greyed out, console,
        funktioniert nicht, geht nicht, no funciona, non funziona, si blocca
    """),
    "de données personnelles": _any("""
        rgpd, gdpr, dsgvo, donnees personnelles, donnees a caractere personnel, personal data, my data, mes donnees,
        nos donnees, droit d opposition, droit a l oubli, droit d acces, privacy, dpo, cnil, mise en demeure,
        mis en demeure, huissier, avocat*, lawyer, solicitor, tribunal, cgv, cgu, terms of service, confidentialite,
        desinscri*, desabonn*, unsubscribe, newsletter, lrar, recommande avec ar, recommandee avec ar,
        accuse de reception
    """),
    "de l’outil et de son utilisation": _any("""
        tableau de bord, dashboard, shopify, wordpress, woocommerce, prestashop, magento, wix, webflow, squarespace,
        iframe, embed*, plugin, api, webhook*, shortcode, javascript, code d integration, qr code, qr codes,
        statistiques, analytics, csv, parametres, settings, export, exporter, sous domaine, subdomain,
        notifications, navigateur*, browser*, safari, chrome, firefox, espace disque, stockage, storage, corbeille,
        tutoriel, tutorial, support ticket, documentation
    """),
    "de candidature, de démarchage ou de presse": _any("""
        candidature*, candidate, cv, curriculum, lettre de motivation, cover letter, alternance, stagiaire,
        stage de, internship, intern, recrut*, vacancy, hiring, job, portfolio, journalist*, interview, entretien,
        podcast, seo, leads, backlink*, referencement, nos services, our services, we offer, we help, partenariat*,
        partnership, book a call, quick call, short call, formation, formations, training course, etudiant*,
        student, memoire, thesis
    """),
}

# Too weak to decide for support, but strong enough to keep the rules from deciding for the studio.
HINTS = _any("""
    viewer, viewers, visionneuse*, visualiseur, visualizzatore, visor, lecteur, player, affichage*, affichent,
    s affiche, display, displays, load, loads, loading, charge, chargement, charger, telecharg*, televers*,
    download*, upload*, herunterladen, hochladen, descargar, subir ... archivo, ouvre, ouvrir, opens, opened,
    compte, account, carte, card, pay, payer, paye, payee, paying, regler, reglement, acompte, deposit, money,
    mon argent, notre argent, sous svp, annul*, cancel*, commande n, order number, suivi, retard*, late, delay*,
    toujours pas, toujours rien, still waiting, still not, no news, aucune nouvelle, sans nouvelles, where is my,
    where s my, ou en est, probleme*, problem*, souci*, issue*, trouble, reclamation*, complain*, plainte,
    inadmissible, inacceptable, unacceptable, scandal*, deplorable, honteux, decu*, disappoint*, arnaque, scam,
    pourquoi, why, comment, how do, how does, how did, how can, how to, how should, how would, how could, how come,
    how is, how are, how i, how we, where, quel, quelle, quels, quelles, which, what size, puis je, peut on, can i,
    can we, is there a way, y a t il un moyen, possible d, lent, lente, impossible, n arrive*, n arrivons,
    arrive pas, unable, cannot, can t, couldn t, refus*, rejet*, reject*, echou*, echec, fail*, casse, broken, vide,
    empty, blanc, noir sur, white on, black on, invisible, iphone*, ipad*, android, ios, samsung, galaxy,
    on windows, sous windows, chromebook, edge, logiciel, programme, software, installer, install, serveur*, server,
    lien, link, url, supprim*, delete*, remov*, effacer, transfer*, droits, rights, proprietaire, owner*, owns,
    ownership, copyright, propriete intellectuelle, juridique, legal, certificat*, attestation, policy, formation*,
    former, training, course, cours, apprendre, learn, webinar*, resume, stage, emploi, poste, jobs, freelance,
    postul*, apply, applying, partner, reseller, revendeur, sous traitance, outsourc*, we provide, we are a,
    notre offre, visibility, redaction, article, presse, these, sondage, survey, enquete, questionnaire, temoignage,
    salaire, publish*, publier, publie, en ligne, online yet, normal, normale, warum, wie kann, por que, como puedo,
    perche, come posso, zugriff, problema, problemi, since, depuis, overnight, every product, all products,
    tous les produits, fiche*, vignette*, thumbnail*, bouton*, button*, background*, configurat*, annotation*,
    hotspot*, mise a jour, update*, import*, maillage*, mesh*, normales, normals, topolog*, blender, maya, leger,
    poids, test, testing, impression, imprim*, 3d print*, printing, vous proposons, would you like, souhaitez vous,
    dear sir, your needs, vos besoins, free sample, capture*, screenshot*
""")

# The mail denies the words above: "not a bug", "no refund".
DENIALS = _any("""
    pas un probleme, pas un bug, pas de bug, pas de probleme, pas de souci, pas de rembours*, aucun probleme,
    aucun bug, rien ne plante, rien ne bug*, not a bug, not about, isn t about, no complaint, not after, no refund,
    not a complaint, not another, nothing wrong, don t want, do not want, no problem, nothing to do with,
    rien a voir avec, ne concerne pas, pas a propos, ne veux pas, ne voulons pas, oublie de mon cote,
    tout est en ordre, tout va bien, alles in ordnung, c est regle, est regle, est resolu*, solved, resolved,
    fixed now, works now, works again, thanks for the fix, cheers for the fix, rassurez vous, fausse alerte,
    not cross, pas fache*, tres bien et, fonctionne bien, fonctionne tres bien, nicht um, kein problem
""")
TWO_TOPICS = _any("""
    deux choses, deux sujets, deux questions, two things, two questions, autre sujet, autre chose, par ailleurs,
    accessoirement, au passage, by the way, btw, while i m at it, tant que j y suis, ps, p s, sinon, separately,
    on another note, another thing, secondly, deuxiemement, over to, real reason, en plus de ca, une derniere chose,
    apart from that
""")

# Matches unfolded text that addresses the classifier, such as a prompt injection.
AIMED_AT_THE_READER = re.compile(
    r"\b(?:system|assistant)\s*:|classifi|\bclassement\b|\bclasse[rz]\b|\bcategor|\bintent\s*=|\blabel\s*[:=]|\bprompt\b|"
    r"\b(?:ignore[rz]?|disregard|oublie[rz]?)\b[^\n]{0,40}\binstructions?\b|"
    r"fin du message|end of (?:the )?(?:user )?message|(?-i:\b(?:MODELISATION|SUPPORT)\b)|\[\[|\{\{|<\|",
    re.IGNORECASE,
)
