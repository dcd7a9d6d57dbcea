"""The page behind an invite link, in the languages it speaks. What is served is made here once, at the start."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Final

LANGUAGES: Final = ("en", "tr", "de", "ar")
"""The first one is for who speaks none of them."""
_RIGHT_TO_LEFT: Final = ("ar",)

_WORDS: Final[Mapping[str, Mapping[str, str]]] = {
    "en": {
        "title": "You are invited to Sottovoce",
        "what": "Somebody who runs this relay invites you to a private messenger.",
        "sealed": "What you write is encrypted on your phone. This relay passes it on and cannot read it.",
        "kept": "The invite is in this page's address, behind the #. Your browser sends that part to nobody.",
        "noscript": "This page needs JavaScript to read the invite. Or open the app and paste the link there.",
        "broken": "Part of the link is missing. Copy it whole, as you were sent it.",
        "open": "Open in the app",
        "get": "Get the app for Android",
        "digest": "SHA-256 of the file:",
        "copy": "Copy the link",
        "copied": "Copied",
        "elsewhere": "On another screen?",
        "scan": "Scan this code with the app on your phone. Whoever sees it can use the invite.",
        "languages": "Languages",
    },
    "tr": {
        "title": "Sottovoce’ye davetlisin",
        "what": "Bu aktarıcıyı işleten biri seni özel bir mesajlaşma uygulamasına davet ediyor.",
        "sealed": "Yazdıkların telefonunda şifrelenir. Bu aktarıcı onları iletir, ama okuyamaz.",
        "kept": "Davet, bu sayfanın adresinde # işaretinden sonra durur. Tarayıcın o kısmı kimseye göndermez.",
        "noscript": "Bu sayfa daveti okumak için JavaScript ister. Ya da uygulamayı açıp bağlantıyı oraya yapıştır.",
        "broken": "Bağlantının bir kısmı eksik. Sana gönderildiği gibi, tümünü kopyala.",
        "open": "Uygulamada aç",
        "get": "Android uygulamasını indir",
        "digest": "Dosyanın SHA-256 özeti:",
        "copy": "Bağlantıyı kopyala",
        "copied": "Kopyalandı",
        "elsewhere": "Başka bir ekranda mısın?",
        "scan": "Bu kodu telefonundaki uygulamayla tara. Kodu gören herkes daveti kullanabilir.",
        "languages": "Diller",
    },
    "de": {
        "title": "Du bist zu Sottovoce eingeladen",
        "what": "Wer dieses Relais betreibt, lädt dich zu einem privaten Messenger ein.",
        "sealed": "Was du schreibst, wird auf deinem Telefon verschlüsselt. Dieses Relais reicht es weiter und kann es nicht lesen.",
        "kept": "Die Einladung steht in der Adresse dieser Seite, hinter dem #. Dein Browser schickt diesen Teil niemandem.",
        "noscript": "Diese Seite braucht JavaScript, um die Einladung zu lesen. Oder öffne die App und füge den Link dort ein.",
        "broken": "Ein Teil des Links fehlt. Kopiere ihn ganz, so wie du ihn bekommen hast.",
        "open": "In der App öffnen",
        "get": "App für Android laden",
        "digest": "SHA-256 der Datei:",
        "copy": "Link kopieren",
        "copied": "Kopiert",
        "elsewhere": "An einem anderen Bildschirm?",
        "scan": "Scanne diesen Code mit der App auf deinem Telefon. Wer ihn sieht, kann die Einladung benutzen.",
        "languages": "Sprachen",
    },
    "ar": {
        "title": "أنت مدعوّ إلى Sottovoce",
        "what": "يدعوك من يدير هذا الخادم الوسيط إلى تطبيق مراسلة خاص.",
        "sealed": "ما تكتبه يُشفَّر على هاتفك. هذا الخادم يوصله ولا يستطيع قراءته.",
        "kept": "الدعوة موجودة في عنوان هذه الصفحة بعد علامة #. متصفحك لا يرسل هذا الجزء إلى أحد.",
        "noscript": "تحتاج هذه الصفحة إلى JavaScript لقراءة الدعوة. أو افتح التطبيق وألصق الرابط فيه.",
        "broken": "جزء من الرابط ناقص. انسخه كاملًا كما أُرسل إليك.",
        "open": "افتح في التطبيق",
        "get": "نزّل التطبيق لأندرويد",
        "digest": "بصمة SHA-256 للملف:",
        "copy": "انسخ الرابط",
        "copied": "نُسخ الرابط",
        "elsewhere": "على شاشة أخرى؟",
        "scan": "امسح هذا الرمز بالتطبيق على هاتفك. من يرى الرمز يمكنه استخدام الدعوة.",
        "languages": "اللغات",
    },
}

ASSETS: Final[Mapping[str, str]] = {
    "join.css": "text/css; charset=utf-8",
    "join.js": "text/javascript; charset=utf-8",
    "qr.js": "text/javascript; charset=utf-8",
}
"""Names under /join/, and their types."""


def asset(name: str) -> bytes:
    """One of ASSETS."""
    return (files(__name__) / name).read_bytes()


def join_pages(apk_sha256: str | None) -> dict[str, bytes]:
    """The page in each language. `apk_sha256` is the digest of the app that the relay offers, None if it offers none."""
    template = Template((files(__name__) / "join.html").read_text(encoding="utf-8"))
    return {language: _page(template, language, apk_sha256).encode() for language in LANGUAGES}


def _page(template: Template, language: str, apk_sha256: str | None) -> str:
    words = {name: escape(text) for name, text in _WORDS[language].items()}
    apk = ""
    if apk_sha256 is not None:
        apk = (
            f'<p><a class="button quiet" href="join/sottovoce.apk" download>{words["get"]}</a></p>\n'
            f'<p class="digest">{words["digest"]} <bdi>{apk_sha256}</bdi></p>'
        )
    direction = "rtl" if language in _RIGHT_TO_LEFT else "ltr"
    return template.substitute(words, language=language, direction=direction, apk=apk)


def preferred(accept_language: str, asked: str | None) -> str:
    """The language to speak: the one that was asked for, else the best of an Accept-Language header (RFC 9110 section 12.5.4)."""
    if asked in LANGUAGES:
        return str(asked)
    wanted: list[tuple[float, str]] = []
    for one in accept_language[:512].split(","):
        tag, _, quality = one.strip().partition(";q=")
        try:
            weight = float(quality) if quality else 1.0
        except ValueError:
            weight = 0.0
        language = tag.strip().lower().partition("-")[0]
        if language in LANGUAGES and weight > 0:
            wanted.append((weight, language))
    # max() takes the first of equals, which is the one that stands first in the header.
    return max(wanted, key=lambda one: one[0])[1] if wanted else LANGUAGES[0]


def sha256_of(path: Path) -> str:
    """Of a file, in hexadecimal. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
