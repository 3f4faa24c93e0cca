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
    "outlook, long dashes": f"–––––– Message d’origine ––––––\nDe : Studio\n\n{OLD}",
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
    "outlook, italian": f"Da: S <s@e.it>\nInviato: martedì 3 novembre 2026 10:12\nA: C <c@e.it>\nOggetto: V3\n\n{OLD}",
    "outlook, spanish": f"De: S <s@e.es>\nEnviado el: 3 de noviembre de 2026 10:12\nPara: C\nAsunto: V3\n\n{OLD}",
    "outlook, portuguese": f"De: S <s@e.pt>\nEnviada em: 3 de novembro\nPara: C\nAssunto: V3\n\n{OLD}",
    "outlook, dutch": f"Van: S <s@e.nl>\nVerzonden: dinsdag 3 november 2026 10:12\nAan: C\nOnderwerp: V3\n\n{OLD}",
    "outlook, swedish": f"Från: S <s@e.se>\nSkickat: den 3 november 2026 10:12\nTill: C\nÄmne: V3\n\n{OLD}",
    "outlook, danish": f"Fra: S <s@e.dk>\nSendt: 3. november 2026 10:12\nTil: C\nEmne: V3\n\n{OLD}",
    "outlook, polish": f"Od: S <s@e.pl>\nWysłano: wtorek, 3 listopada 2026 10:12\nDo: C\nTemat: V3\n\n{OLD}",
    "outlook for mac, german": f"Von: S <s@e.de>\nDatum: 3. November 2026 um 10:12\nAn: C\nBetreff: V3\n\n{OLD}",
    "outlook for mac, no address": f"Von: S\nDatum: Dienstag, 3. November 2026 um 10:12\nAn: C\nBetreff: V3\n\n{OLD}",
    "glued": f"De : S <s@e.fr>À : C <c@e.fr>Envoyé : 3 novembre 2026 à 10:12:00 UTC+1Objet : V3\n{OLD}",
    "glued, english": f"From: S <s@e.fr>To: C <c@e.fr>Sent: Tuesday, November 3, 2026 at 10:12 AMSubject: V3\n{OLD}",
    "heading and fields on a line": f"----- Message d'origine ----- De : S <s@e.fr>À : C\n{OLD}",
    "notes, values below": f"S <s@e.fr>\n03/11/2026 10:12\n\nPour\nC/PAR/EX@EX\ncc\n\nObjet\nV3\n\n{OLD}",
    "notes, sent by": f"S <s@e.fr>\nEnvoyé par : T\n03/11/2026 10:12\n\nPour : C/EX\ncc :\nObjet : V3\n\n{OLD}",
    "notes, english": f"S <s@e.fr>\n11/03/2026 10:12 AM\n\nTo\nC/EX@EX\ncc\n\nSubject\nV3\n\n{OLD}",
    "outlook, bold in markdown": f"**De :** S <s@e.fr>\n**Envoyé :** mardi 3\n**À :** C\n**Objet :** V3\n\n{OLD}",
    "outlook, hungarian": f"Feladó: S <s@e.hu>\nElküldve: 2026. november 3. 10:12\nCímzett: C\nTárgy: V3\n\n{OLD}",
    "outlook, russian": f"От: S <s@e.ru>\nОтправлено: 3 ноября 2026 г. 10:12\nКому: C\nТема: V3\n\n{OLD}",
    "windows mail": "De : Studio\nEnvoyé : \u200e3\u200e \u200enovembre\u200e \u200e2026 \u200e10\u200e:\u200e12\n"
    f"À : Camille\nObjet : V3\n\n{OLD}",
    "outlook, slovak": f"Od: S <s@e.sk>\nOdoslané: utorok 3. novembra 2026 9:00\nKomu: C\nPredmet: V3\n\n{OLD}",
    "outlook, greek": f"Από: S <s@e.gr>\nΣτάλθηκε: Τρίτη 3 Νοεμβρίου 2026\nΠρος: C\nΘέμα: V3\n\n{OLD}",
    "outlook, bulgarian": f"От: S <s@e.bg>\nИзпратено: вторник\nДо: C\nОтносно: V3\n\n{OLD}",
    "outlook, catalan": f"De: S <s@e.cat>\nEnviat el: dimarts\nPer a: C\nTema: V3\n\n{OLD}",
    "outlook, chinese": f"发件人: S <s@e.cn>\n发送时间: 2026年11月3日 10:12\n收件人: C\n主题: V3\n\n{OLD}",
    "foxmail": f"差出人：S <s@e.jp>\n送信日時：2026年11月3日 10:12\n宛先：C\n件名：V3\n\n{OLD}",
    "gmail, slovak": f"ut 3. 11. 2026 o 10:12 S <s@example.com> napísal(a):\n\n{QUOTED}",
    "gmail, greek": f"Στις Τρί 3 Νοε 2026 στις 10:12 π.μ., ο χρήστης S <s@example.com> έγραψε:\n\n{QUOTED}",
    "gmail, catalan": f"Missatge de S <s@example.com> del dia dt., 3 de nov. 2026 a les 10:12:\n\n{QUOTED}",
    "gmail, vietnamese": f"Vào Th 3, 3 thg 11, 2026 vào lúc 10:12 S <s@example.com> đã viết:\n\n{QUOTED}",
    "gmail, korean": f"2026년 11월 3일 (화) 오전 10:12, S <s@example.com>님이 작성:\n\n{QUOTED}",
    "gmail, bulgarian": f"На вт, 3.11.2026 г. в 10:12 S <s@example.com> написа:\n\n{QUOTED}",
    "horde": f"Quoting Studio <s@example.com>:\n\n{QUOTED}",
    "horde, from outlook": f"Quoting Studio <s@example.com<mailto:s@example.com>>:\n\n{QUOTED}",
    "horde, german": f"Zitat von Studio <s@example.com>:\n\n{QUOTED}",
    "zoho": f"---- On Tue, 03 Nov 2026 10:12:00 +0100 Studio <s@example.com> wrote ---\n\n{OLD}",
    "zoho, french": f"---- Le mar., 03 nov. 2026 10:12:00 +0100 Studio <s@example.com> a écrit ----\n\n{OLD}",
    "zoho, german": f"---- Am Di, 03 Nov 2026 10:12:00 +0100 schrieb S <s@example.com> ----\n\n{OLD}",
    "zoho, no colon": f"On Tue, 03 Nov 2026 10:12:00 +0100 Studio <s@example.com> wrote\n\n{OLD}",
    "zimbra of free": f"- Le 2026-11-03 10:12, Studio a écrit :\n{QUOTED}",
    "date and address": f"2026-11-03 10:12 GMT+01:00 Studio <s@example.com>:\n\n{QUOTED}",
    "date first, russian": f"вт, 3 нояб. 2026 г. в 10:12, Studio <s@example.com>:\n\n{QUOTED}",
    "date first, wrapped in the address": f"2026-11-03 10:12 GMT+01:00 Studio <\ns@example.com>:\n\n{QUOTED}",
    "gmail, norwegian": f"tir. 3. nov. 2026 kl. 10:12 skrev S <s@example.com\n>:\n\n{QUOTED}",
    "gmail, finnish": f"ti 3. marraskuuta 2026 klo 10.12 S\n<s@example.com> kirjoitti:\n\n{OLD}",
    "eudora": f"A 10:12 03/11/2026, vous avez écrit :\n{QUOTED}",
    "thunderbird, russian": f"03.11.2026 10:12, S пишет:\n{QUOTED}",
    "thunderbird, turkish": f"03.11.2026 10:12 tarihinde S yazdı:\n{QUOTED}",
    "gnus": f"S <s@example.com> writes:\n\n{QUOTED}",
    "outlook, sent on": f"From: S\nSent on: Tuesday, November 3, 2026 10:12 AM\nTo: C\nSubject: V3\n\n{OLD}",
    "thunderbird, hungarian": f"2026.11.03. 10:12 keltezéssel, S írta:\n{QUOTED}",
    "outlook for mac, dutch": f"Op 03/11/2026 10:12 heeft S <s@e.nl> geschreven:\n\n{OLD}",
    "help desk": f"##- Veuillez taper votre réponse au-dessus de cette ligne -##\n\n{OLD}",
    "help desk, english": f"-- Please reply above this line --\n\n{OLD}",
    "short rule": f"====\nDe : Studio <s@e.fr>\nDate : 03/11/2026 10:12\nA : c@e.fr\nObjet : V3\n\n{OLD}",
    "date first, wrapped": f"2026-11-03 10:12 GMT+01:00 Studio Figurative\n<studio@example.com>:\n\n{QUOTED}",
    "gmail, spanish": f"El mar, 3 nov 2026 a las 10:12, S (<s@example.com>) escribió:\n\n{QUOTED}",
    "gmail, portuguese": f"Em ter., 3 de nov. de 2026 às 10:12, S <s@example.com> escreveu:\n\n{QUOTED}",
    "gmail, italian": f"Il giorno mar 3 nov 2026 alle ore 10:12 S <s@example.com> ha scritto:\n\n{QUOTED}",
    "gmail, dutch": f"Op di 3 nov 2026 om 10:12 schreef S <s@example.com>:\n\n{QUOTED}",
    "gmail, swedish": f"Den tis 3 nov. 2026 kl 10:12 skrev S <s@example.com>:\n\n{QUOTED}",
    "gmail, polish": f"wt., 3 lis 2026 o 10:12 S <s@example.com> napisał(a):\n\n{QUOTED}",
    "yahoo, german": f"Am Dienstag, 3. November 2026 um 10:12 hat S <s@e.de> Folgendes geschrieben:\n\n{OLD}",
    "ionos": f"S <s@e.de> hat am 03.11.2026 10:12 CET geschrieben:\n\n{OLD}",
    "apple, dutch": f"Op 3 nov. 2026 om 10:12 heeft S <s@e.nl> het volgende geschreven:\n\n{QUOTED}",
    "apple, polish": f"Wiadomość napisana przez S <s@e.pl> w dniu 3 lis 2026, o godz. 10:12:\n\n{QUOTED}",
    "apple, finnish": f"S <s@e.fi> kirjoitti 3.11.2026 kello 10.12:\n\n{QUOTED}",
    "gmail, finnish, address in parentheses": f"ti 3. marrask. 2026 klo 9.05 S (s@e.fi) kirjoitti:\n\n{OLD}",
    "thunderbird, polish": f"W dniu 3.11.2026 o 10:12, S pisze:\n{QUOTED}",
    "gmail, turkish": f"S <s@example.com>, 3 Kas 2026 Sal, 10:12 tarihinde şunu yazdı:\n\n{QUOTED}",
    "verb first, finnish": f"S kirjoitti 2.11.2026 klo 10.12:\n\n{QUOTED}",
    "verb first, french": f"Studio a écrit le 3 nov. 2026 à 10:12 :\n\n{QUOTED}",
    "gmail, hungarian": f"S ezt írta (időpont: 2026. nov. 3., K 10:12):\n\n{OLD}",
    "yandex": f"3 ноября 2026 г., 10:12:32, вы писали:\n\n{OLD}",
    "the bat": f"Вы писали 3 ноября 2026 г., 10:12:32:\n\n{QUOTED}",
    "apple, ukrainian": f"3 лист. 2026 р. о 10:12 S <s@e.ua> написав(ла):\n\n{OLD}",
    "apple, croatian": f"S <s@e.hr> je napisao/la 03.11.2026., u 10:12:\n\n{OLD}",
    "gmail, croatian": f"uto, 3. stu 2026. u 10:12 S <s@e.hr> napisao je:\n\n{OLD}",
    "gmail, serbian": f"уто, 3. нов 2026. у 10:12 S <s@e.rs> је написао/ла:\n\n{OLD}",
    "thunderbird, slovenian": f"Dne 3. 11. 2026 ob 10:12 je S napisal(a):\n{QUOTED}",
    "thunderbird, slovak": f"Dňa 3. 11. 2026 o 10:12 S napísal(a):\n{QUOTED}",
    "apple, czech": f"3. 11. 2026 v 10:12, S <s@e.cz>:\n\n{OLD}",
    "thunderbird, catalan": f"El 3/11/26 a les 10:12, S ha escrit:\n{QUOTED}",
    "gmail, galician": f"O martes, 3 de nov. de 2026 ás 10:12, S (<s@e.gal>) escribiu:\n\n{OLD}",
    "gmail, chinese": f"S <s@e.cn> 于2026年11月3日周二 10:12写道：\n\n{OLD}",
    "gmail, taiwan": f"S <s@e.tw> 於 2026年11月3日 週二 上午10:12寫道：\n\n{OLD}",
    "gmail, japanese": f"2026年11月3日(火) 10:12 S <s@e.jp>:\n\n{OLD}",
    "apple, japanese": f"2026/11/03 10:12、S <s@e.jp>のメール：\n\n{OLD}",
    "apple, korean": f"2026. 11. 3. 오전 10:12, S <s@e.kr> 작성:\n\n{OLD}",
    "gmail, lithuanian": f"2026-11-03, an, 10:12 S <s@e.lt> rašė:\n\n{OLD}",
    "gmail, indonesian": f"Pada Sel, 3 Nov 2026 pukul 10.12 S <s@e.id> menulis:\n\n{OLD}",
    "outlook, korean": f"보낸 사람: S <s@e.kr>\n보낸 날짜: 2026년 11월 3일 10:12\n받는 사람: C\n제목: V3\n\n{OLD}",
    "outlook, vietnamese": f"Từ: S <s@e.vn>\nĐã gửi: Thứ Ba, 3 tháng 11, 2026 10:12\nTới: C\nChủ đề: V3\n\n{OLD}",
    "outlook, hebrew": f"מאת: S <s@e.il>\nנשלח: יום שלישי 3 נובמבר 2026\nאל: C\nנושא: V3\n\n{OLD}",
    "outlook, arabic": f"من: S <s@e.ae>\nتم الإرسال: 3 نوفمبر 2026\nإلى: C\nالموضوع: V3\n\n{OLD}",
    "outlook, thai": f"จาก: S <s@e.th>\nส่ง: 3 พฤศจิกายน 2026\nถึง: C\nเรื่อง: V3\n\n{OLD}",
    "outlook, slovenian": f"Od: S <s@e.si>\nPoslano: torek, 3. november 2026\nZa: C\nZadeva: V3\n\n{OLD}",
    "outlook, lithuanian": f"Nuo: S <s@e.lt>\nIšsiųsta: 2026 m. lapkričio 3 d.\nKam: C\nTema: V3\n\n{OLD}",
    "original, swedish": f"-----Ursprungligt meddelande-----\nFrån: S\n{OLD}",
    "original, portuguese": f"-----Mensagem original-----\nDe: S\n{OLD}",
    "only marked": QUOTED,
    "iphone": f"Envoyé de mon iPhone\n\n> Le 3 nov. 2026 à 10:12, Studio <s@example.com> a écrit :\n{QUOTED}",
    "iphone, alone": "Envoyé de mon iPhone",
    "outlook mobile": f"Obtenir Outlook pour iOS<https://aka.ms>\n{RULE}\nDe : S\nEnvoyé : 3\nÀ : C\n{OLD}",
    "outlook mobile, html": "[Obtenir Outlook pour Android](https://aka.ms/AAb9ysg)",
    "sent from": "Sent from my Galaxy",
    "signature": "-- \nCamille Roy\nDirectrice, Portes Roy\nUn devis ? Une facture ? Écrivez-nous",
    "signature below a list": "--\nCamille Roy\nPortes Roy",
    "signature in two": "-- \nCamille Roy\n--\nPortes Roy",
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
    "Sent using Zoho Mail",
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
    "Gesendet von Outlook für Android<https://aka.ms/AAb9ysg>",
    "Von meinem iPhone gesendet",
    "Von meinem Samsung Galaxy Smartphone gesendet.",
    "Gesendet von meinem iPad",
    "Gesendet mit der GMX Mail App",
    "Diese Nachricht wurde von meinem Android Mobiltelefon mit WEB.DE Mail gesendet.",
    "Holen Sie sich Outlook für iOS",
    "Gesendet von [Mail](https://go.microsoft.com/fwlink/?LinkId=550986) für Windows",
    "Enviado desde mi iPhone",
    "Enviado desde Outlook para Android",
    "Enviado desde mi Samsung Galaxy",
    "Obtener Outlook para iOS",
    "Enviado desde Correo para Windows",
    "Inviato da iPhone",
    "Inviato dal mio iPad",
    "Inviato da Outlook per Android",
    "Ottieni Outlook per iOS",
    "Enviado do meu iPhone",
    "Enviado do Outlook para Android",
    "Obter o Outlook para iOS",
    "Verstuurd vanaf mijn iPhone",
    "Verzonden met Outlook voor Android",
    "Download Outlook voor iOS",
    "Skickat från min iPhone",
    "Hämta Outlook för iOS",
    "Sendt fra min iPhone",
    "Wysłane z iPhone'a",
    "Wysłano z iPhone'a",
    "Lähetetty iPhonesta",
    "[Get Outlook for iOS](https://aka.ms/o0ukef)",
    "Sent via Superhuman ( https://sprh.mn/?vip=c@example.com )",
    "Sent with Airmail",
    "Envoyé de mon iPhone, désolée pour les fautes",
    "Écrit depuis mon mobile, merci d'excuser les fautes",
    "Envoyé à partir de l'application Courrier de Windows",
    "Von meinem Huawei-Mobiltelefon gesendet",
    "Diese Nachricht wurde von meinem Android-Gerät mit K-9 Mail gesendet.",
    "Odesláno z iPhonu",
    "Poslano z mojega iPhona",
    "Trimis de pe iPhone-ul meu",
    "Elküldve az iPhone-omról",
    "Отправлено с iPhone",
    "Надіслано з iPhone",
    "Στάλθηκε από το iPhone μου",
    "Enviat des del meu iPhone",
    "iPhone'umdan gönderildi",
    "發自我的 iPhone",
    "iPhoneから送信",
    "나의 iPhone에서 보냄",
    "Envoyé depuis l'app Mail pour Mac",
    "Sent from my iPad; please excuse typos",
    "Wysłano z aplikacji mobilnej Gmail",
    "Sent from Boomerang for Gmail",
    "Envoyé depuis Infomaniak Mail",
    "Sent via Fastmail",
    "Az Android Outlook letöltése",
    "Hanki Outlook for Android",
    "Получить Outlook для iOS",
    "iOS için Outlook'u edinin",
    "Outlook for iOS を入手",
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
    "what somebody wrote at a time": "Votre collègue a écrit le 3 mars 2026 à 10:12 :\nla V3 est prête. Non.",
    "likewise, german": "Ihr Kollege schrieb am 3.11.2026 um 10:12 Uhr:\nfertig. Die Lehne fehlt.",
    "likewise, spanish": "Su compañera escribió el 3/11/2026 a las 10:12:\nestá listo. Falta el respaldo.",
    "likewise, dutch": "Uw collega schreef op 3 november 2026 om 10:12:\nklaar. De leuning ontbreekt.",
    "what somebody wrote on a day": "Le 3 novembre 2026 votre collègue a écrit :\nla V3 est prête. Non.",
    "likewise, russian": "2 ноября вы писали:\nмодель готова. Она не готова.",
    "what somebody wrote, below a greeting": "Bonjour,\n\nLe 3/11 à 10:12, Marie a écrit :\nil ne tourne pas. Vrai ?",
    "in writing": "Merci de me répondre par écrit.\nL. Faucher",
    "what a brief says": "Hello,\nOn page 2 of the brief, our architect writes:\nin brass.\nPlease model it.",
    "what a letter says": "Hola,\nEl 12 de maig vam rebre el missatge de la Maria:\nla làmpada ha de ser de llautó.",
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
    "sent from a phone, with a complaint": "Envoyé depuis mon téléphone, le modèle reste noir.",
    "told by others at a time": "Le 12/11 à 10:12 Paul <p@e.fr> a écrit\nque le pied est trop court.",
    "sent by the carrier": "Envoyé par mon transporteur vendredi.",
    "received by the supplier": "Sent from my supplier last week, and it is wrong.",
    "sent by a person, german": "Gesendet von meinem Lieferanten am 3. März, und falsch.",
    "sent by a person, spanish": "Enviado desde mi taller el 3 de marzo.",
    "a person's report, german": "Am 3. März haben Sie mir geschrieben:\nfertig. Es ist nicht fertig.",
    "on a phone, german": "Von meinem iPhone aus sehe ich das Modell nicht.",
    "a sentence with an address": "Le 3 mars à 10:12 j'ai envoyé le plan à Studio <s@example.com> :\nsans réponse.",
    "whom to send it to": "Das Modell bis 3.3.2026 um 10:12 an Paul (p@e.de):\ner stellt es online.",
    "what to send to whom": "2 tables pour 10h30 à Paul <p@e.fr> :\nla grande et la petite.",
    "an app that fails, german": "Outlook für Android zeigt das Modell nicht.\nCamille",
    "an app to be repaired": "Get Outlook to show the model.\nCamille",
    "a list between dashes": "Voici les retouches :\n--\nPieds fins\nAssise en cuir\n--\nPour vendredi ?",
    "a list between dashes, no colon": "Bonjour\n--\nDossier en chêne\n--\nMerci",
    "a list below dashes": "Please change\n--\n1. the legs\n2. the seat, 45 cm",
    "a question below dashes": "Bonjour\n\n--\n\nLa chaise est arrivée.\nPouvez-vous modéliser la table ?",
    "a form with a date and two moments": "Ana <ana@e.fr>\n03/11/2026 10:12\nPour : la cuisine\nUn vase.",
    "an app that fails": "Outlook pour Android ne montre pas le modèle.",
    "an app to download": "Télécharger le modèle ne marche pas.",
}


