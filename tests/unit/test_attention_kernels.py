"""The kernels of causal attention, and those of attention with a bias, against products in float64."""

from __future__ import annotations

import pytest
import torch
from torch.nn.attention import SDPBackend
from torch.nn.attention.flex_attention import create_block_mask

from tamiz.trainer.families import attention, cpu_attention, document_attention

pytestmark = pytest.mark.usefixtures("one_thread")

KERNELS = pytest.mark.parametrize("kernel", list(attention.KERNELS))


def tensors(rows, heads, groups, width, head, seed=0):
    source = torch.Generator().manual_seed(seed)
    shapes = [(rows, width, heads, head), *2 * [(rows, width, groups, head)]]
    return [torch.randn(shape, generator=source).transpose(1, 2).requires_grad_() for shape in shapes]


def random_documents(rows, width, chance, seed=0):
    borders = torch.rand(rows, width, generator=torch.Generator().manual_seed(seed)) < chance
    return borders.long().cumsum(1)


def twin(query, key, value, seen=None, bias=None, scaling=None):
    """Readable: every product, in float64. seen: bool, broadcast over heads."""
    times = query.shape[1] // key.shape[1]
    key, value = (tensor.double().repeat_interleave(times, 1) for tensor in (key, value))
    products = query.double() @ key.transpose(2, 3) * (query.shape[-1] ** -0.5 if scaling is None else scaling)
    products = products if bias is None else products + bias.double()
    products = products if seen is None else products.masked_fill(~seen, -torch.inf)
    return torch.softmax(products, -1) @ value


def gradients(made, given, weights):
    return torch.autograd.grad((made * weights).sum(), given)


def assert_is_twin(made, wanted, given):
    """Sums of at most 600 products of float32: about 1e-6 of numbers near 1, more in gradients, sums of such sums."""
    torch.testing.assert_close(made.double(), wanted, rtol=0.0, atol=2e-6)
    weights = torch.randn(made.shape, generator=torch.Generator().manual_seed(1))
    found = zip(gradients(made, given, weights), gradients(wanted, given, weights.double()), strict=True)
    for one, two in found:
        torch.testing.assert_close(one, two, rtol=0.0, atol=5e-6 * max(1.0, two.abs().max().item()))


@KERNELS
@pytest.mark.parametrize(
    ("rows", "heads", "groups", "width", "head"),
    [
        (1, 1, 1, 1, 8),
        (2, 4, 2, 33, 8),
        (1, 6, 1, 130, 16),
        (2, 2, 2, 64, 64),
        (1, 2, 1, 50, 128),
        (1, 2, 2, 40, 256),
    ],
)
def test_causal_attention(kernel, rows, heads, groups, width, head):
    given = tensors(rows, heads, groups, width, head)
    seen = torch.ones(width, width, dtype=torch.bool).tril()
    assert_is_twin(attention.causal_attention(*given, kernel=kernel), twin(*given, seen), given)


DOCUMENTS = {
    "one id": torch.zeros(1, 1, dtype=torch.int64),
    "one document": torch.zeros(2, 600, dtype=torch.int64),
    "few": random_documents(2, 600, 0.01),
    "each id": torch.arange(40).expand(2, 40),
    "all at the end": torch.arange(600).clamp(min=560).expand(1, 600),
    "other rows": torch.cat([random_documents(1, 257, 0.03), torch.zeros(1, 257, dtype=torch.int64)]),
}


@KERNELS
@pytest.mark.parametrize("name", DOCUMENTS)
def test_attention_within_documents(kernel, name):
    documents = DOCUMENTS[name]
    given = tensors(len(documents), 4, 2, documents.shape[1], 16)
    mask = attention.mask_for(documents, kernel)
    made = attention.causal_attention(*given, mask, kernel=kernel)
    assert_is_twin(made, twin(*given, attention.document_mask(documents, blocks=False)), given)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_documents_apart_are_documents_under_a_mask(name):
    """Also where one call with a mask would be chosen, and with another scale."""
    documents = DOCUMENTS[name]
    given = tensors(len(documents), 2, 1, documents.shape[1], 8)
    ends = [len(list(run)) for row in documents.tolist() for run in runs(row)]
    made = document_attention.apart(*given, ends, scaling=0.7)
    wanted = twin(*given, attention.document_mask(documents, blocks=False), scaling=0.7)
    assert_is_twin(made, wanted, given)


