"""A small language model of letters: one recurrent layer (gated recurrent unit, Cho et al., arXiv:1406.1078)."""

import gzip
import math
import zlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from tunesmith.generative.recursive.asking import whole
from tunesmith.generative.recursive.models import MODELS
from tunesmith.generative.recursive.subject import Array, Subject
from tunesmith.records import DataError, RecipeError

LENGTH, BATCH, RATE = 64, 32, 5e-3  # letters of a window, windows of an update, rate of Adam; assumption
STREAMS = 64  # texts written side by side; assumption
HELD, JUDGED = 0.1, 20_000  # the last tenth of the text is held out, so many letters of it are judged; assumption
FEWEST = 2_000  # letters of a text; assumption
WRITTEN = 20_000  # letters a generation writes to be measured; assumption
RARE = 0.02  # of the real letters: the rarest that hold no more are the tail; assumption


class Letters(nn.Module):
    """The next letter's logits."""

    def __init__(self, letters: int, width: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(letters, width // 2)
        self.layer = nn.GRU(width // 2, width, batch_first=True)
        self.head = nn.Linear(width, letters)

    def forward(self, codes: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """(B, T) codes and (1, B, width) state to (B, T, letters) logits and the state after them."""
        found, state = self.layer(self.embedding(codes), state)
        return self.head(found), state


@dataclass(frozen=True, slots=True)
class Writer:
    """A trained net and its alphabet."""

    net: Letters
    alphabet: str

    def sample(self, n: int, seed: int) -> str:
        """n letters: texts written side by side from a line's end on, one after the other."""
        generator = torch.Generator().manual_seed(seed)
        streams = min(STREAMS, n)
        start = max(self.alphabet.find("\n"), 0)
        codes, state = torch.full((streams, 1), start), None
        written = []
        with torch.no_grad():
            for _ in range(math.ceil(n / streams)):
                logits, state = self.net(codes, state)
                codes = torch.multinomial(logits[:, -1].softmax(dim=1), 1, generator=generator)
                written.append(codes)
        lines = torch.cat(written, dim=1).numpy()
        return "".join(self.alphabet[code] for code in lines.reshape(-1)[:n])

    def perplexity(self, text: str) -> float:
        """exp of the mean negative log likelihood of a letter of `text`."""
        codes = torch.from_numpy(encoded(text, self.alphabet))
        total, state = 0.0, None
        with torch.no_grad():
            for start in range(0, len(codes) - 1, 1000):
                some = codes[start : start + 1001]
                logits, state = self.net(some[None, :-1], state)
                total += float(nn.functional.cross_entropy(logits[0], some[1:], reduction="sum"))
        return math.exp(total / (len(codes) - 1))


@MODELS.add("letters")
def letters(text: str | Path | None = None, width: int = 96, updates: int = 300) -> Subject:
    """A language model of letters, trained on `text` (the text itself, or a file, also .gz); the same `updates` in every generation.

    n counts letters; real data are a stretch of the text, each replicate's its own. Measures `perplexity` on the last tenth of the real
    text, which nothing is trained on; `words`, how many different words of the real text stand in 20,000 letters it writes; and `tail`,
    the share of the rarest letters (those that hold 2 % of the real text) in what it writes, over their real share.
    """
    whole(2, width=width, updates=updates)
    every = read_text(text)
    alphabet = "".join(sorted(set(every)))
    kept = int(len(every) * (1 - HELD))
    body, judged = every[:kept], every[kept : kept + JUDGED]
    rare, share = rare_letters(every)
    words = set(every.split())

    def real(n: int, seed: int) -> str:
        if n > len(body):
            raise DataError(f"n = {n}: the text has {len(body)} letters beside the held-out tenth; ask for fewer")
        start = int(np.random.default_rng(seed).integers(len(body) - n + 1))
        return body[start : start + n]

    def fit(data: str, seed: int) -> Writer:
        return trained(data, alphabet, width, updates, seed)

    def measure(model: Writer, seed: int) -> Mapping[str, float | Array]:
        written = model.sample(WRITTEN, seed)
        tail = sum(letter in rare for letter in written) / len(written) / share
        return {"perplexity": model.perplexity(judged), "words": float(len(words & set(written.split()))), "tail": tail}

    return Subject(
        name="letters",
        fit=fit,
        real=real,
        measure=measure,
        settings={
            "text": f"{len(every)} letters, {zlib.crc32(every.encode()):08x}",
            "width": width,
            "updates": updates,
        },
    )


def read_text(text: str | Path | None) -> str:
    """A text, or what a file holds. Raises `DataError`."""
    if text is None:
        raise DataError("the model letters needs a text: name a file (--text FILE), of some thousand letters or more")
    if isinstance(text, Path) or ("\n" not in text and len(text) < FEWEST):
        file = Path(text)
        if not file.is_file():
            raise DataError(f"no file {file} to read a text from; expected a text file, also .gz")
        try:
            held = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
            text = held.decode("utf-8")
        except (UnicodeDecodeError, gzip.BadGzipFile) as error:
            raise DataError(f"{file} is no text in UTF-8 ({error}); expected plain letters, also as .gz") from error
    if len(text) < FEWEST:
        raise DataError(f"the text has {len(text)} letters; expected {FEWEST} or more")
    return text


def rare_letters(text: str) -> tuple[set[str], float]:
    """The rarest letters that together hold no more than 2 % of a text, one at least, and their share."""
    counted = sorted(Counter(text).items(), key=lambda one: (one[1], one[0]))
    found, share = {counted[0][0]}, counted[0][1] / len(text)
    for letter, count in counted[1:]:
        if share + count / len(text) > RARE:
            break
        found.add(letter)
        share += count / len(text)
    return found, share


def encoded(text: str, alphabet: str) -> Array:
    """int64 places in the alphabet."""
    place = {letter: code for code, letter in enumerate(alphabet)}
    return np.fromiter((place[letter] for letter in text), np.int64, len(text))


def trained(text: str, alphabet: str, width: int, updates: int, seed: int) -> Writer:
    """A net after so many updates of Adam on windows drawn at random, its rate falling to 0 as half a cosine."""
    if len(text) <= LENGTH:
        raise RecipeError(f"n = {len(text)}: more than {LENGTH} letters were expected in a generation")
    codes = torch.from_numpy(encoded(text, alphabet))
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = Letters(len(alphabet), width)
    optimizer = torch.optim.Adam(net.parameters(), lr=RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, updates)
    across = torch.arange(LENGTH + 1)
    for _ in range(updates):
        starts = torch.randint(len(codes) - LENGTH, (BATCH, 1), generator=generator)
        window = codes[starts + across]
        logits, _state = net(window[:, :-1])
        loss = nn.functional.cross_entropy(logits.flatten(0, 1), window[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
        schedule.step()
    return Writer(net.eval(), alphabet)
