"""text_lengths: texts that the longest sample cuts.

Sees      the lengths of all training texts in the tokens that the training would fit, against data.max_seq_len; and whether the
          classes of the texts that are cut are other than those of the rest. Of a language model: labels and end tokens lost.
Matters   what is cut is not read; where one class has the long texts, it is that class that suffers.
Remedies  a longer limit; cutting the middle in place of the end (risky: both change what is read).
Limits    a note up to 5 % of the rows and tokens. The vocabulary is fitted on at most 20,000 texts.
Source    share: assumption, as in the reading of texts; chi-square test for the classes.
"""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from scipy.stats import chi2_contingency

from tunesmith.data.language.block import LanguageBlock
from tunesmith.data.language.samples import Sample
from tunesmith.data.spec import Array
from tunesmith.data.text import TextBlock
from tunesmith.doctor.audits.catalogue import audit
from tunesmith.doctor.audits.material import Material
from tunesmith.doctor.audits.naming import subject_at, thinned
from tunesmith.records import DataError, Evidence, Finding
from tunesmith.records.check import PASS, Inapplicable

MOST = 20_000  # texts that are looked at; assumption


@audit("text_lengths", faults=("data.too_long",), cost=PASS)
def text_lengths(material: Material) -> Iterator[Finding]:
    if material.kind == "language":
        yield from _of_samples(material)
        return
    names = [name for name in material.words("text") if name not in material.roles.values()]
    if not names:
        raise Inapplicable("no column holds text")
    rows = thinned(len(material.train), MOST)
    view = material.train.take(rows) if len(rows) < len(material.train) else material.train
    settings = material.recipe.data.model_copy(update={"too_long": "cut_end"})
    block = TextBlock(names, settings if material.recipe.data.too_long == "error" else material.recipe.data)
    try:
        block.fit(view.table)
    except DataError as error:
        raise Inapplicable(str(error)) from None
    assert block.report is not None
    material.measured["text lengths"] = {
        "median": block.report.median,
        "longest": block.report.longest,
        "limit": block.length,
    }
    for finding in block.findings:
        lengths = _lengths(block, view.table)
        places = np.flatnonzero(lengths > block.length)
        places = places[np.argsort(-lengths[places], kind="stable")]
        subject = {**subject_at(view, places), "scores": lengths[places].tolist(), "columns": names}
        evidence = finding.evidence
        if view.codes is not None:
            chance = _chance(lengths > block.length, view.codes)
            evidence += (
                Evidence(name="p that the classes of cut texts are those of all", value=chance, threshold=0.01),
            )
        yield replace(finding, evidence=evidence, subject={**finding.subject, **subject})


def _of_samples(material: Material) -> Iterator[Finding]:
    """What the limit costs a language model: labels and end tokens."""
    samples: list[Sample] = material.kept("samples", list)
    block = LanguageBlock.of(material.recipe, chats=any(sample.turns for sample in samples))
    try:
        block.learn(samples)
    except DataError as error:  # the training would not begin, and says so itself
        raise Inapplicable(str(error)) from None
    assert block.report is not None
    limits = {"median": block.report.median, "longest": block.report.longest, "limit": block.length}
    material.measured["text lengths"] = limits
    yield from block.findings


def _lengths(block: TextBlock, table: object) -> Array:
    from tunesmith.data.text import texts_of

    texts, _ = texts_of(table, block.names)  # type: ignore[arg-type]
    assert block.tokenizer is not None
    _, offsets = block.tokenizer.encode(texts)
    return np.diff(offsets) + block.settings.end_of_text


def _chance(cut: Array, codes: Array) -> float:
    table = np.zeros((2, int(codes.max(initial=0)) + 1), np.int64)
    known = codes >= 0
    np.add.at(table, (cut[known].astype(np.int64), codes[known]), 1)
    table = table[:, table.sum(0) > 0]
    return float(chi2_contingency(table, correction=False).pvalue) if table.shape[1] > 1 and table.sum(1).all() else 1.0