def runs(row):
    from itertools import groupby

    return [list(run) for _, run in groupby(row)]


def test_documents_are_apart_where_it_saves_more_than_it_costs():
    query = torch.zeros(2, 8, 1024, 32)
    few = random_documents(2, 1024, 0.01)
    found = document_attention.lengths(few[:, None, None], query)
    assert found == [len(run) for row in few.tolist() for run in runs(row)]
    assert document_attention.lengths(torch.zeros(2, 1, 1, 1024), query) is None
    assert document_attention.lengths(torch.arange(2048).view(2, 1, 1, 1024), query) is None


@pytest.mark.parametrize("width", [1, 65, 128, 129, 384, 500, 640])
@pytest.mark.parametrize("chance", [0.0, 0.004, 0.02, 0.5, 1.0])
def test_the_block_mask_is_the_one_that_torch_makes_of_all_pairs(width, chance):
    documents = random_documents(3, width, chance, seed=width)
    documents[1] = 7

    def sees(row, _head, query, key):
        return (query >= key) & (documents[row, query] == documents[row, key])

    wanted = create_block_mask(sees, 3, None, width, width, device="cpu")
    made = document_attention.block_mask(documents)
    assert made.shape == wanted.shape
    assert made.BLOCK_SIZE == wanted.BLOCK_SIZE
    for name in ("kv", "q", "full_kv", "full_q"):
        counts = getattr(made, f"{name}_num_blocks")
        assert torch.equal(counts, getattr(wanted, f"{name}_num_blocks"))
        assert counts.dtype == getattr(made, f"{name}_indices").dtype == torch.int32
        listed = torch.arange(counts.shape[-1]) < counts[..., None]  # the others' order says nothing
        found, expected = (getattr(mask, f"{name}_indices")[listed] for mask in (made, wanted))
        assert torch.equal(found, expected)
    assert torch.equal(
        document_attention.dense(made, torch.zeros(3, 1, width, 8)),
        attention.document_mask(documents, blocks=False),
    )


@KERNELS
@pytest.mark.parametrize("learns", [False, True])
@pytest.mark.parametrize(
    ("asked", "known", "shape"),
    [
        (1, 1, (1, 3, 1, 1)),
        (20, 20, (1, 3, 20, 20)),
        (7, 31, (1, 1, 1, 1)),
        (7, 31, (2, 1, 1, 31)),
        (31, 7, (2, 3, 31, 7)),
        (130, 130, (1, 3, 130, 130)),
    ],
)
def test_attention_with_a_bias(kernel, learns, asked, known, shape):
    query, _, _ = tensors(2, 3, 3, asked, 16)
    _, key, value = tensors(2, 3, 3, known, 16, seed=1)
    bias = torch.randn(shape, generator=torch.Generator().manual_seed(2)).requires_grad_(learns)
    given = [query, key, value, *[bias] * learns]
    made = attention.biased_attention(query, key, value, bias, scaling=0.3, kernel=kernel)
    assert_is_twin(made, twin(query, key, value, bias=bias, scaling=0.3), given)
    made = attention.biased_attention(query, key, value, None, kernel=kernel)
    assert_is_twin(made, twin(query, key, value), [query, key, value])


def test_a_bias_of_another_dtype_is_cast():
    query, key, value = (tensor.detach().bfloat16() for tensor in tensors(2, 3, 3, 20, 16))
    bias = torch.randn(1, 3, 20, 20)
    one, two = (attention.biased_attention(query, key, value, b) for b in (bias, bias.bfloat16()))
    assert one.dtype == torch.bfloat16
    assert torch.equal(one, two)