@pytest.mark.parametrize("text", KEPT.values(), ids=KEPT)
def test_newest_part_keeps_text_resembling_history(text: str) -> None:
    assert newest_part(text) == text


@pytest.mark.parametrize("history", ["gmail", "gmail, wrapped", "german", "date and address"])
@pytest.mark.parametrize(
    "line", ["Le pied :\nen noyer.", "Le pied fait 12.5 cm", "On 3 March we meet.", "Copie à Paul <p@e.fr>", "2 pieds"]
)
def test_newest_part_keeps_line_that_begins_as_the_introduction_below(line: str, history: str) -> None:
    """And one that names a day or an address, as an introduction does."""
    assert newest_part(f"{line}\n{HISTORIES[history]}") == line


@pytest.mark.parametrize("line", ["Le pied fait 12.5 cm", "Livraison le 12 mars 2027 svp"])
def test_newest_part_keeps_line_above_an_introduction_without_a_day(line: str) -> None:
    assert newest_part(f"{line}\n{HISTORIES['gnus']}") == line


def test_newest_part_keeps_inline_and_bottom_replies() -> None:
    text = f"Le 3 nov. 2026 à 10:12, X <x@example.com> a écrit :\n{QUOTED}\n\nOui.\n\n> Quelle couleur ?\n\nRouge."
    assert newest_part(text) == f"{QUOTED}\n\nOui.\n\n> Quelle couleur ?\n\nRouge."


