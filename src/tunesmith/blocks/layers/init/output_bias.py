"""The bias of the last layer from the data, so that the first loss is that of the best constant.

Log odds, log priors or means: Karpathy, A Recipe for Training Neural Networks, 2019, "init well"; Lin et al.,
arXiv:1708.02002, section 3.3.
"""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from tunesmith.blocks.layers.init.filling import held_by, is_weight_normed, length_of, set_weight, weight_of
from tunesmith.blocks.layers.init.following import graph_of
from tunesmith.blocks.layers.init.passing import plain, refuse_lazy
from tunesmith.blocks.layers.init.vocabulary import WEIGHTED
from tunesmith.records import DataError, ModelError, UnknownName, did_you_mean

UNSEEN = 0.5  # Krichevsky & Trofimov, 1981: half a row for what was never seen
KINDS = ("binary", "multiclass", "multilabel", "regression", "multi_regression", "language")
Weights = Literal["keep", "zero"]


def output_bias_from(
    data: Any, kind: str = "auto", *, classes: int | None = None, weight: Any = None, unseen: float = UNSEEN
) -> Tensor:
    """Log odds ln(n⁺ / n⁻), log priors ln(n_c / n), or the mean: the constant output with the least loss.

    `kind`: `binary` (0, 1 or their probabilities) -> (1,); `multiclass` (class indices, negative ones ignored, or a
    probability a class) -> (classes,); `multilabel` (N, K) -> (K,) log odds; `regression`, `multi_regression` -> the mean
    of each column; `language` (token indices of any shape, negative ones ignored) -> log priors of the tokens. "auto"
    takes whole numbers for classes, two columns or more of 0 and 1 for labels, other numbers for a regression. `classes`
    is how many there are, where the last may be missing; `weight` one number a row.

    A class, or a side of a label, that no row has counts as `unseen` = ½ row, in place of a logarithm of 0; where all are
    seen the numbers are exact. So rows of one class only give ±ln(2 n).
    Shape: labels as above -> float64, on the CPU.
    Raises `DataError` for no rows, labels out of range and values that are not finite.

    >>> output_bias_from([1] + [0] * 10, "binary").tolist()  # 1 : 10 is p = 1/11, not 0.1
    [-2.302585092994046]
    """
    values = _values(data)
    kind = _kind(values) if kind == "auto" else kind
    if kind not in KINDS:
        raise UnknownName(f"no kind of task called {kind!r}{did_you_mean(kind, KINDS)}")
    weights = np.ones(len(values)) if weight is None else _values(weight).astype(np.float64).reshape(-1)
    if len(weights) != len(values) or not np.isfinite(weights).all() or (weights < 0).any() or weights.sum() <= 0:
        raise DataError(f"weight must hold {len(values)} finite numbers, none negative and not all zero: one a row")
    if kind in ("multiclass", "language"):
        return torch.from_numpy(_log_priors(values, classes, weights, unseen))
    numbers = values.astype(np.float64).reshape(len(values), -1)
    if not np.isfinite(numbers).all():
        raise DataError(f"{int((~np.isfinite(numbers)).sum())} targets are not finite; leave their rows out")
    if kind in ("regression", "multi_regression"):
        return torch.from_numpy(np.average(numbers, axis=0, weights=weights))
    if kind == "binary" and numbers.shape[1] != 1:
        raise DataError(f"binary labels have one column, not {numbers.shape[1]}; did you mean kind='multilabel'?")
    if numbers.min() < 0 or numbers.max() > 1:
        raise DataError(f"{kind} labels lie in 0..1, but they hold {numbers.min():g} to {numbers.max():g}; recode them")
    present, absent = weights @ numbers, weights @ (1 - numbers)
    return torch.from_numpy(np.log(_counted(present, unseen)) - np.log(_counted(absent, unseen)))


