"""Makes a training ready: model, loss, optimizer, schedule, feed, judge; and stops, or tells, what cannot be right."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import nn

from tunesmith.blocks import experience, losses, models, optim
from tunesmith.blocks.losses import Loss
from tunesmith.data.samplers.balanced import balanced_batch
from tunesmith.data.sources import as_array
from tunesmith.data.spec import Part, Prepared, Tokens
from tunesmith.records import DataError, Evidence, Finding, ModelError, Recipe, Remedy, Safety, Task
from tunesmith.records.state import State
from tunesmith.training.augment.change import Change
from tunesmith.training.augmenting import chosen_change
from tunesmith.training.batch import Batch, seen_by
from tunesmith.training.clipping import Clipping
from tunesmith.training.dryrun import Trial, tried
from tunesmith.training.feeds import Feed, LoaderFeed, MemoryFeed, Rows, StreamedFeed
from tunesmith.training.guards import Guard, Probe, StopAtNonFinite
from tunesmith.training.judge import ValidationJudge
from tunesmith.training.kinds import about
from tunesmith.training.learnt_loss import extra_of, joined, own_loss, parts_probes, stateful, unbalanced
from tunesmith.training.loaders import loader_for, pins, resume_promise
from tunesmith.training.loop import Plan
from tunesmith.training.norms import chosen_norms
from tunesmith.training.optimizing import chosen_average, chosen_limit, chosen_shrinkage, made_optimizer
from tunesmith.training.precision import Precision
from tunesmith.training.pretrained.architecture import shaped_as_there
from tunesmith.training.pretrained.beginning import Beginning, begun, faster_body, freezing_of, is_pretrained
from tunesmith.training.ranks.divided import chosen_parts, divided, divided_notices
from tunesmith.training.ranks.norms import synchronised
from tunesmith.training.ranks.ranks import Ranks
from tunesmith.training.recovery.chosen import chosen_recovery
from tunesmith.training.resolve import horizon, resolve
from tunesmith.training.scheduling import chosen_rates
from tunesmith.training.starting import started
from tunesmith.training.update import Update
from tunesmith.training.widths import carried_widths

LANGUAGE_MODEL = "decoder"  # what a language task is given where it names no model


@dataclass(slots=True)
class Made:
    """A plan, and what a user is told about how it was made."""

    plan: Plan
    model_name: str  # of the built-in model; the class of the user's own
    built_in: bool
    findings: list[Finding] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)
    layers: list[dict[str, Any]] = field(default_factory=list)
    beginning: Beginning = field(default_factory=Beginning)


def make(
    task: Task,
    recipe: Recipe,
    prepared: Prepared,
    guards: Sequence[Guard] = (),
    probes: Sequence[Probe] = (),
    ranks: Ranks | None = None,
) -> Made:
    """The plan of a training, of `ranks` that of this one. Raises `ModelError`, `RecipeError`, `DataError`, `DeviceError` for what cannot train.

    The caller has seeded the global generators; the model draws its weights from them.
    """
    notices: list[str] = []
    findings: list[Finding] = []
    rows = row_count(prepared.train)
    recipe = shaped_as_there(task, recipe)
    name = model_name(task, recipe, prepared)
    own = own_or_built(task, recipe, prepared, name) if not name or models.is_foreign(name) else None
    known = {"model": experience.kind_of(name)} if own is None else about(own)
    known |= {"pretrained": True} if is_pretrained(recipe) else {}
    recipe = resolve(
        recipe,
        kind=prepared.kind,
        rows=rows,
        defaults=models.defaults(name, prepared.spec, rows) if own is None else {},
        origin=f"default of {name} for {rows} rows",
        has_val=prepared.val is not None,
        about=known,
        world=1 if ranks is None else ranks.world,
    )
    notices += remarks(recipe, known)
    if recipe.train.threads != "auto":
        torch.set_num_threads(int(recipe.train.threads))
    device = torch.device(recipe.train.device)
    precision = Precision(recipe.train.precision, device)
    model = own_or_built(task, recipe, prepared, name) if own is None else own
    beginning = begun(model, recipe, prepared, name)
    notices += beginning.notices
    if ranks is not None and recipe.run.sync_batch_norm:
        model = synchronised(model)
    widths = carried_widths(task, recipe, prepared, model, name, notices)
    model = model.to(device, precision.dtype if precision.name == "fp64" else None)
    frozen = [path for path, parameter in model.named_parameters() if not parameter.requires_grad]
    if frozen and not beginning.frozen:
        notices.append(
            f"{len(frozen)} parameters are frozen and stay as they are: {', '.join(frozen[:3])}{' …' if len(frozen) > 3 else ''}"
        )
    train = train_rows(prepared.train, prepared, recipe, device, precision)
    trial = tried(model, train, prepared, precision)
    refuse_small_tables(prepared, trial)
    loss = chosen_loss(task, recipe, prepared, trial, device, precision)
    weights = class_weights(recipe, prepared, device, precision) if not callable(task.loss) else None
    notices += started(model, recipe, prepared, train, trial, loss, weights, own is None)
    findings += unbalanced(model, loss, trial)
    if loss.opaque:
        notices.append(
            f"the loss {loss.name} gives one number a batch: it is taken as a mean over samples, and weighted by their "
            "number under accumulation and in evaluation"
        )
    change = chosen_change(task, recipe, prepared, train, model, loss, trial, precision)
    feed = chosen_feed(train, recipe, prepared, model, notices, change)
    steps, epochs = horizon(recipe, feed.updates())
    sharding, recipe = chosen_parts(task, recipe, model, loss, ranks, notices)
    with optim.without_compiler():
        optimizer, recipe = made_optimizer(task, recipe, model, feed, notices, beginning.fresh, widths)
        notices += joined(optimizer, loss)
    findings += unregistered(model, optimizer)
    if ranks is not None:
        notices += divided_notices(recipe, model, loss, ranks)
    own_optimizer = task.optimizer is not None
    notices += faster_body(recipe, model, optimizer if own_optimizer else None, beginning.fresh)
    findings += coupled(model, loss, recipe, trial, train)
    average = chosen_average(recipe, model, optimizer, steps, feed.updates())
    update = Update(model, optimizer, loss, precision)
    update.clipping = Clipping.of(recipe, model)
    update.shrink = chosen_shrinkage(recipe, model, optimizer)
    update.limit = chosen_limit(recipe, optimizer)
    state = State(
        model=model, optimizer=optimizer, average=average, scaler=precision.scaler, loss=stateful(task.loss, loss)
    )
    state.parted = sharding
    judge = ValidationJudge(
        evaluation_part(prepared.val, prepared, device, precision), loss, precision, prepared, recipe, task
    )
    judge.norms = chosen_norms(recipe, state, feed, precision, notices)
    judge.ranks, judge.divides = ranks, sharding is None
    recovery = None if sharding is not None else chosen_recovery(recipe, update, trial, prepared.kind, feed, ranks)
    if recovery is not None:
        judge.room = recovery.room
    freezing, told = freezing_of(recipe, model, beginning, optimizer, own_optimizer=own_optimizer, epochs=epochs)
    notices += told
    plan = Plan(
        recipe=recipe,
        state=state,
        feed=feed if ranks is None else divided(feed, update, ranks, sharding),
        update=update,
        rates=chosen_rates(task, recipe, optimizer, feed, judge, steps, notices),
        judge=judge,
        steps=steps,
        epochs=epochs,
        patience=None if recipe.train.patience == "auto" else recipe.train.patience,
        min_epochs=recipe.train.min_epochs,
        guards=(StopAtNonFinite(), *guards)
        if recovery is None
        else (recovery.nonfinite, recovery.wild, *guards, recovery.memory, recovery.names),
        probes=(*probes, *parts_probes(loss, recipe.run.log_every)),
        recovery=recovery,
        freezing=freezing,
        ranks=ranks,
    )
    layers = optim.layer_table(model, optimizer.param_groups)
    return Made(plan, name or type(model).__name__, bool(name), findings, notices, layers, beginning)


def remarks(recipe: Recipe, known: Mapping[str, Any]) -> list[str]:
    """Values far outside what the rules of thumb know as sound; accumulation is measured instead (`coupled`)."""
    return [str(note) for note in experience.lint(recipe, **known) if note.path != "train.accumulate"]


def refuse_small_tables(prepared: Prepared, trial: Trial) -> None:
    """Raises `ModelError` where a tokenizer has more tokens than the model has outputs or rows of its embedding.

    The rows tried may hold only tokens that there is room for; the others come when nobody looks.
    """
    if prepared.kind != "language" or not isinstance(prepared.spec.get("tokens"), Tokens):
        return
    names = ("tokens", "the input")
    rows = min((trial.tables[name] for name in names if name in trial.tables), default=prepared.outputs)
    for what, size in (("embedding", rows), ("outputs", trial.width)):
        if size < prepared.outputs:
            raise ModelError(
                f"the vocabulary has {prepared.outputs} tokens and the model's {what} {'are' if what == 'outputs' else 'has'} {size}"
                f"{'' if what == 'outputs' else ' rows'}; give the model {prepared.outputs} of them, or choose the tokenizer that it was "
                "made with"
            )


def row_count(part: Any) -> int:
    """Rows of a part; of a loader, batches × batch size."""
    if isinstance(part, Part):
        return len(part)
    data = getattr(part, "dataset", part)
    try:
        return len(data)
    except TypeError:
        return 0


def model_name(task: Task, recipe: Recipe, prepared: Prepared) -> str:
    """The built-in model meant; "" where the model is the user's own."""
    asked = recipe.model.name if task.model == "auto" or task.model is None else task.model
    if not isinstance(asked, str):
        return ""
    if models.is_foreign(asked):
        return asked
    if asked != "auto":
        models.MODELS[asked]  # an unknown name is told here, with the nearest
        return asked
    if not isinstance(prepared.train, Part):
        raise ModelError(
            "a data loader needs a model of your own: pass model=your_module; the built-in ones are made from data files and arrays"
        )
    if prepared.kind == "language":
        models.MODELS[LANGUAGE_MODEL]
        return LANGUAGE_MODEL
    return models.choose(prepared.spec)


