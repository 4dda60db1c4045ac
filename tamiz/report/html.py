"""Building blocks of HTML. Everything that comes from data is escaped here."""

from __future__ import annotations

import base64
import html
from collections.abc import Sequence
from pathlib import Path

STYLE = """
:root { color-scheme: light dark; --ink: #1b1f24; --soft: #57606a; --line: #d0d7de; --paper: #fff; --card: #f6f8fa;
  --kept: #0072b2; --link: #0b5cad; --low: #a63d00; --shade: rgb(0 0 0 / .22) }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e8eb; --soft: #a3acb6; --line: #3d444d; --paper: #14171b;
  --card: #1d2127; --kept: #6cb6e8; --link: #79b8ff; --low: #ffa15c; --shade: rgb(255 255 255 / .3) } }
* { box-sizing: border-box }
body { font: 1rem/1.55 system-ui, sans-serif; max-width: 62rem; margin: 0 auto; padding: 1.5rem 1rem 4rem;
  color: var(--ink); background: var(--paper); overflow-wrap: anywhere }
h1 { font-size: 1.6rem; line-height: 1.25; margin: 0 0 .3rem }
h2 { font-size: 1.2rem; margin: 2.6rem 0 .8rem; padding-bottom: .25rem; border-bottom: 1px solid var(--line) }
h3 { font-size: 1.05rem; margin: 1.8rem 0 .4rem } h4 { font-size: 1rem; margin: 1.4rem 0 .4rem }
p { margin: .4rem 0 } .soft, figcaption, .meta, .url { color: var(--soft); font-size: .875rem }
a { color: var(--link) }
figure { margin: 0 0 1rem } figcaption { max-width: 44rem; margin-top: .4rem }
img { display: block; background: #fff; border: 1px solid var(--line); border-radius: .4rem; padding: .4rem }
img.column { width: 100%; max-width: 34rem } img.page { width: 100%; min-width: 40rem }
.wide { overflow-x: auto; background: linear-gradient(90deg, var(--paper) 30%, transparent) local,
  linear-gradient(270deg, var(--paper) 30%, transparent) 100% 0 local,
  linear-gradient(90deg, var(--shade), transparent), linear-gradient(270deg, var(--shade), transparent) 100% 0;
  background-repeat: no-repeat;
  background-size: 2.4rem 100%, 2.4rem 100%, .7rem 100%, .7rem 100% }
.wide table { width: max-content } .wide td { max-width: 20rem }
table { border-collapse: collapse; font-size: .9rem; overflow-wrap: break-word }
td, th { padding: .25rem .9rem .25rem 0; text-align: left; vertical-align: top; border-bottom: 1px solid var(--line) }
th { font-weight: 600; vertical-align: bottom }
td.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap }
th.n { text-align: right }
table.pairs { width: 100%; max-width: 52rem; table-layout: fixed; overflow-wrap: anywhere }
table.pairs th:first-child { width: 15rem } table.pairs td:first-child { color: var(--soft) }
table.pairs td { padding-right: .6rem } table.pairs + .wide { margin-top: 1rem } details table { margin-top: .6rem }
.facts { display: flex; flex-wrap: wrap; gap: .6rem 2rem; margin: 1rem 0 0; padding: 0; list-style: none }
.facts b { display: block; font-size: 1.3rem; font-variant-numeric: tabular-nums }
.document { background: var(--card); border-radius: .4rem; padding: .6rem .8rem; margin: .5rem 0; overflow: hidden }
.document p { margin: .15rem 0; overflow: hidden } .url { font-size: .8rem }
.kept { color: var(--kept); font-weight: 600 } .low { color: var(--low); font-weight: 600 }
.problem { border-left: .25rem solid #d55e00; padding-left: .6rem }
summary { cursor: pointer; color: var(--soft); font-size: .875rem } code { font-size: .85em }
details.hash summary { font-size: inherit; color: inherit }
@media (max-width: 40rem) { table.pairs th:first-child { width: 38% } }
"""
# The browser fetches nothing and runs nothing, whatever the documents contain.
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