def test_the_order_of_kernels_on_a_gpu():
    cudnn, flash, efficient, math = (
        SDPBackend.CUDNN_ATTENTION, SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH,
    )  # fmt: skip
    assert attention.backends(attention.NAME, 64, masked=False) == [cudnn, flash, efficient, math]
    assert attention.backends(attention.NAME, 128, masked=False) == [cudnn, flash, efficient, math]
    assert attention.backends(attention.NAME, 256, masked=False) == [flash, efficient, math]  # GPT-J
    for kernel in (attention.NAME, attention.PLAIN):
        assert attention.backends(kernel, 64, masked=True) == [flash, efficient, math]  # an explicit mask
    assert attention.backends(attention.PLAIN, 64, masked=False) == [flash, efficient, math]
    assert attention.backends(attention.PRODUCTS, 64, masked=False) == [math]


@pytest.fixture
def rounded_products():
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    yield
    torch.set_float32_matmul_precision(before)


@pytest.mark.parametrize("groups", [2, 4])
@pytest.mark.parametrize("mask", ["none", "causal", "bool", "numbers", "keys"])
@pytest.mark.usefixtures("rounded_products")
def test_attention_is_whole_where_products_are_rounded(mask, groups):
    """Bit by bit what torch's function gives where they aren't; but torch adds the gradients of a group in an order
    of its own."""
    given = tensors(2, 4, groups, 130, 32)
    bools = torch.ones(2, 1, 130, 130, dtype=torch.bool).tril()
    masks = {
        "bool": bools,
        "numbers": torch.randn(1, 4, 130, 130),
        "keys": torch.arange(130).expand(2, 1, 1, 130) < 70,
    }
    how = {"causal": mask == "causal", "scaling": 0.2}
    weights = torch.randn(2, 4, 130, 32)
    made = cpu_attention.fused(*given, masks.get(mask), **how)
    found = gradients(made, given, weights)
    assert torch.get_float32_matmul_precision() == "medium"
    torch.set_float32_matmul_precision("highest")
    wanted = cpu_attention.fused(*given, masks.get(mask), **how)
    assert torch.equal(made, wanted)
    for one, two in zip(found, gradients(wanted, given, weights), strict=True):
        assert torch.equal(one, two) or (groups == 2 and torch.allclose(one, two, rtol=0.0, atol=2e-6))


@pytest.mark.usefixtures("rounded_products")
def test_dropout_and_biases_that_learn_are_left_to_torch():
    given = tensors(1, 2, 2, 20, 8)
    bias = torch.zeros(1, 2, 20, 20, requires_grad=True)
    torch.manual_seed(0)
    dropped = cpu_attention.fused(*given, dropout=0.5)
    assert not torch.allclose(dropped, cpu_attention.fused(*given), atol=0.1)
    cpu_attention.fused(*given, bias).sum().backward()
    assert bias.grad is not None


@KERNELS
@pytest.mark.parametrize("mask", ["none", "documents", "bias"])
def test_torch_traces_attention_whole(kernel, mask):
    """Without breaks of the graph, and with the same results."""
    given, documents = tensors(2, 2, 2, 60, 8), random_documents(2, 60, 0.05)
    bias = torch.randn(1, 2, 60, 60, requires_grad=True)
    torch.compiler.reset()

    def attend(query, key, value):
        if mask == "bias":
            return attention.biased_attention(query, key, value, bias, kernel=kernel)
        seen = attention.mask_for(documents, kernel) if mask == "documents" else None
        return attention.causal_attention(query, key, value, seen, kernel=kernel)

    traced = torch.compile(attend, backend="eager", fullgraph=True)
    torch.testing.assert_close(traced(*given), attend(*given), rtol=0.0, atol=2e-6)
