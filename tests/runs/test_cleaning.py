import pytest

from tunesmith.records import Recipe, RunError
from tunesmith.runs import Run, clean


def made(folder, steps=(10, 20, 30, 40), best=20, last=40):
    run = Run.create(folder, recipe=Recipe())
    for step in steps:
        place = run.path(f"checkpoints/step-{step:010d}")
        place.mkdir(parents=True)
        (place / "model.safetensors").write_bytes(bytes(1000 + step))
    for name, step in (("best", best), ("last", last)):
        if step is not None:
            run.path(f"checkpoints/{name}.json").write_text(f'{{"step": {step}}}')
    return run


def steps(run):
    return sorted(int(place.name[5:]) for place in run.path("checkpoints").glob("step-*"))


def test_the_best_and_the_last_stay(tmp_path):
    run = made(tmp_path / "r")

    (cleaned,) = clean(run.folder)

    assert steps(run) == [20, 40]
    assert cleaned.bytes == 1010 + 1030
    assert [place.name for place in cleaned.removed] == ["step-0000000010", "step-0000000030"]


def test_the_newest_stay_too(tmp_path):
    run = made(tmp_path / "r")

    clean(run.folder, keep=2)

    assert steps(run) == [20, 30, 40]


def test_the_best_may_be_the_last_resort_of_an_older_pointer(tmp_path):
    run = made(tmp_path / "r", best=10, last=30)

    clean(run.folder)

    assert steps(run) == [10, 30, 40]


def test_without_pointers_the_newest_stays(tmp_path):
    run = made(tmp_path / "r", best=None, last=None)

    clean(run.folder)

    assert steps(run) == [40]


def test_a_dry_run_counts_and_touches_nothing(tmp_path):
    run = made(tmp_path / "r")

    (cleaned,) = clean(run.folder, dry_run=True)

    assert steps(run) == [10, 20, 30, 40]
    assert cleaned.bytes == 2040


def test_a_tree_of_runs_is_cleaned_but_not_one_that_is_written_to(tmp_path):
    first, busy = made(tmp_path / "a" / "first"), made(tmp_path / "b" / "busy")

    with busy.writer():
        reports = clean(tmp_path)

    assert [report.folder for report in reports] == [first.folder, busy.folder]
    assert steps(first) == [20, 40]
    assert steps(busy) == [10, 20, 30, 40]
    assert "in use by process" in reports[1].busy


def test_what_a_killed_process_left_goes_unless_it_is_the_only_copy(tmp_path):
    run = made(tmp_path / "r")
    for name in (".draft-0000000050-77", ".was-step-0000000040", ".was-step-0000000060"):
        run.path(f"checkpoints/{name}").mkdir()

    clean(run.folder)

    assert sorted(place.name for place in run.path("checkpoints").glob(".*")) == [".was-step-0000000060"]


def test_a_damaged_pointer_stops_the_cleaning(tmp_path):
    run = made(tmp_path / "r")
    run.path("checkpoints/best.json").write_text("{")

    with pytest.raises(RunError, match=r"best.json is damaged .* not known which checkpoint must stay"):
        clean(run.folder)

    assert steps(run) == [10, 20, 30, 40]


@pytest.mark.parametrize(
    ("name", "keep", "sentence"), [("none", 1, "no folder"), (".", 1, "holds no runs"), (".", 0, "keep = 0")]
)
def test_what_cannot_be_cleaned_is_told(tmp_path, name, keep, sentence):
    with pytest.raises(RunError, match=sentence):
        clean(tmp_path / name, keep=keep)
