"""Planted faults: they fit, differ, come in three strengths, run or raise, and do not tell their name."""

import warnings
from collections.abc import Iterator
from types import FunctionType
from typing import Any

import pytest
import torch

from tunesmith.records import Program
from tunesmith.testing.healthy import HEALTHY
from tunesmith.testing.pairing import chosen, fitting
from tunesmith.testing.sabotage import MECHANISMS, SABOTAGES, STRENGTHS
from tunesmith.testing.training import batches, picked, seeded, tensors, trained


def test_there_are_many_and_every_mechanism_has_some(fault_ids):
    assert len(SABOTAGES) >= 175
    assert {each.mechanism for each in SABOTAGES.values()} == set(MECHANISMS)
    assert {fault for each in SABOTAGES.values() for fault in each.faults} <= fault_ids


@pytest.fixture(scope="module")
def fault_ids() -> set[str]:
    import tomllib
    from importlib.resources import files

    return set(tomllib.loads((files("tunesmith.records") / "faults.toml").read_text(encoding="utf-8")))


def print_of(program: Program) -> list[Any]:
    """What a program is made of, as far as it can be compared."""
    model = program.model
    found: list[Any] = [
        repr(model),
        type(program.loss_fn),
        getattr(program.loss_fn, "__qualname__", repr(program.loss_fn)),
    ]
    found.append(getattr(program.loss_fn, "reduction", None))
    found += [program.batch_size, program.epochs, program.shuffle, program.accumulate, program.clip_norm]
    found += [program.train_mode, program.eval_mode, program.scheduler_first, program.schedule_unit]
    found += [program.step is None, program.loop is None, program.resume_from is None, type(program.scheduler)]
    names = {id(each): name for name, each in model.named_parameters()}
    for group in program.optimizer.param_groups:
        found.append([names.get(id(each)) for each in group["params"]])
        found.append({key: value for key, value in group.items() if key != "params"})
    found += [(each.requires_grad, hashed(each)) for each in model.parameters()]
    found += [getattr(each, "p", None) for each in model.modules()] + [
        getattr(each, "momentum", None) for each in model.modules()
    ]
    found += [type(getattr(program.train, name, None)) for name in ("dataset", "sampler")]
    for part in (program.train, program.val):
        inputs, target = tensors(part)
        found += [hashed(each) for each in (*(inputs if isinstance(inputs, tuple) else (inputs,)), target)]
    return found


def hashed(tensor: torch.Tensor) -> tuple[Any, ...]:
    return tuple(tensor.shape), str(tensor.dtype), hash(tensor.detach().contiguous().numpy().tobytes())


def outcome(program: Program) -> Any:
    """Outputs of a few rows and their loss, or what is raised."""
    inputs, target = tensors(program.train)
    rows = torch.arange(min(24, len(target)))
    program.model.eval()
    try:
        with torch.no_grad():
            outputs = program.model(picked(inputs, rows))
            return hashed(outputs), float(program.loss_fn(outputs, target[rows]))
    except (RuntimeError, IndexError) as error:
        return repr(error)


@pytest.mark.parametrize("name", SABOTAGES)
def test_a_sabotage_fits_and_makes_another_program(name):
    sabotage = SABOTAGES[name]
    programs = chosen(name, 2)

    assert len(programs) == 2
    for program in programs:
        sound = HEALTHY[program](0)
        healthy_print, healthy_outcome = print_of(sound), outcome(sound)
        for strength in STRENGTHS:
            before = torch.get_rng_state()
            planted = sabotage.plant(HEALTHY[program](0), strength, 0)
            assert torch.equal(before, torch.get_rng_state())
            differs = print_of(planted) != healthy_print or outcome(planted) != healthy_outcome
            assert differs, f"{name} {strength} left {program} as it was"
            assert_runs_or_raises(planted, sabotage.faults)
            assert_tells_no_name(planted, name, sabotage.faults)


def assert_runs_or_raises(program: Program, faults: tuple[str, ...]) -> None:
    """A first batch gives one number, or raises one of the errors a user would see."""
    if program.train_mode:
        program.model.train()
    with seeded(0), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        inputs, target = next(iter(batches(program, 0)))
        try:
            loss = program.loss_fn(program.model(inputs), target)
        except (RuntimeError, IndexError, ValueError):
            return
    assert loss.numel() == 1


