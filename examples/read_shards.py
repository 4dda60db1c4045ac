"""Reads packed shards as batches of tensors, stops, and resumes with exactly the next batch.

    python examples/read_shards.py [SHARDS]

Run it in the folder where you ran `make demo`, or name a folder of shards. `corpora.rows.ShardRows` yields the same
batches as numpy arrays, without torch.
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

    state = dataset.state_dict()  # counts the batches that you received, not prefetched ones
    print("state:", state)
    following = next(batches)

    resumed = ShardDataset(shards, split="train", batch_size=16, seed=0)
    resumed.load_state_dict(state)
    same = bool((next(iter(resumed))["input_ids"] == following["input_ids"]).all())
    print("resumed at the next batch:", same)


if __name__ == "__main__":
    main(*sys.argv[1:])
