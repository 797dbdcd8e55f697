"""init.bad_scale: where it speaks, and where it is silent."""

import pytest

from tests.diagnosis.lived import answers, falling, flat, gravity, lived
from tunesmith.runs.history import History

FAULT = "init.bad_scale"


def one_large(loss=None, **more):
    """A net of usual layers but for the second."""
    facts = {
        "gains": {"0.weight": 0.58, "1.weight": 14.0, "2.weight": 0.6, "3.weight": 0.58, "4.weight": 0.57},
        "layers": {"activation_std": {str(at): [14.0 if at == 1 else 0.5] * 5 for at in range(5)}},
    }
    return lived(falling() if loss is None else loss, answers=answers(), **(facts | more))


def in_order(*kinds):
    """The same net with a table of its layers as the watch leaves it."""
    one = one_large()
    return History(
        curves=one.curves, reader="own", facts=one.facts | {"layers": list(zip("01n234", kinds, strict=True))}
    )


SPEAKS = {
    "one layer far larger than the others": one_large(),
    "and no norm behind it": in_order("Linear", "Linear", "Conv1d", "Linear", "Linear", "Linear"),
    "so small that the first layer hardly moves": lived(
        falling(),
        answers=answers(),
        gains={"0.weight": 0.006, "2.weight": 0.006},
        layers={"update_ratio": {"0": [1e-5] * 5, "2": [0.1] * 5}},
        activations={"0": "", "2": ""},
    ),
    "tanhs at their ends, though the last layer learns": lived(
        falling(),
        answers=answers(),
        gains={"0.weight": 11.0, "2.weight": 11.0},
        activations={"1": "Tanh", "3": "Tanh"},
        layers={"activation_std": {"0": [5.0] * 5, "2": [10.0] * 5}},
    ),
    "far too small, and at chance": lived(flat(), answers=answers(), gains={"0.weight": 0.006, "2.weight": 0.006}),
    "far too large, and a loud start": lived(
        falling(40.0, 1.0), answers=answers(), gains={"0.weight": 30.0, "2.weight": 30.0}
    ),
    "asleep from the start": lived(
        flat(), answers=answers(), gains={"0.weight": 0.6}, layers={"dead_fraction": {"1": [0.9] * 10}}
    ),
}

SILENT = {
    "usual": lived(flat(), answers=answers(), gains={"0.weight": 0.58, "2.weight": 1.4}),
    "small, and it learns": lived(falling(), answers=answers(), gains={"0.weight": 0.1, "2.weight": 0.1}),
    "large, before norms, and it learns": lived(falling(), answers=answers(), gains={"0.weight": 8.0, "2.weight": 8.0}),
    "one large layer, and a norm behind it": in_order("Linear", "Linear", "LayerNorm", "Linear", "Linear", "Linear"),
    "one large layer of small outputs": one_large(layers={"activation_std": {str(at): [0.5] * 5 for at in range(5)}}),
    "one large layer, learnt before": one_large(falling(0.3, 0.1)),
    "the last layer alone": one_large(gains={"0.weight": 0.58, "1.weight": 0.6, "2.weight": 14.0}),
    "all alike: another fault": lived(flat(), answers=answers(), gains={"0.weight": 0.01}, alike={"0.weight": True}),
}


@pytest.mark.parametrize("name", SPEAKS)
def test_it_speaks(name):
    assert gravity(FAULT, SPEAKS[name]) == "warning"


@pytest.mark.parametrize("name", SILENT)
def test_it_is_silent(name):
    assert gravity(FAULT, SILENT[name]) in ("", "note")
