"""The sections of a recipe: every field with its kind, range, default and meaning.

A value is `"auto"` until a run resolves it from the data and the model.
"""

from typing import Annotated, Any, Literal, TypeAlias

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from tunesmith.records.errors import did_you_mean
from tunesmith.records.messages import languages

Auto: TypeAlias = Literal["auto"]
Positive: TypeAlias = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NonNegative: TypeAlias = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Share: TypeAlias = Annotated[float, Field(ge=0, lt=1)]
Count: TypeAlias = Annotated[int, Field(ge=1)]
Whole: TypeAlias = Annotated[int, Field(ge=0)]
Decay: TypeAlias = Annotated[float, Field(ge=0, lt=1)]

AMOUNT = r"^[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?(dur|ep|samples|updates)?$"
Amount: TypeAlias = Annotated[
    str, Field(pattern=AMOUNT, description='an amount such as "0.05dur", "2ep", "500updates" or "10000samples"')
]


def _plain(value: Any) -> Any:
    """Only what JSON and TOML can both hold. Raises ValueError for anything else."""
    if isinstance(value, dict):
        return {_name(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, bool | int | str):
        return value
    if isinstance(value, float) and value - value == 0:  # neither NaN nor infinite
        return value
    raise ValueError(
        f"{value!r} is neither true, false, a finite number, text, a list nor a table; leave out what is not set"
    )


def _name(key: Any) -> str:
    if not isinstance(key, str):
        raise ValueError(f"the name {key!r} is no text")
    return key


def _language(name: str) -> str:
    if name not in languages():
        raise ValueError(f"no language called {name!r}{did_you_mean(name, languages())}")
    return name


Extra: TypeAlias = Annotated[dict[str, Any], AfterValidator(_plain)]


class Section(BaseModel):
    """A part of the recipe: frozen, unknown fields forbidden, no silent conversion of text to numbers."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, validate_default=True)


class LoraTable(Section):
    """The values of `model.lora`: small trained matrices beside linear layers of a net that stays as it is."""

    rank: Count = Field(8, description="of the trained product B A beside each weight")
    targets: Literal["all"] | list[str] = Field(
        "all", description="which linear layers: all but the head; or names, their endings, globs and re: expressions"
    )
    alpha: Positive | Auto = Field("auto", description="B A counts alpha / rank times; auto: 2 rank")
    dropout: Decay = Field(0.0, description="share of a layer's inputs dropped on the way into A")
    head: bool | Auto = Field(
        "auto", description="the last layer trains as a whole; auto: where it is no table of tokens"
    )
    engine: Literal["own", "peft"] = Field("own", description="who computes it; peft with the extra lora")


def _lora(table: dict[str, Any]) -> dict[str, Any]:
    """The table as it came, once it is sound."""
    for name in table:
        if name not in LoraTable.model_fields:
            raise ValueError(f"no field called {name!r}{did_you_mean(name, LoraTable.model_fields)}")
    try:
        LoraTable.model_validate(table)
    except ValidationError as error:
        first = error.errors()[0]
        raise ValueError(f"{'.'.join(map(str, first['loc'][:1]))} = {first['input']!r}: {first['msg']}") from error
    return table


Lora: TypeAlias = Annotated[dict[str, Any], AfterValidator(_lora)]


class DataSection(Section):
    """Which rows, columns and batches the training sees."""

    split: Literal["auto", "random", "stratified", "group", "time", "given"] = Field(
        "auto",
        description="how rows are divided: stratified for classes, random else; group and time where a column is named",
    )
    val: Share = Field(0.15, description="share of the rows kept for validation, where no validation data are given")
    test: Share = Field(
        0.15, description="share of the rows kept for the final judgement, where no test data are given"
    )
    keep_duplicates_together: bool = Field(True, description="rows with equal inputs never lie in two parts")
    scale: Literal["auto", "standard", "robust", "quantile", "piecewise", "pca", "zca", "none"] = Field(
        "auto", description="how number columns are scaled, fitted on the training part; pca, zca: whitened together"
    )
    scale_target: Literal["auto", "standard", "none"] = Field(
        "auto", description="scaling of a regression target, undone in predictions"
    )
    max_categories: Count = Field(1000, description="most levels a category column keeps; rarer ones share one index")
    min_count: Count = Field(2, description="rows a level needs in the training part to keep an index of its own")
    sampler: Literal["shuffle", "sequential", "balanced", "oversample", "sqrt", "length"] = Field(
        "shuffle",
        description="order of the rows in an epoch; length: batches of texts of like length, usual for language models",
    )
    per_class: Count | Auto = Field("auto", description="rows of each class in each batch, for the balanced sampler")
    tokenizer: Literal["auto", "byte", "char", "word", "bpe"] = Field(
        "auto", description="how text becomes tokens, fitted on the training part; for language models auto is byte"
    )
    vocab_size: Count = Field(20000, description="most tokens of a fitted vocabulary")
    tokenizer_folder: str | None = Field(
        None,
        description="a local folder with a tokenizer of Transformers, in the place of a fitted one; language models",
    )
    chat_template: str = Field(
        "auto",
        description="how a conversation becomes text: the tokenizer's own template, im (our im_start and im_end), or a .jinja file",
    )
    end_token: str | None = Field(
        None, description="the end token, where the tokenizer in tokenizer_folder names none or another is meant"
    )
    train_roles: list[Literal["system", "user", "assistant", "tool"]] = Field(
        ["assistant"], description="whose turns of a conversation a language model learns to write"
    )
    pack: bool = Field(
        False,
        description="several samples in a row of max_seq_len tokens, attention kept within each; the model takes segments and positions",
    )
    bad_rows: Literal["error", "drop"] = Field(
        "error", description="what happens to a row of text that cannot be used: refused, or left out and counted"
    )
    max_seq_len: Count | Auto = Field("auto", description="most tokens of a sample")
    too_long: Literal["cut_end", "cut_start", "cut_middle", "truncate", "drop", "split", "error"] = Field(
        "cut_end",
        description="what happens to a longer sample; always reported. Language models truncate chats and split plain text, or drop",
    )
    end_of_text: bool = Field(
        False, description="append the end-of-text token; language models do unless it is set to false"
    )
    ngrams: Annotated[int, Field(ge=0, le=6)] | Auto = Field(
        "auto", description="hashed n-grams up to this length beside the tokens (embedding bag)"
    )
    image_size: Count | Auto = Field("auto", description="pictures are brought to this height and width in pixels")
    augment: str = Field(
        "auto",
        description="random change of training rows, or several joined by +: pictures flip, shift, affine, colour, cutout, "
        "cutmix, mixup; text token_dropout, token_swap; tables noise, mixup; auto: shift for pictures of classes, else none",
    )
    augment_strength: Annotated[float, Field(ge=0, le=1)] = Field(
        0.5, description="how far they go: 0 changes nothing, 0.5 is usual, 1 strong"
    )
    in_memory: bool | Auto = Field("auto", description="hold the data as tensors and slice batches, no DataLoader")
    workers: Whole = Field(0, description="processes that load batches, for data that do not fit in memory")
    pin_memory: bool | Auto = Field("auto", description="page-locked batches for a GPU; auto decides by timing both")


class ModelSection(Section):
    """The built-in network and its parts, by name."""

    name: str = Field(
        "auto",
        description="a built-in model: mlp, cnn, bag, lstm, transformer, encoder, decoder; timm/NAME, with the extra vision; or "
        "transformers/FOLDER, with the extra text",
    )
    pretrained: str | None = Field(
        None,
        description="where the weights begin: a file of weights (.safetensors, .pt, .pth, .bin, .ckpt), a run folder, the folder of a "
        'language model (config.json), or "cached" for those that timm has of the net',
    )
    freeze: Literal["none", "body"] | list[str] = Field(
        "none",
        description="what stays as it begins: body is all but the head; or patterns of parameters as in optim.rates",
    )
    unfreeze_every: Count | None = Field(
        None,
        description="epochs from one frozen layer to the next that begins to train, from the head down; none: they stay frozen",
    )
    width: Count | Auto = Field(
        "auto", description="units of a hidden layer, channels of the first stage, or model dimension"
    )
    base_width: Count | None = Field(
        None,
        description="the width at which rate and decay were found: they, and the starts, are carried from it to model.width by "
        "the maximal update parametrisation; none: the usual one",
    )
    depth: Count | Auto = Field("auto", description="hidden layers, residual stages, or transformer blocks")
    residual: bool | Auto = Field("auto", description="residual blocks in the MLP")
    dropout: Decay | Auto = Field(
        "auto", description="share of units dropped; in a net of your own the one dial of all its dropout layers"
    )
    activation: str = Field("auto", description="hidden activation by name")
    norm: str = Field("auto", description="normalisation layer by name; none for no layer")
    init: str = Field(
        "auto", description="initialiser by name; auto goes by the activation, lsuv by the first training rows too"
    )
    zero_residual: bool = Field(
        False, description="residual branches start at zero: their last norm's gain, or last weight"
    )
    output_bias: Literal["zero", "data"] = Field(
        "zero",
        description="where the last layer's bias starts; data: log odds, log priors or mean of the training targets, with "
        "the layer's weights at 0",
    )
    pooling: Literal["auto", "mean", "max", "attention", "first", "last"] = Field(
        "auto", description="how a sequence or a feature map becomes one vector"
    )
    embedding_dim: Count | Auto = Field(
        "auto", description="size of token embeddings; category columns go by their number of levels"
    )
    heads: Count | Auto = Field("auto", description="attention heads")
    kv_heads: Count | Auto = Field(
        "auto", description="heads of keys and values, each shared by heads / kv_heads queries; auto: as many as heads"
    )
    feed_forward: Count | Auto = Field(
        "auto", description="hidden units of a transformer block; auto: 4 times the width, gated 8/3 times"
    )
    gated: bool | Auto = Field(
        "auto", description="a gate on the hidden units of a block; with the activation silu: SwiGLU"
    )
    positions: Literal["auto", "rotary", "learnt"] = Field(
        "auto", description="how a decoder knows the places of tokens: queries and keys turned, or a table of vectors"
    )
    rotary_base: Positive | Auto = Field("auto", description="base of the angles of rotary positions")
    context: Count | Auto = Field(
        "auto", description="places that learnt positions have; auto: the longest sample, 512 at least"
    )
    norm_eps: Positive | Auto = Field("auto", description="added under the root in the norms of a decoder or encoder")
    tied: bool | Auto = Field("auto", description="the head of a language model is its table of tokens")
    lora: Lora = Field(
        default_factory=dict,
        description="what trains in the place of a pretrained net: rank, targets, alpha, dropout, head, engine; an empty table: the net itself",
    )
    recompute: bool = Field(
        False, description="blocks of a decoder or encoder keep no activations and compute them again going backward"
    )


class LossSection(Section):
    """What is minimised."""

    name: str = Field(
        "auto",
        description="auto goes by the kind of task; for classes cross_entropy, focal, hinge; for labels "
        "binary_cross_entropy, focal, hinge; for numbers mse, mae, huber, smooth_l1, log_cosh, quantile, poisson_nll, and "
        "masked_mse, masked_mae, masked_huber where some are missing",
    )
    class_weights: Literal["none", "balanced"] | list[Positive] = Field(
        "none", description="weight of each class in the loss"
    )
    label_smoothing: Share = Field(0.0, description="share of the label spread over all classes")
    extra: Extra = Field(
        default_factory=dict, description="further arguments of the loss, by name: gamma, alpha, delta, quantile …"
    )


class OptimSection(Section):
    """The optimizer."""

    name: str = Field(
        "auto",
        description="adamw, adam, sgd, … : every torch optimizer by its name in lower case, and adam0, lookahead, sam, "
        "schedulefree_adamw, schedulefree_radam, schedulefree_sgd",
    )
    lr: Positive | Auto = Field("auto", description="peak learning rate, per optimizer update")
    lr_batch: Count | None = Field(
        None, description="effective batch that lr is meant for; the run scales it to its own batch, and says so"
    )
    lr_scale: Literal["auto", "linear", "sqrt", "none"] = Field(
        "auto", description="how lr is scaled from lr_batch: linear for the SGD family, sqrt for Adam-like ones"
    )
    layer_decay: Annotated[float, Field(gt=0, le=1)] = Field(
        1.0, description="rate of each layer from the head down, as a factor on the next; 1 for one rate"
    )
    rates: dict[str, Positive] = Field(
        default_factory=dict,
        description='factors on lr by parameter name: "head.*" as a glob, "re:^head" as an expression; body and head alone are '
        "the parts of the net; the last match holds",
    )
    weight_decay: NonNegative | Auto = Field(
        "auto", description="decoupled for adamw, L2 for the others; none on bias and norm"
    )
    decay_kind: Literal["auto", "decoupled", "l2"] = Field(
        "auto", description="decoupled from the adaptive step, or L2 in the gradient; auto is the optimizer's own"
    )
    decays: dict[str, NonNegative] = Field(
        default_factory=dict, description="factors on weight_decay by parameter name, patterns as in rates"
    )
    decay_norm: bool = Field(False, description="also decay the parameters of norms")
    decay_bias: bool = Field(False, description="also decay biases")
    decay_embedding: bool = Field(False, description="also decay embeddings")
    l1: NonNegative = Field(
        0.0, description="L1 penalty of the weights that decay, as a soft threshold after each update: exact zeros"
    )
    l1_only: list[str] = Field(
        default_factory=list, description="patterns of the parameters that l1 shrinks, instead of all weights"
    )
    momentum: Decay = Field(0.9, description="momentum of SGD and RMSprop")
    beta1: Decay = Field(0.9, description="decay of the first moment of Adam")
    beta2: Decay = Field(0.999, description="decay of the second moment of Adam")
    eps: NonNegative = Field(1e-8, description="added to the denominator of Adam; 0 is an experiment, see adam0")
    clip_norm: Positive | None = Field(
        None, description="largest norm of the whole gradient; the unclipped norm is logged"
    )
    clip_value: Positive | None = Field(None, description="largest absolute value of a gradient entry")
    clip_percentile: Annotated[float, Field(gt=0, lt=100)] | None = Field(
        None,
        description="clip at this percentile of the latest unclipped norms, usually 90; the first clip_window are not clipped",
    )
    clip_window: Annotated[int, Field(ge=2)] = Field(100, description="norms that clip_percentile looks back on")
    clip_adaptive: Positive | None = Field(
        None,
        description="largest gradient norm of a unit as a share of its weight norm, usually 0.01; not of the last layer",
    )
    clip_update: Positive | None = Field(
        None,
        description="largest root mean square of what a step changes in a tensor, over the rate; 1 in Adafactor, of Adam kinds",
    )
    implementation: Literal["auto", "fused", "foreach", "forloop", "measure"] = Field(
        "auto", description="which of torch's kernels steps the optimizer; measure times them at the start"
    )
    decay_all: bool = Field(False, description="also decay biases, norms and embeddings")
    extra: Extra = Field(default_factory=dict, description="further arguments of the optimizer, by name")


class ScheduleSection(Section):
    """The learning rate over the updates of the run."""

    name: str = Field("auto", description="a schedule by name: cosine, linear, constant, one_cycle …")
    warmup: Whole | Amount = Field(0, description='updates, or a share of the run such as "0.05dur"')
    warmup_kind: str = Field(
        "linear", description="a warm-up by name: linear, constant, cosine, poly, multi_step, until"
    )
    warmup_start: Annotated[float, Field(ge=0, le=1)] | Auto = Field(
        "auto", description="factor at the first update; auto: linear, cosine and poly rise by (t + 1) / W from 0"
    )
    warmup_join: Literal["after", "over", "product", "composite"] = Field(
        "after",
        description="whether the schedule begins after the warm-up, under it, is multiplied by it, or led up to",
    )
    warmup_extra: Extra = Field(default_factory=dict, description="further arguments of the warm-up, by name")
    floor: Share = Field(0.0, description="smallest factor of the peak rate")
    grow_batch: Annotated[float, Field(ge=1, allow_inf_nan=False)] | None = Field(
        None, description="largest factor by which the effective batch grows in the place of the decay; none: it stays"
    )
    cycle_momentum: bool = Field(True, description="cyclic and one_cycle also move the momentum, against the rate")
    extra: Extra = Field(default_factory=dict, description="further arguments of the schedule, by name")


class TrainSection(Section):
    """The loop."""

    epochs: Count | Auto = Field("auto", description="passes over the training part")
    steps: Count | None = Field(None, description="optimizer updates of the whole run; none: epochs decide")
    batch_size: Count | Auto = Field("auto", description="rows of a micro-batch; several ranks divide them")
    accumulate: Count = Field(1, description="micro-batches per optimizer update")
    precision: Literal["fp32", "fp64", "bf16", "fp16"] = Field(
        "fp32", description="number type of forward and backward; fp16 with a loss scaler"
    )
    ema: Annotated[float, Field(gt=0, lt=1)] | None = Field(
        None, description="decay of an average of the weights that is evaluated in their place"
    )
    swa: Annotated[float, Field(gt=0, lt=1)] | None = Field(
        None,
        description="share of the run after which an equal average of the weights is kept and evaluated, such as 0.75",
    )
    swa_every: Count | None = Field(
        None, description="optimizer updates between two weights of swa; none: once an epoch"
    )
    reestimate_norms: bool | Auto = Field(
        "auto",
        description="batch-norm statistics of averaged weights are taken anew from the training rows; auto: not for ema",
    )
    patience: Count | Auto | None = Field(
        "auto", description="evaluations without improvement beyond the noise before the run stops; none never stops"
    )
    min_epochs: Whole = Field(0, description="epochs before the run may stop early")
    seed: Annotated[int, Field(ge=0, lt=2**63)] = Field(0, description="of every random choice")
    device: str = Field("auto", description="cpu, cuda, cuda:1, mps")
    deterministic: bool = Field(False, description="only deterministic kernels, where the device has others")
    threads: Count | Auto = Field("auto", description="CPU threads of torch")
    recover: Literal["auto", "off"] = Field(
        "auto",
        description="what breaks an update is answered: memory by smaller parts, numbers that are not finite by skipping, a "
        "leap of the loss by going back; off: the run ends, or goes on with the damage",
    )
    snapshot_every: Count = Field(100, description="updates between snapshots in memory that recovery goes back to")
    returns: Whole = Field(
        3,
        description="times a run goes back after a leap of the loss or numbers that are not finite, beside once an epoch; 0: never",
    )
    skips: Whole = Field(
        3,
        description="windows in a row left out for a number that is not finite or a gradient far beyond all before, before more is done",
    )


class EvalSection(Section):
    """The judgement."""

    metric: str = Field("auto", description="what decides which weights are best")
    batch_size: Count | Auto = Field("auto", description="rows per evaluation batch")
    every: Count | None = Field(None, description="optimizer updates between evaluations; none: once an epoch")
    threshold: Annotated[float, Field(gt=0, lt=1)] | Literal["auto", "f1", "accuracy", "balanced_accuracy"] = Field(
        "auto", description="of the positive class: a number, or the validation score that chooses it"
    )
    calibrate: bool = Field(
        True, description="fit a temperature on the validation part so that probabilities mean what they say"
    )
    bootstrap: Whole = Field(1000, description="resamples behind each interval; 0 for none")


class RunSection(Section):
    """What is kept."""

    save_every: Count | None = Field(
        None, description="optimizer updates between checkpoints; none: at each evaluation"
    )
    save_seconds: Positive | None = Field(60.0, description="longest time without a checkpoint; none for no limit")
    keep: Count = Field(2, description="checkpoints kept beside the best")
    log_every: Count = Field(1, description="optimizer updates between logged values of loss, rate and gradient norm")
    watch: bool = Field(
        True, description="measure gradients, updates, activations and answers on the way, and name what goes wrong"
    )
    overhead: Annotated[float, Field(gt=0, lt=1)] = Field(0.03, description="share of the time that the watch may take")
    world_size: Count | Auto = Field(
        "auto",
        description="processes that train together and divide the rows of each update; auto: as many as were started, see --nproc",
    )
    zero_stage: Literal[0, 2, 3] = Field(
        0,
        description="what lies in parts on the ranks: 2 gradients and optimizer states, 3 the weights too (torch's FSDP2)",
    )
    sync_batch_norm: bool = Field(
        False, description="batch norm takes its statistics over the rows of all ranks, as one process would"
    )
    exporters: list[str] = Field(default_factory=list, description="also write to: tensorboard, mlflow, wandb")
    language: Annotated[str, AfterValidator(_language)] = Field("en", description="of findings and messages: en, zh")


SECTIONS: dict[str, type[Section]] = {
    "data": DataSection,
    "model": ModelSection,
    "loss": LossSection,
    "optim": OptimSection,
    "schedule": ScheduleSection,
    "train": TrainSection,
    "eval": EvalSection,
    "run": RunSection,
}
TABLES: dict[str, type[Section]] = {"model.lora": LoraTable}  # fields that hold a table with names of its own
PATHS = tuple(f"{section}.{name}" for section, kind in SECTIONS.items() for name in kind.model_fields)
