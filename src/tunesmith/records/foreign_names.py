"""The names other trainers use, as one table: what each is called here, what is not taken over, what is not available.

Sources: transformers `TrainingArguments` (5.x and 4.x), the DeepSpeed configuration JSON, Lightning `Trainer`, PEFT `LoraConfig`,
LLaMA-Factory's hyperparameters, ultralytics' `default.yaml`, timm's `train.py`, nanoGPT's `train.py`, Keras `fit`, scikit-learn's MLP.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

from tunesmith.records.errors import RecipeError

Treatment = Literal["called", "ignored", "missing", "rule"]

OFF: tuple[Any, ...] = (None, False, 0, "", "no", "none", "None", "off", "false", "False", "auto", "full", [], {}, -1)


@dataclass(frozen=True, slots=True)
class Foreign:
    """One meaning under the names others give it. `names[0]` stands for all of them."""

    treatment: Treatment  # renamed; without effect here; not available here; read by a rule together with others
    names: tuple[str, ...]
    ours: str = ""  # recipe path
    convert: Callable[[Any], Any] = lambda value: value  # to our value; raises NotTaken
    why: str = ""  # for ignored and missing: a clause that ends the sentence
    by: str = ""  # for the manual: who calls it so
    table: bool = False  # its value is a table that stays whole


class Several(dict[str, Any]):
    """A conversion's answer that sets several fields, by path."""


class NotTaken(Exception):
    """Raised by a conversion: the reason is told as a notice."""


def whole(value: Any) -> Any:
    """Whole numbers that were written as floats (`num_train_epochs: 3.0`)."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def positive_or_none(value: Any) -> Any:
    """0 and below mean: off."""
    return None if isinstance(value, int | float) and value <= 0 else value


def updates(value: Any) -> Any:
    """A count of updates; a number below 1 is a share of the run in Transformers."""
    if isinstance(value, float) and 0 < value < 1:
        raise NotTaken("a share of the run; give a number of optimizer updates")
    if isinstance(value, int | float) and value <= 0:
        raise NotTaken("0 and below have no meaning here")
    return whole(value)


def limit(value: Any) -> Any:
    """A count of updates; -1 and 0 leave the length to the epochs."""
    if isinstance(value, int | float) and value <= 0:
        raise NotTaken("no limit there, so the epochs decide, as here")
    return whole(value)


def share_of_run(value: Any) -> Any:
    """0.05 becomes "0.05dur"."""
    return f"{value}dur" if isinstance(value, int | float) and value > 0 else 0


def warmup_steps(value: Any) -> Any:
    """Updates; a number below 1 is a share of the run (Transformers 5)."""
    return share_of_run(value) if isinstance(value, float) and 0 < value < 1 else whole(value)


def warmup_epochs(value: Any) -> Any:
    """3 becomes "3ep"."""
    return f"{value}ep" if isinstance(value, int | float) and value > 0 else 0


def epochs(value: Any) -> Any:
    """A whole number of epochs; -1 stands for no limit, which a schedule cannot follow."""
    if value == -1:
        raise NotTaken("a run here has a last epoch; give train.epochs or train.steps")
    return whole(value)


OPTIMIZERS = {
    "adamw_torch": "adamw",
    "adamw_hf": "adamw",
    "fusedadam": "adamw",
    "momentum": "sgd",
    "rmsprop_torch": "rmsprop",
    "schedule_free_adamw": "schedulefree_adamw",
    "schedule_free_radam": "schedulefree_radam",
    "schedule_free_sgd": "schedulefree_sgd",
}


def optimizer(value: Any) -> Any:
    """`adamw_torch_fused`, `AdamW`, `torch.optim.SGD` and the like."""
    if not isinstance(value, str):
        return value
    name = value.rpartition(".")[2].lower()
    if any(mark in name for mark in ("8bit", "4bit", "bnb", "paged")):
        raise RecipeError(
            f"the optimizer {value!r} keeps its state in few bits, which is not available; take optim.name = 'adamw'"
        )
    for kernel in ("fused", "foreach"):
        if name.endswith(f"_{kernel}"):
            bare = name.removesuffix(f"_{kernel}")
            return Several({"optim.name": OPTIMIZERS.get(bare, bare), "optim.implementation": kernel})
    return OPTIMIZERS.get(name, name)


SCHEDULES = {
    "constant_with_warmup": "constant",
    "cosine_with_min_lr": "cosine",
    "cosineannealinglr": "cosine",
    "linearlr": "linear",
    "linear_with_warmup": "linear",
    "cosine_with_warmup": "cosine",
    "polynomiallr": "polynomial",
    "poly": "polynomial",
    "onecyclelr": "one_cycle",
    "onecycle": "one_cycle",
    "reduce_lr_on_plateau": "plateau",
    "reducelronplateau": "plateau",
    "exponentiallr": "exponential",
    "steplr": "step",
    "multisteplr": "multi_step",
    "warmup_stable_decay": "wsd",
    "inverse_sqrt_with_warmup": "inverse_sqrt",
    "constantlr": "constant",
    "cosineannealingwarmrestarts": "cosine_restarts",
    "cycliclr": "cyclic",
    "warmuplr": "constant",  # DeepSpeed: warm-up, then constant
    "warmupdecaylr": "linear",  # DeepSpeed: warm-up, then linear to 0
    "warmupcosinelr": "cosine",
}


ELSEWHERE_ONLY = {  # names that do not say the whole curve, and what to write instead
    "cosine_with_restarts": "take schedule.name = 'cosine_restarts' with t_mul = 1 and first = updates / cycles in schedule.extra",
    "lambdalr": "give the function as the task's schedule: Task(schedule=…)",
    "multiplicativelr": "give the function as the task's schedule: Task(schedule=…)",
    "sequentiallr": "join two parts by schedule.warmup and schedule.warmup_kind, or give Task(schedule=from_torch(…))",
}


def schedule(value: Any) -> Any:
    """Scheduler names of Transformers, DeepSpeed and torch's classes."""
    if not isinstance(value, str):
        return value
    name = value.rpartition(".")[2].lower()
    found = SCHEDULES.get(name, name)
    if found in ELSEWHERE_ONLY:
        raise RecipeError(f"the schedule {value!r} has no counterpart of that name here; {ELSEWHERE_ONLY[found]}")
    return found