def test_newest_part_keeps_answer_below_quote_of_verb_before_moment() -> None:
    assert newest_part(f"S kirjoitti 2.11.2026 klo 10.12:\n{QUOTED}\n\n{NEW}") == f"{QUOTED}\n\n{NEW}"


def test_newest_part_keeps_answers_below_a_signature_above_the_quote() -> None:
    history = "Le 3 nov. 2026 à 10:12, Studio <s@example.com> a écrit :\n\n> Quelle hauteur ?"
    signed = f"Bonjour,\n\n-- \nCamille Roy\n\n{history}"
    assert newest_part(f"{signed}\n\n92 cm") == "Bonjour,\n\n\n> Quelle hauteur ?\n\n92 cm"
    pointing = signed.replace("Bonjour,", "Mes réponses sont en rouge ci-dessous.")
    assert newest_part(pointing) == pointing


@pytest.mark.parametrize("answer", ["👍", "???", "Bonjour,\nok", "Hello go ahead"])
def test_newest_part_may_be_very_short(answer: str) -> None:
    assert newest_part(f"{answer}\n\n{HISTORIES['gmail']}") == answer
    assert newest_part(f"{answer}\n\n{HISTORIES['gmail'].replace(QUOTED, OLD)}") == answer


def test_newest_part_drops_only_trailing_quote() -> None:
    text = f"> Quelle finition ?\n\nDu noyer.\n\n{QUOTED}\n\nEnvoyé de mon iPhone\n"
    assert newest_part(text) == "> Quelle finition ?\n\nDu noyer."


