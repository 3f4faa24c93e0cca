"""Hold the words that the rules know: comma-separated phrases of folded text, mostly French and English.

A phrase is chosen for what people mean by it. A longer phrase is used if the bare word also means something else:
"slow" turns up in "slow rotation", "plan" in "Pro plan", "plante" in "plante verte", "edge" is mostly not a browser.
"""

from __future__ import annotations

import re


def any_of(phrases: str) -> re.Pattern[str]:
    """Return a pattern for any of the phrases: "*" is the rest of a word, " ... " is up to five words in between."""
    escaped = (re.escape(" ".join(phrase.split())) for phrase in phrases.split(","))
    loose = (phrase.replace(r"\*", r"\w*").replace(r"\ \.\.\.\ ", r" (?:\w+ ){0,5}?") for phrase in escaped)
    return re.compile(r"\b(?:" + "|".join(loose) + r")\b")


ASKS = any_of("""
    pouvez vous, pourriez vous, pourrais tu, peux tu, pouvez, pourriez, veuillez, merci de, voudrais, voudrions,
    on voudrait, aimerais, aimerions, souhait*, besoin, cherch*, commander, could you, can you, could we, please,
    would like, we d like, i d like, i d love, we d love, we need, i need, we want, i want, looking for, looking to,
    bitte, mochte, mochten, brauchen, benotigen, konnten sie, quisiera, quisieramos, necesit*, queremos, podriais,
    podrian, vorrei, vorremmo, potete, potreste
""")

# The studio's work. Only its customers use the words from PRICES to LOOKS, all customers those of NAMES.
PRICES = any_of("""
    devis, tarif, tarifs, prix, cout, couts, couter*, coutent, budget, chiffrage, combien, quote, quotes, quotation,
    quotations, price, prices, cost, costs, pricing, estimate, fee, proposition chiffree, chiffrer, angebot, kosten,
    kostet, preis, presupuesto, precio, preventivo, costo, how much
""")
MODELLING = any_of("modeliser, modelise*, modelisez, remodelis*, modelled, modeled, modelar, modellier*, modellare")
MAKING = any_of("""
    creer, creation, creez, realis*, conception, concevoir, produire, preparer, transformer, tirer, convertir,
    numeriser, create, creating, make, made, build, produce, turn ... into, convert, digitise, digitize, prepare,
    crear, creare, realizzare, hacer, erstellen, anfertigen, umwandeln
""")
CHANGES = any_of("""
    modifier, modifiez, modification, modifications, rectifi*, rajouter, refaire, refaites, refasse*, raccourci*,
    rallong*, elargi*, epaissi*, agrandi*, retextur*, textur*, simplifie*, alleger, decliner, declinaison*,
    remplacer ... par, ajouter, ajoutez, ajout, retouche*, modify, amend, tweak*, redo, rework, remake, retexture,
    add, replace, swap, resize, reshape, simplify, anpassen, andern, cambiar, anadir, rehacer*, modificare,
    aggiungere, should be, should have, shouldn t, devrait, devraient, doit etre, doivent etre, deberia*, dovrebbe,
    sollte, put ... right, fix both, wrong way, trop court*, trop long*, trop haut*, trop bas*, trop fin*,
    trop large*, trop grand*, trop petit*, too high, too low, too short, too long, too thick, too thin, too wide,
    too dark, too big, too small, a bit high, a bit low, version corrigee, retours, next version, nouvelle version
""")
INPUTS = any_of("""
    photo, photos, photographie*, picture, pictures, plans, plan du, plan de la, plan cote*, floor plan, croquis,
    dessin, dessins, drawing, drawings, sketch*, blueprint*, dimension*, cotes, mesures, measurements, echantillon*,
    sample, samples, swatch*, nuancier*, cad, cao, step, stp, iges, dxf, dwg, stl, scan, scans, fotos, masse,
    misure, medidas, disegn*, zeichnung*, muster, colis, atelier, au studio, to your studio, for your studio,
    at your studio, artist*, graphiste*, modeleur*, reference images
""")
# Words for materials, colours and shapes: a customer has no reason to write them to the accounts department.
LOOKS = any_of("""
    cm, mm, couleur*, coloris, teinte*, colour*, color, colors, ral, finition*, finish*, texture*, materiau*,
    matiere*, material, materials, bois, wood*, chene, oak, noyer, walnut, metal*, acier, steel, inox, laiton,
    brass, bronze, cuivre, copper, alu, aluminium, verre, glass, cuir, leather, tissu*, fabric, fabrics, velours,
    velvet, marbre, marble, ceramique, ceramic*, email blanc, emaux, beton, concrete, stone, rotin, osier, laine,
    wool, coton, linen, plastique, rouge, bleu, verte, jaune, noire, blanche, red, blue, green, yellow, black,
    brown, grey, gray, forme, formes, shape*, taille*, hauteur, largeur, profondeur, height, width, depth, diametre,
    diameter, poignee*, handle*, couvercle*, lid, lids, pied, pieds, leg, legs, door, doors, tiroir*, drawer*,
    variante*, variant*, variation*, gamme, legno, holz, farbe*, madera, colore
""")
# Phrases about the start of work, a quote or a parcel. They do not occur in complaints about an invoice.
GO_AHEAD = any_of("""
    bon pour accord, devis ... signe, devis ... accepte, devis ... valide, go ahead, on y va, vous pouvez demarrer,
    lancez, commande ferme, signed quote, quote ... signed, next step, what happens next, please start, start on,
    you can start, start work*, get started, commencer, demarrer, lancer, prototype*, on repart, cette fois,
    fun part, nouveau projet, new project, pouvez y aller, let s begin, let s start, on commence, contract signed,
    contrat signe, d accord pour la proposition
""")
THREE_D = any_of("""
    3d, 3 d, trois dimensions, realite augmentee, augmented reality, realidad aumentada, realta aumentata, en ar,
    in ar, modele ar, modeles ar, ar model, ar models, ar ready, ar version, version ar
""")
NAMES = any_of("""
    modele, modeles, model, models, modelo, modelos, modello, modelli, modell, modelle, modelisation, modelisations,
    modelling, modeling, modelado, modellazione
""")

