"""What is exported: a model on the CPU in evaluation mode, batches to try it on, and what a reader must know."""

import copy
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tunesmith.blocks.layers import bake_weight_norm
from tunesmith.data.spec import Categories, InputSpec, Numbers, Pictures, Places, Plain, Tokens
from tunesmith.records import DataError, ModelError
from tunesmith.training.adapters import has_adapter, merge
from tunesmith.training.batch import outputs_of
from tunesmith.training.predicting import Predictor, plain

Sample = Mapping[str, Tensor]
LONGEST_TRIED = 32  # tokens; assumption: what holds for 1 to 39 tokens holds for more
SHAPES = ((4, 0), (1, 0), (3, 0), (2, 1), (1, 2), (5, 7))  # rows; tokens: 1, 2, the usual length, or 7 above it


@dataclass(frozen=True, slots=True)
class Subject:
    """A model to be exported, with batches of different sizes to compare it on."""

    model: nn.Module  # a copy: on the CPU, in evaluation mode
    spec: Mapping[str, InputSpec]
    samples: tuple[Sample, ...]  # the first is the one a trace is made with
    facts: Mapping[str, Any]  # task, classes, calibration, inputs
    preprocessing: Mapping[str, Any] | None

    @property
    def name(self) -> str:
        return type(self.model).__name__

    @property
    def built_in(self) -> bool:
        return type(self.model).__module__.startswith("tunesmith.")

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the inputs, in the order in which a traced model takes them."""
        return tuple(self.samples[0])

    def outputs(self, sample: Sample) -> Tensor:
        return run(self.model, sample)


def run(model: Callable[[Any], Any], sample: Sample) -> Tensor:
    """The outputs of a model that takes a lone tensor, or several in a dict."""
    with torch.no_grad():
        return outputs_of(model(given(sample)))


def given(sample: Sample) -> Any:
    return next(iter(sample.values())) if len(sample) == 1 else dict(sample)


def subject_of(predictor: Predictor, example: Any = None) -> Subject:
    """The model of a predictor, ready for export. `example` is a batch, where random numbers would not be valid inputs."""
    model = bake_weight_norm(copy.deepcopy(predictor.model))  # w in place of g and v
    model = (merge(model) if has_adapter(model) else model).cpu().eval().requires_grad_(False)
    preprocessing = None if predictor.pipeline is None else predictor.pipeline.to_json()
    samples = _of_example(example) if example is not None else _tried(model, predictor)
    facts = {
        "kind": predictor.kind,
        "classes": None if predictor.classes is None else [plain(label) for label in predictor.classes],
        "positive": predictor.positive,
        "temperature": predictor.temperature,
        "loss": predictor.loss_name,
        "threshold": predictor.threshold,
        "target": (preprocessing or {}).get("target"),
        "inputs": {name: {"type": type(spec).__name__, **asdict(spec)} for name, spec in predictor.spec.items()},
    }
    return Subject(model, predictor.spec, tuple(samples), facts, preprocessing)


def _of_example(example: Any) -> list[Sample]:
    """The batch itself, its first row, and the batch twice."""
    named = example if isinstance(example, Mapping) else {"x": example}
    if any(isinstance(values, list | tuple) for values in named.values()):
        raise DataError(
            "example holds a list or tuple; expected one batch as the model takes it: a tensor or array (N, ...), or a dict of them"
        )
    sample = {name: torch.as_tensor(values).detach().cpu() for name, values in named.items()}
    return [
        sample,
        {name: values[:1] for name, values in sample.items()},
        {name: torch.cat([values, values]) for name, values in sample.items()},
    ]


def _tried(model: nn.Module, predictor: Predictor) -> list[Sample]:
    """Random batches that the model takes. Raises `ModelError` where it takes none of them."""
    dtype = next((held.dtype for held in model.parameters() if held.is_floating_point()), torch.float32)
    failures: list[Exception] = []
    for plain_type in _plain_types(predictor, dtype):
        samples = list(_random(predictor.spec, dtype, plain_type))
        if not samples:
            break
        try:
            run(model, samples[0])
        except (RuntimeError, TypeError, ValueError, IndexError, KeyError, AttributeError) as error:
            failures.append(error)
            continue
        return samples
    shown = " ".join(str(failures[0]).split())[:200] if failures else "the run does not say what its inputs are"
    raise ModelError(
        f"{type(model).__name__} takes no random batch to check an export with ({shown}); pass a valid one, export(..., example=batch)"
    )


def _plain_types(predictor: Predictor, dtype: torch.dtype) -> list[torch.dtype]:
    """The types that arrays of the user's own may have: that of the training data, where it is known."""
    blocks = [] if predictor.pipeline is None else predictor.pipeline.blocks
    for block in blocks:
        spec = predictor.spec.get(block.kind)
        if isinstance(spec, Plain):
            known = torch.from_numpy(block.transform({block.kind: np.zeros((1, *spec.shape))})).dtype
            return [dtype if known.is_floating_point else known]
    return [dtype, torch.int64]


def _random(spec: Mapping[str, InputSpec], dtype: torch.dtype, plain_type: torch.dtype) -> Iterator[Sample]:
    random = np.random.default_rng(0)
    has_text = any(isinstance(one, Tokens) for one in spec.values())
    for rows, tokens in SHAPES if spec else ():
        if tokens in (1, 2) and not has_text:
            continue
        yield {name: _values(one, rows, tokens, random, dtype, plain_type) for name, one in spec.items()}


def _values(
    spec: InputSpec, rows: int, tokens: int, random: np.random.Generator, dtype: torch.dtype, plain_type: torch.dtype
) -> Tensor:
    match spec:
        case Numbers():
            return torch.from_numpy(random.standard_normal((rows, spec.width))).to(dtype)
        case Categories():
            return torch.from_numpy(np.stack([random.integers(0, size, rows) for size in spec.sizes], axis=1))
        case Tokens():
            usual = min(max(spec.length, 4), LONGEST_TRIED)
            return torch.from_numpy(_texts(spec, rows, tokens if tokens in (1, 2) else usual + tokens, random))
        case Places():
            length = tokens if tokens in (1, 2) else min(max(spec.length, 4), LONGEST_TRIED) + tokens
            return torch.ones((rows, length), dtype=torch.int64)
        case Pictures():
            return torch.from_numpy(random.standard_normal((rows, spec.channels, spec.height, spec.width))).to(dtype)
        case Plain():
            real = random.standard_normal((rows, *spec.shape))
            return torch.from_numpy(real if plain_type.is_floating_point else real > 0).to(plain_type)


def _texts(spec: Tokens, rows: int, length: int, random: np.random.Generator) -> np.ndarray[Any, Any]:
    """Rows of tokens, each but the first padded from some place on."""
    values = random.integers(1, max(spec.vocabulary, 2), (rows, length))
    ends = np.maximum(random.integers(0, length + 1, (rows, 1)), 1)
    ends[0] = length
    return np.where(np.arange(length) < ends, values, spec.padding)
