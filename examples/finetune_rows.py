"""The rows of the fine-tuning examples, made from the demo's documents by rules, or read; their split and scores.

The demo's models are too small, and its documents too few, for real summaries and instructions. These rows can be
learnt by such a model, and a rule knows what is right.
"""

import json
import random
import re
from argparse import ArgumentTypeError
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from tamiz.recipes.load import DEMO

HELD_OUT = 0.25
PASSAGE_WORDS = 12
EACH = 300  # rows of each answer, at most
LANGUAGES = {"pt": "português", "en": "inglês", "": "espanhol"}  # the demo's folders
QUESTIONS: dict[str, Callable[[str, str], str]] = {
    "Em que língua está o texto?": lambda text, language: language,  # noqa: ARG005
    "O texto tem uma pergunta?": lambda text, language: "sim" if "?" in text else "não",  # noqa: ARG005
    "O texto tem uma vírgula?": lambda text, language: "sim" if "," in text else "não",  # noqa: ARG005
}

PLACES = ("Sevilla", "Bilbao", "Granada", "Toledo", "Murcia", "León")
WEATHER = ("lluvia", "sol", "nieve", "viento")
EVENTS = ("feria", "mercado", "teatro", "baile")
SAID_OF = {
    PLACES: ("Noticias de {}.", "Ocurrió en {}.", "Lo cuentan en {}."),
    WEATHER: ("Se espera {}.", "Hubo {} todo el día.", "Vuelve el tiempo de {}."),
    EVENTS: ("Hay {} esta noche.", "Se anuncia {} para el domingo.", "Muchos piden {}."),
}
NEWS = 1000


class Row(NamedTuple):
    """origin: all rows with the same origin are on the same side of the split."""

    origin: str
    instruction: str
    text: str
    answer: str

    @property
    def prompt(self) -> str:  # as in the recipe's template
        return "".join(f"{part}\n" for part in (self.instruction, self.text) if part)


def rows_in(instruction: str, text: str, answer: str) -> Callable[[str], list[Row]]:
    """The type of an option that names a file of JSON lines, whose keys these are; equal texts stay together."""

    def read(path: str) -> list[Row]:
        found = []
        try:
            for row in lines(Path(path)):
                asked, read_text = str(row.get(instruction) or ""), str(row.get(text) or "")
                found.append(Row(read_text or asked, asked, read_text, str(row[answer])))
        except (OSError, ValueError, AttributeError) as error:
            raise ArgumentTypeError(f"{path} can't be read as JSON lines: {error}") from None
        except KeyError as error:
            raise ArgumentTypeError(f"row {len(found) + 1} of {path} has no {error}") from None
        if not found:
            raise ArgumentTypeError(f"{path} has no rows")
        return found

    return read


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def question_rows(seed: int) -> list[Row]:
    """Questions about passages of the demo's good documents; a question's answers are equally frequent."""
    by_answer: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for folder, language in LANGUAGES.items():
        for text in good_texts(folder):
            words = text.split()
            for first in range(0, len(words) - PASSAGE_WORDS, PASSAGE_WORDS):
                passage = " ".join(words[first : first + PASSAGE_WORDS])
                for question, rule in QUESTIONS.items():
                    answer = rule(passage, language)
                    by_answer[question, answer].append(Row(text, question, passage, answer))
    draw = random.Random(seed)
    chosen = []
    for question in QUESTIONS:
        answered = [rows for (asked, _), rows in by_answer.items() if asked == question]
        each = min(EACH, *map(len, answered))
        chosen += [row for rows in answered for row in draw.sample(rows, each)]
    return chosen


def news_rows(seed: int) -> list[Row]:
    """Invented news in Spanish: a sentence each on a place, the weather and an event, and one of a document of the
    demo, in any order. The summary names the first three."""
    draw = random.Random(seed)
    documents = good_texts("")
    found = []
    for number in range(NEWS):
        origin = documents[number % len(documents)]
        chosen = [draw.choice(things) for things in SAID_OF]
        sentences = [draw.choice(said).format(x) for x, said in zip(chosen, SAID_OF.values(), strict=True)]
        sentences.append(" ".join(draw.choice(re.split(r"(?<=[.!?])\s+", origin)).split()[:5]))
        draw.shuffle(sentences)
        found.append(Row(origin, "", " ".join(sentences), "{}: {}, {}".format(*chosen)))
    return found


def good_texts(folder: str) -> list[str]:
    """The good documents of a folder of the demo, each once."""
    found = [row for name in ("clean", "documents") for row in lines(DEMO / folder / f"{name}.jsonl")]
    return list(dict.fromkeys(row["text"] for row in found if re.search("/(clean|good)/", row["url"])))


def split(rows: list[Row], seed: int) -> tuple[list[Row], list[Row]]:
    """(training, held out), by origin."""
    origins = sorted({row.origin for row in rows})
    random.Random(seed).shuffle(origins)
    held_out = set(origins[: int(len(origins) * HELD_OUT)])
    return [r for r in rows if r.origin not in held_out], [r for r in rows if r.origin in held_out]


def shuffled(rows: list[Row], seed: int) -> list[Row]:
    """The answers change places: among the rows of an instruction, or among those whose instruction occurs once."""
    count = Counter(row.instruction for row in rows)
    groups = [row.instruction if count[row.instruction] > 1 else "" for row in rows]
    answers: dict[str, list[str]] = defaultdict(list)
    for row, group in zip(rows, groups, strict=True):
        answers[group].append(row.answer)
    for group in answers.values():
        random.Random(seed).shuffle(group)
    return [row._replace(answer=answers[group].pop()) for row, group in zip(rows, groups, strict=True)]


def rouge_l(written: str, right: str) -> float:
    """F1 of the longest common subsequence of words, 0 to 1 (Lin 2004); case and punctuation don't count."""
    a, b = (re.findall(r"\w+", text.lower()) for text in (written, right))
    longest = [0] * (len(b) + 1)
    for word in a:
        above = 0
        for column, other in enumerate(b, 1):
            above, longest[column] = (
                longest[column],
                (above + 1 if word == other else max(longest[column], longest[column - 1])),
            )
    return 2 * longest[-1] / (len(a) + len(b)) if a or b else 0.0
