"""Rows of several documents: masks from the stored borders, against each document alone in its row."""

from __future__ import annotations

import json
from itertools import islice

import msgspec
import numpy as np
import pytest
import torch

from corpora.errors import BadArgument, DamagedFile
from corpora.rows import ShardRows
from corpora.tokens.causal import Ragged
from corpora.tokens.shards import ShardWriter, read_rows
from tamiz.trainer import ShardDataset
from tamiz.trainer.families import attention
from tamiz.trainer.families.base import IGNORED
from tamiz.trainer.families.gptj import GptJ
from tamiz.trainer.families.llama import Llama
from tamiz.trainer.settings import TrainSettings
from tamiz.trainer.steps import Steps
from tamiz.trainer.train import train
from tests.command import tamiz
from tests.invented import document
from tests.make_shards import VOCAB_SIZE, make_shards, make_tokenizer

pytestmark = pytest.mark.usefixtures("one_thread", "quick_plots")

LLAMA = Llama(
    vocab_size=VOCAB_SIZE, hidden_size=32, intermediate_size=32, num_layers=2, num_heads=4, num_kv_heads=2,
    max_position_embeddings=128, document_masks=True,
)  # fmt: skip
GPTJ = GptJ(
    vocab_size=VOCAB_SIZE, hidden_size=32, num_layers=2, num_heads=2, rotary_dim=8, max_position_embeddings=128,
    document_masks=True,
)  # fmt: skip
FAMILIES = pytest.mark.parametrize("family", [LLAMA, GPTJ], ids=["llama", "gptj"])
KERNELS = pytest.mark.parametrize("kernel", [attention.NAME, "eager"])
WIDTH = 65


def causal_row(starts, seed=0, width=WIDTH, count=1):
    """A batch of rows with documents that begin at `starts`."""
    ids = torch.randint(3, VOCAB_SIZE, (count, width), generator=torch.Generator().manual_seed(seed))
    documents = torch.zeros(count, width, dtype=torch.int64)
    documents[:, starts] = 1
    return {"input_ids": ids, "document_ids": documents.cumsum(1)}


def built(family, kernel=attention.NAME):
    model = family.build(seed=0)
    if kernel == "eager":
        from transformers import AutoModelForCausalLM

        plain = AutoModelForCausalLM.from_config(model.config, attn_implementation="eager")
        plain.load_state_dict(model.state_dict())
        model = plain
    return model.eval()


@FAMILIES
@KERNELS
def test_changing_a_document_leaves_the_others_bit_equal(family, kernel):
    model = built(family, kernel)
    batch = causal_row([0, 20, 41])
    other = {**batch, "input_ids": batch["input_ids"].clone()}
    other["input_ids"][:, 20:41] = torch.arange(3, 24)
    first, second = (family.logits(model, family.prepare(given, 0)) for given in (batch, other))
    assert torch.equal(first[:, :20], second[:, :20])
    assert torch.equal(first[:, 41:], second[:, 41:])
    assert not torch.equal(first[:, 20:41], second[:, 20:41])
    off = msgspec.structs.replace(family, document_masks=False)
    first, second = (off.logits(model, off.prepare(given, 0)) for given in (batch, other))
    assert not torch.equal(first[:, 41:], second[:, 41:])


@FAMILIES
@KERNELS
def test_each_document_is_as_if_alone_in_its_row(family, kernel):
    """Logits and loss; the first document continues from another row, and padding follows the last."""
    model, batch = built(family, kernel), causal_row([11, 30])
    batch["num_tokens"] = torch.tensor([57])
    prepared = family.prepare(batch, 0)
    logits, total = family.logits(model, prepared), 0.0
    for first, last in ((0, 11), (11, 30), (30, 57)):
        alone = batch["input_ids"][:, first:last]
        expected = model(input_ids=alone).logits
        torch.testing.assert_close(logits[:, first:last], expected, atol=2e-6, rtol=1e-5)
        total += model(input_ids=alone, labels=alone).loss.item() * (last - first - 1)
    assert family.loss(model, prepared).item() == pytest.approx(total, rel=1e-6)
    assert int((prepared["targets"] != IGNORED).sum()) == 57 - 3


