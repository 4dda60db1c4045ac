"""The page: one self-contained HTML file, its plots inside it and beside it."""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from corpora import files, manifest
from corpora.errors import DamagedFile
from tamiz.report.data import read_sieve
from tamiz.report.plots import draw_perplexity

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #1b1f24 }
h1 { font-size: 1.6rem } h2 { font-size: 1.15rem; margin-top: 2.2rem; border-bottom: 1px solid #d0d7de }
img { max-width: 100%; height: auto } table { border-collapse: collapse; margin: .6rem 0 }
td, th { padding: .2rem .9rem .2rem 0; text-align: left; vertical-align: top; border-bottom: 1px solid #eaeef2 }
td:first-child { white-space: nowrap }
td.n { text-align: right; font-variant-numeric: tabular-nums } code { font-size: .9em }
"""
TITLES = {
    "score": "Scores",
    "sample": "Sample",
    "tokenizer": "Tokenizer",
    "shards": "Shards",
    "train": "Training",
}
FOLDERS = {"score": "scores", "sample": "sampled", "tokenizer": "tokenizer", "shards": "shards", "train": "model"}


def write_report(run: Path) -> Path:
    """Writes <run>/report/, index.html and perplexity.png, and names them in the manifest.

    Raises DamagedFile where `run` holds no finished sample.
    """
    if not (run / manifest.NAME).exists():
        raise DamagedFile(f"{run} has no {manifest.NAME}: give the --out of a `tamiz run`")
    folder = run / "report"
    sieve = read_sieve(run)
    plots = [("Perplexity before and after the sieve", draw_perplexity(sieve, folder / "perplexity.png"))]
    loss = run / "model" / "loss.png"
    if loss.exists():
        plots.append(("Loss", loss))
    page = folder / "index.html"
    files.write_bytes(page, _page(run, plots).encode())
    manifest.add_derived(run, [page, plots[0][1]])
    return page


def is_written(run: Path) -> bool:
    """Whether the page is named by the manifest and tells of just the stages that are there."""
    page = run / "report" / "index.html"
    if "report/index.html" not in {r.path for r in manifest.read(run).derived} or not page.exists():
        return False
    text = page.read_text(encoding="utf-8")
    homes = [run / name for name in FOLDERS.values() if (run / name / manifest.NAME).exists()]
    return all(manifest.read(home).fingerprint in text for home in homes)


def _page(run: Path, plots: Sequence[tuple[str, Path]]) -> str:
    recipe = json.loads((run / "recipe.json").read_bytes())
    parts = [f"<h1>{html.escape(recipe['title'])}</h1>", f"<p>{html.escape(recipe['reference'])}</p>"]
    for title, path in plots:
        data = base64.b64encode(path.read_bytes()).decode()
        parts.append(
            f'<h2>{html.escape(title)}</h2><img alt="{html.escape(title)}" src="data:image/png;base64,{data}">'
        )
    for stage, name in FOLDERS.items():
        if (run / name / manifest.NAME).exists():
            parts.append(_section(TITLES[stage], manifest.read(run / name)))
    head = f'<meta charset="utf-8"><title>{html.escape(recipe["title"])}</title><style>{STYLE}</style>'
    return f'<!doctype html><html lang="en"><head>{head}</head><body>{"".join(parts)}</body></html>\n'


def _section(title: str, content: manifest.Manifest) -> str:
    rows = [*_counts(content.counts), *_facts(content.facts)]
    rows.append(("files", f"{len(content.files):,}"))
    rows.append(("bytes", f"{sum(r.bytes for r in content.files):,}"))
    rows += [("damaged", f"{d['file']}: {d['damage']}") for d in content.damaged]
    cells = "".join(f'<tr><td>{html.escape(k)}</td><td class="n">{html.escape(v)}</td></tr>' for k, v in rows)
    return f"<h2>{title}</h2><table>{cells}</table><p><code>{content.fingerprint}</code></p>"


def _counts(counts: dict[str, Any]) -> list[tuple[str, str]]:
    rows = [
        (name.replace("_", " "), f"{counts[name]:,}") for name in ("read", "kept", "sampled_out") if counts.get(name)
    ]
    return rows + [(f"rejected: {reason}", f"{n:,}") for reason, n in counts.get("rejected", {}).items()]


def _facts(facts: dict[str, Any]) -> list[tuple[str, str]]:
    """Numbers and short texts; lists of figures joined; anything larger stays in the manifest."""
    rows = []
    for name, value in facts.items():
        shown = None if name == "files" else _shown(value)
        if shown is not None:
            rows.append((name.replace("_", " "), shown))
    return rows


def _shown(value: Any) -> str | None:
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.4f}"
    if isinstance(value, str):
        return value if len(value) <= 80 else None
    if isinstance(value, list) and 0 < len(value) <= 4 and all(isinstance(v, int | float) for v in value):
        return " / ".join(f"{v:,.4g}" for v in value)
    if (
        isinstance(value, dict)
        and 0 < len(value) <= 4
        and all(isinstance(v, int | float | str) for v in value.values())
    ):
        return ", ".join(f"{k} {v:,.6g}" if isinstance(v, int | float) else v for k, v in value.items())
    return None