LONG = "> Bonjour Camille, voici la V3 du fauteuil avec le dossier abaissé de trois"


def test_newest_part_drops_quote_wrapped_without_marks() -> None:
    wrapped = f"{LONG}\ncentimètres.\n{LONG} bons\ncentimètres, comme demandé.\n> Cordialement"
    assert newest_part(f"{NEW}\n\n{wrapped}\n") == NEW


@pytest.mark.parametrize(
    "text",
    [
        f"{LONG} bons centimètres.\noui\n> Merci",  # the quoted sentence is over
        f"{LONG}\nOui, et en noyer.\n> Merci",  # another one begins
        f"{LONG}\ncentimètres, et d'un de plus si cela reste possible pour vous.",  # nothing quoted below
        "> Et la hauteur\nquarante-cinq\n> Et le bois",  # a line that had room
    ],
)
def test_newest_part_keeps_answer_between_long_quotes(text: str) -> None:
    assert newest_part(f"{text}\nVoilà.") == f"{text}\nVoilà."


def test_newest_part_is_all_where_a_wrapped_line_may_be_an_answer() -> None:
    text = f"Bonjour, mes réponses :\n{LONG}\ncentimètres et demi\n> Cordialement"
    assert newest_part(text) == text


@pytest.mark.parametrize("begin", ["PS :", "PS\n", "P.S.", "NB :", "Post-scriptum :"])
def test_newest_part_keeps_postscript_below_signature(begin: str) -> None:
    postscript = f"{begin} le plateau est en marbre."
    assert newest_part(f"{NEW}\n\n-- \nPortes Roy\n\n{postscript}") == f"{NEW}\n\n{postscript}"


