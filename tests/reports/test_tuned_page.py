"""The page of a tuning, from plain files."""

import json

from tunesmith.reports.tuned_page import tuned_page
from tunesmith.runs.tuning import is_tuning, read_tuning
from tunesmith.search import Real
from tunesmith.search.ask import Search

QUESTIONS = ("Can I trust it?", "What was wrong?", "What is it?", "What helped?", "What was tried in vain?")
QUESTIONS += ("What next?", "How do I use it?", "What did it cost?")
ROW = {"scores": {"accuracy": 0.9, "f1": 0.88}, "intervals": {"accuracy": [0.85, 0.94]}, "count": 200}


def written(folder, *, judged=True, timed=True):
    asked = {"title": "<wine>.csv", "budget": "10m", "unit": "seconds" if timed else "epochs", "kind": "multiclass"}
    asked |= {"command": ["tune", "wine.csv", "--target", "kind of wine"]}
    (folder / "tune.json").write_text(json.dumps(asked))
    plain = {"evidence": {}, "instead": {}, "taken": True}
    decisions = [
        plain | {"stage": "look", "title": "used, with a reservation", "because": "column <b>id</b> leaks"},
        plain | {"stage": "search", "title": "the best of the search is taken", "because": "0.9 beside 0.8"},
        plain | {"stage": "regularise", "title": "dropout 0.4 is left", "because": "0.89 beside 0.9", "taken": False},
    ]
    decisions[0]["evidence"] = {"faults": ["data.leak"]}
    decisions[1] |= {"evidence": {"gain": 0.1}, "instead": {"way": "plain net", "accuracy": 0.8}}
    decisions[2]["instead"] = {"way": "dropout", "accuracy": 0.89}
    (folder / "decisions.json").write_text(json.dumps({"decisions": decisions}))
    (folder / "steps.jsonl").write_text(
        json.dumps({"step": "look", "seconds": 3.0, "epochs": 0, "found": {}}) + '\n{"st'
    )
    if judged:
        worse = {"scores": {"accuracy": 0.5, "f1": 0.4}, "intervals": {"accuracy": [0.45, 0.55]}, "count": 200}
        rows = {"handed over": ROW, "constant answer": worse, "gradient boosting": ROW}
        (folder / "scores.json").write_text(
            json.dumps({"part": "test", "metric": "accuracy", "better": "max", "rows": rows})
        )
        members = [{"name": "gradient boosting", "kind": "boosted", "place": "x.npz", "weight": 1.0}]
        (folder / "handed.json").write_text(json.dumps({"members": members, "classes": ["a", "b"]}))


def test_the_first_screen_answers_what_a_person_asks_first(tmp_path):
    written(tmp_path)

    page = tuned_page(read_tuning(tmp_path))
    first = page[: page.index("<nav>")]

    assert "accuracy 0.9" in first
    assert "0.8500 to 0.9400" in first
    assert "200 test rows that nothing was chosen on" in first
    for question in QUESTIONS:
        assert question in first
    assert "No net was better" in first
    assert "Dropout 0.4" in first


def test_everything_that_came_from_outside_is_escaped(tmp_path):
    written(tmp_path)

    page = tuned_page(read_tuning(tmp_path))

    assert "<wine>" not in page
    assert "<b>id</b>" not in page
    assert "tunesmith tune wine.csv --target &#x27;kind of wine&#x27;" in page


def test_a_tuning_under_way_has_a_page_too(tmp_path):
    written(tmp_path, judged=False)

    page = tuned_page(read_tuning(tmp_path))

    assert "has not come to its judgement yet" in page
    assert "Beside others" not in page
    assert "What was done, and why" in page


def test_the_promise_of_a_second_run_goes_by_the_budget(tmp_path):
    written(tmp_path, timed=False)

    assert "The same command on the same data gives the same result." in tuned_page(read_tuning(tmp_path))
    assert is_tuning(tmp_path)
    assert not is_tuning(tmp_path / "nowhere")


def test_the_groups_on_which_it_is_worse_are_a_question_only_where_there_are_some(tmp_path):
    written(tmp_path)
    without = tuned_page(read_tuning(tmp_path))
    group = {"by": "age", "name": "28 or less", "count": 41, "score": 0.8, "rest": 0.9, "worse": True}
    (tmp_path / "slices").mkdir()
    (tmp_path / "slices" / "test.json").write_text(json.dumps({"metric": "accuracy", "slices": [group]}))

    page = tuned_page(read_tuning(tmp_path))

    assert "Where is it worse?" not in without
    assert "Age 28 or less (41 rows): accuracy 0.8000 beside 0.9000 of the rest." in page


def test_each_round_of_the_search_has_its_course_its_parameters_and_its_warnings(tmp_path):
    written(tmp_path)
    for number in (1, 2):
        searched(tmp_path / "steps" / f"search-{number}", seed=1)

    page = tuned_page(read_tuning(tmp_path))
    search = page[page.index('<section id="search">') : page.index('<section id="cost">')]

    for number in (1, 2):
        assert f"Round {number}: 40 configurations in 40 epochs" in search
        for part in ("findings", "curves", "importance", "parallel", "best", "endings"):
            assert search.count(f'id="search-{number}-{part}"') == 1
    assert "search.edge" in search
    assert search.count("Best score by budget units spent") == 2


def searched(folder, seed, trials=40):
    """A search whose best lie at the upper end of `x`, 2."""
    with Search(
        {"x": Real(-2, 2), "y": Real(0, 1)}, 1, total=trials, sampler="random", budget="full", folder=folder, seed=seed
    ) as search:
        for _ in range(trials):
            asked = search.ask()
            search.tell(asked.trial, [{"score": (3 - asked.config["x"]) ** 2 + 0.1 * asked.config["y"]}])