PRECISIONS = {
    **dict.fromkeys(("32", "32-true", "no", "fp32", "float32", "full"), "fp32"),
    **dict.fromkeys(("16", "16-mixed", "fp16", "float16"), "fp16"),
    **dict.fromkeys(("bf16", "bf16-mixed", "bfloat16", "pure_bf16_mixed"), "bf16"),
    **dict.fromkeys(("64", "64-true", "fp64", "float64", "double"), "fp64"),
}


def precision(value: Any) -> Any:
    """Lightning's `precision`, Accelerate's `mixed_precision`."""
    text = str(value)
    if text in ("16-true", "bf16-true", "transformer-engine", "fp8"):
        raise RecipeError(
            f"the precision {text!r} is not available; train.precision takes fp32, fp64, bf16 and fp16 (weights stay in fp32)"
        )
    return PRECISIONS.get(text, value)


def amp(value: Any) -> Any:
    """ultralytics' and timm's switch."""
    return {True: "fp16", False: "fp32"}.get(value, value) if isinstance(value, bool) else value


def device(value: Any) -> Any:
    """A GPU by its number, Lightning's `gpu`."""
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if isinstance(value, list) or (isinstance(value, str) and "," in value):
        raise RecipeError(
            f"device = {value!r} asks for more than one device; name one, and start a rank for each: tunesmith fit … --nproc NUMBER"
        )
    if isinstance(value, int) or (isinstance(value, str) and value.isdigit()):
        return f"cuda:{value}"
    return {"gpu": "cuda", "tpu": "xla"}.get(value, value)


def cpu_only(value: Any) -> Any:
    """`use_cpu`, `no_cuda`."""
    if value is True:
        return "cpu"
    raise NotTaken("the device is chosen by train.device")


def one_epoch(value: Any) -> Any:
    """Lightning's `check_val_every_n_epoch`."""
    if value == 1:
        return None
    raise NotTaken("counted in epochs; give eval.every in optimizer updates")


def no_truth(reason: str) -> Callable[[Any], Any]:
    """For a name that is a switch elsewhere and something else here."""

    def convert(value: Any) -> Any:
        if isinstance(value, bool):
            raise NotTaken(reason)
        return value

    return convert


