"""A plain restatement of T5's span corruption, one row and one step at a time.

Source: google-research/text-to-text-transfer-transformer, t5/data/preprocessors.py. The slow twin of
`corpora.tokens.span_corruption`. Where T5 shuffles, these functions take the shuffled vector as an argument.
"""

from __future__ import annotations

import numpy as np


def random_spans_helper(inputs_length: int, noise_density: float, mean_noise_span_length: float) -> tuple[int, int]:
    def inputs_and_targets(tokens_length: int) -> tuple[int, int]:
        num_noise_tokens = round(tokens_length * noise_density)
        num_nonnoise_tokens = tokens_length - num_noise_tokens
        num_noise_spans = round(num_noise_tokens / mean_noise_span_length)
        return num_nonnoise_tokens + num_noise_spans + 1, num_noise_tokens + num_noise_spans + 1

    tokens_length = inputs_length - 1
    while inputs_and_targets(tokens_length + 1)[0] <= inputs_length:
        tokens_length += 1
    inputs_length, targets_length = inputs_and_targets(tokens_length)
    if noise_density == 0.5 and targets_length > inputs_length:
        tokens_length -= 1
        targets_length -= 1
    return tokens_length, targets_length


def unshuffled(num_items: int, num_segments: int) -> list[int]:
    """What T5 shuffles: num_segments - 1 ones among num_items - 1 places."""
    return [1 if i < num_segments - 1 else 0 for i in range(num_items - 1)]


def random_segmentation(shuffled: list[int]) -> list[int]:
    """Lengths of the segments of 1 + len(shuffled) items; a one starts a segment at the next item."""
    lengths = [1]
    for starts_segment in shuffled:
        if starts_segment:
            lengths.append(1)
        else:
            lengths[-1] += 1
    return lengths


def num_noise(length: int, noise_density: float, mean_noise_span_length: float) -> tuple[int, int]:
    """(noise tokens, noise spans) of a row, in float64 as the helper counts them."""
    length = max(length, 2)
    num_noise_tokens = min(max(round(length * noise_density), 1), length - 1)
    return num_noise_tokens, max(round(num_noise_tokens / mean_noise_span_length), 1)


def random_spans_noise_mask(length: int, noise_shuffled: list[int], nonnoise_shuffled: list[int]) -> list[bool]:
    noise_span_lengths = random_segmentation(noise_shuffled)
    nonnoise_span_lengths = random_segmentation(nonnoise_shuffled)
    mask: list[bool] = []
    for nonnoise, noise in zip(nonnoise_span_lengths, noise_span_lengths, strict=True):
        mask += [False] * nonnoise + [True] * noise
    return mask[:length]


def noise_span_to_unique_sentinel(tokens: list[int], mask: list[bool], vocab_size: int) -> list[int]:
    out: list[int] = []
    sentinel = vocab_size
    previous = False
    for token, is_noise in zip(tokens, mask, strict=True):
        if is_noise and not previous:
            sentinel -= 1
            out.append(sentinel)
        elif not is_noise:
            out.append(token)
        previous = is_noise
    return out


def nonnoise_span_to_unique_sentinel(tokens: list[int], mask: list[bool], vocab_size: int) -> list[int]:
    return noise_span_to_unique_sentinel(tokens, [not m for m in mask], vocab_size)


def corrupt(tokens: list[int], mask: list[bool], vocab_size: int, eos_id: int) -> tuple[list[int], list[int]]:
    """Inputs and targets, EOS appended to both."""
    inputs = noise_span_to_unique_sentinel(tokens, mask, vocab_size)
    targets = nonnoise_span_to_unique_sentinel(tokens, mask, vocab_size)
    return [*inputs, eos_id], [*targets, eos_id]


def draw_mask(length: int, density: float, mean: float, random: np.random.Generator) -> list[bool]:
    """A mask with draws of its own: numpy's shuffle in place of tf's."""
    noise, spans = num_noise(length, density, mean)
    noise_shuffled = random.permutation(unshuffled(noise, spans)).tolist()
    nonnoise_shuffled = random.permutation(unshuffled(max(length, 2) - noise, spans)).tolist()
    return random_spans_noise_mask(length, noise_shuffled, nonnoise_shuffled)


def reassemble(inputs: list[int], targets: list[int], sentinels: set[int], eos_id: int) -> list[int]:
    """The raw tokens, by putting the span after each sentinel of `targets` in its place in `inputs`."""
    assert inputs[-1] == targets[-1] == eos_id
    spans: dict[int, list[int]] = {}
    current: list[int] = []
    for token in targets[:-1]:
        if token in sentinels:
            current = spans.setdefault(token, [])
        else:
            current.append(token)
    raw: list[int] = []
    for token in inputs[:-1]:
        raw += spans.pop(token) if token in sentinels else [token]
    assert not spans
    return raw