STUDIO = (PRICES, MODELLING, CHANGES, INPUTS, LOOKS, GO_AHEAD)

# Weak signs of studio work, which count only where no side speaks clearly: something is sent, is to be
# shown, or should be otherwise.
SENT = any_of("""
    attached, enclosed, voici, joint, jointe, joints, jointes, ci joint*, here is, here are, vous trouverez,
    suivent, to follow, posted, anbei, adjunto, adjunta, adjuntos, allego, allegato
""")
SHOWN = any_of("""
    apparaisse, apparaissent, faire tourner, qui tourne, qui tournent, montrer, presenter, visualiser, visualis*,
    voient, poser, placer, show, showing, place, see, zeigen, mostrar, mostrare
""")

WISHED = any_of("""
    il faudrait, faudrait, il nous faut, il me faut, il nous manque, au lieu de, instead of, rather than,
    plutot que, plutot qu, finalement, aussi en, as well, also in
""")

# Topics of support requests. Each key completes « Le message parle … ».
TOPICS = {
    "de facturation": any_of("""
        facture*, facturation, invoic*, billing, billed, receipt, paiement*, payment, payments, paid, prelev*,
        debite*, direct debit, was charged, were charged, been charged, charged twice, charged me, charged us,
        you charged, overcharg*, double charge, carte bancaire, carte bleue, carte est refusee, carte refusee,
        my card was, our card was, card was charged, card declined, declined, credit card, virement*, bank transfer,
        wire transfer, compte en banque, iban, votre rib, vos rib, un rib, le rib, notre rib, de rib, rembours*,
        refund*, money back, chargeback, credit note, tva, numero de tva, vat number, vat id, our vat, your vat,
        the vat, no vat, without vat, vat rate, vat exempt*, trop percu, impaye*, overdue, remittance, recrediter,
        accounts receivable, accounts payable, ar department, ar team, ar contact, ar mailbox, aging report,
        statement of account, comptabilite, session stripe, via stripe, par stripe, with stripe, through stripe,
        stripe payment*, stripe checkout, stripe page, page stripe, paypal, sepa, rechnung*, zahlung*, mahnung*,
        uberwiesen, uberweisung, factura, facturas, reembolso, cobrado, fattura, fatture, pagamento, rimborso,
        addebit*
    """),
    "d’accès au compte": any_of("""
        mot de passe, mots de passe, password*, passwort*, contrasena, log in, logging in, login, sign in,
        signing in, signed out, sign out, logged out, locked out, me connecter, nous connecter, se connecter,
        me connecte, connexion impossible, probleme de connexion, problemes de connexion, erreur de connexion,
        page de connexion, lien de connexion, connexion a mon, connexion a notre, connexion a l espace,
        connexion au compte, de connexion, deconnect*, identifiant, identifiants, espace client, my account,
        our account, the account, user account, mon compte, notre compte, un compte, compte utilisateur,
        compte client, comptes, accounts, 2fa, double authentification, two factor, verification code,
        code de verification, un utilisateur, des utilisateurs, utilisateurs supplementaires, nouvel utilisateur,
        nom d utilisateur, nouveaux utilisateurs, username, droits d acces, admin rights, reset link, reinitialis*,
        merge ... account*, user seat*, extra seat*, acces, anmelden, einloggen, konto, benutzerkonto, cuenta,
        accedere, iniciar sesion
    """),
    "d’abonnement": any_of("""
        abonnement*, subscription*, subscribe*, resili*, renouvel*, renew, renewal, renewed, renews, upgrade to,
        upgrade my, upgrade our, upgrade ... plan, upgrade ... account, downgrade*, free plan, pro plan, our plan,
        my plan, your plan, free trial, my trial, our trial, the trial, trial period, trial end*, trial expire*,
        essai gratuit, periode d essai, cancel my, cancel our, cancel the, canceling, cancelling, cancellation,
        formule, licence*, license*, licensing, contrat*, contract, quota, quotas, kundig*, suscripcion,
        abbonamento, disdire, cancelar
    """),
    "d’un dysfonctionnement": any_of("""
        bug, bugs, bugue*, is buggy, very buggy, so buggy, still buggy, buggy viewer, beug*, erreur*, error*,
        fehler*, errore, ne ... affiche ... pas, ne ... affiche plus, ne s affiche*, n affiche*, ne s ouvre*,
        n ouvre*, ne fonctionne*, fonctionne pas, fonctionne plus, ne marche*, marche pas, marche plus, ne charge*,
        ne repond*, n apparai*, ne tourne plus, ne demarre*, doesn t work, not working, stopped working,
        doesn t load, won t load, not loading, isn t loading, does not load, doesn t open, won t open, doesn t show,
        not showing, doesn t appear, not responding, unresponsive, won t start, ca plante, il plante, tout plante,
        qui plante, site plante, page plante, viewer plante, visionneuse plante, plante quand, plante des,
        plante a chaque, plante au, a plante, crash*, freeze, freezes, freezing, froze, is frozen, frozen on,
        stays frozen, fige*, ecran gele, page gelee, reste gele*, ecran vide, 404, 403, 502, 503, 504, bad gateway,
        time out, timeout, timed out, stuck, bloque, bloquee, en panne, une panne, outage, site is down,
        server is down, service is down, service down, viewer is down, platform is down, page is down, api is down,
        is down again, is down since, hors service, saccade*, tres lent, is slow, so slow, very slow, too slow,
        painfully slow, slow to, loads slowly, load slowly, very slowly, clignote*, flicker*, vanished, disappeared,
        disparu*, appear* upside down, open* upside down, upside down in ar, upside down on, inactif, greyed out,
        dans la console, in the console, console js, console du navigateur, browser console, console error*,
        erreur console, funktioniert nicht, geht nicht, no funciona, non funziona, si blocca
    """),
    "de données personnelles": any_of("""
        rgpd, gdpr, dsgvo, donnees personnelles, donnees a caractere personnel, personal data, my data, mes donnees,
        nos donnees, droit d opposition, droit a l oubli, droit d acces, privacy, dpo, cnil, mise en demeure,
        mis en demeure, huissier, avocat*, lawyer, solicitor, tribunal, cgv, cgu, terms of service, confidentialite,
        desinscri*, desabonn*, unsubscribe, newsletter, lrar, recommande avec ar, recommandee avec ar,
        accuse de reception, nda, non disclosure, countersign*, contresign*, avenant*, indemnity, exclusivity,
        exclusivite, assignation
    """),
    "de l’outil et de son utilisation": any_of("""
        tableau de bord, dashboard, shopify, wordpress, woocommerce, prestashop, magento, wix, webflow, squarespace,
        iframe, embed, embeds, embedding, embed code, embedded viewer, plugin, api, webhook*, shortcode, javascript,
        code d integration, qr code, qr codes, statistiques, analytics, csv, parametres, in the settings,
        account settings, settings page, settings menu, viewer settings, export a, export the, export my,
        export our, to export, csv export, exporter un, exporter une, exporter les, exporter mes, exporter le,
        les exporter, l exporter, sous domaine, subdomain, notifications, navigateur*, browser*, on safari,
        in safari, sous safari, sur safari, safari on, google chrome, on chrome, in chrome, sous chrome, sur chrome,
        dans chrome, chrome works, firefox, espace disque, espace de stockage, stockage plein, stockage sature,
        stockage 100, limite de stockage, storage limit, storage space, storage quota, storage is full,
        storage full, out of storage, dans la corbeille, vider ... corbeille, tutoriel, tutorial, support ticket,
        documentation
    """),
    "de candidature, de démarchage ou de presse": any_of("""
        candidature*, candidate, mon cv, my cv, cv joint, cv ci joint, cv en, cv attached, curriculum,
        lettre de motivation, cover letter, une alternance, contrat d alternance, en alternance chez, alternant*,
        stagiaire, stage de, un stage, internship, intern, recrut*, vacancy, hiring, a job, job offer, job opening*,
        job application, job vacanc*, portfolio, journalist*, interview, un entretien de, un entretien avec,
        entretien telephonique, podcast, seo, more leads, sales leads, qualified leads, backlink*, referencement,
        nos services, our services, we offer our, we offer you, we offer a range of services, we offer professional,
        we help, partenariat*, partnership, book a call, quick call, short call, formation, formations,
        training course, etudiant*, student, mon memoire, memoire de fin, memoire de master, memoire sur, thesis,
        ma these, these sur, these en, these de doctorat
    """),
}

