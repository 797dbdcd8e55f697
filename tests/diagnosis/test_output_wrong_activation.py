"""output.wrong_activation: where it speaks, and where it is silent."""

import pytest

from tests.diagnosis.lived import answers, falling, flat, gravity, lived

FAULT = "output.wrong_activation"

SPEAKS = {
    "a tanh about the mean of the targets": lived(
        flat(3.0),
        answers=answers(
            "numbers", beyond=0.4, crowd=0.07, end=15.2, outside=0.85, late_low=13.3, late_high=15.2, chance=None
        ),
        activations={"1": "ReLU", "5": "Tanh"},
    ),
    "a sigmoid on the graph of the loss, early": lived(
        falling(steps=40),
        answers=answers("flags", form="bce_with_logits", output_low=0.4, output_high=0.6, batches=6),
        loss_path=["BinaryCrossEntropyWithLogits", "Sigmoid", "Addmm"],
    ),
    "softmax twice": lived(answers=answers(output_low=0.0, output_high=1.0, row_sum_gap=1e-6)),
    "sigmoid before cross entropy": lived(answers=answers(output_low=0.01, output_high=0.98)),
    "sigmoid twice": lived(answers=answers("flags", form="bce_with_logits", output_low=0.02, output_high=0.97)),
    "one unit under a softmax": lived(answers=answers("flags", form="bce", output_low=1.0, output_high=1.0, width=1)),
    "scores into a loss of log probabilities": lived(answers=answers(form="nll", normaliser_gap=3.0)),
    "targets below the end of a ReLU": lived(answers=answers("numbers", beyond=0.4, crowd=0.5, end=0.0, outside=0.4)),
}

SILENT = {
    "outputs that stay near their mean, through ReLUs": lived(
        flat(3.0),
        answers=answers(
            "numbers", beyond=0.4, crowd=0.07, end=15.2, outside=0.85, late_low=13.3, late_high=15.2, chance=None
        ),
        activations={"1": "ReLU"},
    ),
    "a narrow start that happens to lie between": lived(
        answers=answers("flags", form="bce_with_logits", output_low=0.08, output_high=0.33, batches=6)
    ),
    "a short run": lived(
        falling(steps=40),
        answers=answers("flags", form="bce_with_logits", output_low=0.02, output_high=0.97, batches=6),
    ),
    "plain scores": lived(answers=answers()),
    "log probabilities": lived(answers=answers(form="nll", normaliser_gap=1e-6)),
    "probabilities into the loss that takes them": lived(
        answers=answers("flags", form="bce", output_low=0.01, output_high=0.99)
    ),
    "a positive output for positive targets": lived(answers=answers("numbers", beyond=0.0, crowd=0.3, end=0.0)),
    "outputs that do not reach as far yet": lived(answers=answers("numbers", beyond=0.3, crowd=0.05, end=1.37)),
    "few outputs that happen to lie between": lived(
        answers=answers("flags", form="bce_with_logits", output_low=0.02, output_high=0.97, values=40)
    ),
}


@pytest.mark.parametrize("name", SPEAKS)
def test_it_speaks(name):
    assert gravity(FAULT, SPEAKS[name]) == "error"


@pytest.mark.parametrize("name", SILENT)
def test_it_is_silent(name):
    assert gravity(FAULT, SILENT[name]) in ("", "note")