def own_or_built(task: Task, recipe: Recipe, prepared: Prepared, name: str) -> nn.Module:
    """A built-in model, a copy of the user's module, or what the user's factory makes."""
    if name:
        return models.build(name, recipe, prepared.spec, prepared.outputs, prepared.kind)
    if isinstance(task.model, nn.Module):
        return copy.deepcopy(task.model)
    if callable(task.model):
        made = task.model()
        if isinstance(made, nn.Module):
            return made
        raise ModelError(f"the model factory returned a {type(made).__name__}; it must return a torch.nn.Module")
    raise ModelError(
        f"the model is a {type(task.model).__name__}; expected a torch.nn.Module, a factory of one, or one of {', '.join(models.MODELS)}"
    )


def train_rows(part: Any, prepared: Prepared, recipe: Recipe, device: torch.device, precision: Precision) -> Any:
    """Rows in memory, or a loader over what cannot be held."""
    if isinstance(part, Part):
        return Rows(
            part,
            prepared.spec,
            device if held_on_device(part, recipe, device) else torch.device("cpu"),
            precision.dtype,
        )
    return loader_for(part, recipe, training=True)


def part_of_pair(inputs: Any, target: Any) -> Part:
    """Arrays or tensors (X, y) beside a loader, as they are."""
    values, labels = as_array(inputs, "X"), as_array(target, "y")
    if len(values) != len(labels):
        raise DataError(f"X has {len(values)} rows and y has {len(labels)}; give one target a row")
    return Part({"x": values}, labels, None, np.arange(len(values)))


