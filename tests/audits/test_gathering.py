"""What audits are given is what the source holds."""

import gzip
import subprocess
import sys

import numpy as np
import pytest

from tunesmith import Task
from tunesmith.doctor.audits import material_of, material_of_arrays
from tunesmith.verbs.fit import as_recipe

DATA = "src/tunesmith/demo_data"


def test_a_table_brings_every_column_and_the_parts_of_the_recipe():
    material = material_of(Task(train=f"{DATA}/adult_2000.csv.gz", target="income"))

    assert (material.form, material.kind, material.classes) == ("table", "binary", ("<=50K", ">50K"))
    assert {part: len(view) for part, view in material.parts.items()} == {"train": 1400, "val": 300, "test": 300}
    assert [view.planned for view in material.parts.values()] == [False, True, True]
    assert sorted(np.concatenate([view.rows for view in material.parts.values()]).tolist()) == list(range(2000))
    assert len(material.whole) == 2000
    with gzip.open(f"{DATA}/adult_2000.csv.gz", "rt") as file:
        lines = file.read().splitlines()
    row = material.train.rows[17]
    assert f"{material.train.table['age'][17]:g}" == lines[row + 1].split(",")[0]
    assert material.classes[material.train.codes[17]] == lines[row + 1].split(",")[-1]


def test_parts_are_those_that_fit_would_make(tmp_path):
    import tunesmith as ts

    ts.fit(f"{DATA}/adult_2000.csv.gz", {"train.epochs": 1}, target="income", until="1 steps", folder=tmp_path / "run")
    material = material_of(Task(train=f"{DATA}/adult_2000.csv.gz", target="income"))

    split = np.load(tmp_path / "run" / "data" / "split.npz")
    for part in ("train", "val", "test"):
        assert material.parts[part].rows.tolist() == split[part].tolist()


def test_identifiers_constants_infinite_and_empty_cells_are_kept(tmp_path):
    file = tmp_path / "odd.csv"
    rows = [f"{i},7,{'inf' if i == 3 else i % 5},{'' if i == 4 else i * 0.5},{i % 2}" for i in range(60)]
    file.write_text("id,same,odd,gap,y\n" + "\n".join(rows))

    material = material_of(Task(train=str(file), target="y"))

    table = material.whole.table
    assert set(table) == {"id", "same", "odd", "gap"}
    assert table["id"].tolist() == list(range(60))
    assert np.isinf(table["odd"][3])
    assert np.isnan(table["gap"][4])
    assert "infinite" in material.refusal


def test_without_a_target_what_needs_none_can_still_be_looked_at(tmp_path):
    file = tmp_path / "plain.csv"
    file.write_text("a,b\n" + "\n".join(f"{i},{i * i}" for i in range(30)))

    material = material_of(Task(train=str(file)))

    assert material.kind == ""
    assert material.train.target is None
    assert "no target is known" in material.notices[0]


def test_pictures_come_with_their_files(tmp_path):
    from PIL import Image

    for part, count in (("train", 12), ("test", 4)):
        for i in range(count):
            folder = tmp_path / part / ("cat", "dog")[i % 2]
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.full((8, 8, 3), 10 * i, np.uint8) + np.arange(3, dtype=np.uint8)).save(
                folder / f"{i}.png"
            )

    material = material_of(Task(train=str(tmp_path)))

    assert material.form == "pictures"
    assert material.classes == ("cat", "dog")
    assert not material.parts["test"].planned
    assert len(material.parts["test"]) == 4
    place = material.place(material.parts["test"], 0)
    assert "test" in place
    assert place.endswith(".png")


def test_arrays_are_as_they_came():
    X = np.arange(40, dtype=np.float64).reshape(20, 2)
    X[3, 1] = np.nan
    y = np.arange(20) % 4 + 1

    material = material_of_arrays({"train": (X, y), "val": (X[:5], y[:5])})

    assert material.train.table["x"] is X
    assert (material.kind, material.classes) == ("multiclass", (1, 2, 3, 4))
    assert material.parts["val"].codes.tolist() == [0, 1, 2, 3, 0]


@pytest.mark.parametrize("shape", [(20, 3), (20, 3, 2)])
def test_wide_targets_are_taken(shape):
    y = np.random.default_rng(0).normal(size=shape)

    material = material_of_arrays({"train": (np.zeros((20, 1)), y)})

    assert material.kind == ("multi_regression" if len(shape) == 2 else "")


def test_datasets_are_read_out():
    import torch
    from torch.utils.data import DataLoader, Dataset

    class Pairs(Dataset):
        def __len__(self):
            return 30

        def __getitem__(self, place):
            return {"a": torch.full((2,), float(place)), "y": place % 3}

    for data in (Pairs(), DataLoader(Pairs(), batch_size=8)):
        material = material_of(Task(torch.nn.Linear(2, 3), data))
        assert material.train.table["a"][:, 0].tolist() == list(range(30))
        assert material.kind == "multiclass"


def test_a_group_or_a_time_divides():
    rows = 60
    data = {"who": [f"p{i % 6}" for i in range(rows)], "x": np.arange(rows) * 1.0, "y": np.arange(rows) % 2}

    material = material_of(Task(train=data, target="y", group="who"), as_recipe({"data.split": "group"}))

    groups = [set(np.asarray(view.group).tolist()) for view in material.parts.values()]
    assert material.roles == {"group": "who"}
    assert all(not (one & other) for i, one in enumerate(groups) for other in groups[i + 1 :])


def test_random_numbers_belong_to_a_name():
    material = material_of_arrays({"train": (np.zeros((9, 1)), np.arange(9.0))})

    assert material.rng("a").random() == material.rng("a").random() != material.rng("b").random()


def test_audits_of_a_file_load_no_torch():
    code = (
        "import sys, tunesmith as ts; "
        f"ts.audit('{DATA}/adult_2000.csv.gz', target='income'); "
        "assert 'torch' not in sys.modules"
    )

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
