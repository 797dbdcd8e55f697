"""From text files and chats to what a training needs: read, divided, encoded, looked at."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tunesmith.data import splits
from tunesmith.data.fingerprint import fingerprint
from tunesmith.data.language.block import LanguageBlock, NothingTrains
from tunesmith.data.language.reading import Reading, read_samples
from tunesmith.data.language.samples import Sample
from tunesmith.data.pipeline import Pipeline
from tunesmith.data.spec import NO_ROWS, Array, Column, Part, Prepared, Split
from tunesmith.records import DataError, Recipe, RecipeError, Task
from tunesmith.records.messages import render

PARTS = {"val": "validation", "test": "final judgement"}


def prepare_language(task: Task, recipe: Recipe) -> Prepared:
    """Text to learn from, ready for training. Raises `DataError` for what cannot be read or cannot be meant."""
    _refuse_roles(task, recipe)
    readings = {
        part: read_samples(data, bad_rows=recipe.data.bad_rows)
        for part, data in (("train", task.train), ("val", task.val), ("test", task.test))
        if data is not None
    }
    notices = [notice for reading in readings.values() for notice in reading.notices]
    samples, split = divided(readings, recipe, notices)
    block = LanguageBlock.of(recipe, chats=any(sample.turns for sample in samples["train"]))
    train = block.learn(samples["train"])
    notices += block.notices
    others: dict[str, Part | None] = {}
    for part in ("val", "test"):
        others[part] = None
        if samples[part]:
            try:
                others[part], told = block.part(samples[part])
            except NothingTrains as error:
                if part in readings:
                    raise
                notices.append(f"nothing is kept for the {PARTS[part]}: {error}")
                continue
            notices += told if part in readings else ()
    columns = (Column("text", readings["train"].form, 0, None, f"{len(samples['train'])} samples", block.told("text")),)
    assert block.codec is not None
    pipeline = Pipeline("language", (block,), None, columns=columns)
    return Prepared(
        kind="language",
        train=train,
        val=others["val"],
        test=others["test"],
        spec=block.specs(),
        outputs=block.codec.vocabulary,
        pipeline=pipeline,
        columns=columns,
        findings=block.findings,
        notices=tuple(dict.fromkeys(notices)),
        fingerprint=fingerprint({part: as_texts(reading.samples) for part, reading in readings.items()}),
        split=split,
    )


def as_texts(samples: Sequence[Sample]) -> Array:
    """Each sample as one text, an object array (N,)."""
    texts = np.empty(len(samples), object)
    texts[:] = [sample.plainly() for sample in samples]
    return texts


def _refuse_roles(task: Task, recipe: Recipe) -> None:
    named = {"target": task.target, "group": task.group, "time": task.time, "sample_weight": task.sample_weight}
    given = [name for name, value in named.items() if value is not None]
    if given:
        raise DataError(
            f"a language model learns from text alone, and {given[0]} = {named[given[0]]!r} is named; leave it out, or name a kind of "
            "task that has a target"
        )
    if recipe.data.split not in ("auto", "random", "given"):
        raise RecipeError(
            f"data.split = {recipe.data.split!r} divides by classes, groups or times, which text to learn from has not; use 'random', or "
            "give validation and test data"
        )


def divided(
    readings: dict[str, Reading], recipe: Recipe, notices: list[str]
) -> tuple[dict[str, Sequence[Sample]], Split]:
    """The samples of each part. One single text is divided in order, samples at random, equal ones together."""
    whole = readings["train"].samples
    given: dict[str, Sequence[Sample]] = {
        part: readings[part].samples if part in readings else () for part in ("train", "val", "test")
    }
    shares = splits.Shares(
        0.0 if "val" in readings else recipe.data.val, 0.0 if "test" in readings else recipe.data.test
    )
    rows = np.array([sample.row for sample in whole], np.int64)
    if recipe.data.split == "given" or not (shares.val or shares.test):
        return given, Split("given", rows, NO_ROWS, NO_ROWS, recipe.train.seed)
    if len(whole) == 1 and not whole[0].turns:
        return _in_order(whole[0], given, shares, readings["train"].name, recipe, notices)
    if len(whole) < splits.FEWEST:
        notices.append(f"{len(whole)} samples are too few to set any aside: all are trained on and nothing is judged")
        return given, Split("given", rows, NO_ROWS, NO_ROWS, recipe.train.seed)
    texts = as_texts(whole).tolist()
    together = np.unique(texts, return_inverse=True)[1].reshape(-1) if recipe.data.keep_duplicates_together else None
    split = splits.random(len(whole), shares, recipe.train.seed, together)
    for part in ("train", "val", "test"):
        places = getattr(split, part)
        if part == "train" or len(places):
            given[part] = [whole[place] for place in places.tolist()]
    return given, Split("random", rows[split.train], rows[split.val], rows[split.test], recipe.train.seed)


def _in_order(
    one: Sample,
    given: dict[str, Sequence[Sample]],
    shares: splits.Shares,
    name: str,
    recipe: Recipe,
    notices: list[str],
) -> tuple[dict[str, Sequence[Sample]], Split]:
    """Beginning, middle and end of a text, cut at the line break nearest to each share."""
    text, size = one.text, len(one.text)
    begins = [
        _line_break(text, round(size * (1 - shares.val - shares.test))),
        _line_break(text, round(size * (1 - shares.test))),
    ]
    pieces = {"train": (0, begins[0]), "val": (begins[0], begins[1]), "test": (begins[1], size)}
    lengths = {}
    for part, (start, stop) in pieces.items():
        lengths[part] = stop - start
        if text[start:stop].strip():
            line = text.count("\n", 0, start) + 1
            given[part] = (Sample(one.row, f"line {line} of {name}", text[start:stop], ended=stop == size),)
    notices.append(render("language.one_text", {"name": name, **lengths}, recipe.run.language))
    rows: dict[str, Any] = {part: np.array([sample.row for sample in given[part]], np.int64) for part in given}
    return given, Split("order", **rows, seed=recipe.train.seed)


def _line_break(text: str, place: int) -> int:
    """Behind the line break nearest to a place; the place itself where there is none within a tenth of the text."""
    if place in (0, len(text)):
        return place
    before, after = text.rfind("\n", 0, place) + 1, text.find("\n", place) + 1
    near = [found for found in (before, after) if found > 0 and abs(found - place) <= len(text) // 10]
    return min(near, key=lambda found: abs(found - place)) if near else place
