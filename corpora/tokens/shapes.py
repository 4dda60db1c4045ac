"""How many ids a corrupted row takes, and what it becomes: T5's lengths. Imports no heavy library.

Source: google-research/text-to-text-transfer-transformer, t5/data/preprocessors.py (`random_spans_helper`).
"""

from __future__ import annotations

from typing import NamedTuple

from corpora.tokens.denoisers import Denoiser

LONGEST_RAW_ROW = 1 << 20
SHORTEST_BY = 3  # most ids missing in a row that ends between characters: a character's bytes after the first


class RowShape(NamedTuple):
    """What a raw row becomes. Inputs take raw - noise + spans + 1 (EOS) ids, labels noise + spans + 1.

    They fill input_length and label_length, unless T5's own lengths leave room for padding (see `row_shape`).
    """

    input_length: int
    raw_length: int
    label_length: int
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
    """The largest number of raw tokens whose inputs fit `sequence_length`, and what they become.

    If half of the tokens are noise and labels would be longer than inputs, T5 takes one raw token and one label less
    ("minor hack"). With spans of one token, its rows are then one token short in both, which is padded here.

    Raises:
        ValueError: a density outside (0, 1), a mean that isn't a finite number >= 1, no noise token, no noise
            span, or more spans than tokens between them.
    """
    _check_arguments(sequence_length, noise_density, mean_noise_span_length)
    raw = sequence_length - 1
    while _row(raw + 1, noise_density, mean_noise_span_length).input_length <= sequence_length:
        raw += 1
        if raw > LONGEST_RAW_ROW:
            raise ValueError(
                f"{noise_density=}, {mean_noise_span_length=}: a row would take more than {LONGEST_RAW_ROW} raw "
                "tokens; lower one of them"
            )
    shape = _row(raw, noise_density, mean_noise_span_length)
    if noise_density == 0.5 and shape.label_length > shape.input_length:
        labels = shape.label_length - 1
        shape = _row(raw - 1, noise_density, mean_noise_span_length)._replace(label_length=labels)
    settings = f"sequence_length={sequence_length}, {noise_density=}, {mean_noise_span_length=}"
    _check_shape(shape, settings)
    return shape._replace(input_length=sequence_length)


def denoiser_shape(sequence_length: int, denoiser: Denoiser) -> RowShape:
    """The shape of a row that fills `sequence_length`. Raises ValueError as `row_shape` does, naming the denoiser."""
    mean = denoiser.mean_noise_span_length
    try:
        if mean is None:
            return _suffix_shape(sequence_length, denoiser.noise_density)
        return row_shape(sequence_length, denoiser.noise_density, mean)
    except ValueError as error:
        raise ValueError(f"denoiser {denoiser.name}: {error}") from None


def _suffix_shape(sequence_length: int, noise_density: float) -> RowShape:
    """One span holds all the noise, however long."""
    _check_arguments(sequence_length, noise_density, 1.0)
    raw = sequence_length - 2
    while (raw + 1) - round((raw + 1) * noise_density) + 2 <= sequence_length:
        raw += 1
        if raw > LONGEST_RAW_ROW:
            raise ValueError(f"{noise_density=}: a row would take more than {LONGEST_RAW_ROW} raw tokens; lower it")
    noise = round(raw * noise_density)
    shape = RowShape(sequence_length, raw, noise + 2, noise, 1)
    _check_shape(shape, f"sequence_length={sequence_length}, {noise_density=}, one span")
    return shape


def _row(raw: int, noise_density: float, mean_noise_span_length: float) -> RowShape:
    # Python's round, half to even in float64, decides lengths and masks alike (T5's mask rounds in float32).
    noise = round(raw * noise_density)
    spans = round(noise / mean_noise_span_length)
    return RowShape(raw - noise + spans + 1, raw, noise + spans + 1, noise, spans)


def _check_arguments(sequence_length: int, noise_density: float, mean_noise_span_length: float) -> None:
    if sequence_length < 2:
        raise ValueError(f"{sequence_length=}: must be at least 2 (one token and EOS)")
    if not 0.0 < noise_density < 1.0:
        raise ValueError(f"{noise_density=}: must lie between 0 and 1, both excluded")
    if not 1.0 <= mean_noise_span_length < float("inf"):
        raise ValueError(f"{mean_noise_span_length=}: must be a finite number of at least 1")


def _check_shape(shape: RowShape, settings: str) -> None:
    noise, spans = shape.num_noise_tokens, shape.num_noise_spans
    if noise < 1:
        raise ValueError(f"{settings}: no noise token in {shape.raw_length}; raise the length or the density")
    if spans < 1:
        raise ValueError(
            f"{settings}: {noise} noise tokens make no span; raise sequence_length or lower mean_noise_span_length"
        )
    check_segments(shape.raw_length, noise, spans, settings)


def check_segments(raw_length: int, noise: int, spans: int, settings: str) -> None:
    """Raises ValueError if there are more spans than tokens between them."""
    room = raw_length - noise
    if spans > room:
        raise ValueError(
            f"{settings}: {spans} noise spans need as many gaps, but only {room} tokens are left between them; "
            "lower noise_density or raise mean_noise_span_length"
        )


def check_short_row(shape: RowShape) -> None:
    """Raises ValueError if a row that ends between characters may be too short for its noise."""
    settings = (
        f"character_borders, sequence_length={shape.input_length}, rows of {shape.raw_length - SHORTEST_BY} ids"
    )
    check_segments(shape.raw_length - SHORTEST_BY, shape.num_noise_tokens, shape.num_noise_spans, settings)


def mask_counts(length: int, noise_density: float, mean_noise_span_length: float) -> tuple[int, int, int]:
    """(tokens, noise tokens, noise spans) of a mask over `length` tokens, as in T5's `random_spans_noise_mask`.

    Raises ValueError as `row_shape` does.
    """
    if length < 1:
        raise ValueError(f"{length=}: must be at least 1")
    _check_arguments(2, noise_density, mean_noise_span_length)
    raw = max(length, 2)
    noise = min(max(round(raw * noise_density), 1), raw - 1)
    spans = max(round(noise / mean_noise_span_length), 1)
    check_segments(raw, noise, spans, f"{length=}, {noise_density=}, {mean_noise_span_length=}")
    return raw, noise, spans
