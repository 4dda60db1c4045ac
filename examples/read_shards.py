"""Reads packed shards as batches of tensors, stops, and resumes at the very next batch.

    python examples/read_shards.py [SHARDS]

Run it where `make demo` ran, or name a folder of shards. `corpora.rows.ShardRows` gives the same batches as numpy
arrays, without torch.
"""

import sys
from itertools import islice

from tamiz.trainer import ShardDataset


def main(shards: str = "demo/shards") -> None:
    dataset = ShardDataset(shards, split="train", batch_size=16, seed=0)
    print(f"{dataset.rows} rows, {dataset.steps_per_epoch} batches of 16 in an epoch")

    batches = iter(dataset)
    for batch in islice(batches, 3):
        print({name: tuple(tensor.shape) for name, tensor in batch.items()})

    state = dataset.state_dict()  # counts the batches that you were given, not those made ahead
    print("state:", state)
    following = next(batches)

    resumed = ShardDataset(shards, split="train", batch_size=16, seed=0)
    resumed.load_state_dict(state)
    same = bool((next(iter(resumed))["input_ids"] == following["input_ids"]).all())
    print("resumed at the next batch:", same)


if __name__ == "__main__":
    main(*sys.argv[1:])
