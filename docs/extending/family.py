"""GPT-2 as a family. Other causal models of transformers need no more code than this."""

from tamiz.trainer.families import FAMILIES
from tamiz.trainer.families.causal import CausalSettings


@FAMILIES.register
class Gpt2(CausalSettings, frozen=True, kw_only=True, tag="toy-gpt2"):
    """The shape of a GPT-2."""

    title = "GPT-2"
    model_type = "gpt2"
    width: int = 16
    num_layers: int = 2
    positions: int = 1024

    @property
    def max_ids(self):
        return self.positions  # wider rows are refused

    def new(self, pad_id, eos_id, bos_id):
        from transformers import GPT2Config, GPT2LMHeadModel

        shape = {"vocab_size": self.vocab_size, "n_embd": self.width, "n_layer": self.num_layers, "n_head": 2}
        special = {"pad_token_id": pad_id, "eos_token_id": eos_id, "bos_token_id": bos_id}
        return GPT2LMHeadModel(GPT2Config(**shape, **special, n_positions=self.positions))
