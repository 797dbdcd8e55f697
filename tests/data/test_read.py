import gzip
import json

import numpy as np
import polars as pl
import pytest

from tunesmith.data.npz import archive_parts
from tunesmith.data.read import read_table
from tunesmith.records import DataError

CSV = "a,b\n1,x\n2,y\n3,z\n"


def write(folder, name, content):
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def parquet(folder):
    path = folder / "whole.parquet"
    pl.DataFrame({"a": [1, 2, 3], "b": ["x", "y", "z"]}).write_parquet(path)
    return path.read_bytes()


@pytest.mark.parametrize("ending", ["csv", "csv.gz", "jsonl", "jsonl.gz", "parquet", "parquet.gz"])
def test_every_format_gives_the_same_cells(tmp_path, ending):
    lines = "".join(json.dumps({"a": i + 1, "b": b}) + "\n" for i, b in enumerate("xyz"))
    content = {"csv": CSV.encode(), "jsonl": lines.encode(), "parquet": parquet(tmp_path)}[ending.removesuffix(".gz")]
    path = write(tmp_path, f"data.{ending}", gzip.compress(content) if ending.endswith(".gz") else content)

    sheet = read_table(path)

    assert [str(value) for value in sheet.column("a").to_list()] == ["1", "2", "3"]
    assert sheet.column("b").to_list() == ["x", "y", "z"]


SENTENCES = {
    "empty.csv": (b"", "empty"),
    "blank.csv": (b"\n \n", "no text"),
    "header.csv": (b"a,b\n", "no rows"),
    "zip.csv.gz": (CSV.encode(), "not gzip"),
    "cut.csv.gz": (gzip.compress(CSV.encode() * 99)[:-20], "cut short"),
    "gzip.csv": (gzip.compress(CSV.encode()), "holds gzip data"),
    "binary.csv": (bytes(range(256)), "not text"),
    "sheet.csv": (b"PK\x03\x04rest", "zip"),
    "words.parquet": (CSV.encode(), "not Parquet"),
    "short.parquet": (b"PAR1 and then nothing", "cut short"),
    "few.csv": (b"a,b\n1,2\n3\n4,5\n", r"line 3 of few.csv \(row 1\) has 1 fields and the header has 2"),
    "many.csv": (b'a,b\n1,2\n"x\ny",2\n3,4,5\n', r"line 5 of many.csv \(row 2\) has 3 fields"),
    "open.csv": (b'a,b\n1,2\n"x,2\n3,4\n5,6\n', "quote left open"),
    "twice.csv": (b"a,b,a\n1,2,3\n", "'a'"),
    "bad.jsonl": (b'{"a": 1}\n{"a": \n', "line 2 of bad.jsonl is not JSON"),
    "list.jsonl": (b'{"a": 1}\n[1, 2]\n', "line 2 of list.jsonl holds a list"),
    "data.xlsx": (b"PK\x03\x04", "not known"),
}


@pytest.mark.parametrize("name", SENTENCES)
def test_a_file_that_cannot_be_read_gets_its_sentence(tmp_path, name):
    content, sentence = SENTENCES[name]
    path = write(tmp_path, name, content)

    with pytest.raises(DataError, match=sentence) as caught:
        read_table(path)

    assert "\n" not in str(caught.value)


def test_a_missing_file_brings_the_nearest_name(tmp_path):
    write(tmp_path, "train.csv", CSV)

    with pytest.raises(DataError, match=r"did you mean 'train.csv'"):
        read_table(tmp_path / "tran.csv")


def test_quotes_line_breaks_and_blank_lines_are_read_as_csv_means_them(tmp_path):
    path = write(tmp_path, "q.csv", 'text,n\n"a, ""b""\nc",1\n\nplain,2\n')

    sheet = read_table(path)

    assert sheet.column("text").to_list() == ['a, "b"\nc', "plain"]
    assert sheet.lines.tolist() == [2, 5]


@pytest.mark.parametrize(("separator", "name"), [(";", "semicolons"), ("\t", "tabs"), ("|", "bars")])
def test_separators_are_found(tmp_path, separator, name):
    path = write(tmp_path, "s.csv", f"a{separator}b\n1,5{separator}x\n2,5{separator}y\n")

    sheet = read_table(path)

    assert sheet.frame.columns == ["a", "b"]
    assert any(name in notice for notice in sheet.notices)


@pytest.mark.parametrize(
    ("encoding", "word", "told"),
    [("latin-1", "Größe à", "Windows-1252"), ("gb18030", "城市", "GB18030"), ("utf-16", "Größe", "UTF-16")],
)
def test_other_encodings_are_read_and_told(tmp_path, encoding, word, told):
    path = write(tmp_path, "e.csv", f"{word},b\n{word},2\n".encode(encoding))

    sheet = read_table(path)

    assert sheet.frame.columns == [word, "b"]
    assert any(told in notice for notice in sheet.notices)


def test_a_byte_order_mark_is_no_part_of_the_first_name(tmp_path):
    assert read_table(write(tmp_path, "b.csv", CSV.encode("utf-8-sig"))).frame.columns == ["a", "b"]


def test_the_quick_and_the_careful_way_agree(tmp_path):
    plain = "a,b\r\n" + "".join(f"{i},{'' if i % 3 else i}\r\n" for i in range(50))
    quoted = plain.replace("a,b", '"a",b')

    one, other = (read_table(write(tmp_path, f"{i}.csv", text)) for i, text in enumerate((plain, quoted)))

    assert one.frame.fill_null("").equals(other.frame.fill_null(""))
    assert np.array_equal(one.lines, other.lines)


def test_mixed_json_values_become_text(tmp_path):
    path = write(tmp_path, "m.jsonl", '{"a": 1}\n{"a": "x"}\n{"b": true}\n')

    sheet = read_table(path)

    assert sheet.column("a").to_list() == ["1", "x", None]


def test_an_archive_gives_its_parts(tmp_path):
    np.savez(
        tmp_path / "a.npz", X_train=np.ones((4, 2)), y_train=np.arange(4), x_test=np.ones((2, 2)), y_test=np.arange(2)
    )

    parts = archive_parts(tmp_path / "a.npz")

    assert {part: X.shape for part, (X, _) in parts.items()} == {"train": (4, 2), "test": (2, 2)}


def test_an_archive_takes_the_name_of_the_labels(tmp_path):
    np.savez(tmp_path / "a.npz", values=np.ones((4, 2)), kinds=np.arange(4), note=np.zeros(1))

    X, y = archive_parts(tmp_path / "a.npz", "kinds")["train"]

    assert (X.shape, y.tolist()) == ((4, 2), [0, 1, 2, 3])
    with pytest.raises(DataError, match="'kinds'"):
        archive_parts(tmp_path / "a.npz", "kind")
    with pytest.raises(DataError, match="expected X and y"):
        archive_parts(tmp_path / "a.npz")


@pytest.mark.parametrize(
    ("content", "sentence"), [(b"", "is empty"), (b"hello", "no npz"), (b"PK\x03\x04cut", "cannot be read")]
)
def test_an_archive_that_is_none_gets_its_sentence(tmp_path, content, sentence):
    with pytest.raises(DataError, match=sentence):
        archive_parts(write(tmp_path, "a.npz", content))


def test_pickled_objects_are_not_read(tmp_path):
    np.savez(tmp_path / "a.npz", X=np.array([{}, []], object), y=np.arange(2))

    with pytest.raises(DataError, match="without objects"):
        archive_parts(tmp_path / "a.npz")