# Too weak to decide for support, but strong enough to keep the rules from deciding for the studio.
HINTS = any_of("""
    viewer, viewers, visionneuse*, visualiseur, visualizzatore, el visor, lecteur 3d, votre lecteur, le lecteur 3d,
    dans le lecteur, your player, 3d player, web player, affichage*, affichent, s affiche, display correctly,
    display properly, not display*, t display*, display issue*, display problem*, load, loads, loading, charge,
    chargement, charger, telecharg*, televers*, download*, upload*, herunterladen, hochladen, descargar,
    subir ... archivo, l ouvre, ouvrir le fichier, ouvrir ce fichier, ouvrir les fichiers, ouvrir avec,
    ouvre le fichier, avec quoi l ouvrir, n arrive ... ouvrir, opens in, opens all, opens white, opens blank,
    opens empty, opens fine, this opens, opened this, opened it, opened in, mon compte, notre compte, votre compte,
    le compte, un compte, du compte, de compte, mes comptes, my account, our account, your account, the account,
    an account, account number, ma carte, notre carte, la carte, my card, our card, carte de credit, pay, payer,
    paye, payee, paying, pour regler, regler la, regler par, regler le, a regler, que je regle, regler en,
    regler aujourd hui, reglement, acompte, deposit, money, mon argent, notre argent, sous svp, annuler, annulation,
    annulez, annulee, cancel*, commande n, order number, le suivi, du suivi, retard*, is late, are late, so late,
    weeks late, days late, too late, delay*, toujours pas, toujours rien, still waiting, still not, still no,
    no news, aucune nouvelle, sans nouvelles, where is my, where s my, ou en est, ou en etes, probleme*, problem*,
    souci*, issue*, trouble, reclamation*, complain*, plainte, inadmissible, inacceptable, unacceptable, scandal*,
    deplorable, honteux, decu*, disappoint*, arnaque, scam, pourquoi, why, comment, how do, how does, how did,
    how can, how to, how should, how would, how could, how come, how is, how are, how i, how we, where do,
    where can, where is, where are, where should, where did, where to, quel, quelle, quels, quelles, which is the,
    which option, which one, which size, which format, which file, which files, which setting*, which version,
    which program*, which software, which app, which button, which browser, what size, what is the maximum,
    what s the maximum, puis je, peut on, can i, can we, is there a way, y a t il un moyen, possible d, lent, lente,
    impossible, n arrive*, n arrivons, arrive pas, unable, cannot, can t, couldn t, refus*, rejet*, reject*, echou*,
    echec, fail*, est casse, lien casse, broken, est vide, sont vides, vide quand, empty, tout blanc, toute blanche,
    tout noir, est blanc, reste blanc, en blanc sur, noir sur, all white, all black, white on, black on, invisible,
    iphone*, ipad*, android, ios, samsung, galaxy, sous windows, windows 10, windows 11, windows pc, chromebook,
    microsoft edge, edge browser, sous edge, logiciel, quel programme, programme gratuit, software,
    dois je installer, installer une appli*, installer le plugin, installer un, install the, install an, to install,
    serveur*, server, lien, link, url, supprim* ... compte, supprim* ... donnees, supprim* ... produit*,
    supprimer les miens, supprimer mes, supprimer mon, supprime une, delete my, delete our, delete the account,
    deleted, remove my, remove our account, effacer mes, transferer les droits, transferer mon, transferer notre,
    lui transferer, transfer my, transfer our, transfer the account, les droits, nos droits, mes droits, vos droits,
    droits d, droits de, rights, proprietaire, owner*, owns, ownership, copyright, propriete intellectuelle,
    juridique, legal, certificat*, attestation, policy, formation*, nous former, se former, former nos,
    former notre, training, a course, courses, des cours, un cours, cours en ligne, apprendre, learn, webinar*,
    vous recommandez, recommandez vous, vous conseillez, conseillez vous, do you suggest, do you recommend,
    empfehlen sie, myself, moi meme, mache das selbst, yo mismo, yo misma, da solo, par moi, par mes soins,
    my resume, mon stage, un stage, stage en, recherche d emploi, au poste de, jobs, freelance, postul*, apply for,
    applying, partner, reseller, revendeur, sous traitance, outsourc*, we provide services, we provide high,
    we are a leading, we are a team, notre offre de services, decouvrir notre offre, visibility, redaction,
    un article sur, l article, an article, la presse, de presse, these de, survey, sondage, enquete, questionnaire,
    temoignage, salaire, publish*, publier, publie, online yet, c est normal, est ce normal, is it normal,
    is this normal, normal que, warum, wie kann, por que, como puedo, perche, come posso, zugriff, problema,
    problemi, since yesterday, since monday, since tuesday, since wednesday, since thursday, since friday,
    since saturday, since sunday, since last, since this, since the update, since your, since your last,
    depuis hier, depuis ce matin, depuis lundi, depuis mardi, depuis mercredi, depuis jeudi, depuis vendredi,
    depuis samedi, depuis dimanche, depuis la mise, depuis la derniere, depuis que, depuis votre,
    depuis une semaine, depuis quelques, depuis plusieurs, depuis deux, depuis trois, overnight, every product,
    all products, tous les produits, fiche*, vignette*, thumbnail*, le bouton, du bouton, bouton enregistrer,
    bouton ar, the button, ar button, save button, button is, background colo*, background of the viewer,
    the background, couleur de fond, configurateur*, configurator*, annotation*, hotspot*, mise a jour, last update,
    latest update, the update, after ... update, updates, importer, importe, import, imports, importing, normales,
    normals, topolog*, in blender, dans blender, with blender, maya, assez leger, poids maxim*, poids limite,
    poids du fichier, test, testing, imprimer, imprimante 3d, impression 3d, 3d print*, printing, vous proposons,
    would you like, souhaitez vous, your needs, vos besoins, free sample, le cache, the cache, i registered,
    we registered, maintenance, heberge*, hosting, hosted, ma banque, notre banque, my bank, our bank, echeance,
    regulariser, give me back, give us back, call me, rappelez moi, protection des donnees, data protection,
    are stored, sont stockees, restant due*, sommes dues, cessons, cessation, winding down, closing down,
    left the company, it says, that says, says that, me dit, m indique, tells me, what s the limit, limite de,
    limite est, the limit, capture*, screenshot*, dois je, should i, do i need to, est ce le bon, is this the right,
    is this ok, est ce correct, apparait, appears, shows up, renders, looks wrong, looks different, a l envers,
    on my phone, on my computer, sur mon telephone, sur mon ordinateur, doesn t, does not, won t, isn t, ne passe,
    ne veut, ne peux, ne peut, ne sais
""")

