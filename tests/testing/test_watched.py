"""A program under a watch: the same run, and a history of it whatever it raises."""

import pytest
import torch

from tunesmith.testing.healthy import HEALTHY
from tunesmith.testing.sabotage import SABOTAGES
from tunesmith.testing.training import trained
from tunesmith.testing.watched import watched


@pytest.mark.parametrize("name", ["cancer_own_loop_double", "adult_one_logit", "wine_lbfgs"])
def test_the_run_is_the_one_without_a_watch(name):
    alone, looked_at = HEALTHY[name](0), HEALTHY[name](0)
    trained(alone)
    before = torch.get_rng_state()

    history = watched(looked_at)

    assert torch.equal(before, torch.get_rng_state())
    for mine, theirs in zip(alone.model.state_dict().values(), looked_at.model.state_dict().values(), strict=True):
        assert torch.equal(mine, theirs)
    assert len(history.get("loss", "val", per="evaluation")) == alone.epochs


def test_what_a_program_raises_ends_the_run(tmp_path):
    program = SABOTAGES["class_beyond_width"].plant(HEALTHY["digits_mlp"](0), 3, 0)

    history = watched(program, tmp_path / "run")

    assert history.facts["finished"] is False
    assert (tmp_path / "run").is_dir()


def test_a_watch_says_nothing_on_paper(capsys):
    program = HEALTHY["iris_mlp"](0)
    program.epochs = 2

    watched(program)

    assert capsys.readouterr() == ("", "")