class Markup(str):
    """HTML that is ready for the page; every other text is escaped."""

    __slots__ = ()


def escaped(text: object) -> str:
    return html.escape(str(text), quote=True)


def cell(text: str) -> str:
    """The content of a table's cell."""
    return text if isinstance(text, Markup) else f"<bdi>{escaped(text)}</bdi>"


def joined(separator: str, parts: Sequence[str]) -> str:
    """The parts as one text; HTML that is ready if one of them is."""
    if any(isinstance(part, Markup) for part in parts):
        return Markup(escaped(separator).join(cell(part) for part in parts))
    return separator.join(parts)


def code(text: str) -> Markup:
    return Markup(f"<code>{escaped(text)}</code>")


def link(address: str) -> Markup:
    """A link, if the text is a web address."""
    shown = f"<bdi>{escaped(address)}</bdi>"
    return Markup(
        f'<a href="{escaped(address)}">{shown}</a>' if address.startswith(("https://", "http://")) else shown
    )


def checksum(digest: str) -> Markup:
    """The first characters of a checksum; the whole one when it is opened or pointed at."""
    short = f"<summary><code>{escaped(digest[:12])}…</code></summary>"
    return Markup(f'<details class="hash" title="{escaped(digest)}">{short}<code>{escaped(digest)}</code></details>')


def low(text: str) -> Markup:
    """A share that is suspiciously small, with a warning sign."""
    return Markup(f'<span class="low">\N{WARNING SIGN} {escaped(text)}</span>')


def document(title: str, parts: Sequence[str]) -> str:
    """A whole page."""
    head = (
        '<meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escaped(title)}</title><style>{STYLE}</style>"
    )
    body = "\n".join(parts)
    return f'<!doctype html>\n<html lang="en"><head>{head}</head>\n<body>\n{body}\n</body></html>\n'


def figure(image: Path, alt: str, caption: str, *, wide: bool = False) -> str:
    """A PNG embedded in the page. Wide images scroll sideways on a narrow screen."""
    data = base64.b64encode(image.read_bytes()).decode()
    kind = "page" if wide else "column"
    tag = f'<img class="{kind}" alt="{escaped(alt)}" src="data:image/png;base64,{data}">'
    if wide:
        tag = f'<div class="wide" tabindex="0">{tag}</div>'
    return f"<figure>{tag}<figcaption>{escaped(caption)}</figcaption></figure>"


def table(header: Sequence[str], rows: Sequence[Sequence[str]], numeric: Sequence[bool]) -> str:
    """A table of cells; numeric columns are right-aligned. It scrolls sideways on a narrow screen."""
    mark = ['class="n"' if n else "" for n in numeric]
    head = "".join(f"<th {m}>{escaped(h)}</th>" for h, m in zip(header, mark, strict=True))
    lines = [
        "<tr>" + "".join(f"<td {m}>{cell(c)}</td>" for c, m in zip(row, mark, strict=True)) + "</tr>" for row in rows
    ]
    top = f"<thead><tr>{head}</tr></thead>"
    return f'<div class="wide" tabindex="0"><table>{top}<tbody>{"".join(lines)}</tbody></table></div>'


def facts(pairs: Sequence[tuple[str, str]]) -> str:
    """(name, value) pairs as a row of large numbers."""
    cells = "".join(f"<li><b>{escaped(value)}</b>{escaped(name)}</li>" for name, value in pairs)
    return f'<ul class="facts">{cells}</ul>'


def pairs(header: tuple[str, str], rows: Sequence[tuple[str, str]]) -> str:
    """A table of names and values, which wrap on a narrow screen."""
    top = "".join(f"<th>{escaped(name)}</th>" for name in header)
    lines = "".join(f"<tr><td>{cell(name)}</td><td>{cell(value)}</td></tr>" for name, value in rows)
    return f'<table class="pairs"><thead><tr>{top}</tr></thead><tbody>{lines}</tbody></table>'


def folded(summary: str, content: str) -> str:
    """Content that is shown when its summary is clicked."""
    return f"<details><summary>{escaped(summary)}</summary>{content}</details>"
