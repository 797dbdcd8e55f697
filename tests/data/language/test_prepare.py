"""From files and rows to parts: divided, limited, refused where nothing could be learnt."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tunesmith.data import Pipeline, prepare
from tunesmith.data.language.packing import IGNORED
from tunesmith.data.spec import Places, Tokens
from tunesmith.records import DataError, MissingExtra, Recipe, RecipeError, Task, revise

CHAT = Path(__file__).parents[2] / "golden" / "chat"


def asked(count: int = 20, **more: Any) -> list[dict[str, Any]]:
    return [
        {"instruction": f"Say {number}", "output": f"{number}!" * (1 + number % 3), **more} for number in range(count)
    ]


def prepared(data: Any, changes: dict[str, Any] | None = None, **about: Any) -> Any:
    return prepare(Task(train=data, kind="language", **about), revise(Recipe(), changes or {}))


def test_chats_become_rows_whose_targets_are_the_replies():
    found = prepared(asked())

    assert [len(part) for part in (found.train, found.val, found.test)] == [14, 3, 3]
    assert found.kind == "language"
    assert found.spec == {"tokens": Tokens(261, found.train.inputs["tokens"].shape[1])}
    block = found.pipeline.blocks[0]
    for row, target in zip(found.train.inputs["tokens"], found.train.target, strict=True):
        replied = block.decode(target[target != IGNORED].tolist())
        number = block.decode(row.tolist()).split("Say ")[1].split("<")[0]
        assert replied == f"{number}!" * (1 + int(number) % 3) + "<|im_end|><|end_of_text|>"


def test_equal_samples_stay_together():
    found = prepared(asked(10) * 4)

    rows = [set((part.rows % 10).tolist()) for part in (found.train, found.val, found.test)]
    assert not rows[0] & rows[1]
    assert not rows[0] & rows[2]


def test_one_text_is_divided_in_order_at_its_line_breaks(tmp_path):
    text = "".join(f"line {number:03d}\n" for number in range(200))
    (tmp_path / "lines.txt").write_text(text, encoding="utf-8")

    found = prepared(tmp_path / "lines.txt", {"data.max_seq_len": 40})

    block = found.pipeline.blocks[0]
    told = []
    for part in (found.train, found.val, found.test):
        rows = [block.decode(part.inputs["tokens"][0].tolist())]  # pieces share one token with the piece before
        rows += [block.decode(row[1:].tolist()) for row in part.inputs["tokens"][1:]]
        told.append("".join(rows))
    assert "".join(told) == f"{text}<|end_of_text|>"  # a part that goes on teaches no ending
    told[-1] = told[-1].removesuffix("<|end_of_text|>")
    assert all(one.endswith("\n") for one in told)
    assert [round(len(one) / len(text), 2) for one in told] == [0.7, 0.15, 0.15]
    assert any("is one text" in notice for notice in found.notices)


def test_given_parts_are_used_as_they_are(tmp_path):
    found = prepared(asked(6), val=asked(3), test=asked(2))

    assert [len(part) for part in (found.train, found.val, found.test)] == [6, 3, 2]
    assert found.split.name == "given"


def test_packing_gives_segments_and_positions():
    loose, packed = (
        prepared(asked(), {"data.max_seq_len": 90}),
        prepared(asked(), {"data.max_seq_len": 90, "data.pack": True}),
    )

    assert packed.spec["segments"] == packed.spec["positions"] == Places(90)
    assert len(packed.train) < len(loose.train)
    labels = [np.sort(one.train.target[one.train.target != IGNORED]) for one in (loose, packed)]
    assert np.array_equal(*labels)
    assert any("are packed into" in notice for notice in packed.notices)


def test_the_pipeline_reads_other_texts_as_the_training_did():
    found = prepared(asked(), {"data.pack": True, "data.max_seq_len": 60})

    again = Pipeline.from_json(json.loads(json.dumps(found.pipeline.to_json())))
    part = again.transform(asked(3))

    assert len(part) == 3
    assert part.inputs["tokens"].shape == (3, 60)
    assert again.spec() == found.spec


REFUSED: dict[str, tuple[Any, dict[str, Any], dict[str, Any], type[Exception], str]] = {
    "a target": (asked(), {}, {"target": "output"}, DataError, "target = 'output' is named"),
    "a split by group": (asked(), {"data.split": "group"}, {}, RecipeError, "data.split = 'group'"),
    "a policy of tables": (
        asked(),
        {"data.too_long": "cut_middle"},
        {},
        RecipeError,
        "choose truncate, drop, split, error",
    ),
    "no room": (asked(), {"data.max_seq_len": 1}, {}, DataError, "leaves nothing to foretell"),
    "all prompts": (
        asked(),
        {"data.max_seq_len": 10},
        {},
        DataError,
        "none of 14 samples has a label within max_seq_len = 10",
    ),
    "every end is cut": (
        asked(output="long answer " * 9),
        {"data.max_seq_len": 60},
        {},
        DataError,
        "no sample trains its end token.*raise data.max_seq_len",
    ),
    "no such role": (asked(), {"data.train_roles": ["tool"]}, {}, DataError, "the turns are of assistant, user"),
    "a template for ours": (
        asked(),
        {"data.chat_template": "x.jinja"},
        {},
        RecipeError,
        "data.chat_template is for a tokenizer",
    ),
    "an end for ours": (asked(), {"data.end_token": "x"}, {}, RecipeError, "data.end_token is for a tokenizer"),
    "long prompts": (
        asked(system="Be kind. " * 30),
        {"data.max_seq_len": 100},
        {},
        DataError,
        r"row \d+ of the data: its system prompt alone has 280 tokens and data.max_seq_len = 100 leaves no room",
    ),
    "error forbids": (asked(), {"data.too_long": "error", "data.max_seq_len": 30}, {}, DataError, "forbids to cut"),
}


@pytest.mark.parametrize("fault", REFUSED)
def test_what_cannot_be_learnt_from_is_refused_in_a_sentence(fault):
    data, changes, about, error, words = REFUSED[fault]

    with pytest.raises(error, match=words):
        prepared(data, changes, **about)


def test_long_system_prompts_and_silent_samples_can_be_left_out():
    long = asked(4, system="Be kind. " * 30)
    quiet = [{"messages": [{"role": "user", "content": "Hi"}]}]

    found = prepared(
        [*asked(20), *long], {"data.max_seq_len": 100, "data.bad_rows": "drop"}, val=asked(2), test=asked(2)
    )
    spoken = prepared(
        [*quiet, *[{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}] * 8]
    )

    assert len(found.train) == 20
    assert any("4 samples are left out, for their system prompt" in notice for notice in found.notices)
    kept = [part for part in (spoken.train, spoken.val, spoken.test) if part is not None]
    assert sum(map(len, kept)) == 8


def test_what_a_limit_costs_is_a_finding_with_remedies():
    found = prepared(asked(20, input="please " * 3), {"data.max_seq_len": 56}, val=asked(2), test=asked(2))

    (finding,) = found.findings
    assert finding.fault == "data.too_long"
    assert finding.severity == "warning"
    assert "end tokens" in finding.because
    assert {"data.too_long": "split"} in [remedy.change for remedy in finding.remedies]


def test_a_folder_brings_its_own_tokenizer(tmp_path):
    found = prepared(asked(), {"data.tokenizer_folder": str(CHAT)})

    text = found.pipeline.blocks[0].decode(found.train.inputs["tokens"][0].tolist())
    assert text.startswith("<|im_start|>system\nYou are a helpful assistant.<|im_end|>")
    assert found.outputs == 500


def test_a_template_that_marks_prompts_too_is_refused(tmp_path):
    shutil.copytree(CHAT, tmp_path / "all")
    source = "{% generation %}{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}{% endgeneration %}"
    (tmp_path / "all" / "chat_template.jinja").write_text(source, encoding="utf-8")

    with pytest.raises(DataError, match=r"tokens of the role user train, and data.train_roles = \['assistant'\]"):
        prepared(asked(), {"data.tokenizer_folder": str(tmp_path / "all")})


def test_a_template_without_ends_is_refused(tmp_path):
    (tmp_path / "bare.jinja").write_text(
        "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}", encoding="utf-8"
    )

    with pytest.raises(DataError, match="no sample trains its end token"):
        prepared(asked(), {"data.tokenizer_folder": str(CHAT), "data.chat_template": str(tmp_path / "bare.jinja")})


def test_a_folder_that_needs_transformers_says_so(tmp_path, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "transformers", None)
    (tmp_path / "vocab.json").write_text("{}", encoding="utf-8")

    with pytest.raises(MissingExtra, match=r"pip install 'tunesmith\[text\]'"):
        prepared(asked(), {"data.tokenizer_folder": str(tmp_path)})


def test_policies_of_language_models_are_none_for_columns_of_text():
    table = {"text": ["a b c d"] * 8 + ["e f"] * 8, "y": ["x", "z"] * 8}

    with pytest.raises(RecipeError, match=r"data.too_long = 'split' is for language models"):
        prepare(Task(train=table, target="y", columns={"text": "text"}), revise(Recipe(), {"data.too_long": "split"}))
