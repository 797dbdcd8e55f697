"""The mending of a collapse: what counts as proof, how budget and folder are kept to, and that true twins tell remedies apart."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import tunesmith as ts
from tests.generative import gan_target
from tunesmith.generative import mixture, ring
from tunesmith.generative.mending.mending import mended
from tunesmith.generative.mending.offer import Offer
from tunesmith.generative.mending.players import Games, Match
from tunesmith.generative.mending.proof import Mark, Pairs, Played
from tunesmith.records import Clock, DataError, Finding, Recipe, RecipeError, RunError, revise
from tunesmith.reports import QuietDisplay

# A subject without trainings: what each change comes to is written down


def played(lost: float, precision: float = 0.5, *, error: float = 0.05, collapsed: bool | None = None) -> Played:
    stands = lost > 0.3 if collapsed is None else collapsed
    return Played(
        marks=(
            Mark(name="lost_mass", value=lost, error=error, higher=False, goal=True),
            Mark(name="made_precision", value=precision, error=0.02, higher=True, goal=False),
        ),
        collapsed=stands,
        findings=(
            Finding(
                fault="collapse.mode",
                severity="warning",
                message="gan.returned",
                values={"looks": 6, "step": 1, "lost": lost},
            ),
        )
        if stands
        else (),
        passes=1.0,
        seconds=1.0,
    )


@dataclass(frozen=True)
class Paper:
    task: tuple[str, ...] = ()
    recipe: Recipe = field(default_factory=Recipe)

    def changed(self, offer: Offer) -> "Paper":
        return replace(self, task=(*self.task, offer.change))


class Written:
    """`figures` gives (lost, precision) by seed for each path of changes."""

    fault, measure, updates = "collapse.mode", "lost_mass", 10
    notices: tuple[str, ...] = ()

    def __init__(self, figures: Mapping[tuple[str, ...], Any]) -> None:
        self.figures, self.trained = dict(figures), list[tuple[tuple[str, ...], int]]()

    def settings(self, patient: Paper) -> dict[str, Any]:
        return {"task": patient.task}

    def passes(self, patient: Paper) -> float:
        return 1.0

    def twin(self, patient: Paper, seed: int, clock: Clock) -> dict[str, Any] | None:
        self.trained.append((patient.task, seed))
        figure = self.figures[patient.task]
        return {"figure": figure if isinstance(figure, str) else figure[seed]}

    def played(self, told: Mapping[str, Any]) -> Played:
        found = told["figure"]
        return Played(broke=found, passes=1.0) if isinstance(found, str) else played(*found)

    def offers(self, patient: Paper) -> tuple[list[tuple[str, Offer]], dict[str, str]]:
        names = sorted({path[-1] for path in self.figures if path and path[:-1] == patient.task})
        return [("balance", Offer(change=name, recipe={"optim.lr": 0.1})) for name in names], {
            "packing": "it is written on paper"
        }


PLAIN = {(): [(0.9, 0.5), (0.9, 0.5), (0.9, 0.5)]}


def test_what_wins_on_every_seed_is_kept_and_what_does_not_is_listed_with_its_figures() -> None:
    subject = Written(PLAIN | {("a",): [(0.85, 0.5)] * 3, ("b",): [(0.05, 0.5)] * 3, ("c",): [(0.0, 0.5)] * 3})

    told = mended(Paper(), subject)

    assert told.task == ("b",)
    assert [one.change for one in told.changes] == ["b"]
    assert (told.before, told.after, told.seeds) == (0.9, 0.05, 3)
    assert [(one.change, one.why) for one in told.tried] == [("a", "mending.vain")]
    assert "lost mass 0.850 instead of 0.900" in told.tried[0].because
    assert [one.value for one in told.changes[0].evidence if one.name == "lost_mass"] == [0.05] * 3
    assert told.notices == ["not tried, since what was kept went the whole way: c"]
    assert told.findings
    assert not told.left
    assert told.unfit == {"packing": "it is written on paper"}
    assert told.change == {"optim.lr": 0.1}
    assert "recipe['optim.lr'] = 0.1" in told.lines


@pytest.mark.parametrize(
    ("figures", "why"),
    [
        ([(0.05, 0.5), (0.9, 0.5), (0.9, 0.5)], "mending.vain"),  # one lucky seed
        ([(0.05, 0.5), (0.95, 0.5), (0.0, 0.5)], "mending.vain"),  # worse on one
        ([(0.05, 0.2), (0.05, 0.2), (0.05, 0.2)], "mending.worse"),  # modes at the price of precision
        ([(0.8, 0.5), (0.8, 0.5), (0.8, 0.5)], "mending.vain"),  # within error
        ("a number is not finite", "mending.broke"),
    ],
)
def test_what_is_not_proved_is_not_kept(figures: Any, why: str) -> None:
    told = mended(Paper(), Written(PLAIN | {("a",): figures}))

    assert told.task == ()
    assert not told.changed
    assert [one.why for one in told.tried] == [why]
    assert told.after == told.before == 0.9


def test_a_part_of_the_way_is_kept_and_the_next_round_goes_on_from_it() -> None:
    half = [(0.4, 0.5)] * 3
    subject = Written(PLAIN | {("a",): half, ("b",): [(0.7, 0.5)] * 3, ("a", "c"): [(0.0, 0.5)] * 3})

    told = mended(Paper(), subject)

    assert told.task == ("a", "c")
    assert (told.before, told.after) == (0.9, 0.0)
    assert [(one.change, one.why) for one in told.tried] == [("b", "mending.less")]


def test_a_sound_training_and_one_that_broke_are_left_alone() -> None:
    sound = mended(Paper(), Written({(): [(0.0, 0.5)], ("a",): [(0.0, 0.5)]}))
    broken = mended(Paper(), Written({(): "no number"}))

    assert not sound.changed
    assert not sound.tried
    assert "no collapse.mode stood" in sound.notices[0]
    assert not broken.changed
    assert "no number" in broken.notices[0]


@pytest.mark.parametrize(
    ("epochs", "why", "unreached"), [(3.0, "mending.unproved", []), (2.0, "mending.unproved", []), (1.0, None, ["a"])]
)
def test_a_change_without_a_second_seed_is_no_remedy(epochs: float, why: str | None, unreached: list[str]) -> None:
    told = mended(Paper(), Written(PLAIN | {("a",): [(0.05, 0.5)] * 3}), epochs=epochs)

    assert not told.changed
    assert told.spent <= epochs
    assert [one.why for one in told.tried] == ([] if why is None else [why])
    assert told.findings.unreached == unreached


def test_two_seeds_are_enough_where_the_budget_ends() -> None:
    told = mended(Paper(), Written(PLAIN | {("a",): [(0.05, 0.5)] * 3}), epochs=4.0)

    assert told.task == ("a",)
    assert told.seeds == 2


def test_seconds_that_are_spent_end_it() -> None:
    told = mended(Paper(), Written(PLAIN), seconds=1e-9)

    assert "budget was spent" in told.notices[0]


def test_a_repair_that_was_stopped_trains_only_what_is_not_there(tmp_path: Path) -> None:
    figures = PLAIN | {("a",): [(0.85, 0.5)] * 3, ("b",): [(0.05, 0.5)] * 3}
    whole, again = Written(figures), Written(figures)
    first = mended(Paper(), whole, folder=tmp_path)
    lines = (tmp_path / "twins.jsonl").read_bytes().splitlines(keepends=True)
    (tmp_path / "twins.jsonl").write_bytes(b"".join(lines[:3]) + lines[3][:10])  # killed while it wrote

    second = mended(Paper(), again, folder=tmp_path, resume=True)

    assert again.trained == whole.trained[3:]
    assert {**second.as_dict(), "seconds": 0} == {**first.as_dict(), "seconds": 0}
    assert (tmp_path / "twins.jsonl").read_bytes() == b"".join(lines)


def test_a_folder_of_another_repair_is_refused(tmp_path: Path) -> None:
    mended(Paper(), Written(PLAIN), folder=tmp_path)

    with pytest.raises(RunError, match="holds a repair; resume it"):
        mended(Paper(), Written(PLAIN), folder=tmp_path)
    with pytest.raises(RunError, match="other task"):
        mended(Paper(("x",)), Written(PLAIN), folder=tmp_path, resume=True)
    with pytest.raises(RecipeError, match="without a folder"):
        mended(Paper(), Written(PLAIN), resume=True)
    (tmp_path / "twins.jsonl").write_text("{}\n", encoding="utf-8")
    with pytest.raises(RunError, match=r"line 1 of .* is not a twin"):
        mended(Paper(), Written(PLAIN), folder=tmp_path, resume=True)


def test_noise_is_that_of_the_marks_or_of_the_seeds_whichever_is_larger() -> None:
    alike = Pairs([played(0.9), played(0.9)], [played(0.4), played(0.4)])
    apart = Pairs([played(0.9), played(0.9)], [played(0.8), played(0.0)])

    assert alike.noise("lost_mass") == pytest.approx((4 * 0.05**2) ** 0.5 / 2)
    assert apart.noise("lost_mass") == pytest.approx(0.4)  # gains .1 and .9
    assert alike.won() == ["lost_mass"]
    assert apart.won() == []


# True twins

SMALL = {"train.steps": 24, "train.batch_size": 32, "optim.lr": 1e-3}


def match(**rules: Any) -> Match:
    return Match(gan_target.gan(**rules), revise(Recipe(), SMALL))


def test_a_twin_is_the_beginning_of_the_training_itself() -> None:
    """With the same seed, the twin makes at its looks what `train_gan` makes at these steps."""
    games = Games(match(), 12)
    twin = games.twin(match(), 0, Clock())
    assert twin is not None
    run = ts.train_gan(gan_target.gan(), SMALL | {"eval.every": 1}, display=QuietDisplay())

    found = [row["made_spread"] for row in run.evaluations[:12]]

    assert len(twin["looks"]) == 12
    # another number of samples looks, so a spread differs by sampling alone
    assert [look["spread"] for look in twin["looks"]] == pytest.approx(found, rel=0.1)
    assert twin["passes"] == pytest.approx(12 * 32 / 680)
    assert games.twin(match(), 0, Clock()) == twin | {"seconds": pytest.approx(twin["seconds"], abs=60)}


def test_the_clock_cuts_a_twin_off() -> None:
    assert Games(match(), 24).twin(match(), 0, Clock(0.0)) is None


def test_every_remedy_that_is_possible_trains_and_changes_the_training() -> None:
    games = Games(match(), 12)
    offers, unfit = games.offers(match())
    plain = games.twin(match(), 0, Clock())
    assert plain is not None

    twins = {offer.change: games.twin(match().changed(offer), 0, Clock()) for _, offer in offers}

    assert unfit == {}
    assert {name for name, _ in offers} == {*ts.generative.mending.remedies.REMEDIES}
    assert all(one is not None and not one["broke"] and one["looks"] != plain["looks"] for one in twins.values())


class Branched(nn.Module):
    """Its first layer sees half of the sample, and it ends in a sum."""

    def __init__(self) -> None:
        super().__init__()
        self.one = nn.Sequential(nn.Linear(1, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.one(x[:, :1]).sum(dim=1)


def test_what_a_discriminator_does_not_allow_is_said() -> None:
    subject = match(discriminator=Branched, spectral=True, unroll=2)
    asked = replace(subject, recipe=revise(subject.recipe, {"train.batch_size": 340, "optim.name": "sgd"}))

    offers, unfit = Games(asked, 12).offers(asked)

    assert {name for name, _ in offers} == {"balance", "minibatch_discrimination"}
    assert "is given something else than the samples" in unfit["packing"]
    assert "batch norm, which mixes samples" in unfit["gradient_penalty"]
    assert "parametrized already" in unfit["spectral_norm"]
    assert "2 steps ahead already" in unfit["unrolled"]
    assert "more than the 680 rows" in unfit["larger_batch"]


def test_the_widened_layer_keeps_the_scale_of_its_units_and_the_player_that_was_brought() -> None:
    torch.manual_seed(0)
    judge = nn.Sequential(nn.Linear(2, 64), nn.ReLU(), nn.Linear(64, 1))
    before = judge[0].weight.clone()
    task = match(discriminator=judge)
    offer = next(one for name, one in Games(task, 12).offers(task)[0] if name == "packing")

    wide = offer.fields["discriminator"]()

    x = torch.randn(4000, 4)
    assert wide[0].in_features == 4
    assert torch.equal(judge[0].weight, before)
    assert (x @ wide[0].weight.T).std().item() == pytest.approx((x[:, :2] @ before.T).std().item(), rel=0.05)
    assert not torch.equal(wide[0].weight[:, :2], wide[0].weight[:, 2:])  # else pairs could not be told apart
    assert "nn.Linear(4, 64, …)  # was nn.Linear(2, 64, …)" in offer.lines[0]
    assert offer.recipe == {"train.batch_size": 64}


def test_pictures_are_packed_as_channels() -> None:
    pictures = torch.rand(300, 1, 6, 6)
    task = ts.Gan(
        generator=lambda: nn.Sequential(nn.Linear(4, 36), nn.Unflatten(1, (1, 6, 6))),
        discriminator=lambda: nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(64, 1)),
        data=pictures,
        latent=4,
    )
    asked = Match(task, revise(Recipe(), SMALL | {"data.val": 0.4}))
    games = Games(asked, 12)
    offer = next(one for name, one in games.offers(asked)[0] if name == "packing")

    twin = games.twin(asked.changed(offer), 0, Clock())

    assert offer.fields["discriminator"]()[0].in_channels == 2
    assert twin is not None
    assert not twin["broke"]


def test_repair_takes_a_gan_and_a_run_that_told_it(tmp_path: Path) -> None:
    """A generator that gives one point: told by the run, looked at by a twin as long, and the remedies cannot help."""

    class Stuck(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.point = nn.Parameter(torch.zeros(2))

        def forward(self, z: torch.Tensor) -> torch.Tensor:
            return self.point.expand(len(z), 2)

    task = gan_target.gan(generator=Stuck)
    run = ts.train_gan(task, SMALL | {"eval.every": 2}, folder=tmp_path / "run", display=QuietDisplay())
    assert run.findings[0].fault == "collapse.mode"

    told = ts.repair(task, run=tmp_path / "run", epochs=2.0, folder=tmp_path / "kept")
    again = ts.repair(task, run=run, epochs=2.0, folder=tmp_path / "kept", resume=True)

    assert [one.fault for one in told.findings] == ["collapse.mode"]
    assert told.tried
    assert all(one.updates == 12 for one in told.tried)
    assert not told.changed
    assert told.task is task
    assert told.findings.unreached  # two passes are soon spent
    assert {**again.as_dict(), "seconds": 0} == {**told.as_dict(), "seconds": 0}


def test_a_gan_that_breaks_is_told(tmp_path: Path) -> None:
    class Breaks(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.ones(2))

        def forward(self, z: torch.Tensor) -> torch.Tensor:
            return z[:, :2] * self.scale / (self.scale - 1)

    told = ts.repair(gan_target.gan(generator=Breaks), SMALL, updates=12)

    assert not told.changed
    assert "broke before it could collapse" in told.notices[0]


@pytest.mark.parametrize(
    ("about", "kind", "says"),
    [
        ({"updates": 0}, DataError, "updates is 0"),
        ({"epochs": -1.0}, DataError, "epochs is -1.0"),
        ({"resume": True}, RecipeError, "without a folder"),
        ({"updates": 240}, None, ""),
    ],
)
def test_what_cannot_be_repaired_is_said(about: dict[str, Any], kind: type[Exception] | None, says: str) -> None:
    if kind is None:
        assert Games(match(), about["updates"]).updates == 24  # no longer than the training
        return
    with pytest.raises(kind, match=says):
        ts.repair(gan_target.gan(), SMALL, **about)


def test_a_run_that_tells_no_collapse_and_one_too_short_are_refused() -> None:
    run = ts.train_gan(gan_target.gan(), SMALL | {"eval.every": 24}, display=QuietDisplay())

    with pytest.raises(DataError, match=r"tells no collapse\.mode that stands"):
        ts.repair(gan_target.gan(), run=run)
    with pytest.raises(RecipeError, match="12 updates or more were expected"):
        ts.repair(gan_target.gan(), SMALL | {"train.steps": 5})


def ring_gan(**rules: Any) -> ts.Gan:
    from tests.generative.test_collapse import net

    return ts.Gan(
        **{
            "generator": lambda: net(256, 2),
            "discriminator": lambda: net(2, 1),
            "data": mixture(ring(8, 2.0), 0.02, 6000),
            "latent": 256,
            "critic_rate": 0.1,
            **rules,
        }
    )


RING = {"train.steps": 2000, "train.batch_size": 128, "optim.lr": 1e-3}


@pytest.mark.slow
def test_the_plain_game_on_the_ring_is_mended_by_packing() -> None:
    told = ts.repair(ring_gan(), RING, updates=396)

    assert [one.fault for one in told.findings] == ["collapse.mode"]
    assert [one.remedy for one in told.changes] == ["packing"]
    assert told.seeds == 3
    assert told.before > 0.5
    assert told.after < 0.2
    assert told.task.pack == 2
    assert told.change == {"train.batch_size": 256}
    run = ts.train_gan(told.task, {**RING, **told.change, "train.steps": 396, "eval.every": 33}, display=QuietDisplay())
    assert run.evaluations[-1]["lost_mass"] < 0.2


@pytest.mark.slow
def test_a_sound_game_on_the_ring_is_left_alone() -> None:
    from tests.generative.test_collapse import net

    told = ts.repair(ring_gan(discriminator=lambda: net(4, 1), pack=2), RING | {"train.batch_size": 256}, updates=396)

    assert not told.changed
    assert not told.tried
    assert not told.findings


KILLED = """
import sys
import tunesmith as ts
from tests.generative import gan_target
from tests.generative.test_mending import SMALL, stuck
ts.repair(stuck(), SMALL, updates=12, epochs=6.0, folder=sys.argv[1], resume=sys.argv[2] == "resume", step=lambda name: print(name, flush=True))
"""


def stuck() -> ts.Gan:
    """A generator whose samples all lie near one point: what it makes is a collapse from the start."""

    def narrow() -> nn.Module:
        layer = nn.Linear(8, 2)
        nn.init.constant_(layer.weight, 1e-3)
        return layer

    return gan_target.gan(generator=narrow)


@pytest.mark.slow
def test_a_repair_that_was_killed_gives_what_the_other_gives(tmp_path: Path) -> None:
    told = ts.repair(stuck(), SMALL, updates=12, epochs=6.0, folder=tmp_path / "whole")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(tmp_path / "killed"), "new"], stdout=subprocess.PIPE, env=environment
    )
    assert process.stdout is not None
    for _ in range(4):  # in the middle of the fourth twin
        process.stdout.readline()
    process.kill()
    process.communicate()
    there = (tmp_path / "killed" / "twins.jsonl").read_text(encoding="utf-8").count("\n")

    again = ts.repair(stuck(), SMALL, updates=12, epochs=6.0, folder=tmp_path / "killed", resume=True)

    def plain(one: Any) -> Any:
        text = json.dumps({**one.as_dict(), "seconds": 0})
        found = json.loads(text)
        for attempt in (*found["changes"], *found["tried"]):
            attempt["times"] = attempt["because"] = 0  # of this machine
        return found

    assert 1 <= there < 5
    assert plain(again) == plain(told)