def held_on_device(part: Part, recipe: Recipe, device: torch.device) -> bool:
    """Whether the rows lie on the device: as asked, or on "auto" where they take less than half of its free memory."""
    if recipe.data.in_memory != "auto" or device.type != "cuda":
        return recipe.data.in_memory is not False
    free, _ = torch.cuda.mem_get_info(device)
    return sum(values.nbytes for values in part.inputs.values()) < free / 2


def evaluation_part(part: Any, prepared: Prepared, device: torch.device, precision: Precision) -> Any:
    """The same for a part that is only judged."""
    if part is None:
        return None
    if isinstance(part, (tuple, list)) and len(part) == 2 and "x" in prepared.spec:
        part = part_of_pair(*part)
    if isinstance(part, Part):
        return Rows(part, prepared.spec, device, precision.dtype)
    return loader_for(part, None, training=False)


def chosen_loss(
    task: Task, recipe: Recipe, prepared: Prepared, trial: Trial, device: torch.device, precision: Precision
) -> Loss:
    """The user's loss, or the one of the recipe for this kind of task and this width of outputs."""
    if callable(task.loss):
        return own_loss(task, recipe, device)
    name = task.loss if task.loss != "auto" else recipe.loss.name
    kind = prepared.kind
    if kind == "binary" and name in ("auto", "binary_cross_entropy") and trial.width == 1:
        name, kind = "binary_cross_entropy", "multilabel"
    if kind == "multi_regression" and name == "auto" and _with_gaps(prepared):
        name = "masked_mse"  # rows that have some of their numbers are trained on
    weights = class_weights(recipe, prepared, device, precision)
    if weights is not None and kind == "multilabel":
        return losses.build(
            name,
            kind=kind,
            **extra_of(recipe),
            pos_weight=weights[1] / weights[0] if trial.width == 1 and prepared.kind == "binary" else weights,
        )
    smoothing = recipe.loss.label_smoothing
    return losses.build(name, kind=kind, class_weights=weights, label_smoothing=smoothing, **extra_of(recipe))