def source_of_weights(value: Any) -> Any:
    """A file of weights; a switch elsewhere."""
    if isinstance(value, str) and value not in OFF:
        return value
    raise NotTaken("a switch there; here it names a file of weights or a run folder")


def parts_by_name(value: Any) -> Any:
    """Patterns of parameters; numbers of layers elsewhere."""
    if value == "body" or (isinstance(value, list) and value and all(isinstance(one, str) for one in value)):
        return value
    raise NotTaken("layers are counted there; here parameters are named by patterns, or all but the head: 'body'")


def betas(value: Any) -> Any:
    """A pair."""
    if isinstance(value, list) and len(value) == 2:
        return Several({"optim.beta1": value[0], "optim.beta2": value[1]})
    raise RecipeError(f"betas = {value!r}: expected a pair such as [0.9, 0.999]")


def schedule_extra(value: Any) -> Any:
    """Transformers' `lr_scheduler_kwargs`."""
    if not isinstance(value, Mapping):
        raise NotTaken("arguments of that trainer's schedule")
    given = dict(value)
    floor = given.pop("min_lr_rate", given.pop("min_lr_ratio", None))
    changes = Several({f"schedule.extra.{name}": item for name, item in given.items() if item is not None})
    return changes if floor is None else Several({**changes, "schedule.floor": floor})


def metric(value: Any) -> Any:
    """Transformers puts `eval_` before the name; its loss is no metric here."""
    if value in ("loss", "eval_loss"):
        raise NotTaken("the weights kept are those of the best metric, eval.metric")
    return value.removeprefix("eval_") if isinstance(value, str) else value


def exporters(value: Any) -> Any:
    """`report_to`: one name, a list of them, or "none"."""
    names = [value] if isinstance(value, str) else value
    if names == ["all"]:
        raise NotTaken("name the exporters one by one")
    return [] if names == ["none"] else names


def adafactor(value: Any) -> Any:
    """Transformers' older switch."""
    if value is True:
        return "adafactor"
    raise NotTaken("off")


def class_weights(value: Any) -> Any:
    """A table by class has no order; here weights stand in the order of the classes."""
    if isinstance(value, Mapping):
        raise RecipeError(f"class weights {dict(value)!r}: expected a list in the order of the classes, or 'balanced'")
    return value


def cosine_or_linear(value: Any) -> Any:
    """ultralytics' `cos_lr`."""
    return "cosine" if value is True else "linear" if value is False else value


def _called(
    ours: str, by: Mapping[str, str], convert: Callable[[Any], Any] = lambda value: value, *, table: bool = False
) -> Foreign:
    names = tuple(dict.fromkeys(name for written in by.values() for name in written.split()))
    shown = "; ".join(f"{', '.join(written.split())} ({trainer})" for trainer, written in by.items())
    return Foreign("called", names, ours, convert, by=shown, table=table)


def _ignored(why: str, names: str) -> Foreign:
    return Foreign("ignored", tuple(names.split()), why=why)


def _missing(why: str, names: str) -> Foreign:
    return Foreign("missing", tuple(names.split()), why=why)


def _rule(names: str, ours: str = "", by: str = "") -> Foreign:
    return Foreign("rule", tuple(names.split()), ours, by=by)


MORE_DEVICES = "more than one device; here ranks are started for that: tunesmith fit … --nproc NUMBER, torchrun or srun"

