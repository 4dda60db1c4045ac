"""What `benchmarks.train` measures, on a GPU and on a CPU: models, rows, batches; and what others have published."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

TAMIZ, TRANSFORMERS, COMPILED = "tamiz", "transformers", "transformers, compiled"
PLAIN = "transformers, float32 and eager"  # what losses are compared with


@dataclass(frozen=True)
class Shape:
    """A model and its rows. family, model: of tamiz's settings. width: ids of a row that are read; targets: ids of
    its labels, 0 for causal models. documents: in each row; more than one masks them (Llama)."""

    name: str
    family: str
    model: Mapping[str, Any]
    width: int
    targets: int = 0
    documents: int = 1

    @property
    def tokens(self) -> int:
        """Ids of a row, those of a decoder included."""
        return self.width + self.targets


@dataclass(frozen=True)
class Block:
    """One measurement, in a process of its own. batch, micro: rows of a step and of a forward pass. steps: all of
    them, of which the first `warm_up` aren't timed. kernels: of attention, of which one must have run on a GPU;
    none: whichever. seconds: after which it is given up. more: settings of tamiz's training. losses: whether each
    step's loss is told, which takes a look at the device in each step."""

    shape: Shape
    who: str = TAMIZ
    batch: int = 64
    micro: int = 64
    steps: int = 30
    warm_up: int = 10
    seconds: int = 120
    kernels: tuple[str, ...] = ()
    more: Mapping[str, Any] = field(default_factory=dict)
    losses: bool = False

    @property
    def name(self) -> str:
        documents = f", {self.shape.documents} documents a row" if self.shape.documents > 1 else ""
        precision = f", {self.more['precision']}" if "precision" in self.more else ""
        return f"{self.shape.name}, {self.batch} rows, {self.micro} at a time{documents}{precision}: {self.who}"

    def asdict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def of(cls, plain: Mapping[str, Any]) -> Block:
        """From `asdict`, also by way of JSON."""
        given = dict(plain)
        return cls(**{**given, "shape": Shape(**given["shape"]), "kernels": tuple(given["kernels"])})


LLAMA_160M = Shape("TeenyTinyLlama-160m", "llama", {"vocab_size": 32000}, 2048)
LLAMA_460M = Shape(
    "TeenyTinyLlama-460m", "llama",
    {"vocab_size": 32000, "hidden_size": 1024, "intermediate_size": 4096, "num_layers": 24, "num_heads": 16}, 2048,
)  # fmt: skip
T5_BASE = Shape(
    "T5-1.1-base", "t5",
    {"num_layers": 12, "num_decoder_layers": 12, "d_model": 768, "d_ff": 2048, "num_heads": 12, "vocab_size": 32128,
     "feed_forward": "gated-gelu", "tie_embeddings": False}, 512, 114,
)  # fmt: skip
T5_TINY = Shape("T5-Spanish-Efficient-Tiny", "t5", {"vocab_size": 5000}, 512, 114)
GPTJ_6B = Shape("GPT-J-6B", "gptj", {"vocab_size": 50400}, 2048)
LLAMA_SMALL = Shape(
    "Llama of 3 million", "llama",
    {"hidden_size": 192, "intermediate_size": 576, "num_layers": 5, "num_heads": 6, "vocab_size": 4000,
     "max_position_embeddings": 256, "tie_embeddings": True}, 256,
)  # fmt: skip
T5_SMALLEST = Shape(
    "T5 of a test", "t5",
    {"num_layers": 1, "num_decoder_layers": 1, "d_model": 16, "d_ff": 32, "d_kv": 8, "num_heads": 2,
     "vocab_size": 64}, 16, 6,
)  # fmt: skip
LLAMA_SMALLEST = Shape(
    "Llama of a test", "llama",
    {"hidden_size": 16, "intermediate_size": 32, "num_layers": 1, "num_heads": 2, "vocab_size": 64}, 32,
)  # fmt: skip

FUSED, FLEX, BIASED = ("cudnn", "flash"), ("flex",), ("efficient", "flex")