def _with_gaps(prepared: Prepared) -> bool:
    target = None if prepared.pipeline is None else prepared.pipeline.target
    return target is not None and target.gaps


def class_weights(
    recipe: Recipe, prepared: Prepared, device: torch.device, precision: Precision
) -> torch.Tensor | None:
    """`balanced`: rows / (classes × rows of the class), King & Zeng (2001), as in scikit-learn."""
    wanted = recipe.loss.class_weights
    if wanted == "none":
        return None
    if prepared.counts is None:
        raise ModelError(
            f"loss.class_weights = {wanted!r}, but a {prepared.kind} task has no classes; leave it at 'none'"
        )
    if wanted == "balanced":
        counts = np.maximum(np.asarray(prepared.counts, dtype=np.float64), 1.0)
        return torch.tensor(counts.sum() / (len(counts) * counts), dtype=precision.dtype, device=device)
    if len(wanted) != len(prepared.counts):
        raise ModelError(
            f"loss.class_weights has {len(wanted)} numbers for {len(prepared.counts)} classes "
            f"({', '.join(map(str, prepared.classes or ()))}); give one a class"
        )
    return torch.tensor(wanted, dtype=precision.dtype, device=device)


def chosen_feed(
    train: Any, recipe: Recipe, prepared: Prepared, model: nn.Module, notices: list[str], change: Change | None
) -> Feed:
    """How windows are made of the training data."""
    if not isinstance(train, Rows):
        feed = LoaderFeed(
            train,
            device=torch.device(recipe.train.device),
            dtype=torch.float64 if recipe.train.precision == "fp64" else torch.float32,
            accumulate=recipe.train.accumulate,
            steps=recipe.train.steps,
        )
        notices.extend(resume_promise(train))
        return feed
    normed = any(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in model.modules())
    classes = len(prepared.counts) if prepared.counts is not None else 0
    per_class = None if recipe.data.per_class == "auto" else recipe.data.per_class
    batch = int(recipe.train.batch_size)
    if recipe.data.sampler == "balanced":
        batch = balanced_batch(batch, classes, per_class)
    if len(train) == 1 and normed:
        raise ModelError("batch norm cannot train on one row; give more rows, or choose model.norm = 'layer'")
    order: dict[str, Any] = {
        "sampler": recipe.data.sampler,
        "seed": recipe.train.seed,
        "batch_size": batch,
        "accumulate": recipe.train.accumulate,
        "per_class": per_class,
        "change": change,
        "alone": not normed,
    }
    device = torch.device(recipe.train.device)
    if recipe.data.in_memory is False or train.device.type != device.type:
        return StreamedFeed(train, device=device, workers=recipe.data.workers, pin_memory=pins(recipe), **order)
    return MemoryFeed(train, **order)


