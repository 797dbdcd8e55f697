import ast
import string
import tomllib
from importlib.resources import files
from pathlib import Path

import pytest

import tunesmith
from tunesmith.records import Finding, Remedy, Safety, UnknownName, healthy
from tunesmith.records.messages import languages, render, templates


def placeholders(template):
    return sorted(name for _, name, _, _ in string.Formatter().parse(template) if name is not None)


def test_every_language_has_the_same_ids():
    assert languages() == ("en", "zh")

    for language in languages():
        assert set(templates(language)) ^ set(templates("en")) == set()


@pytest.mark.parametrize("language", languages())
def test_every_template_is_text_with_the_same_placeholders(language):
    for name, template in templates(language).items():
        assert isinstance(template, str), name
        assert placeholders(template) == placeholders(templates("en")[name]), name
        assert template.strip(), name


@pytest.mark.parametrize("language", languages())
def test_no_id_stands_twice(language):
    text = (files("tunesmith.records.messages") / f"{language}.toml").read_text(encoding="utf-8")

    assert len(tomllib.loads(text)) == sum(line.startswith('"') for line in text.splitlines())


def test_chinese_templates_are_chinese():
    for name, template in templates("zh").items():
        assert any("一" <= letter <= "鿿" for letter in template), name


def test_a_finding_speaks_both_languages():
    values = {"value": "nan", "step": 7, "epoch": 1, "last": 0.25}
    finding = Finding(fault="loss.nonfinite", severity="error", message="loss.nonfinite", values=values)

    assert finding.because == "the training loss became nan at step 7 (epoch 1); the last finite value was 0.25"
    assert finding.text("zh") == "训练损失在第 7 步（第 1 轮）变成 nan；最后一个有限值是 0.25"
    assert not healthy([finding])


def test_a_plug_in_brings_its_own_words():
    remedy = Remedy(title="set {path} to {value}", safety=Safety.RISKY, values={"path": "optim.lr", "value": 0.1})

    assert remedy.text() == "set optim.lr to 0.1"


def test_an_unknown_language():
    with pytest.raises(UnknownName, match="no language called 'zg'; known: en, zh"):
        render("loss.nonfinite", {}, "zg")


def test_every_message_that_a_finding_or_remedy_names_has_its_template():
    source = Path(tunesmith.__file__).parent
    named = set()
    for file in source.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("Finding", "Remedy"):
                for keyword in node.keywords:
                    if keyword.arg in ("message", "title") and isinstance(keyword.value, ast.Constant):
                        named.add(keyword.value.value)

    assert "optim.unregistered_params" in named
    assert named - set(templates("en")) == set()
