"""Scores a few documents, draws a sample of them, and shows the keep probability of each.

    python examples/score_and_sample.py [LM.bin]

Run it in the folder where you ran `make demo`, or name a language model.
"""

import sys

import numpy as np
import pyarrow as pa

from corpora.perplexity import PerplexityModel
from corpora.sampling import Gaussian, keep

DOCUMENTS = [
    "El tamiz separa la harina del salvado.",
    "La niña leyó el cuento a su abuela junto a la ventana.",
    "Los pescadores vuelven al puerto cuando empieza a llover.",
    "Inicio | Contacto | Mapa del sitio | Aviso legal | Cookies",
    "oferta oferta comprar comprar barato online",
]


def main(lm: str = "demo/lm/lm.bin") -> None:
    model = PerplexityModel(lm)
    perplexity = model.score(DOCUMENTS)  # float64[n]
    sampler = Gaussian(median=float(np.median(perplexity)), factor=0.9, width=2 / 9)
    probability = sampler.keep_probability(perplexity)  # float64[n]
    kept = keep(pa.table({"text": DOCUMENTS}), probability, seed=0)  # bool[n], the same on every machine

    print(f"{'perplexity':>10} {'probability':>11} kept")
    for text, pp, p, is_kept in zip(DOCUMENTS, perplexity, probability, kept, strict=True):
        print(f"{pp:10.1f} {p:11.2f} {'yes ' if is_kept else 'no  '} {text}")


if __name__ == "__main__":
    main(*sys.argv[1:])
