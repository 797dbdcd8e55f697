import pytest

from tunesmith.records import UnknownName, explain_field
from tunesmith.records.recipe import PATHS


@pytest.mark.parametrize("path", PATHS)
def test_every_field_has_a_page(path):
    page = explain_field(path)

    assert page.startswith(f"{path}: ")
    assert "\nkind       " in page
    assert "\ndefault    " in page


def test_a_page_names_kind_default_and_other_names():
    page = explain_field("optim.clip_norm")

    assert 'kind       a number > 0 or "none"' in page
    assert 'default    "none"' in page
    assert "max_grad_norm (Transformers)" in page


def test_bare_names_sections_and_foreign_names():
    assert explain_field("lr_scheduler_type").startswith("lr_scheduler_type is called schedule.name here")
    assert explain_field("clip_norm") == explain_field("optim.clip_norm")
    assert "label_smoothing" in explain_field("loss")
    assert explain_field("lora_dim").startswith("lora_dim is called model.lora here")
    assert "model.lora.alpha    B A counts alpha / rank times; auto: 2 rank" in explain_field("model.lora.rank")
    assert explain_field("output_dir").startswith("output_dir has no counterpart here: folders")


def test_an_unknown_name():
    with pytest.raises(UnknownName, match=r"did you mean 'optim\.lr'"):
        explain_field("optim.lrr")