def set_output_bias(
    model: nn.Module,
    target_or_bias: Any,
    *,
    kind: str | None = None,
    layer: str | None = None,
    batch: Any = None,
    weights: Weights = "keep",
    weight: Any = None,
    shift: Any = None,
) -> str:
    """Sets the bias of the model's output layer and gives the layer's name.

    `target_or_bias` is the bias, one number an output; with a `kind` ("auto" guesses it) it is the targets, of which
    `output_bias_from` makes it. The layer is the one called `layer`, or the one that the first output of the model comes
    from, found with `batch` sent through it once, else by torch.fx or the order of the modules. Two outputs for a binary
    task get log priors. `weight` is one number a row of the targets, `shift` is added to the bias, such as the log of
    `pos_weight`. `weights="zero"` also sets its weights to 0, so that the first loss *is* H(prior), or the
    variance of the target; the layers before it learn from the second update on.

    Raises `ModelError` where the layer cannot be told, has no bias or not as many outputs, is frozen, or where something
    stands between it and the output that a bias does not pass unchanged (a norm, a ReLU).
    Source: Karpathy, 2019; initial loss H(prior): the cross-entropy of the prior against itself.
    """
    model = plain(model)
    refuse_lazy(model)
    name, module = _named(model, layer) if layer is not None else _found(model, batch)
    bias = _bias_of(name, module)
    if kind is not None:
        wide = kind in ("binary", "auto") and bias.numel() == 2 and _is_binary(target_or_bias, kind)
        classes = bias.numel() if wide or kind in ("multiclass", "language", "auto") else None
        values = output_bias_from(target_or_bias, "multiclass" if wide else kind, classes=classes, weight=weight)
    else:
        values = torch.as_tensor(target_or_bias, dtype=torch.float64).reshape(-1)
    if shift is not None:
        values = values + torch.as_tensor(shift, dtype=torch.float64).cpu()
    if values.numel() != bias.numel():
        hint = "; name their kind ('multiclass', 'regression', 'auto' …) if they are targets" if kind is None else ""
        raise ModelError(
            f"the bias has {values.numel()} numbers, but {name} gives {bias.numel()} outputs; give one an output{hint}"
        )
    if not bool(torch.isfinite(values).all()):
        raise ModelError(f"the bias holds {int((~torch.isfinite(values)).sum())} values that are not finite")
    if weights == "zero":
        _zero_weights(model, name, module)
    elif weights != "keep":
        raise ModelError(f"weights = {weights!r}; expected 'keep' or 'zero'")
    with torch.no_grad():
        bias.copy_(values)
    return name


def _values(data: Any) -> np.ndarray[Any, Any]:
    values = data.detach().cpu() if isinstance(data, Tensor) else data
    if isinstance(values, Tensor):
        values = values.float() if values.dtype in (torch.bfloat16, torch.float16) else values
    found = np.asarray(values)
    if found.ndim == 0 or not len(found):
        raise DataError("there are no targets to take a bias from; give at least one row")
    if found.dtype.kind not in "biuf":
        raise DataError(f"targets of type {found.dtype} have no mean; give class indices or numbers")
    return found


def _kind(values: np.ndarray[Any, Any]) -> str:
    two = bool(np.isin(values, (0, 1)).all())
    if values.ndim > 1 and values.shape[1] > 1:
        return "multilabel" if two else "regression"
    if values.dtype.kind in "biu":
        return "binary" if two else "multiclass"
    return "regression"


def _is_binary(targets: Any, kind: str) -> bool:
    return kind == "binary" or _kind(_values(targets)) == "binary"


def _counted(counts: np.ndarray[Any, Any], unseen: float) -> np.ndarray[Any, Any]:
    if not unseen > 0:
        raise DataError(f"unseen = {unseen}; expected a number of rows above 0, such as 0.5")
    found: np.ndarray[Any, Any] = np.where(counts > 0, counts, unseen)
    return found


def _log_priors(
    values: np.ndarray[Any, Any], classes: int | None, weights: np.ndarray[Any, Any], unseen: float
) -> np.ndarray[Any, Any]:
    if values.dtype.kind == "f" and values.ndim == 2 and values.shape[1] > 1:
        if not np.isfinite(values).all() or values.min() < 0:
            raise DataError("probabilities of classes must be finite and not negative")
        counts = weights @ values.astype(np.float64)
    else:
        counts = _class_counts(values, classes, weights)
    counted = _counted(counts, unseen)
    found: np.ndarray[Any, Any] = np.log(counted / counted.sum())
    return found


