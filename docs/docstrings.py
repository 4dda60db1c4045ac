"""Docstrings as the reference shows them: angle brackets are text, and aligned lists keep their lines.

mkdocstrings loads this file (see mkdocs.yml). The sources stay as a person reads them in an editor.
"""

from __future__ import annotations

import re
from typing import Any

import griffe

_BRACKET = re.compile(r"(`[^`]*`)|<")
_ALIGNED = re.compile(r"^\S.*?[^.\s] {2,}\S", re.MULTILINE)


class Docstrings(griffe.Extension):
    """Rewrites every docstring before it is parsed."""

    def on_instance(self, *, obj: griffe.Object, **_: Any) -> None:
        if obj.docstring is not None:
            obj.docstring.value = as_markdown(obj.docstring.value)


def as_markdown(docstring: str) -> str:
    """Markdown that shows a docstring of this project as it is written."""
    return "\n\n".join(map(_paragraph, docstring.split("\n\n")))


def _paragraph(text: str) -> str:
    if _ALIGNED.search(text):
        return f"```text\n{text}\n```"
    return _BRACKET.sub(lambda found: found[1] or "&lt;", text)