def unregistered(model: nn.Module, optimizer: torch.optim.Optimizer) -> list[Finding]:
    """Trainable parameters that the optimizer does not hold. All of them missing is an error."""
    missing = optim.missing_parameters(model, optimizer)
    trainable = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
    if not missing:
        return []
    if len(missing) == len(trainable):
        raise ModelError(
            f"the optimizer holds none of the model's {len(trainable)} trainable parameters, so nothing would be learnt; "
            "build it from the parameters it is given"
        )
    return [
        Finding(
            fault="optim.unregistered_params",
            severity="warning",
            message="optim.unregistered_params",
            values={"missing": len(missing), "trainable": len(trainable), "names": ", ".join(missing[:3])},
            evidence=(Evidence(name="missing_parameters", value=len(missing), threshold=0),),
            remedies=(Remedy(title="remedy.register_parameters", safety=Safety.ADVICE),),
            status="confirmed",
            subject={"parameters": missing},
        )
    ]


def coupled(model: nn.Module, loss: Loss, recipe: Recipe, trial: Trial, train: Any) -> list[Finding]:
    """Under accumulation: batch norm, and a loss whose parts do not add up to the whole, are told and measured."""
    if recipe.train.accumulate == 1 and recipe.schedule.grow_batch is None:
        return []
    found = []
    layers = [name for name, module in model.named_modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    if layers:
        found.append(
            _coupled(
                "batch.coupled_norm",
                {"layers": len(layers), "first": layers[0]},
                Evidence(name="batch_norm_layers", value=len(layers), threshold=0),
            )
        )
    gap = measured_coupling(model, loss, trial)
    if (
        loss.couples or gap > 1e-3
    ):  # far above rounding in single precision, far below the gap of a contrastive loss (science: .28 for 1.33)
        found.append(
            _coupled(
                "batch.coupled_loss",
                {"loss": loss.name, "gap": gap},
                Evidence(name="gap_whole_to_parts", value=gap, threshold=1e-3),
            )
        )
    return found


def _coupled(message: str, values: Mapping[str, Any], evidence: Evidence) -> Finding:
    remedy = Remedy(title="remedy.no_accumulation", safety=Safety.RISKY, change={"train.accumulate": 1})
    return Finding(
        fault="batch.coupled_loss",
        severity="warning",
        message=message,
        values=values,
        evidence=(evidence,),
        remedies=(remedy,),
        status="confirmed",
    )


def measured_coupling(model: nn.Module, loss: Loss, trial: Trial) -> float:
    """How far the loss of a batch is from the mean of its halves, as a share: 0 for a loss that adds up."""
    batch: Batch = trial.batch
    if batch.size < 4:
        return 0.0
    from tunesmith.training.evaluate import judging

    with judging(model):
        return losses.couples_samples(loss, seen_by(loss, model(batch.inputs)), batch.target)