def names_in(program: Program) -> Iterator[str]:
    """Names by which a program's parts call themselves."""
    yield repr(program.model)
    held = [program.loss_fn, program.step, program.loop, program.predict, program.metric]
    held += list(getattr(program.scheduler, "lr_lambdas", ()))
    for module in program.model.modules():
        yield type(module).__qualname__
        held += [each for each in vars(module).values() if callable(each)]
        held += [cell.cell_contents for cell in type(module).forward.__closure__ or ()]
    for each in held:
        if each is not None:
            yield each.__qualname__ if isinstance(each, FunctionType) else type(each).__qualname__


def assert_tells_no_name(program: Program, name: str, faults: tuple[str, ...]) -> None:
    told = " ".join(names_in(program)).lower()
    words = [name, *(fault.partition(".")[2] for fault in faults)]
    assert [word for word in words if word in told] == []


def test_a_planting_repeats_by_its_seed():
    for name in ("noisy_labels", "columns_of_noise", "layer_after_optimizer"):
        program = fitting(name)[0]
        one, again, other = (print_of(SABOTAGES[name].plant(HEALTHY[program](0), 2, seed)) for seed in (5, 5, 6))

        assert one == again
        assert one != other


def test_strengths_are_three():
    with pytest.raises(ValueError, match="expected 1, 2 or 3"):
        SABOTAGES["noisy_labels"].plant(HEALTHY["digits_mlp"](0), 4, 0)


@pytest.mark.parametrize(
    ("name", "program"),
    [
        ("rate_too_high", "digits_mlp"),
        ("cleared_before_step", "digits_mlp"),
        ("rows_out_of_step", "wine_batch_norm_first"),
        ("same_weights", "surface_fixed_mean"),
        ("column_against_row", "surface_fixed_mean"),
    ],
)
def test_a_strong_fault_costs_score(name, program):
    sound = trained(HEALTHY[program](0))

    planted = trained(SABOTAGES[name].plant(HEALTHY[program](0), 3, 0))

    assert not planted > 0.6 * sound  # or no number


def test_shares_of_wrong_labels_are_those_said():
    sound = HEALTHY["digits_mlp"](0)
    for strength, share in ((1, 0.2), (2, 0.4), (3, 0.6)):
        planted = SABOTAGES["noisy_labels"].plant(HEALTHY["digits_mlp"](0), strength, 0)

        wrong = float((planted.train[1] != sound.train[1]).float().mean())

        assert wrong == pytest.approx(0.9 * share, abs=0.04)  # one in ten drawn anew is right


def test_the_same_rows_stand_in_both_parts():
    sound = HEALTHY["digits_mlp"](0)
    planted = SABOTAGES["judged_by_rows_known"].plant(HEALTHY["digits_mlp"](0), 2, 0)
    known = {row.numpy().tobytes() for row in sound.train[0]}

    shared = sum(row.numpy().tobytes() in known for row in planted.val[0])

    assert shared == pytest.approx(0.5 * len(sound.val[1]), abs=1)


def test_a_rate_is_changed_for_the_schedule_too():
    sound, planted = (HEALTHY["clothes_residual_one_cycle"](0) for _ in range(2))
    SABOTAGES["rate_too_low"].plant(planted, 2, 0)

    for program in (sound, planted):
        program.optimizer.step()
        program.scheduler.step()

    assert planted.optimizer.param_groups[0]["lr"] == pytest.approx(1e-3 * sound.optimizer.param_groups[0]["lr"])


def planted(name: str, program: str, strength: int = 3, epochs: int | None = None) -> Program:
    made = SABOTAGES[name].plant(HEALTHY[program](0), strength, 0)
    made.epochs = epochs or made.epochs
    return made


def rates(program: Program) -> list[float]:
    """The rate of each update."""
    seen = []
    hook = program.optimizer.register_step_post_hook(lambda optimizer, *_: seen.append(optimizer.param_groups[0]["lr"]))
    trained(program)
    hook.remove()
    return seen


