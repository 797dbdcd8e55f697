"""What the manual page of every member keeps."""

import re

import pytest

from tunesmith.reports.plot import Look
from tunesmith.verbs.catalogues import CATALOGUES, catalogue, words
from tunesmith.verbs.drawings import drawing
from tunesmith.verbs.explain import explain

MEMBERS = [(family, name) for family in CATALOGUES for name in catalogue(family)]
CHOSEN = (
    "activation",
    "augment",
    "init",
    "loss",
    "norm",
    "optimizer",
    "pooling",
    "schedule",
    "warmup",
)  # somebody has to choose
NO_PAPER = {  # definitions that nobody claims
    "augment.none",
    "loss.binary_cross_entropy",
    "loss.mae",
    "loss.masked_huber",
    "loss.masked_mae",
    "loss.masked_mse",
    "loss.mse",
    "norm.none",
    "warmup.multi_step",
    "warmup.poly",
}


@pytest.mark.parametrize(("family", "name"), MEMBERS)
def test_a_page_says_what_a_member_is_and_fits(family, name):
    said = words(family, name)

    for width in (80, 120):
        lines = explain(f"{family}.{name}", width=width).splitlines()
        assert lines[0].startswith(f"{family}.{name}")
        assert max(map(len, lines)) <= width
    assert len(said.formula.split()) >= 2
    assert said.formula[0] not in " >"


@pytest.mark.parametrize(("family", "name"), [one for one in MEMBERS if one[0] in CHOSEN])
def test_who_chooses_is_told_when_and_from_where(family, name):
    said = words(family, name)

    assert len(said.rows.get("Use", "").split()) >= 4, "a line `Use: …` in the docstring"
    if f"{family}.{name}" not in NO_PAPER:
        assert len(said.rows.get("Source", "").split()) >= 2, (
            "a line `Source: …`, or a source in the first line of the file"
        )


@pytest.mark.parametrize(
    ("family", "name"), [one for one in MEMBERS if one[0] in ("init", "loss", "norm", "optimizer")]
)
def test_a_source_can_be_found(family, name):
    source = words(family, name).rows.get("Source", "")

    known = r"arXiv:\d{4}\.\d{4,5}|math-ph/|\b(?:19|20)\d\d\b|torch|TensorFlow|Keras|JAX|scikit"
    assert re.search(known, source) or f"{family}.{name}" in NO_PAPER


@pytest.mark.parametrize(("family", "name"), MEMBERS)
def test_a_picture_fits_and_can_do_with_plain_letters(family, name):
    drawn = drawing(family, name)

    if drawn is None:
        assert family not in ("activation", "init", "warmup")
        return
    plain, fine = drawn.text(Look(80, plain=True)), drawn.text(Look(80))
    assert all(line.isascii() for line in plain)
    assert max(map(len, [*plain, *fine])) <= 80
    assert drawn.small().startswith("<svg xmlns=")
    assert len(drawn.small()) < 6000