@FAMILIES
def test_padding_is_nobodys_document(family):
    model = built(family)
    batch = {**causal_row([0, 20]), "num_tokens": torch.tensor([50])}
    other = {**batch, "input_ids": batch["input_ids"].clone()}
    other["input_ids"][:, 50:] = 7
    one, two = (family.prepare(given, 0) for given in (batch, other))
    assert torch.equal(family.logits(model, one)[:, :50], family.logits(model, two)[:, :50])
    assert family.loss(model, one).item() == family.loss(model, two).item()
    loss = family.loss(model, one)
    loss.backward()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)


@FAMILIES
def test_rows_of_one_document_need_no_mask(family):
    """The same kernel, and so the same bits, as without masks."""
    off = msgspec.structs.replace(family, document_masks=False)
    model, batch = built(family), causal_row([0])
    prepared = family.prepare(batch, 0)
    assert prepared.keys() == {"input_ids", "targets"}
    assert family.loss(model, prepared).item() == off.loss(model, off.prepare(batch, 0)).item()
    short = {**batch, "num_tokens": torch.tensor([9])}
    assert family.prepare(short, 0).keys() == {"input_ids", "targets"}


@FAMILIES
def test_fused_attention_is_transformers_eager_one_gradients_included(family):
    batch, off = causal_row([0], count=3), msgspec.structs.replace(family, document_masks=False)
    fused, eager = built(family), built(family, "eager")
    losses = [off.loss(model, off.prepare(batch, 0)) for model in (fused, eager)]
    assert losses[0].item() == pytest.approx(losses[1].item(), rel=1e-6)
    for loss in losses:
        loss.backward()
    for a, b in zip(fused.parameters(), eager.parameters(), strict=True):
        torch.testing.assert_close(a.grad, b.grad, atol=2e-5, rtol=1e-4)


def test_positions_begin_again_and_the_block_mask_is_the_bool_mask():
    documents = torch.tensor([[0, 0, 1, 1, 1, 2], [1, 1, 1, 1, 1, 1], [0, 1, 2, 2, 3, 3]])
    assert attention.positions(documents).tolist() == [[0, 1, 0, 1, 2, 0], [0, 1, 2, 3, 4, 5], [0, 0, 0, 1, 0, 1]]
    dense = attention.document_mask(documents, blocks=False)
    expected = [[[k <= q and row[k] == row[q] for k in range(6)] for q in range(6)] for row in documents.tolist()]
    assert dense[:, 0].tolist() == expected
    blocks = attention.document_mask(documents, blocks=True)
    values = torch.randn(3, 2, 6, 8, generator=torch.Generator().manual_seed(0))
    one, two = (attention.causal_attention(values, values, values, mask) for mask in (dense, blocks))
    assert torch.equal(one, two)


@pytest.fixture(scope="module")
def packed(tmp_path_factory):
    """Shards of real packing: short documents of bytes, in rows of which some are short."""
    home = tmp_path_factory.mktemp("packed")
    lines = (json.dumps({"text": document(n)[: 20 + 7 * (n % 20)]}) for n in range(120))
    (home / "d.jsonl").write_text("\n".join(lines) + "\n")
    return home


def build(capsys, home, name, *more):
    code, _, error = tamiz(
        capsys, "shards", "build", "--input", home / "d.jsonl", "--tokenizer", "byt5", "--objective", "causal",
        "--sequence-length", WIDTH, "--validation-fraction", 0.1, "--out", home / name, *more,
    )  # fmt: skip
    assert code == 0, error
    return home / name


@pytest.mark.parametrize("packing", ["best-fit", "concatenate"])
def test_batches_number_the_documents_as_stored(capsys, packed, packing):
    folder = build(capsys, packed, packing, "--packing", packing)
    stored = {}
    for path in sorted(folder.glob("train/*.parquet")):
        rows = read_rows(path)
        starts = rows["document_starts"]
        for n, ids in enumerate(rows["input_ids"]):
            begins = set(starts.values[starts.offsets[n] : starts.offsets[n + 1]].tolist())
            stored[tuple(ids.tolist())] = np.cumsum([k in begins for k in range(WIDTH)]).tolist()
    made = ShardRows(folder, batch_size=4, with_documents=True)
    for batch in islice(made, made.steps_per_epoch):
        for ids, documents in zip(batch["input_ids"], batch["document_ids"], strict=True):
            assert stored[tuple(ids.tolist())] == documents.tolist()
    assert any(max(documents) > 2 for documents in stored.values())
    plain = ShardRows(folder, batch_size=4)
    assert "document_ids" not in plain.batch(0, 0)
    assert made.state_dict() == ShardRows(folder, batch_size=4).state_dict() | made.state_dict()