# The mail denies the words above, or says that the matter is settled: "not a bug", "no refund", "invoice paid".
DENIALS = any_of("""
    pas un probleme, pas un bug, pas de bug, pas de probleme, pas de souci, pas de rembours*, aucun probleme,
    aucun bug, aucun souci, rien de casse, rien ne plante, rien ne bug*, not a bug, no bug, nothing s broken,
    not about, isn t about, not cancelling, no complaint, not after, no refund,
    not a complaint, not another, nothing wrong, don t want, do not want, no problem, nothing to do with,
    rien a voir avec, ne concerne pas, pas a propos, ne veux pas, ne voulons pas, oublie de mon cote,
    tout est en ordre, tout va bien, alles in ordnung, c est regle, est regle, est resolu*, solved, resolved,
    fixed now, works now, works again, thanks for the fix, cheers for the fix, rassurez vous, fausse alerte,
    not cross, pas fache*, tres bien et, fonctionne bien, fonctionne tres bien, nicht um, kein problem,
    virement est parti, virement fait, virement ... fait ce, facture ... soldee, facture est payee,
    avons paye la facture, avons regle la facture, acompte verse, acompte paye, invoice paid, deposit paid,
    payment sent, all paid, contract signed, contrat signe
""")
# The mail turns from one matter to another.
TWO_TOPICS = any_of("""
    deux choses, deux sujets, deux questions, two things, two questions, autre sujet, autre chose, par ailleurs,
    accessoirement, au passage, by the way, btw, while i m at it, tant que j y suis, ps, p s, sinon, separately,
    on another note, another thing, secondly, deuxiemement, over to, real reason, en plus de ca, une derniere chose,
    apart from that, subsidiairement, rien d urgent, rien ne presse, no rush, no hurry, if you get a minute,
    when you get a minute, quand vous aurez un moment
""")

# Matches unfolded text that addresses the classifier, such as a prompt injection.
AIMED_AT_THE_READER = re.compile(
    r"\b(?:system|assistant)\s*:|classifi|\bclassement\b|\bclasse[rz]\b|\bcategor|\bintent\s*=|\blabel\s*[:=]|\bprompt\b|"
    r"\b(?:ignore[rz]?|disregard|oublie[rz]?)\b[^\n]{0,40}\binstructions?\b|"
    r"fin du message|end of (?:the )?(?:user )?message|(?-i:\b(?:MODELISATION|SUPPORT)\b)|\[\[|\{\{|<\|",
    re.IGNORECASE,
)