# fmt: off
TABLE: tuple[Foreign, ...] = (
    # batches and length
    _called("train.batch_size", {"Transformers": "per_device_train_batch_size per_gpu_train_batch_size",
            "DeepSpeed": "train_micro_batch_size_per_gpu", "ultralytics": "batch", "Megatron": "micro_batch_size",
            "Keras, skorch": "batch_size"}, whole),
    _called("eval.batch_size", {"Transformers": "per_device_eval_batch_size per_gpu_eval_batch_size",
            "timm": "validation_batch_size"}, whole),
    _called("train.accumulate", {"Transformers, DeepSpeed": "gradient_accumulation_steps",
            "Lightning": "accumulate_grad_batches",
            "timm": "grad_accum_steps", "others": "grad_accum accumulation_steps"}, whole),
    _called("train.epochs", {"Transformers": "num_train_epochs", "Lightning": "max_epochs",
            "others": "num_epochs n_epochs", "scikit-learn": "max_iter", "ultralytics, Keras": "epochs"}, epochs),
    _called("train.steps", {"Transformers, Lightning": "max_steps", "nanoGPT": "max_iters"}, limit),
    _called("train.min_epochs", {"Lightning": "trainer.min_epochs"}, lambda value: 0 if value is None else value),
    _called("train.patience", {"Transformers": "early_stopping_patience", "scikit-learn": "n_iter_no_change",
            "ultralytics": "patience"}, whole),
    # the optimizer
    _called("optim.name", {"Transformers": "optim", "Lightning": "optimizer.class_path",
            "ultralytics, Keras": "optimizer", "timm": "opt"}, optimizer),
    _called("optim.lr", {"Transformers": "learning_rate", "DeepSpeed": "optimizer.params.lr",
            "Lightning": "optimizer.init_args.lr",
            "ultralytics": "lr0", "scikit-learn": "learning_rate_init", "others": "base_lr lr"}),
    _called("optim.weight_decay", {"Transformers": "weight_decay", "DeepSpeed": "optimizer.params.weight_decay",
            "Lightning": "optimizer.init_args.weight_decay"}),
    _called("optim.momentum", {"DeepSpeed": "optimizer.params.momentum",
            "Lightning": "optimizer.init_args.momentum", "ultralytics": "momentum"}),
    _called("optim.beta1", {"Transformers": "adam_beta1", "scikit-learn": "beta_1", "nanoGPT": "beta1"}),
    _called("optim.beta2", {"Transformers": "adam_beta2", "scikit-learn": "beta_2", "nanoGPT": "beta2"}),
    _called("optim.eps", {"Transformers": "adam_epsilon", "DeepSpeed": "optimizer.params.eps",
            "Lightning": "optimizer.init_args.eps",
            "timm": "opt_eps", "scikit-learn": "epsilon", "torch": "eps"}),
    _called("optim.betas", {"DeepSpeed": "optimizer.params.betas", "Lightning": "optimizer.init_args.betas",
            "timm": "opt_betas", "torch": "betas"}, betas),
    _called("optim.extra.nesterov", {"Lightning": "optimizer.init_args.nesterov", "torch": "nesterov"}),
    _called("optim.extra.amsgrad", {"Lightning": "optimizer.init_args.amsgrad", "torch": "amsgrad"}),
    _rule("optimizer.type", "optim.name", "optimizer.type (DeepSpeed)"),
    _rule("optimizer.params.adam_w_mode"),
    _called("optim.clip_norm", {"Transformers": "max_grad_norm", "DeepSpeed": "gradient_clipping",
            "timm, nanoGPT": "clip_grad grad_clip"}, positive_or_none),
    _rule("gradient_clip_val", "optim.clip_norm", "gradient_clip_val (Lightning)"),
    _rule("gradient_clip_algorithm"),
    # the schedule
    _called("schedule.name", {"Transformers": "lr_scheduler_type lr_scheduler", "DeepSpeed": "scheduler.type",
            "Lightning": "lr_scheduler.class_path",
            "timm": "sched"}, schedule),
    _called("schedule.name", {"ultralytics": "cos_lr"}, cosine_or_linear),
    _called("schedule.extra", {"Transformers": "lr_scheduler_kwargs"}, schedule_extra, table=True),
    _rule("warmup_steps num_warmup_steps warmup_iters scheduler.params.warmup_num_steps", "schedule.warmup",
          "warmup_steps (Transformers), scheduler.params.warmup_num_steps (DeepSpeed), warmup_iters (nanoGPT)"),
    _rule("warmup_ratio", "schedule.warmup", "warmup_ratio (Transformers)"),
    _called("schedule.warmup", {"ultralytics, timm": "warmup_epochs"}, warmup_epochs),
    _called("schedule.floor", {"ultralytics": "lrf", "Transformers": "min_lr_ratio min_lr_rate",
            "DeepSpeed": "scheduler.params.cos_min_ratio"}),
    _called("optim.lr", {"DeepSpeed": "scheduler.params.warmup_max_lr"}),
    # the loss
    _called("loss.label_smoothing", {"Transformers": "label_smoothing_factor", "timm": "smoothing",
            "ultralytics, torch": "label_smoothing"}),
    _called("loss.class_weights", {"scikit-learn, Keras": "class_weight"}, class_weights, table=True),
    _called("optim.name", {"Transformers 4": "adafactor"}, adafactor),
    # precision and device
    _rule("bf16 bf16.enabled", "train.precision", "bf16 (Transformers), bf16.enabled (DeepSpeed)"),
    _rule("fp16 fp16.enabled", "train.precision", "fp16 (Transformers), fp16.enabled (DeepSpeed)"),
    _called("train.precision", {"Lightning": "precision", "Accelerate": "mixed_precision"}, precision),
    _called("train.precision", {"ultralytics, timm": "amp"}, amp),
    _called("train.device", {"ultralytics": "device", "Lightning": "accelerator"}, device),
    _called("train.device", {"Transformers": "use_cpu no_cuda"}, cpu_only),
    _called("train.deterministic", {"Transformers": "full_determinism", "ultralytics": "deterministic"}),
    _called("train.ema", {"timm": "model_ema_decay", "others": "ema_decay"}),
    _called("train.seed", {"Transformers, DeepSpeed": "seed", "Lightning": "seed_everything",
            "scikit-learn": "random_state"}),
    # the data
    _called("data.workers", {"Transformers": "dataloader_num_workers", "others": "num_workers",
            "ultralytics": "workers"}),
    _called("data.pin_memory", {"Transformers": "dataloader_pin_memory", "timm": "pin_mem", "torch": "pin_memory"}),
    _called("data.max_seq_len", {"TRL": "max_seq_length max_length", "LLaMA-Factory": "cutoff_len",
            "nanoGPT": "block_size", "others": "max_seq_len"}, whole),
    _called("data.vocab_size", {"Megatron": "padded_vocab_size"}, whole),
    _called("data.val", {"LLaMA-Factory": "val_size", "Keras": "validation_split",
            "scikit-learn": "validation_fraction", "ultralytics": "val"},
            no_truth("validation always takes place here; its share is data.val")),
    _called("data.image_size", {"ultralytics": "imgsz", "timm": "img_size"}, whole),
    _called("data.augment", {"ultralytics": "augment"}, no_truth("a switch of prediction there; here data.augment "
            "names the changes of training rows")),
    # the model
    _called("model.depth", {"nanoGPT": "n_layer", "Transformers": "num_hidden_layers"}),
    _called("model.heads", {"nanoGPT": "n_head", "Transformers": "num_attention_heads"}),
    _called("model.width", {"nanoGPT": "n_embd", "Transformers": "hidden_size"}),
    _called("model.dropout", {"ultralytics, nanoGPT": "dropout"}),
    _called("model.pretrained", {"ultralytics": "pretrained", "timm": "initial_checkpoint"}, source_of_weights),
    _called("model.freeze", {"ultralytics": "freeze"}, parts_by_name),
    # what is kept
    _called("eval.metric", {"Transformers": "metric_for_best_model"}, metric),
    _rule("eval_strategy evaluation_strategy"),
    _rule("eval_steps", "eval.every", "eval_steps (Transformers)"),
    _rule("save_strategy"),
    _rule("save_steps", "run.save_every", "save_steps (Transformers)"),
    _rule("logging_strategy"),
    _rule("logging_steps", "run.log_every", "logging_steps (Transformers)"),
    _called("run.log_every", {"Lightning": "log_every_n_steps", "DeepSpeed": "steps_per_print"}, updates),
    _called("run.keep", {"Transformers": "save_total_limit"}),
    _called("run.exporters", {"Transformers": "report_to"}, exporters),
    _called("eval.every", {"Lightning": "check_val_every_n_epoch"}, one_epoch),
    # the whole update's batch: a rule with its equation
    _rule("train_batch_size global_batch_size total_batch_size", "train.batch_size",
          "train_batch_size (DeepSpeed), global_batch_size (Megatron): the whole update, all devices"),
    # not available
    _missing("a kind of LoRA that is not available; plain LoRA is model.lora", "use_dora use_qlora use_rslora lora_bias"),
    _rule("lora_rank lora_dim lora_r lora.lora_r lora.r peft_config.r r", "model.lora", "lora_rank (LLaMA-Factory), r (PEFT)"),
    _rule("lora_alpha lora_dropout lora_target lora_target_modules target_modules", "model.lora",
          "lora_alpha, lora_dropout, target_modules (PEFT)"),
    _rule("use_lora peft_type finetuning_type", "model.lora", "use_lora, peft_type (PEFT), finetuning_type (LLaMA-Factory)"),
    _ignored("the head trains by model.lora.head", "modules_to_save"),
    _ignored("A begins as a linear layer does, B at zero", "init_lora_weights"),
    _called("run.zero_stage", {"DeepSpeed": "zero_stage zero_optimization.stage"}, whole),
    _missing("ZeRO; here that is run.zero_stage = 2 or 3", "zero_optimization"),
    _missing("DeepSpeed as the engine, which is not available yet; its JSON file can be read in place of a recipe",
            "deepspeed"),
    _called("run.world_size", {"accelerate": "num_processes", "torchrun": "nproc_per_node"}, whole),
    _missing(MORE_DEVICES, "fsdp tensor_parallel_size "
            "pipeline_parallel_size tensor_model_parallel_size "
            "context_parallel_size nnodes"),
    _rule("devices gpus num_nodes num_machines"),
    _rule("strategy"),
    _missing("weights in few bits, which is not available", "load_in_4bit load_in_8bit quantization_bit "
            "quantization_method"),
    _missing("the GaLore, LOMO or BAdam family of optimizers, which is not available",
            "use_galore use_badam use_apollo"),
    # without effect here
    _ignored("it saves memory and leaves the result as it is; here model.recompute does it, for decoder and encoder",
            "gradient_checkpointing gradient_checkpointing_kwargs activation_checkpointing"),
    _ignored("not available yet; it saves memory or time and leaves the result as it is", "torch_compile "
            "torch_compile_backend torch_compile_mode compile use_liger_kernel use_unsloth flash_attn"),
    _ignored("the length of a run is train.epochs or train.steps", "min_steps max_time lr_decay_iters "
            "scheduler.params.total_num_steps"),
    _ignored("the loss, rate and gradient norm are logged from the first update on",
            "logging_first_step logging_nan_inf_filter logging_dir log_level "
            "log_on_each_node disable_tqdm verbose plot_loss enable_progress_bar wall_clock_breakdown dump_state "
            "include_num_input_tokens_seen"),
    _ignored("folders and resuming are said on the command line (--folder, --resume)",
            "output_dir overwrite_output_dir run_name project "
            "exist_ok save_dir default_root_dir resume_from_checkpoint resume ckpt_path save_safetensors "
            "save_only_model save_on_each_node"),
    _ignored("a run always ends on its best weights, and the metric knows whether more is better",
            "load_best_model_at_end greater_is_better restore_best_weights"),
    _ignored("nothing is uploaded", "push_to_hub hub_model_id hub_strategy hub_token hub_private_repo "
            "hub_always_push"),
    _ignored("the command says what is done", "do_train do_eval do_predict stage mode task predict_with_generate"),
    _ignored("model, data and text template are named by the task", "model_name_or_path base_model_name_or_path "
            "dataset dataset_dir template trust_remote_code "
            "train_file validation_file preprocessing_num_workers overwrite_cache max_samples "
            "task_type"),
    _ignored("rows that are short of a full batch are trained too", "dataloader_drop_last drop_last"),
    _ignored("the loader has no such setting here", "dataloader_prefetch_factor dataloader_persistent_workers "
            "group_by_length length_column_name "
            "remove_unused_columns label_names shuffle"),
    _ignored("what one process does has no counterpart in several here", "local_rank ddp_backend ddp_timeout "
            "ddp_find_unused_parameters "
            "ddp_bucket_cap_mb ddp_broadcast_buffers sync_batchnorm use_distributed_sampler "
            "communication_data_type prescale_gradients "
            "fsdp_config fsdp_min_num_params fsdp_transformer_layer_cls_to_wrap accelerator_config "
            "zero_allow_untested_optimizer contiguous_gradients"),
    _ignored("the loss scale adapts by itself", "fp16_opt_level fp16_backend half_precision_backend fp16_full_eval "
            "bf16_full_eval tf32 "
            "fp16.loss_scale fp16.loss_scale_window fp16.initial_scale_power fp16.hysteresis fp16.min_loss_scale "
            "fp16.auto_cast"),
    _ignored("the loop has no such setting here", "past_index jit_mode_eval torchdynamo neftune_noise_alpha "
            "auto_find_batch_size eval_accumulation_steps "
            "eval_delay eval_on_start batch_eval_metrics skip_memory_metrics include_inputs_for_metrics "
            "torch_empty_cache_steps "
            "average_tokens_across_devices label_smoother prediction_loss_only data_seed ignore_data_skip "
            "use_cache"),
    _ignored("callbacks, loggers and plug-ins are objects of that trainer", "callbacks logger plugins profiler "
            "enable_checkpointing "
            "enable_model_summary detect_anomaly barebones fast_dev_run limit_train_batches limit_val_batches "
            "limit_test_batches "
            "limit_predict_batches overfit_batches num_sanity_val_steps val_check_interval benchmark inference_mode "
            "reload_dataloaders_every_n_epochs"),
    _ignored("the start of the warm-up belongs to the schedule, for all groups alike",
            "warmup_momentum warmup_bias_lr scheduler.params.warmup_min_lr scheduler.params.warmup_type "
            "scheduler.params.warmup_min_ratio"),
    _ignored("which kernel steps the optimizer is optim.implementation", "optimizer.params.torch_adam "
            "optimizer.params.bias_correction optimizer.params.freeze_step"),
    _ignored("it belongs to ZeRO or to another service of DeepSpeed", "zero_optimization.* "
            "activation_checkpointing.* flops_profiler.* comms_logger.* "
            "tensorboard.* wandb.* csv_monitor.* aio.* data_efficiency.* elasticity.* amp.opt_level"),
    _ignored("detection has no counterpart here", "box cls dfl pose kobj close_mosaic mosaic copy_paste "
            "overlap_mask mask_ratio single_cls rect multi_scale"),
    _ignored("random changes of the rows are named in data.augment, as in 'flip+affine+mixup', with one dial for all, "
            "data.augment_strength", "fliplr hflip degrees shear translate hsv_h hsv_s hsv_v color_jitter erasing reprob "
            "mixup mixup_alpha cutmix cutmix_alpha"),
    _ignored("set train.accumulate to nbs divided by batch to get it", "nbs"),
    _ignored("counted in epochs; give run.save_every in optimizer updates", "save_period"),
    _ignored("an absolute rate; give schedule.floor as a share of optim.lr", "min_lr eta_min "
            "lr_scheduler.init_args.eta_min"),
    _ignored("the run's length decides", "lr_scheduler.init_args.T_max lr_scheduler.init_args.total_steps "
            "lr_scheduler.init_args.total_iters"),
)
# fmt: on