@FAMILIES
def test_masked_rows_train(capsys, packed, family):
    """Any split into micro-batches gives the same loss and gradients; the loss falls."""
    folder = packed / "best-fit" if (packed / "best-fit").exists() else build(capsys, packed, "best-fit")
    wider = msgspec.structs.replace(family, vocab_size=384)
    batch = next(iter(ShardDataset(folder, batch_size=8, with_documents=True)))
    assert "document_ids" in wider.prepare(batch, 0)

    def steps(micro_rows):
        settings = TrainSettings(steps=9, batch_size=8, learning_rate=0.01)
        device = torch.device("cpu")
        return Steps(wider.build(seed=0), wider, settings, device, micro_rows=micro_rows, bfloat16=False, pad_id=0)

    whole, parts = steps(8), steps(3)
    assert whole.train(batch, 0.01) == pytest.approx(parts.train(batch, 0.01), rel=1e-5)
    first = whole.validate([batch])
    for _ in range(15):
        whole.train(batch, 0.01)
    assert whole.validate([batch]) < first - 0.3


def with_starts(folder, starts):
    """Shards of one part whose rows have these document_starts."""
    made = make_shards(folder, objective="causal", widths=(17, 0), rows={"train": len(starts)}, parts=1)
    path = made / "train/part-00000.parquet"
    ids = read_rows(path)["input_ids"]
    offsets = np.cumsum([0, *map(len, starts)]).astype(np.int32)
    values = np.array([s for row in starts for s in row], np.int32)
    with ShardWriter(path, {"input_ids": (17, np.uint16), "document_starts": (None, np.int32)}) as writer:
        writer.write({"input_ids": ids, "document_starts": Ragged(offsets, values)})
    return made


def test_starts_outside_a_row_are_damage(tmp_path):
    good = with_starts(tmp_path / "good", [[0, 5], [], [16]])
    batch = ShardRows(good, batch_size=3, with_documents=True).batch(0, 0)
    assert sorted(row[-1] for row in batch["document_ids"].tolist()) == [0, 1, 2]
    bad = with_starts(tmp_path / "bad", [[0, 17]])
    with pytest.raises(DamagedFile, match=r"document_starts has 0 and 17; rows have 17 ids"):
        ShardRows(bad, batch_size=1, with_documents=True).batch(0, 0)


def test_an_id_beyond_the_vocabulary_names_its_row(tmp_path):
    tokenizer = make_tokenizer(tmp_path / "t")
    made = make_shards(tmp_path / "s", objective="causal", widths=(17, 0), tokenizer=tokenizer, borders=False)
    path = made / "train/part-00001.parquet"
    ids = read_rows(path)["input_ids"].copy()
    ids[7, 3] = VOCAB_SIZE
    with ShardWriter(path, {"input_ids": (17, np.uint16)}) as writer:
        writer.write({"input_ids": ids})
    off = msgspec.structs.replace(LLAMA, document_masks=False)
    message = r"train/part-00001\.parquet: row 7 has id 64 in input_ids, but the manifest says 64 ids"
    with pytest.raises(DamagedFile, match=message):
        train(made, tokenizer, tmp_path / "m", off, TrainSettings(steps=9, batch_size=5), report=lambda _: None)


def test_shards_without_document_borders_are_refused(tmp_path):
    tokenizer = make_tokenizer(tmp_path / "t")
    made = make_shards(tmp_path / "s", objective="causal", widths=(17, 0), tokenizer=tokenizer, borders=False)
    with pytest.raises(BadArgument, match=r"without document_starts, which model\.document_masks needs"):
        train(made, tokenizer, tmp_path / "m", LLAMA, TrainSettings(steps=1), report=lambda _: None)
    assert not (tmp_path / "m").exists()


def test_finished_trainings_stay_finished():
    """A setting younger than the first models isn't part of their identity while it is off."""
    assert "document_masks" not in msgspec.structs.replace(LLAMA, document_masks=False).identity()
    assert LLAMA.identity()["document_masks"] is True