def _class_counts(
    values: np.ndarray[Any, Any], classes: int | None, weights: np.ndarray[Any, Any]
) -> np.ndarray[Any, Any]:
    if values.dtype.kind == "f" and not (np.isfinite(values).all() and (values == np.round(values)).all()):
        raise DataError("multiclass targets are class indices 0, 1, …, or one probability a class; these are neither")
    each = np.repeat(weights, values[0].size) if values.ndim > 1 else weights
    flat = values.reshape(-1).astype(np.int64)
    kept, each = flat[flat >= 0], each[flat >= 0]  # negative: ignored, as -100 in cross-entropy
    if not len(kept):
        raise DataError("all targets are ignored (negative); there is no class to count")
    if classes is not None and kept.max() >= classes:
        raise DataError(
            f"a target is class {int(kept.max())}, but there are {classes} classes: labels lie in 0..{classes - 1}"
        )
    return np.bincount(kept, weights=each, minlength=classes or 0)


def _named(model: nn.Module, layer: str) -> tuple[str, nn.Module]:
    modules = dict(model.named_modules())
    if layer not in modules:
        raise UnknownName(f"the model has no layer called {layer!r}{did_you_mean(layer, [n for n in modules if n])}")
    return layer, modules[layer]


def _found(model: nn.Module, batch: Any) -> tuple[str, nn.Module]:
    """The layer whose bias is the constant part of the model's first output."""
    graph = graph_of(model, batch)
    heads = graph.heads()
    if not heads:
        raise ModelError(
            f"no layer with weights was found before the output of the {type(model).__name__}; name it: layer='…'"
        )
    if len(heads) > 1:
        names = ", ".join(step.layer or step.name for step, _ in heads[:4])
        raise ModelError(f"the output is made of several layers ({names}); name the one that is meant: layer='…'")
    ((step, hidden),) = heads
    if hidden:
        raise ModelError(
            f"{hidden} stands between {step.layer or step.name} and the output, so that its bias is not the output's; "
            "name another layer: layer='…', or leave the bias as it is"
        )
    if step.module is None:
        path = step.layer.rpartition(".")[0]
        module = dict(model.named_modules()).get(path)
        if module is None or getattr(module, "bias", None) is None or not step.layer:
            raise ModelError(
                f"the output is made by {step.name} with the parameter {step.layer or '?'} and has no bias that can be "
                "told; name the layer that has one: layer='…'"
            )
        return path, module
    return step.layer or type(step.module).__name__, step.module


def _bias_of(name: str, module: nn.Module) -> nn.Parameter:
    bias = getattr(module, "bias", None)
    if not isinstance(module, WEIGHTED) and not isinstance(bias, nn.Parameter):
        raise ModelError(f"the layer {name} is a {type(module).__name__} without a bias; name one that has: layer='…'")
    if not isinstance(bias, nn.Parameter):
        raise ModelError(f"the output layer {name} has no bias; make it with bias=True, or name another: layer='…'")
    if not bias.requires_grad:
        raise ModelError(f"the bias of {name} is frozen; let it train (requires_grad=True), or leave it as it is")
    return bias


def _zero_weights(model: nn.Module, name: str, module: nn.Module) -> None:
    held = held_by(module)
    users = [path for path, other in model.named_modules() if other is not module and _shares(other, held)]
    if users:
        raise ModelError(
            f"the weight of {name} is also that of {users[0]} and cannot be set to 0; keep it: weights='keep'"
        )
    if not any(parameter.requires_grad for parameter in held):
        raise ModelError(f"the weight of {name} is frozen and cannot be set to 0; keep it: weights='keep'")
    with torch.no_grad():
        if is_weight_normed(module):
            length_of(module).zero_()
        else:
            set_weight(module, torch.zeros_like(weight_of(module)))


def _shares(module: nn.Module, held: Sequence[nn.Parameter]) -> bool:
    if isinstance(module, nn.utils.parametrize.ParametrizationList):
        return False  # a part of the layer itself
    return any(mine is other for mine in module._parameters.values() for other in held)