# Where their files nest what others write flat; the prefix is dropped.
WRAPPERS = ("trainer.", "fit.", "training_args.", "training_arguments.", "training.", "hyperparameters.", "args.", "optimizer.init_args.",
            "optimizer.params.", "model.init_args.", "data.init_args.", "peft_config.", "lora_config.", "lora.")  # fmt: skip


@cache
def by_name() -> Mapping[str, Foreign]:
    """Every row of the table by each of its names."""
    return {name: row for row in TABLE for name in row.names}


def spellings(name: str) -> Iterator[str]:
    """A name as written, then without the wrappers around it."""
    plain: str | None = name.lstrip("-").replace("-", "_")
    while plain:
        yield plain
        plain = next((plain.removeprefix(one) for one in WRAPPERS if plain.startswith(one)), None)


def foreign(name: str) -> Foreign | None:
    """The row for a name as others write it, hyphens and wrappers allowed; None where nobody writes it."""
    rows = by_name()
    for plain in spellings(name):
        parents = [".".join(plain.split(".")[:depth]) + ".*" for depth in range(plain.count("."), 0, -1)]
        for one in (plain, *parents):
            if one in rows:
                return rows[one]
    return None


def names_elsewhere(path: str) -> str:
    """Who calls a recipe field how."""
    return "; ".join(row.by for row in TABLE if row.ours == path and row.by)
