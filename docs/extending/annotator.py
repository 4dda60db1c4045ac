"""Counts words. Documents with few words are dropped, those without a letter are rejected."""

from typing import ClassVar

import numpy as np

from corpora.annotations.annotator import ANNOTATORS, REASON, Annotator


@ANNOTATORS.register
class WordCount(Annotator, frozen=True, kw_only=True, tag="wordcount"):
    schema: ClassVar = {"words": "int32", "keep": "bool"}

    least: int = 3

    def annotate(self, batch):
        words = np.array([len(text.split()) for text in batch.texts], np.int32)
        reasons = [None if any(c.isalpha() for c in text) else "no letter" for text in batch.texts]
        return {"words": words, "keep": words >= self.least, REASON: reasons}