def gpu_blocks() -> list[Block]:
    """In the order of what they tell: a run that is cut short has the first ones. training.md C5."""
    several = replace(LLAMA_160M, documents=8)
    return [
        Block(LLAMA_160M, kernels=FUSED, seconds=150),
        Block(several, kernels=FLEX, seconds=150),
        Block(LLAMA_160M, batch=64, micro=32, kernels=FUSED),
        Block(T5_BASE, batch=128, micro=128, kernels=BIASED, seconds=150),
        Block(LLAMA_460M, batch=64, micro=32, steps=16, warm_up=6, kernels=FUSED, seconds=150),
        Block(T5_TINY, batch=512, micro=512, kernels=BIASED),
        Block(LLAMA_160M, who=TRANSFORMERS, micro=32, steps=16, warm_up=6),
        Block(several, batch=64, micro=32, kernels=FLEX),
        Block(T5_BASE, who=TRANSFORMERS, batch=128, micro=64, steps=16, warm_up=6),
        Block(LLAMA_160M, who=COMPILED, micro=32, steps=16, warm_up=6, seconds=150),
        Block(GPTJ_6B, batch=1, micro=1, steps=4, warm_up=2, seconds=240, more={"checkpoint_activations": True}),
    ]


def cpu_blocks(rounds: int, auto_is_float32: bool = False) -> list[Block]:
    """Product and peer in turn, `rounds` times: in float32, and with the precision that tamiz chooses if that is
    another one."""
    t5 = Block(T5_TINY, batch=16, micro=4, steps=8, warm_up=2, seconds=600)
    llama = Block(LLAMA_SMALL, batch=16, micro=4, steps=8, warm_up=2, seconds=600)
    return [
        replace(block, who=who, more=more)
        for number in range(rounds)
        for block in (t5, llama)
        for more in ({"precision": "float32"}, *(() if auto_is_float32 else ({},)))
        for who in ((TAMIZ, TRANSFORMERS) if number % 2 == 0 else (TRANSFORMERS, TAMIZ))
    ]


def tiny_blocks() -> list[Block]:
    """Each part once, too small to show anything."""
    return [
        Block(shape, who=who, batch=4, micro=2, steps=4, warm_up=1, seconds=300)
        for shape in (T5_SMALLEST, LLAMA_SMALLEST, replace(LLAMA_SMALLEST, documents=3))
        for who in (TAMIZ, TRANSFORMERS)
    ]


def check_blocks(where: str) -> list[tuple[Block, Block]]:
    """Product and plain peer on the same steps: a causal model with masked documents, and a T5. where: gpu, cpu or
    tiny. On a GPU, models as wide as those that are measured, so that the same kernels run."""
    llama, t5, batch = {
        "gpu": (_shallow(LLAMA_160M, num_layers=2), _shallow(T5_BASE, num_layers=1, num_decoder_layers=1), 8),
        "cpu": (LLAMA_SMALL, T5_TINY, 4),
        "tiny": (LLAMA_SMALLEST, T5_SMALLEST, 4),
    }[where]
    product = [
        Block(
            shape,
            batch=batch,
            micro=batch // 2,
            steps=5,
            warm_up=1,
            seconds=120 if where == "gpu" else 600,
            losses=True,
        )
        for shape in (replace(llama, documents=4), t5)
    ]
    return [(block, replace(block, who=PLAIN)) for block in product]


def _shallow(shape: Shape, **layers: int) -> Shape:
    return replace(shape, name=f"{shape.name}, fewer layers", model={**shape.model, **layers})


@dataclass(frozen=True)
class Published:
    """A figure of others, with the hardware that it was measured on."""

    model: str
    hardware: str
    figure: str
    mfu: str
    source: str


# MFU where no source states it: own arithmetic from the stated speed; of 312 TFLOP/s for an A100
PUBLISHED = (
    Published("Tucano-160m, TeenyTinyLlama-160m's shape", "8 A100-80", "131,000 tokens/s on each",
              "41% by 6N, 50.5% by 6N + attention", "Nkluge-correa/Tucano"),
    Published("TeenyTinyLlama-160m", "A100-40", "26,900 tokens/s", "8.4% by 6N, 10.4% by 6N + attention",
              "arXiv:2401.16640"),
    Published("T5-1.1-base, 128 rows of 512", "A100", "0.56 s a step", "31%", "PiotrNawrot/nanoT5"),
    Published("Polygl0t 52M, rows of 4,096", "A100", "361,000 tokens/s", "62% of 300 TFLOP/s",
              "Polygl0t/llm-foundry"),
    Published("TinyLlama 1.1B", "A100-40", "24,000 tokens/s", "56%", "jzhang38/TinyLlama"),
    Published("FAT5-small, 147M", "A100", "79,700 tokens/s", "", "catie-aq/flashT5"),
    Published("nanochat d12", "8 H100", "", "41%", "karpathy/nanochat dev/LOG.md"),
)  # fmt: skip
