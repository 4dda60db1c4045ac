"""Keeps transformers quiet while it loads and saves small models."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator

# said of every T5 whose output layer has weights of its own, although they are loaded rightly and its config says so
_KNOWN = "The tied weights mapping"


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """No progress bars, and no warning that isn't one. Restores the settings afterwards."""
    from transformers.utils import logging as transformers_logging

    shown = transformers_logging.is_progress_bar_enabled()
    transformers_logging.disable_progress_bar()
    logger = logging.getLogger("transformers.modeling_utils")
    logger.addFilter(_is_news)
    try:
        yield
    finally:
        logger.removeFilter(_is_news)
        if shown:
            transformers_logging.enable_progress_bar()


def _is_news(record: logging.LogRecord) -> bool:
    return not record.getMessage().startswith(_KNOWN)