def test_a_ramp_without_top_grows_to_the_end_and_a_late_cycle_has_its_top_there():
    plain = HEALTHY["iris_mlp"](0).optimizer.param_groups[0]["lr"]

    ramp, cycle = (
        rates(planted("ramp_without_top", "iris_mlp", 1)),
        rates(planted("cycle_with_late_top", "iris_mlp", 1)),
    )

    assert ramp == sorted(ramp)
    assert ramp[-1] == pytest.approx(10 * plain, rel=0.02)
    assert max(cycle) == pytest.approx(10 * plain, rel=0.02)
    assert cycle.index(max(cycle)) > 0.85 * len(cycle)


def test_a_second_stage_begins_after_two_thirds():
    seen = rates(planted("second_stage_faster", "iris_mlp", 1))

    assert sum(rate == seen[0] for rate in seen) == pytest.approx(2 / 3 * len(seen), rel=0.02)
    assert seen[-1] == pytest.approx(10 * seen[0])


def test_a_schedule_begins_from_the_top_again_where_the_job_was_cut_off():
    seen = rates(planted("schedule_from_the_top_again", "iris_mlp", 1))

    jump = next(place for place in range(1, len(seen)) if seen[place] > seen[place - 1])
    assert jump == len(seen) // 2
    assert seen[jump] == seen[0]


def test_a_plateau_that_waits_for_a_rise_takes_the_rate_away():
    seen = rates(planted("waits_for_wrong_direction", "iris_mlp", 2))

    assert seen[-1] < 1e-3 * seen[0]


def test_an_average_of_the_beginning_answers_as_it_was_drawn():
    program = planted("average_of_the_beginning", "iris_mlp", 3, epochs=3)
    program.model.eval()
    with torch.no_grad():
        before = program.model(program.val[0])

    trained(program)

    with torch.no_grad():
        assert torch.allclose(program.model(program.val[0]), before, atol=0.02)


def test_noise_that_stays_piles_up():
    program = planted("noise_that_stays", "iris_mlp", 2, epochs=4)
    before = tensors(program.train)[0].clone()

    trained(program)

    added = (tensors(program.train)[0] - before).std()
    assert float(added) == pytest.approx(0.5 * 2.0 * float(before.std()), rel=0.1)  # the root of four epochs


def test_losses_are_kept_with_their_graph():
    import gc

    program = planted("losses_kept_whole", "iris_mlp", 2, epochs=1)

    def alive() -> int:
        gc.collect()
        return sum(issubclass(type(each), torch.Tensor) for each in gc.get_objects())

    counted = []
    for epochs in (1, 9):  # so many that garbage of other tests, freed meanwhile, does not matter
        trained(program, epochs)
        counted.append(alive())

    assert counted[1] >= counted[0] + 3 * 6 * 2  # a loss and outputs of each of six batches


@pytest.mark.parametrize(
    ("name", "program"),
    [
        ("rows_brought_to_length_one", "iris_mlp"),
        ("logarithm_of_counts", "iris_mlp"),
        ("scale_that_never_falls", "diabetes_mse"),
        ("variance_without_floor", "diabetes_mse"),
    ],
)
def test_numbers_leave_their_range_while_it_trains(name, program):
    made = planted(name, program)
    inputs, _ = next(iter(batches(made, 0)))
    rows = torch.isfinite(made.model.train()(inputs)).all(1)

    value = trained(made)

    assert rows.sum() > len(rows) / 2  # most rows are sound
    assert value != value


def test_a_state_of_other_rows_changes_the_answer():
    program = planted("state_of_other_rows", "waves_lstm", 2)
    inputs = program.val[0][:8]
    program.model.eval()

    with torch.no_grad():
        first, again = program.model(inputs), program.model(inputs)

    assert not torch.allclose(first, again)


def test_rows_read_from_text_are_the_rows():
    sound, made = HEALTHY["iris_mlp"](0), planted("read_again_from_text", "iris_mlp", 1)

    for (xb, yb), (theirs, labels) in zip(batches(made, 0), batches(made, 0), strict=True):
        assert xb.shape == theirs.shape
        assert yb.dtype == labels.dtype
    assert torch.allclose(made.train.dataset[5][0], sound.train[0][5], atol=1e-6)
