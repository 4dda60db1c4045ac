"""Noise for the sieve to find: documents of a clean corpus, of which stated shares are replaced by noise.

Each choice is drawn by the key of (seed, purpose, url, text), so that it depends on no order and no other document.
"""

from __future__ import annotations

import random
import string
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from corpora.randomness import digest, uniform

CLEAN = "clean"
# Shares of all documents: together 40%, chosen before any run. For scale: CulturaX's filters took away 46% of the
# documents of mC4 and OSCAR (arXiv:2309.09400).
SHARES: Mapping[str, float] = {
    "boilerplate": 0.10,
    "repeated lines": 0.05,
    "shuffled words": 0.05,
    "other language": 0.10,
    "random characters": 0.05,
    "keywords": 0.05,
}
SITES = 12
MENU = (
    "Inicio", "Quiénes somos", "Contacto", "Aviso legal", "Política de privacidad", "Política de cookies",
    "Mapa del sitio", "Suscríbete al boletín", "Iniciar sesión", "Regístrate gratis", "Mi cuenta", "Carrito (0)",
    "Ver todas las ofertas", "Envío gratis a partir de 49 €", "Añadir al carrito", "Comparte en Facebook",
    "Comparte en Twitter", "Imprimir esta página", "Volver arriba", "Siguiente »", "« Anterior", "Leer más...",
    "Dejar un comentario", "Todos los derechos reservados", "Preguntas frecuentes", "Trabaja con nosotros",
    "Tiendas", "Novedades", "Los más vendidos", "Etiquetas", "Archivo", "Categorías", "Noticias relacionadas",
    "Esta página utiliza cookies propias y de terceros para mejorar su experiencia. Si continúa navegando, "
    "consideramos que acepta su uso.", "Copyright © 2019", "Descarga nuestra aplicación", "Buscar", "Cerrar",
)  # fmt: skip
SELLING = ("barato", "comprar", "oferta", "online", "gratis", "precio", "descuento", "mejor", "opiniones", "2019")
CHARACTERS = string.ascii_letters + string.digits + "+/=_-%&#"


@dataclass(frozen=True)
class Document:
    """A document of the pool. kind: CLEAN, or the name of its noise."""

    text: str
    url: str
    timestamp: str
    kind: str = CLEAN


@dataclass(frozen=True)
class Noise:
    """Plants noise. shares: of the kinds in SHARES, with a sum below 1. others: texts of other languages."""

    others: Sequence[str]
    shares: Mapping[str, float]
    seed: int = 0

    def planted(self, document: Document) -> Document:
        """The document, or noise of about its length in its place."""
        kind = self.kind(document)
        if kind == CLEAN:
            return document
        draw = random.Random(digest(self.seed, f"noise {kind}", document.url, document.text))
        text = self.others[draw.randrange(len(self.others))] if kind == "other language" else document.text
        made = MAKERS[kind](text, len(document.text), draw)
        return Document(made, f"{document.url}#{kind.replace(' ', '-')}", document.timestamp, kind)

    def kind(self, document: Document) -> str:
        """What becomes of a document. One without words stays as it is: there is nothing to make noise of."""
        if not document.text.strip():
            return CLEAN
        drawn = uniform(self.seed, "kind of noise", document.url, document.text)
        for name, share in self.shares.items():
            drawn -= share
            if drawn < 0:
                return name
        return CLEAN


def boilerplate(text: str, length: int, draw: random.Random) -> str:
    """A page of one of a few sites, each with a menu and a footer of its own, that has the title of a page only."""
    site = random.Random(f"site {draw.randrange(SITES)}")
    menu, footer = site.sample(MENU, 12), site.sample(MENU, 8)
    lines = [*menu, _title(text)]
    while sum(map(len, lines)) + len(lines) < length:
        lines += draw.sample(menu, 4) + draw.sample(footer, 3)
    return _cut("\n".join([*lines, *footer]), max(length, 200))


def repeated_lines(text: str, length: int, draw: random.Random) -> str:
    """One line of the text, again and again."""
    lines = [line for line in text.split("\n") if line.strip()] or [text]
    line = draw.choice(lines)[:200]
    return "\n".join([line] * max(2, length // (len(line) + 1)))


def shuffled_words(text: str, length: int, draw: random.Random) -> str:  # noqa: ARG001 (as long as the text)
    """The words of the text in another order, in lines of as many words as before."""
    lines = [line.split() for line in text.split("\n")]
    words = [word for line in lines for word in line]
    draw.shuffle(words)
    taken = iter(words)
    return "\n".join(" ".join(next(taken) for _ in line) for line in lines)


def cut_to_length(text: str, length: int, draw: random.Random) -> str:  # noqa: ARG001 (the text was drawn before)
    return _cut(text, length)


def random_characters(text: str, length: int, draw: random.Random) -> str:  # noqa: ARG001 (only its length counts)
    """Words of 1 to 14 characters, eight to a line."""
    words, made = [], 0
    while made < length:
        words.append("".join(draw.choices(CHARACTERS, k=draw.randint(1, 14))))
        made += len(words[-1]) + 1
    return "\n".join(" ".join(words[n : n + 8]) for n in range(0, len(words), 8))


def keywords(text: str, length: int, draw: random.Random) -> str:
    """Lists of a page's long words among words of advertising, as pages for search engines have them."""
    found = sorted({word.strip(string.punctuation).lower() for word in text.split() if len(word) >= 6})
    words = draw.sample(found, min(len(found), 12)) + list(SELLING)
    lines, made = [], 0
    while made < length:
        lines.append(", ".join(" ".join(draw.choices(words, k=draw.randint(1, 3))) for _ in range(8)))
        made += len(lines[-1]) + 1
    return _cut("\n".join(lines), max(length, 20))


MAKERS: Mapping[str, Callable[[str, int, random.Random], str]] = {
    "boilerplate": boilerplate,
    "repeated lines": repeated_lines,
    "shuffled words": shuffled_words,
    "other language": cut_to_length,
    "random characters": random_characters,
    "keywords": keywords,
}


def _title(text: str) -> str:
    return text.strip().split("\n")[0][:80]


def _cut(text: str, length: int) -> str:
    """At most `length` characters, and at least one that isn't blank."""
    return text[:length] if text[:length].strip() else text.strip()[: max(1, length)]
