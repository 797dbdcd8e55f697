"""`initialise` for a whole model, and `plan`, which tells what it would do."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from tunesmith.blocks.layers.init.catalogue import DEVIATIONS, INITS, fans
from tunesmith.blocks.layers.init.filling import (
    fill_attention,
    fill_embedding,
    fill_recurrent,
    fill_weight,
    held_by,
    shape_of,
)
from tunesmith.blocks.layers.init.following import Following, following, graph_of
from tunesmith.blocks.layers.init.gains import parsed, rule_for
from tunesmith.blocks.layers.init.graph import Graph
from tunesmith.blocks.layers.init.lsuv import lsuv
from tunesmith.blocks.layers.init.passing import plain, refuse_lazy
from tunesmith.blocks.layers.init.residual import start_at_zero
from tunesmith.blocks.layers.init.table import table
from tunesmith.blocks.layers.init.vocabulary import EMBEDDINGS, is_norm
from tunesmith.records import ModelError

Norms = Literal["keep", "reset"]
SHARED = "shared, set already"


@dataclass(frozen=True, slots=True)
class Row:
    """What happens to one layer: its fans, the activation that follows, the rule, and the deviation that has."""

    layer: str
    fan_in: int | None
    fan_out: int | None
    activation: str
    rule: str
    std: float | None  # None: several laws, or left as it is
    source: str  # given, traced, torch.fx, or the order of the modules, with the reason
    note: str = ""


class Rows(list[Row]):
    """The rows of a plan, and why no better source was had; as text, a table."""

    def __init__(self, rows: Iterable[Row] = (), reason: str = "") -> None:
        super().__init__(rows)
        self.reason = reason

    def __str__(self) -> str:
        names = ("layer", "n_in", "n_out", "before", "rule", "std", "known from", "note")
        told = table(
            names,
            [(r.layer, r.fan_in, r.fan_out, r.activation, r.rule, r.std, r.source, r.note) for r in self],
        )
        return f"{told}\n{self.reason}" if self.reason else told


class _Job(NamedTuple):
    row: Row
    fill: Callable[[], None]


def initialise(
    model: nn.Module,
    rule: str = "auto",
    activation: str | None = None,
    *,
    batch: Any = None,
    zero_residual: bool = False,
    embeddings: str = "normal",
    norms: Norms = "keep",
    report: Callable[[str], object] | None = None,
) -> nn.Module:
    """Fills the weights of `model` in place, drawing from torch's global generator, and returns it.

    Linear and convolution weights by `rule`, biases 0. "auto" takes `rule_for` of the activation that follows each layer,
    through norms, dropout, pooling, reshapes and sums: the one given for all, else the one seen when `batch` goes through
    the model once (functional ones too), else the one torch.fx or the order of the modules shows. Layers that no
    activation follows, the last ones among them, get LeCun's law. A named rule takes the same activation for its gain.

    Embeddings by `embeddings` ("default" leaves them) with the padding row at 0, attention projections by Glorot as three
    matrices, recurrent input weights by Glorot and hidden ones orthogonal gate by gate, biases 0 but the forget gate of an
    LSTM at 1 (Jozefowicz et al., ICML 2015, section 5).

    A layer without gradient (frozen) stays as it is, a weight that several layers share is set once, and modules not
    named here stay as they are, norm layers too unless `norms="reset"` (gains 1, biases 0). `zero_residual` makes every
    residual branch start at zero. `rule="default"` leaves the whole model as torch made it, and `rule="lsuv"` needs a batch.
    The model is traced in evaluation mode and is otherwise, with all random generators, as it was; `batch` is what
    `model(batch)` takes, or a tuple or dict of its arguments. `report` is given the plan as text, such as `print`.

    Raises `ModelError` for a lazy layer, a batch that does not fit, and `zero_residual` without any branch;
    `UnknownName` for an unknown rule.
    """
    if rule == "lsuv" and batch is None:
        raise ModelError("the initialiser lsuv goes by data and got no batch; give one, as in initialise(…, batch=x)")
    inner = plain(model)
    jobs, graph = _jobs(inner, rule, activation, batch, embeddings, norms, needs_graph=zero_residual)
    for job in jobs:
        job.fill()
    if rule == "lsuv":
        lsuv(inner, batch)
    zeroed = start_at_zero(inner, graph) if zero_residual and graph is not None else ()
    if report is not None:
        report(
            str(Rows((job.row for job in jobs), graph.reason if graph is not None else ""))
            + "".join(f"\n{name} starts at zero: it ends a branch" for name in zeroed)
        )
    return model


def plan(
    model: nn.Module,
    rule: str = "auto",
    activation: str | None = None,
    *,
    batch: Any = None,
    embeddings: str = "normal",
    norms: Norms = "keep",
) -> Rows:
    """Rows (layer, fan_in, fan_out, activation, rule, std, source, note) of what `initialise` would do; nothing is changed.

    >>> net = nn.Sequential(nn.Linear(8, 4), nn.ReLU(), nn.Linear(4, 2))
    >>> [(row.layer, row.activation, row.rule, round(row.std, 3)) for row in plan(net)]
    [('0', 'relu', 'he_normal', 0.5), ('2', 'identity', 'lecun_normal', 0.5)]
    """
    jobs, graph = _jobs(plain(model), rule, activation, batch, embeddings, norms)
    return Rows((job.row for job in jobs), graph.reason if graph is not None else "")


def _jobs(
    model: nn.Module,
    rule: str,
    activation: str | None,
    batch: Any,
    embeddings: str,
    norms: Norms,
    needs_graph: bool = False,
) -> tuple[list[_Job], Graph | None]:
    for name in {rule, embeddings} - {"auto"}:
        INITS[name]
    if activation is not None:
        parsed(activation)
    if norms not in ("keep", "reset"):
        raise ModelError(f"norms = {norms!r}; expected 'keep' or 'reset'")
    refuse_lazy(model)
    graph = graph_of(model, batch) if activation is None or needs_graph else None
    if rule == "default":
        return [], graph
    known = following(model, graph) if activation is None and graph is not None else {}
    given = Following(activation or "relu", False, "given" if activation else "assumed")
    done: set[int] = set()
    modules = list(model.named_modules())
    jobs: dict[str, _Job] = {}
    # a weight that an embedding shares with the last layer is an embedding's
    for path, module in sorted(modules, key=lambda one: not isinstance(one[1], EMBEDDINGS)):
        job = _job(path, module, rule, known.get(path, given), embeddings, norms, done)
        if job is not None:
            jobs[path] = job
    return [jobs[path] for path, _ in modules if path in jobs], graph


def _job(
    path: str, module: nn.Module, rule: str, after: Following, embeddings: str, norms: Norms, done: set[int]
) -> _Job | None:
    """What is done to one module; None for one that is not named in `initialise`."""
    layer = path or type(module).__name__
    if isinstance(module, (nn.Linear, _ConvNd)):
        return _weight_job(layer, module, rule, after, done)
    if isinstance(module, EMBEDDINGS):
        return _embedding_job(layer, module, embeddings, done)
    if isinstance(module, nn.MultiheadAttention):
        return _own_law(layer, module, "xavier_uniform, three matrices", lambda: fill_attention(module), done)
    if isinstance(module, (nn.RNNBase, nn.RNNCellBase)):
        return _own_law(layer, module, "xavier_uniform, orthogonal", lambda: fill_recurrent(module), done)
    if norms == "reset" and is_norm(module) and any(True for _ in module.parameters(recurse=False)):
        return _own_law(layer, module, "gain 1, bias 0", lambda: _reset_norm(module), done)
    return None


def _left(layer: str, why: str, fill: Callable[[], None] = lambda: None) -> _Job:
    return _Job(Row(layer, None, None, "", "left as it is", None, "", why), fill)


@torch.no_grad()
def _zero_bias(module: nn.Linear | _ConvNd) -> None:
    if module.bias is not None and module.bias.requires_grad:
        module.bias.zero_()


def _taken(parameters: list[nn.Parameter], done: set[int]) -> str:
    """Why parameters are not set: frozen, shared and set already, empty; "" where they are, and now count as set."""
    if not parameters or not sum(one.numel() for one in parameters):
        return "empty"
    if not any(one.requires_grad for one in parameters):
        return "frozen"
    if any(id(one) in done for one in parameters):
        return SHARED
    done.update(map(id, parameters))
    return ""


def _weight_job(layer: str, module: nn.Linear | _ConvNd, rule: str, after: Following, done: set[int]) -> _Job:
    why = _taken(held_by(module), done)
    if why:
        return _left(layer, why, lambda: _zero_bias(module) if why == SHARED else None)
    chosen = rule_for(after.activation) if rule == "auto" else rule
    shape = torch.empty(shape_of(module), device="meta")
    groups = getattr(module, "groups", 1)
    n_in, n_out = fans(shape)
    std = _std(chosen, shape, after.activation, groups)
    row = Row(layer, n_in, n_out, after.activation, chosen, std, after.source)

    def fill() -> None:
        fill_weight(module, INITS[chosen], after.activation)
        _zero_bias(module)

    return _Job(row, fill)


def _std(rule: str, weight: Tensor, activation: str, groups: int) -> float | None:
    if rule not in DEVIATIONS:
        return None
    if groups > 1 and rule in ("orthogonal", "delta_orthogonal", "identity", "lsuv"):
        return DEVIATIONS[rule](weight, activation, groups=groups)
    return DEVIATIONS[rule](weight, activation)


def _embedding_job(layer: str, module: nn.Embedding | nn.EmbeddingBag, rule: str, done: set[int]) -> _Job:
    why = _taken(held_by(module), done)
    if why or rule == "default":
        return _left(layer, why or "as torch made it")
    levels, size = module.weight.shape
    row = Row(layer, levels, size, "", rule, _std(rule, module.weight, "identity", 1), "given")
    return _Job(row, lambda: fill_embedding(module, INITS[rule]))


def _own_law(layer: str, module: nn.Module, told: str, fill: Callable[[], None], done: set[int]) -> _Job:
    why = _taken(list(module.parameters(recurse=False)), done)
    return _left(layer, why) if why else _Job(Row(layer, None, None, "", told, None, "given"), fill)


@torch.no_grad()
def _reset_norm(module: nn.Module) -> None:
    for name, parameter in module.named_parameters(recurse=False):
        if name in ("weight", "bias") and parameter.requires_grad:
            parameter.fill_(1.0 if name == "weight" else 0.0)
