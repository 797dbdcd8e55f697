"""Sound programs: they build, repeat, and learn."""

import pytest
import torch

from tunesmith.records import Program, Recipe, Task
from tunesmith.testing.healthy import HEALTHY, HEALTHY_TASKS
from tunesmith.testing.training import baseline, batches, score, tensors, trained

QUICK = ("adult_one_logit", "digits_mlp", "surface_fixed_mean", "messages_bag_of_words", "wine_lbfgs")


def first_loss(program: Program) -> torch.Tensor:
    program.model.train()
    inputs, target = next(iter(batches(program, 0)))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return program.loss_fn(program.model(inputs), target)


def same(one: object, other: object) -> bool:
    if isinstance(one, tuple):
        return all(same(mine, theirs) for mine, theirs in zip(one, other, strict=True))
    return torch.equal(one, other)


def test_there_are_programs_and_tasks_of_many_kinds():
    losses = {type(HEALTHY[name](0).loss_fn).__name__ for name in HEALTHY}
    optimizers = {type(HEALTHY[name](0).optimizer).__name__ for name in HEALTHY}

    assert len(HEALTHY) >= 30
    assert len(HEALTHY_TASKS) >= 12
    assert {"CrossEntropyLoss", "BCEWithLogitsLoss", "MSELoss", "L1Loss", "HuberLoss", "NLLLoss", "BCELoss"} <= losses
    assert {"SGD", "Adam", "AdamW", "RMSprop", "LBFGS"} <= optimizers


@pytest.mark.parametrize("name", HEALTHY)
def test_a_program_starts_with_a_finite_loss_and_repeats_by_its_seed(name):
    before = torch.get_rng_state()

    one, again, other = HEALTHY[name](1), HEALTHY[name](1), HEALTHY[name](2)

    assert torch.equal(before, torch.get_rng_state())
    assert torch.isfinite(first_loss(one))
    assert torch.isfinite(first_loss(other))
    assert first_loss(HEALTHY[name](1)) == first_loss(again)
    assert same(tensors(one.train), tensors(again.train))
    assert not same(tensors(one.train), tensors(other.train))


@pytest.mark.parametrize("name", HEALTHY)
def test_the_optimizer_holds_what_is_meant_to_learn(name):
    program = HEALTHY[name](0)
    held = {id(each) for group in program.optimizer.param_groups for each in group["params"]}

    assert held == {id(each) for each in program.model.parameters() if each.requires_grad}


@pytest.mark.parametrize("name", HEALTHY)
def test_no_validation_row_is_a_training_row(name):
    program = HEALTHY[name](0)
    seen, kept = (tensors(part)[0] for part in (program.train, program.val))
    if isinstance(seen, tuple):
        seen, kept = (torch.cat([each.double() for each in inputs], 1) for inputs in (seen, kept))
    known = {row.numpy().tobytes() for row in seen}

    shared = sum(row.numpy().tobytes() in known for row in kept)

    assert shared <= 0.01 * len(kept)  # iris holds one flower twice


def test_a_seed_draws_other_rows_of_a_task():
    (task, recipe), (other, _) = HEALTHY_TASKS["clothes_small"](0), HEALTHY_TASKS["clothes_small"](1)

    assert isinstance(task, Task)
    assert isinstance(recipe, Recipe)
    assert (task.train[0] != other.train[0]).any()


@pytest.mark.parametrize("name", HEALTHY_TASKS)
def test_a_task_is_built(name):
    task, recipe = HEALTHY_TASKS[name](3)

    assert recipe.train.seed == 3
    assert task.train is not None


def learns(name: str) -> None:
    program = HEALTHY[name](0)
    untrained = trained(HEALTHY[name](0), epochs=0)
    constant = baseline(program)

    reached = trained(program)

    best = max(untrained, constant) if constant == constant else untrained
    gap = abs(constant) if program.metric in ("mae", "rmse") else 1.0 - best
    assert reached > best + 0.4 * gap if callable(program.metric) is False else reached > best + 0.05


@pytest.mark.parametrize("name", QUICK)
def test_a_program_learns(name):
    learns(name)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(set(HEALTHY) - set(QUICK)))
def test_each_program_learns(name):
    learns(name)


def test_training_counts_what_the_program_says():
    program = HEALTHY["digits_log_softmax_steps"](0)
    taken = []
    plain = program.optimizer.step
    program.optimizer.step = lambda *arguments: taken.append(plain(*arguments))

    trained(program, epochs=3)

    batches_an_epoch = -(-len(program.train[1]) // program.batch_size)
    assert len(taken) == 3 * -(-batches_an_epoch // program.accumulate)
    assert program.scheduler.last_epoch == 3


def test_a_schedule_by_steps_moves_with_every_update():
    program = HEALTHY["letters_transformer"](0)

    trained(program, epochs=2)

    assert program.scheduler.last_epoch == 2 * -(-len(program.train[1]) // program.batch_size)


def test_an_own_loop_takes_the_place_of_the_plain_one():
    program = HEALTHY["iris_mlp"](0)
    seen = []
    program.loop = lambda given, epochs: seen.append((given, epochs))

    trained(program, epochs=4)

    assert seen == [(program, 4)]


def test_a_checkpoint_is_gone_on_from():
    program = HEALTHY["resumed_waves"](0)
    weights = [each.clone() for each in program.model.parameters()]
    with torch.no_grad():
        for each in program.model.parameters():
            each.zero_()

    trained(program, epochs=3)  # it was written after the third: nothing is left to do

    assert all(torch.equal(mine, kept) for mine, kept in zip(program.model.parameters(), weights, strict=True))


def test_judging_leaves_the_mode_of_a_program_that_never_calls_eval():
    program = HEALTHY["messages_bag_of_words"](0)
    program.eval_mode = False
    program.model.train()

    first, second = score(program), score(program)

    assert program.model.training
    assert first != second  # dropout is on
