"""What an annotator is: settings that compute columns for each document."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Self

import msgspec

from corpora.choices import Choices, name_of
from corpora.config import Config
from corpora.documents.batches import DocumentBatch
from corpora.documents.item import WorkItem

REASON = "rejected"  # key in the result of `annotate`: why a document can't be annotated
FACTS = "facts"  # key in the result of `annotate`: fact -> value -> how many, summed into the manifest's facts

Annotate = Callable[[Any, WorkItem], Mapping[str, Any]]  # the batch's columns, see `annotate` and `takes_texts`


class Annotator(Config, frozen=True, kw_only=True, tag_field="annotator"):
    """The base of every annotator. Its fields are its settings: they decide the fingerprint of what it writes.

    A subclass has a msgspec tag as its name, declares its columns in `schema`, and overrides `annotate`, or `load` if
    it has something to load. Two columns have a meaning for `tamiz sample`: `keep` (bool; false drops the document)
    and `language` (string; the group of a document whose scores name none). Other columns are carried into the
    sample.
    """

    schema: ClassVar[Mapping[str, str]] = {}
    """Column -> type, by its pyarrow name: bool, int32, int64, float32, float64, string."""

    algorithm: ClassVar[int] = 1
    """Raise it when the same settings give different values, so that old folders aren't taken for new ones."""

    counted: ClassVar[Mapping[str, str]] = {}
    """Name of a fact in the manifest -> the column whose values it counts."""

    @property
    def name(self) -> str:
        return name_of(self)

    @property
    def columns(self) -> tuple[str, ...]:
        """Document columns that the annotator needs besides text, url and timestamp; see `DocumentBatch.extra`."""
        return ()

    @property
    def takes_texts(self) -> bool:
        """Whether the function of `load` takes a TextBatch: the texts as one buffer of UTF-8, which JSON lines are
        read to without a Python object for each document, and nothing else."""
        return False

    @property
    def files(self) -> Mapping[str, str]:
        """Settings field -> path of a local file that the values depend on (a model).

        The fingerprint covers the file's sha256 instead of its path, and every worker checks it before loading.
        """
        return {}

    def pinned(self) -> Self:
        """A copy whose fields include the content of anything read besides `files`: see `Perplexity`."""
        return self

    def check(self, items: Sequence[WorkItem]) -> None:
        """Raises BadArgument or DamagedFile, before any work, if the settings don't fit these inputs."""

    def load(self) -> Annotate:
        """The function that annotates, shared by all threads. Override it to load something: it is called once in
        each process, including the one that submits the run.

        Raises DamagedFile or BadArgument if its files are wrong.
        """
        return lambda batch, _: self.annotate(batch)

    def annotate(self, batch: DocumentBatch) -> Mapping[str, Any]:
        """The value of every column for each of the batch's n documents.

        A column is a numpy array[n] (NaN is null; masked arrays are fine), a list with None for null, or an Arrow
        array. The key "rejected" may hold n reasons: a str for a document that can't be annotated, None for the
        others. Such a document is rejected with that reason, and its columns are null. The key "facts" may hold
        counts, {fact: {value: number}}: the manifest has their sums over all documents.
        """
        raise NotImplementedError(f"{type(self).__name__} has neither annotate nor load")

    def identity(self, items: Sequence[WorkItem]) -> dict[str, Any]:  # noqa: ARG002  # for annotators that look at paths
        """The settings as the fingerprint sees them, except `files`. items: the inputs."""
        plain: dict[str, Any] = msgspec.to_builtins(self)
        return {key: value for key, value in plain.items() if key not in self.files}


ANNOTATORS: Choices[type[Annotator]] = Choices(
    "annotator", "annotator", {"perplexity": "corpora.perplexity.annotator:Perplexity"}
)