SAYS_NOTHING = (
    "Envoyé de mon iPhone",
    "CAUTION: This email originated from outside of the organization. Do not click links.",
    "____\nCe message et toutes les pièces jointes sont confidentiels. Reçu par erreur, merci de le détruire.",
    "This email and any files transmitted with it are confidential and intended solely for the use of the addressee.",
)


@pytest.mark.parametrize("text", SAYS_NOTHING)
def test_newest_part_beside_files_has_no_notice_alone(text: str) -> None:
    assert newest_part(text, beside_files=True) == ""
    assert newest_part(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "-- \nCamille Roy",
        QUOTED,
        "Ce message est confidentiel : le banc sort en mars.",
        "Ce mail contient des plans confidentiels, pas de diffusion : il nous faut la lampe pour mars.",
        "Ce message est confidentiel : le destinataire final est la marque Roy, qui veut trois fauteuils.",
        "This email contains confidential drawings. Notify me when the quote is ready, the chair is in walnut.",
    ],
)
def test_newest_part_beside_files_keeps_what_a_person_wrote(text: str) -> None:
    assert newest_part(text, beside_files=True) == text


FOOTERS = (
    "Garanti sans virus. www.avast.com",
    "This email and its attachments are confidential and may be privileged.",
    "Ce message est confidentiel.",
    "Diese E-Mail ist vertraulich.",
)


