"""Embeddings that collapsed: every remedy changes the training, the right ones are proved, a probe has its say, a repair goes on."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import tunesmith as ts
from tunesmith.generative.mending.embedding_remedies import EMBEDDING_REMEDIES
from tunesmith.generative.mending.encoders import Encoders, Sitting
from tunesmith.records import Clock, DataError, Recipe, revise
from tunesmith.reports import QuietDisplay

WIDTH, KINDS = 20, 8
RECIPE = {"train.steps": 480, "train.batch_size": 64, "optim.lr": 2e-3}


def rows(count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Rows around eight centres, and which."""
    generator = torch.Generator().manual_seed(seed)
    kinds = torch.randint(0, KINDS, (count,), generator=generator)
    centres = torch.randn(KINDS, WIDTH, generator=torch.Generator().manual_seed(9))
    return centres[kinds] + 1.2 * torch.randn(count, WIDTH, generator=generator), kinds


def encoder() -> nn.Module:
    return nn.Sequential(nn.Linear(WIDTH, 32), nn.ReLU(), nn.Linear(32, 24))


def task(**about: Any) -> ts.Embedding:
    return ts.Embedding(**{"encoder": encoder, "data": rows(700, 0)[0], "width": 24, "norm": "none", **about})


def sitting(**about: Any) -> Sitting:
    return Sitting(task(**about), revise(Recipe(), RECIPE))


SICK = {"stop_gradient": False}


def sick() -> ts.Embedding:
    return task(**SICK)


def test_every_remedy_that_is_possible_trains_and_changes_the_training() -> None:
    subject = sitting(stop_gradient=False, predictor=False)
    encoders = Encoders(subject, 12, None)
    offers, unfit = encoders.offers(subject)
    plain = encoders.twin(subject, 0, Clock())
    assert plain is not None

    told = {offer.change: encoders.twin(subject.changed(offer), 0, Clock()) for _, offer in offers}

    assert unfit == {}
    assert {name for name, _ in offers} == {*EMBEDDING_REMEDIES}
    assert plain["probe"] is None
    for change, one in told.items():
        assert one is not None
        assert not one["broke"]
        # without a predictor both sides are one, and a stop-gradient halves the gradient, which Adam does not see
        assert one["looks"] != plain["looks"] or change == "stop-gradient on"


def test_what_is_not_possible_is_said() -> None:
    subject = Sitting(task(rule="info_nce", width=0), revise(Recipe(), {"train.batch_size": 300, "train.steps": 12}))

    offers, unfit = Encoders(subject, 12, None).offers(subject)

    assert [name for name, _ in offers] == ["variance"]
    assert "no projector" in unfit["batch_norm"]
    assert "simsiam" in unfit["stop_gradient"]
    assert "simsiam and byol" in unfit["predictor"]
    assert "negatives already" in unfit["negatives"]
    assert "more than the 595" in unfit["larger_batch"]
    normed = Sitting(task(rule="vicreg", norm="all"), revise(Recipe(), {"train.batch_size": 32, "train.steps": 12}))
    assert {"batch_norm", "variance"} <= set(Encoders(normed, 12, None).offers(normed)[1])


def test_marks_are_shares_of_what_there_is_to_be_had() -> None:
    subject = sitting()
    encoders = Encoders(subject, 12, rows(200, 1))
    told = encoders.twin(subject, 0, Clock())
    assert told is not None
    sick = {**told, "looks": [{**one, "common": 0.9996, "effective_rank": 1.0} for one in told["looks"]]}

    sound, flat = encoders.played(told), encoders.played(sick)

    assert [one.name for one in sound.marks] == [
        "embedding_spread_normalised",
        "embedding_rank",
        "embedding_spread",
        "probe_accuracy",
    ]
    assert all(0 <= one.value <= 1 and one.error > 0 for one in sound.marks)
    assert flat.mark("embedding_spread_normalised").value == pytest.approx(0.02)
    assert flat.mark("embedding_rank").value < sound.mark("embedding_rank").value
    assert sound.mark("embedding_spread").value == 1.0  # cosines do not see it
    assert sound.mark("probe_accuracy").goal is False


@pytest.mark.slow
def test_a_training_without_stop_gradient_is_mended_and_what_did_not_help_is_listed(tmp_path: Path) -> None:
    told = ts.repair(task(**SICK), RECIPE, updates=240, labelled=rows(600, 1), folder=tmp_path)
    lines = (tmp_path / "twins.jsonl").read_bytes().splitlines(keepends=True)
    (tmp_path / "twins.jsonl").write_bytes(b"".join(lines[:2]))
    again = ts.repair(task(**SICK), RECIPE, updates=240, labelled=rows(600, 1), folder=tmp_path, resume=True)

    assert [one.fault for one in told.findings] == ["collapse.representation"]
    assert told.changed
    assert told.seeds == 3
    assert told.before < 0.2 < 0.5 < told.after
    assert not told.left
    probe = told.changes[0].as_dict()["marks"]["probe_accuracy"]
    assert sum(probe["after"]) >= sum(probe["before"]) - 3 * 2 * probe["noise"]
    assert [one.change for one in again.changes] == [one.change for one in told.changes]
    assert (again.before, again.after) == (told.before, told.after)
    run = ts.train_embedding(told.task, {**RECIPE, **told.change, "train.steps": 240}, display=QuietDisplay())
    assert [one.fault for one in run.findings] == []


@pytest.mark.slow
def test_what_hides_from_the_spread_is_mended_by_its_rank() -> None:
    """Batch norm keeps every dimension's spread while they become alike."""
    told = ts.repair(task(norm="all", **SICK), RECIPE, updates=240)

    assert [one.message for one in told.findings] == ["embedding.few"]
    assert told.measure == "embedding_rank"
    assert told.after > told.before + 0.1


@pytest.mark.slow
def test_a_sound_training_is_left_alone() -> None:
    told = ts.repair(task(rule="vicreg"), RECIPE, updates=240)

    assert not told.changed
    assert not told.tried
    assert "linear probe" in told.notices[0]


def test_a_run_that_told_it_brings_recipe_and_length() -> None:
    run = ts.train_embedding(task(**SICK), {**RECIPE, "train.steps": 160, "eval.every": 20}, display=QuietDisplay())
    assert [one.fault for one in run.findings][:1] == ["collapse.representation"]

    told = ts.repair(task(**SICK), run=run, epochs=0.1)
    sound = ts.repair(task(**SICK), RECIPE, updates=12, epochs=1.3)

    assert "budget was spent" in told.notices[-1]
    assert sound.seeds == 1
    with pytest.raises(DataError, match=r"no collapse\.mode that stands"):
        from tests.generative import gan_target

        ts.repair(gan_target.gan(), run=run)


def test_labels_that_do_not_fit_are_refused() -> None:
    from tests.generative import gan_target

    with pytest.raises(DataError, match="5 labelled rows came with 3 labels"):
        ts.repair(task(), RECIPE, labelled=(torch.zeros(5, WIDTH), [0, 1, 2]))
    with pytest.raises(DataError, match="came with a Gan"):
        ts.repair(gan_target.gan(), {"train.steps": 24, "train.batch_size": 32}, labelled=rows(5, 0))
