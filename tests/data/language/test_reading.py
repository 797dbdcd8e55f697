"""Every usual form of text becomes the same samples, and a row that cannot be used is named with its place."""

import gzip
import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tunesmith.data.language.forms import form_of
from tunesmith.data.language.reading import is_text, read_samples
from tunesmith.data.language.samples import Turn
from tunesmith.records import DataError, Task

ASKED = (Turn("user", "Add 1, 2."), Turn("assistant", "3"))
FORMS: dict[str, dict[str, Any]] = {
    "messages": {"messages": [{"role": "user", "content": "Add 1, 2."}, {"role": "assistant", "content": "3"}]},
    "sharegpt": {"conversations": [{"from": "human", "value": "Add 1, 2."}, {"from": "gpt", "value": "3"}]},
    "alpaca": {"instruction": "Add 1, 2.", "input": "", "output": "3"},
    "completion": {"prompt": "Add 1, 2.", "completion": "3"},
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_turns(form, tmp_path):
    file = tmp_path / "chat.jsonl.gz"
    file.write_bytes(gzip.compress((json.dumps(FORMS[form]) + "\n").encode() * 2))

    found = read_samples(file)

    assert found.form == form
    assert [sample.turns for sample in found.samples] == [ASKED, ASKED]
    assert found.samples[1].place == "line 2 of chat.jsonl.gz"
    assert f"read as {form}" in found.notices[0]


def test_a_list_a_frame_and_a_json_file_are_read_alike(tmp_path):
    rows = [FORMS["alpaca"]] * 3
    (tmp_path / "rows.json").write_text(json.dumps(rows), encoding="utf-8")

    found = [read_samples(source) for source in (rows, pl.DataFrame(rows), tmp_path / "rows.json")]

    assert [[sample.turns for sample in one.samples] for one in found] == [[ASKED] * 3] * 3


def test_a_text_file_is_one_text(tmp_path):
    file = tmp_path / "play.txt"
    file.write_text("First Citizen:\nBefore we proceed\n", encoding="utf-8")

    found = read_samples(file)

    assert (found.form, len(found.samples)) == ("plain text", 1)
    assert found.samples[0].text == "First Citizen:\nBefore we proceed\n"


def test_inputs_systems_histories_pieces_and_calls_are_kept():
    rows = [
        {"instruction": "Add.", "input": "1, 2", "output": "3", "system": "Be brief.", "history": [["Hi", "Hello"]]},
        {
            "messages": [
                {"role": "user", "content": [{"type": "text", "value": "Weather?"}]},
                {"role": "assistant", "content": None, "tool_calls": [{"name": "weather"}]},
                {"role": "tool", "content": "sunny"},
            ],
            "tools": [{"name": "weather"}],
        },
    ]

    alpaca, calling = (read_samples([row]).samples[0] for row in rows)

    assert [turn.role for turn in alpaca.turns] == ["system", "user", "assistant", "user", "assistant"]
    assert alpaca.turns[3].text == "Add.\n1, 2"
    assert [turn.text for turn in calling.turns] == ["Weather?", '[{"name": "weather"}]', "sunny"]
    assert json.loads(calling.tools) == [{"name": "weather"}]


def test_weights_of_turns_switch_them_off():
    turns = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b", "weight": 0}]
    more = [{"role": "user", "content": "c"}, {"role": "assistant", "content": "d", "loss_weight": 1.0}]

    (sample,) = read_samples([{"messages": turns + more}]).samples

    assert [turn.trains for turn in sample.turns] == [True, False, True, True]


def test_the_better_answer_is_learnt_and_marked_worse_ones_are_not():
    pair = {"conversations": [{"from": "human", "value": "a"}], "chosen": {"from": "gpt", "value": "good"}}
    pair |= {"rejected": {"from": "gpt", "value": "bad"}}
    judged = [{**FORMS["messages"], "label": True}, {**FORMS["messages"], "label": False}]

    chosen, kept = read_samples([pair]), read_samples(judged)

    assert chosen.samples[0].turns[-1].text == "good"
    assert any("rejected" in notice for notice in chosen.notices)
    assert len(kept.samples) == 1
    assert any("1 rows" in notice for notice in kept.notices)


def message(**turn: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": "hello"}, turn]}


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "no role": (message(content="x"), r"turn 2 has no role \(keys: content\)"),
    "unknown role": (message(role="asistant", content="x"), r"role 'asistant'.*did you mean 'assistant'"),
    "empty turn": (message(role="assistant", content="  "), r"turn 2 \(assistant\) is empty"),
    "no text": (message(role="assistant", content=7), "turn 2 holds 7"),
    "a picture": (message(role="assistant", content=[{"type": "image_url"}]), "no text"),
    "half a weight": (message(role="assistant", content="x", weight=0.5), "weight 0.5"),
    "no turns": ({"messages": []}, "a list of turns was expected"),
    "a turn that is a word": ({"messages": ["hi"]}, "turn 1 is 'hi'"),
    "another form": ({"text": "x"}, "has no 'messages'"),
}


@pytest.mark.parametrize("fault", BAD)
def test_a_bad_row_is_named_or_left_out(fault):
    row, words = BAD[fault]
    rows = [FORMS["messages"], row, FORMS["messages"]]

    with pytest.raises(DataError, match=rf"row 1 of the data: .*{words}.*data.bad_rows = 'drop'"):
        read_samples(rows)
    kept = read_samples(rows, bad_rows="drop")

    assert [sample.row for sample in kept.samples] == [0, 2]
    assert any("1 rows cannot be used" in notice for notice in kept.notices)


def test_files_that_hold_no_text_are_refused_in_a_sentence(tmp_path):
    cases = {
        "keys.jsonl": ('{"question": 1}\n', "the keys of its first row are question; expected messages"),
        "broken.jsonl": ('{"text": "a"}\n{"text": \n', "line 2 of broken.jsonl is not JSON"),
        "list.jsonl": ('["a"]\n', "row 0 of list.jsonl is a str"),
        "blank.txt": (" \n", "blank.txt holds no text"),
        "story.doc": ("a", "has an ending that is not known"),
    }
    for name, (text, words) in cases.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
        with pytest.raises(DataError, match=words):
            read_samples(tmp_path / name)


def test_chats_are_known_by_their_first_row_where_nothing_is_said(tmp_path):
    for form, row in FORMS.items():
        (tmp_path / f"{form}.jsonl").write_text(json.dumps(row) + "\n", encoding="utf-8")
    (tmp_path / "table.jsonl").write_text('{"age": 3, "text": "x"}\n', encoding="utf-8")

    def known(name: str, **about: Any) -> bool:
        return is_text(Task(train=tmp_path / name, **about))

    assert known("messages.jsonl")
    assert known("alpaca.jsonl")
    assert not known("alpaca.jsonl", target="output")
    assert not known("completion.jsonl")
    assert known("completion.jsonl", kind="language")
    assert not known("table.jsonl")
    assert known("missing.txt")
    assert form_of({"x": 1}) is None


@pytest.mark.parametrize(
    "name", ["glaive_toolcall_en_demo", "dpo_zh_demo", "kto_en_demo", "v1_sft_demo", "alpaca_zh_demo"]
)
def test_real_files_are_read_whole(name, shared: Path):
    found = read_samples(shared / "data" / "sft" / f"{name}.jsonl.gz")

    assert len(found.samples) >= 150
    assert all(sample.turns[-1].role == "assistant" for sample in found.samples)