@pytest.mark.parametrize("footer", FOOTERS)
def test_footer_below_quote_is_no_answer_to_it(footer: str) -> None:
    assert newest_part(f"{NEW}\n\n{QUOTED}\n\n{footer}") == NEW


BLOCK = "De : Studio <s@example.com>\nEnvoyé : mardi 3 novembre 2026\nÀ : C\nObjet : V3\n\n"
POINTERS = (
    "Voir mes réponses en rouge ci-dessous.",
    "Mes remarques sont en bleu dans votre mail.",
    "Voir ci-dessous :",
    "J'ai répondu entre les lignes.",
    "See my answers below.",
    "Please find my comments inline.",
    "My replies are in red.",
    "Meine Antworten stehen unten.",
    "Siehe unten.",
    "Antworten in Rot.",
    "Mis respuestas están más abajo.",
    "Rispondo qui sotto.",
    "Zie mijn antwoorden hieronder.",
)


@pytest.mark.parametrize("line", POINTERS)
@pytest.mark.parametrize("history", [f"{BLOCK}Quelle finition ? Noyer.", "> Quelle finition ? Noyer."])
def test_newest_part_keeps_history_that_holds_answers(line: str, history: str) -> None:
    text = f"Bonjour,\n\n{line}\n\nJeanne\n\n{history}"
    assert newest_part(text) == text


NO_POINTERS = (
    "Les cotes sont ci-dessous :\n80 x 70 cm",
    "Je la voudrais en rouge.",
    "The leg below the seat is too long.",
    "Die Kante unten am Fuß ist zu scharf.",
    "On livre en vert, pas en bleu.",
)


@pytest.mark.parametrize("lines", NO_POINTERS)
def test_newest_part_drops_history_that_text_does_not_point_to(lines: str) -> None:
    assert newest_part(f"Bonjour,\n{lines}\n\n{BLOCK}Quelle finition ?") == f"Bonjour,\n{lines}"


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
        "gesendet von meinem " * 15,
        "2026-11-03 10:12 <a@b>:" * 10,
        "---- On 1 <a@b> wrote " * 10,
        "De : a@b.c À : " * 30,
        "> a\n\nCe message est confidentiel",
        "voir ci-dessous réponses :",
        f"{LONG}\na",
        "-----BEGIN PGP SIGNATURE-----\n-----END PGP SIGNATURE-----",
        "_" * 47 + "\nx mailing list",
        "a-" * 140,
    ],
)
def test_newest_part_is_linear_in_hostile_text(line: str) -> None:
    one_pass(newest_part, line + "\n", 100_000)
