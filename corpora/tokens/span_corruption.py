"""T5's span corruption: lengths, noise masks, and whole blocks of rows at once.

Source: google-research/text-to-text-transfer-transformer, t5/data/preprocessors.py (`random_spans_helper`,
`random_spans_noise_mask`, `noise_span_to_unique_sentinel`, `nonnoise_span_to_unique_sentinel`).
`tests/reference/t5_span_corruption.py` restates them plainly, and the tests hold this module to it.

Letters: n rows, L raw tokens in a row, N of them noise, in k spans.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Ids = npt.NDArray[np.unsignedinteger]
Masks = npt.NDArray[np.bool_]

LONGEST_RAW_ROW = 1 << 20


class RowShape(NamedTuple):
    """What a raw row becomes. Constant for a setting, so that rows fill their width exactly."""

    input_length: int  # raw - noise + spans + 1 (EOS)
    raw_length: int
    label_length: int  # noise + spans + 1 (EOS)
    num_noise_tokens: int
    num_noise_spans: int


def lengths(
    sequence_length: int, noise_density: float = 0.15, mean_noise_span_length: float = 3.0
) -> tuple[int, int]:
    """(raw tokens a row consumes, tokens of its labels), EOS counted: 512 -> (568, 114).

    Raises:
        ValueError: the settings give rows that T5's own code can't segment (see `row_shape`).
    """
    shape = row_shape(sequence_length, noise_density, mean_noise_span_length)
    return shape.raw_length, shape.label_length


def row_shape(sequence_length: int, noise_density: float = 0.15, mean_noise_span_length: float = 3.0) -> RowShape:
    """The most raw tokens whose inputs still fit `sequence_length`, and what they become.

    Raises:
        ValueError: a density outside (0, 1), a mean that is no finite number >= 1, no noise token, no noise
            span, or more spans than tokens between them.
    """
    _check_arguments(sequence_length, noise_density, mean_noise_span_length)
    raw = sequence_length - 1
    while _row(raw + 1, noise_density, mean_noise_span_length).input_length <= sequence_length:
        raw += 1
        if raw > LONGEST_RAW_ROW:
            raise ValueError(
                f"{noise_density=}, {mean_noise_span_length=}: a row would take more than {LONGEST_RAW_ROW} raw "
                "tokens; lower either"
            )
    shape = _row(raw, noise_density, mean_noise_span_length)
    if noise_density == 0.5 and shape.label_length > shape.input_length:
        shape = _without_one_noise_token(shape)
    _check_shape(shape, sequence_length, noise_density, mean_noise_span_length)
    assert shape.input_length == sequence_length, shape
    return shape


def _row(raw: int, noise_density: float, mean_noise_span_length: float) -> RowShape:
    # Python's round, half to even in float64, decides lengths and masks alike (T5's mask rounds in float32).
    noise = round(raw * noise_density)
    spans = round(noise / mean_noise_span_length)
    return RowShape(raw - noise + spans + 1, raw, noise + spans + 1, noise, spans)


def _without_one_noise_token(shape: RowShape) -> RowShape:
    """T5's own "minor hack": labels no longer than inputs where half of the tokens are noise.

    The span count stays the one that the lengths were made with. T5's mask counts it anew, and where that gives
    one less its rows fall a token short.
    """
    return shape._replace(
        raw_length=shape.raw_length - 1,
        label_length=shape.label_length - 1,
        num_noise_tokens=shape.num_noise_tokens - 1,
    )


def _check_arguments(sequence_length: int, noise_density: float, mean_noise_span_length: float) -> None:
    if sequence_length < 2:
        raise ValueError(f"{sequence_length=}: must be at least 2 (one token and EOS)")
    if not 0.0 < noise_density < 1.0:
        raise ValueError(f"{noise_density=}: must lie between 0 and 1, both excluded")
    if not 1.0 <= mean_noise_span_length < float("inf"):
        raise ValueError(f"{mean_noise_span_length=}: must be a finite number of at least 1")


def _check_shape(shape: RowShape, sequence_length: int, density: float, mean: float) -> None:
    settings = f"sequence_length={sequence_length}, noise_density={density}, mean_noise_span_length={mean}"
    noise, spans = shape.num_noise_tokens, shape.num_noise_spans
    if noise < 1:
        raise ValueError(f"{settings}: no noise token in {shape.raw_length}; raise the length or the density")
    if spans < 1:
        raise ValueError(f"{settings}: {noise} noise tokens make no span; lower mean_noise_span_length")
    _check_segments(shape.raw_length, noise, spans, settings)


def _check_segments(raw_length: int, noise: int, spans: int, settings: str) -> None:
    room = raw_length - noise
    if spans > room:
        raise ValueError(
            f"{settings}: {spans} noise spans need as many gaps, {room} tokens are left between them; "
            "lower noise_density or raise mean_noise_span_length"
        )


def noise_mask(
    length: int,
    generator: np.random.Generator,
    noise_density: float = 0.15,
    mean_noise_span_length: float = 3.0,
    random_roll: bool = False,
) -> Masks:
    """bool[length], true where a token is noise.

    As in T5 at least one token and one span are noise; the first span is kept and the last token is noise, unless
    `random_roll` turns the row (see `random_masks`).
    """
    if length < 1:
        raise ValueError(f"{length=}: must be at least 1")
    _check_arguments(2, noise_density, mean_noise_span_length)
    raw = max(length, 2)
    noise = min(max(round(raw * noise_density), 1), raw - 1)
    spans = max(round(noise / mean_noise_span_length), 1)
    _check_segments(raw, noise, spans, f"{length=}, {noise_density=}, {mean_noise_span_length=}")
    masks: Masks = random_masks(generator, 1, raw, noise, spans, random_roll)[0, :length]
    return masks


def random_masks(
    generator: np.random.Generator,
    num_rows: int,
    raw_length: int,
    num_noise_tokens: int,
    num_noise_spans: int,
    random_roll: bool = False,
) -> Masks:
    """bool[n, L]: in each row exactly N true in exactly k runs. Row i is the same whatever n > i.

    `random_roll` starts each row at any of the L - N + k places that leave all spans whole, equally likely: a
    sentinel is then equally likely at every place of the inputs. (T5 rolls by any offset; a span cut in two
    makes its row one token too long, and T5 trims what doesn't fit.)
    """
    cuts = num_noise_spans - 1
    draws = generator.random((num_rows, 2 * cuts + random_roll))
    noise = segment_lengths(draws[:, :cuts], num_noise_tokens)
    kept = segment_lengths(draws[:, cuts : 2 * cuts], raw_length - num_noise_tokens)
    masks = interleave(kept, noise, raw_length)
    return roll(masks, draws[:, -1], num_noise_spans) if random_roll else masks


def segment_lengths(draws: npt.NDArray[np.float64], num_items: int) -> npt.NDArray[np.int64]:
    """int64[n, s + 1] from uniform draws [n, s]: each row a composition of `num_items`, all equally likely.

    T5 shuffles s ones among num_items - 1 places; Floyd's algorithm picks the same uniform subset in s steps.
    """
    num_rows, num_cuts = draws.shape
    places = num_items - 1
    chosen = np.zeros(num_rows * places, np.bool_)
    row_start = np.arange(num_rows) * places
    for column, top in enumerate(range(places - num_cuts, places)):
        place = row_start + (draws[:, column] * (top + 1)).astype(np.int64)
        place = np.where(chosen[place], row_start + top, place)
        chosen[place] = True
    ends = np.empty((num_rows, num_cuts + 2), np.int64)
    ends[:, 0], ends[:, -1] = 0, num_items
    ends[:, 1:-1] = np.flatnonzero(chosen).reshape(num_rows, num_cuts) - row_start[:, None] + 1
    return np.diff(ends, axis=1)


def interleave(kept: npt.NDArray[np.int64], noise: npt.NDArray[np.int64], raw_length: int) -> Masks:
    """bool[n, L] from the span lengths [n, k]: kept, noise, kept, noise, ..."""
    spans = np.stack([kept, noise], axis=2)
    masks: Masks = np.repeat(np.tile(np.array([False, True]), kept.size), spans.reshape(-1))
    return masks.reshape(len(kept), raw_length)


def roll(masks: Masks, draws: npt.NDArray[np.float64], num_noise_spans: int) -> Masks:
    """Turns each row to a new start that lies inside no noise span; `draws` are uniform [n]."""
    num_rows, raw_length = masks.shape
    num_starts = raw_length - int(masks[:1].sum()) + num_noise_spans
    inside = masks & np.roll(masks, 1, axis=1)
    starts = np.nonzero(~inside)[1].reshape(num_rows, num_starts)
    first = starts[np.arange(num_rows), (draws * num_starts).astype(np.int64)]
    return np.take_along_axis(masks, (np.arange(raw_length) + first[:, None]) % raw_length, axis=1)


def corrupt_rows(
    rows: Ids,
    generator: np.random.Generator,
    shape: RowShape,
    *,
    sentinels: Ids,
    eos_id: int,
    random_roll: bool = False,
) -> tuple[Ids, Ids]:
    """Raw rows [n, L] -> (input_ids [n, input_length], labels [n, label_length]), of the dtype of `rows`.

    `sentinels[j]` marks the j-th noise span; T5's run from the top id down. Row i depends on the generator and on
    i, not on n: key the generator by what the rows are (split, part, row group).
    """
    masks = random_masks(
        generator, len(rows), shape.raw_length, shape.num_noise_tokens, shape.num_noise_spans, random_roll
    )
    return apply_masks(rows, masks, shape, sentinels=sentinels, eos_id=eos_id)


def apply_masks(rows: Ids, masks: Masks, shape: RowShape, *, sentinels: Ids, eos_id: int) -> tuple[Ids, Ids]:
    """Inputs: a sentinel for each noise span. Labels: each sentinel followed by its span, no closing sentinel."""
    starts = masks.copy()
    starts[:, 1:] &= ~masks[:, :-1]
    span_sentinels = np.tile(sentinels[: shape.num_noise_spans].astype(rows.dtype), len(rows))

    tokens = rows.copy()
    tokens[starts] = span_sentinels
    inputs = tokens[~masks | starts]

    # Every row has N noise tokens and k spans, so flat indices need no row arithmetic.
    place = np.flatnonzero(starts[masks]) + np.arange(span_sentinels.size)
    labels = np.empty(len(rows) * (shape.label_length - 1), rows.dtype)
    is_noise = np.ones(labels.size, np.bool_)
    is_noise[place] = False
    labels[place] = span_sentinels
    labels[is_noise] = rows[masks]
    return _with_eos(inputs, shape.input_length, eos_id), _with_eos(labels, shape.label_length, eos_id)


def _with_eos(flat: Ids, length: int, eos_id: int) -> Ids:
    """[n, length] from n * (length - 1) ids."""
    rows = np.empty((flat.size // (length - 1), length), flat.dtype)
    rows[:, :-1] = flat.reshape(-1, length - 1)
    rows[:, -1] = eos_id
    return rows
