"""What stands in an export's README: how to load it, what goes in, what comes out."""

from collections.abc import Mapping
from typing import Any

from tunesmith.data.spec import Categories, InputSpec, Numbers, Pictures, Places, Plain, Tokens
from tunesmith.training.evaluate import LOG_RATES
from tunesmith.training.exporting.subject import Subject


def readme(subject: Subject, checked: str, *, code: bool) -> str:
    """The page of a plain PyTorch export."""
    make = (
        "from model import build"
        if code
        else f"from … import {subject.name} as build  # your class, with its arguments"
    )
    call = (
        f"net({subject.inputs[0]})"
        if len(subject.inputs) == 1
        else "net({" + ", ".join(f'"{name}": {name}' for name in subject.inputs) + "})"
    )
    load = 'net = build(); net.load_state_dict(load_file("model.safetensors")); net.eval()'
    asked = "It needs torch and safetensors, and not Tunesmith."
    if not code:
        asked = f"The code of {subject.name} is not here: its class is needed beside these weights."
    return "\n".join(
        [
            f"# {subject.name}, trained by Tunesmith",
            "",
            asked,
            "",
            "```python",
            make,
            "from safetensors.torch import load_file",
            load,
            "```",
            "",
            f"## Inputs of `{call}`",
            "",
            *(f"- {line}" for line in inputs_told(subject)),
            "",
            "`preprocessing.json` holds how raw data become these inputs, as fitted on the training part.",
            "",
            "## Outputs",
            "",
            outputs_told(subject.facts, own=not subject.built_in),
            "",
            "## Checked",
            "",
            checked,
            "",
        ]
    )


def inputs_told(subject: Subject) -> list[str]:
    """A line for each input."""
    types = {name: str(values.dtype).removeprefix("torch.") for name, values in subject.samples[0].items()}
    shapes = {name: ", ".join(["N", *map(str, values.shape[1:])]) for name, values in subject.samples[0].items()}
    shapes |= {name: "N, L" for name, spec in subject.spec.items() if isinstance(spec, Tokens)}
    return [f"`{name}`: {types[name]} ({shapes[name]}), {_told(subject.spec.get(name))}" for name in subject.inputs]


def _told(spec: InputSpec | None) -> str:
    match spec:
        case Numbers():
            return f"scaled columns {_some(spec.names)}"
        case Categories():
            levels = [f"{name} below {size}" for name, size in zip(spec.names, spec.sizes, strict=True)]
            return f"indices of levels ({_some(levels)}); 0 is a rare or unseen level, 1 a missing value"
        case Tokens():
            cut = f"texts of any length L (at most {spec.length} in training), padded at the end with {spec.padding}"
            return f"indices of tokens below {spec.vocabulary}, {cut}"
        case Places():
            return f"numbers of samples in a row or places within each, beside the tokens (at most {spec.length})"
        case Pictures():
            return f"(pixel / 255 - mean) / std by channel, mean {_numbers(spec.mean)}, std {_numbers(spec.std)}"
        case Plain() | None:
            return "as in the training data"


def outputs_told(facts: Mapping[str, Any], *, own: bool) -> str:
    """How outputs become labels, probabilities or values."""
    if own:
        return "As your network gives them. `classes.json` has the classes, and the temperature and threshold found on the validation part."
    scale = "" if facts["temperature"] == 1.0 else f" / {facts['temperature']:.6g}"
    match facts["kind"]:
        case "regression" | "multi_regression":
            target = facts["target"] or {}
            if facts["loss"] in LOG_RATES:
                return "Logarithms of the rates: the prediction is `torch.exp(outputs)`."
            if not target.get("center"):
                return "The values predicted."
            return f"Scaled values: the prediction is outputs * {_numbers(target['spread'])} + {_numbers(target['center'])}."
        case "multilabel":
            least = facts["threshold"] or 0.5
            return f"A logit (N, K) for each label: it applies where `torch.sigmoid(outputs{scale})` is at least {least:.6g}."
        case _:
            told = f"Logits (N, C), classes as in `classes.json`; probabilities are `torch.softmax(outputs{scale}, 1)`."
            if facts["threshold"] is None or facts["positive"] is None:
                return told + " The label is the most probable class."
            positive = facts["classes"][facts["positive"]] if facts["classes"] else facts["positive"]
            return f"{told} The label is {positive!r} where its probability is at least {facts['threshold']:.6g}."


def _some(names: Any, most: int = 12) -> str:
    shown = ", ".join(map(str, names[:most]))
    return f"{shown} … ({len(names)} in all)" if len(names) > most else shown


def _numbers(values: Any) -> str:
    shown = [f"{value:.9g}" for value in values]
    return shown[0] if len(shown) == 1 else f"({', '.join(shown)})"
