import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.records.strategies import of_field
from tunesmith.records import Recipe, RecipeError, parse_setting, revise
from tunesmith.records.plain import toml_value
from tunesmith.records.recipe import PATHS


@pytest.mark.parametrize(
    ("text", "path", "value"),
    [
        ("optim.lr=1e-3", "optim.lr", 1e-3),
        ("optim.lr=auto", "optim.lr", "auto"),
        (" optim.lr = 3 ", "optim.lr", 3),
        ("train.epochs=1e1", "train.epochs", 10),
        ("train.epochs=1_000", "train.epochs", 1000),
        ("train.deterministic=True", "train.deterministic", True),
        ("optim.clip_norm=none", "optim.clip_norm", None),
        ("optim.clip_norm=null", "optim.clip_norm", None),
        ("model.norm=none", "model.norm", "none"),
        ("optim.name=adamw", "optim.name", "adamw"),
        ('optim.name="adamw"', "optim.name", "adamw"),
        ("train.device=cuda:1", "train.device", "cuda:1"),
        ("schedule.warmup=0.05dur", "schedule.warmup", "0.05dur"),
        ("schedule.warmup=100", "schedule.warmup", 100),
        ("eval.threshold=0.3", "eval.threshold", 0.3),
        ("eval.threshold=f1", "eval.threshold", "f1"),
        ("loss.class_weights=[1,2.5]", "loss.class_weights", [1, 2.5]),
        ("loss.class_weights=1,2.5", "loss.class_weights", [1, 2.5]),
        ("loss.class_weights=balanced", "loss.class_weights", "balanced"),
        ("run.exporters=tensorboard,mlflow", "run.exporters", ["tensorboard", "mlflow"]),
        ("run.exporters=[tensorboard, mlflow]", "run.exporters", ["tensorboard", "mlflow"]),
        ("run.exporters=[]", "run.exporters", []),
        ("optim.extra.nesterov=true", "optim.extra.nesterov", True),
        ('optim.extra={"a": 1}', "optim.extra", {"a": 1}),
        ("optim.extra={a = 1}", "optim.extra", {"a": 1}),
        ("model.name=a=b", "model.name", "a=b"),
    ],
)
def test_the_kind_of_the_field_decides(text, path, value):
    parsed = parse_setting(text)

    assert parsed == (path, value)
    assert type(parsed[1]) is type(value)
    assert revise(Recipe(), dict([parsed])) is not None


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_every_value_of_every_field_can_be_written(data):
    path = data.draw(st.sampled_from([path for path in PATHS if path not in ("data.val", "data.test")]))
    value = data.draw(of_field(path))

    recipe = revise(Recipe(), dict([parse_setting(f"{path}={toml_value(value)}")]))

    assert recipe.get(path) == value


@pytest.mark.parametrize("text", ["optim.lr", "=3", ""])
def test_what_is_no_setting(text):
    with pytest.raises(RecipeError, match="expected name=value without blanks around the sign"):
        parse_setting(text)


@pytest.mark.parametrize("value", ["", "fast", "1e-3.0", "[1", "{", "--", "1,2"])
def test_a_value_of_the_wrong_kind_is_named_with_its_origin(value):
    setting = parse_setting(f"optim.lr={value}")

    with pytest.raises(RecipeError, match=r'optim\.lr = .* expected a number > 0 or "auto"') as caught:
        revise(Recipe(), dict([setting]))

    assert "\n" not in str(caught.value)


def test_bare_and_foreign_names_are_taken_with_a_notice():
    changes = dict(
        map(
            parse_setting,
            ["lr=1e-3", "per_device_train_batch_size=8", "max_grad_norm=0", "lr_scheduler_type=constant_with_warmup"],
        )
    )

    recipe = revise(Recipe(), changes)

    assert (recipe.optim.lr, recipe.train.batch_size, recipe.optim.clip_norm, recipe.schedule.name) == (
        1e-3,
        8,
        None,
        "constant",
    )
    assert recipe.notices == (
        "lr is called optim.lr here",
        "per_device_train_batch_size is called train.batch_size here",
        'max_grad_norm = 0 is optim.clip_norm = "none" here',
        'lr_scheduler_type = "constant_with_warmup" is schedule.name = "constant" here',
    )
