"""Settings as fingerprints see them: keys and values of the first version, so that finished folders stay finished."""

from __future__ import annotations

from corpora.sampling.methods import sample_settings
from corpora.tokens.objectives import Causal, SpanCorruption
from tamiz.trainer.settings import TrainSettings

SHARED = {
    "packing": "concatenate", "bos": False, "eos": True, "character_borders": False, "validation_fraction": 0.01,
    "seed": 0, "window_groups": 256, "random_roll": None, "denoisers": [],
}  # fmt: skip
NOISE = {"noise_density": 0.15, "mean_noise_span_length": 3.0}


def test_shards():
    spans = SpanCorruption(sequence_length=512, noise_density=0.2).fingerprint_settings()
    expected = {**SHARED, **NOISE, "objective": "span-corruption", "sequence_length": 512, "noise_density": 0.2}
    assert spans == expected
    causal = Causal(sequence_length=2048, packing="best-fit").fingerprint_settings()
    assert causal == {**SHARED, **NOISE, "objective": "causal", "sequence_length": 2048, "packing": "best-fit"}


def test_samples():
    given = sample_settings(method="gaussian", width="bertin-early", keep=0.125).identity()
    assert given == {
        "method": "gaussian", "per": "language", "keep": 0.125, "keep_documents": None, "factor": None,
        "width": 2 / 9, "median": None, "boundaries": None, "percentiles": None, "keep_buckets": None, "seed": 0,
        "format": "parquet",
    }  # fmt: skip


def test_trainings():
    given = TrainSettings(steps=7, checkpoint_minutes=1.0, keep_checkpoint=False).identity()
    assert given == {
        "steps": 7, "batch_size": 32, "micro_batch_size": None, "learning_rate": 3e-3, "warmup_steps": 100,
        "ramp_steps": 0, "schedule": "inverse_sqrt", "weight_decay": 0.0, "betas": (0.9, 0.999), "epsilon": 1e-8,
        "clip_norm": 1.0, "validate_every": 500, "validation_batches": 8, "checkpoint_every": 500,
        "precision": "auto", "device": "auto", "span_corruption": None, "num_threads": 2, "seed": 0,
    }  # fmt: skip
