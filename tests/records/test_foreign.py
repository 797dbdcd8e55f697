import json

import pytest

from tunesmith.records import Recipe, RecipeError, Source, import_foreign, recipe_from_json, recipe_from_toml, revise
from tunesmith.records.fields import field
from tunesmith.records.foreign_names import OPTIMIZERS, SCHEDULES, TABLE, Several, foreign
from tunesmith.records.recipe import PATHS

TRAINING_ARGUMENTS = {  # as `TrainingArguments.to_json_string()` writes it
    "output_dir": "out",
    "overwrite_output_dir": False,
    "do_train": True,
    "do_eval": False,
    "eval_strategy": "steps",
    "per_device_train_batch_size": 16,
    "per_device_eval_batch_size": 64,
    "gradient_accumulation_steps": 4,
    "learning_rate": 5e-05,
    "weight_decay": 0.01,
    "adam_beta1": 0.9,
    "adam_beta2": 0.98,
    "adam_epsilon": 1e-06,
    "max_grad_norm": 1.0,
    "num_train_epochs": 3.0,
    "max_steps": -1,
    "lr_scheduler_type": "cosine",
    "lr_scheduler_kwargs": {},
    "warmup_ratio": 0.06,
    "warmup_steps": 0,
    "logging_first_step": True,
    "logging_steps": 10,
    "save_strategy": "steps",
    "save_steps": 500,
    "save_total_limit": 3,
    "eval_steps": 250,
    "seed": 42,
    "data_seed": None,
    "bf16": True,
    "fp16": False,
    "local_rank": -1,
    "fsdp": [],
    "deepspeed": None,
    "dataloader_num_workers": 2,
    "dataloader_pin_memory": True,
    "dataloader_drop_last": False,
    "optim": "adamw_torch",
    "label_smoothing_factor": 0.1,
    "report_to": ["tensorboard"],
    "gradient_checkpointing": False,
    "torch_compile": False,
    "push_to_hub": False,
    "hub_model_id": None,
}

DEEPSPEED = {
    "train_batch_size": 64,
    "train_micro_batch_size_per_gpu": 8,
    "gradient_accumulation_steps": "auto",
    "optimizer": {"type": "Adam", "params": {"lr": 3e-4, "betas": [0.8, 0.99], "eps": 1e-8, "weight_decay": 3e-7}},
    "scheduler": {"type": "WarmupLR", "params": {"warmup_min_lr": 0, "warmup_max_lr": 3e-4, "warmup_num_steps": 1000}},
    "fp16": {"enabled": True, "loss_scale": 0, "loss_scale_window": 1000, "initial_scale_power": 16},
    "bf16": {"enabled": "auto"},
    "gradient_clipping": 1.0,
    "steps_per_print": 100,
    "zero_optimization": {"stage": 0, "overlap_comm": True, "offload_optimizer": {"device": "cpu"}},
    "wall_clock_breakdown": False,
}

LIGHTNING = {
    "seed_everything": 7,
    "trainer": {
        "accelerator": "cpu",
        "devices": 1,
        "strategy": "auto",
        "max_epochs": 20,
        "precision": "bf16-mixed",
        "accumulate_grad_batches": 2,
        "gradient_clip_val": 0.5,
        "gradient_clip_algorithm": "value",
        "log_every_n_steps": 50,
        "callbacks": [{"class_path": "lightning.pytorch.callbacks.EarlyStopping", "init_args": {"patience": 3}}],
    },
    "model": {"class_path": "my.Net", "init_args": {"dropout": 0.2, "stride": 3}},
    "optimizer": {"class_path": "torch.optim.SGD", "init_args": {"lr": 0.1, "momentum": 0.95, "nesterov": True}},
    "lr_scheduler": {"class_path": "torch.optim.lr_scheduler.CosineAnnealingLR", "init_args": {"T_max": 20}},
}

ULTRALYTICS = {
    "task": "classify", "mode": "train", "model": "yolo.pt", "data": "pets", "epochs": 100, "batch": 16, "imgsz": 224, "patience": 50,
    "device": 0, "workers": 8, "optimizer": "AdamW", "lr0": 0.01, "lrf": 0.01, "momentum": 0.937, "weight_decay": 0.0005,
    "warmup_epochs": 3.0, "warmup_momentum": 0.8, "cos_lr": True, "amp": True, "val": True, "dropout": 0.0, "seed": 0,
    "deterministic": True, "scale": 0.5, "split": "val", "name": "exp", "nbs": 64,
}  # fmt: skip

LLAMA_FACTORY = {
    "model_name_or_path": "some/model", "stage": "sft", "do_train": True, "finetuning_type": "full", "dataset": "alpaca", "template": "llama3",
    "cutoff_len": 2048, "output_dir": "saves", "logging_steps": 10, "save_steps": 500, "plot_loss": True,
    "per_device_train_batch_size": 1, "gradient_accumulation_steps": 2, "learning_rate": 1.0e-5, "num_train_epochs": 3.0,
    "lr_scheduler_type": "cosine", "warmup_ratio": 0.1, "bf16": True, "ddp_timeout": 180000000, "val_size": 0.1, "eval_steps": 500,
}  # fmt: skip


def revised(configuration):
    changes, notices = import_foreign(configuration)
    return revise(Recipe(), changes), "\n".join(notices)


def test_training_arguments_of_transformers():
    recipe, notices = revised(TRAINING_ARGUMENTS)

    assert {path: value for path, value in recipe.flat().items() if value != Recipe().get(path)} == {
        "data.workers": 2,
        "data.pin_memory": True,
        "loss.label_smoothing": 0.1,
        "optim.name": "adamw",
        "optim.lr": 5e-05,
        "optim.weight_decay": 0.01,
        "optim.beta2": 0.98,
        "optim.eps": 1e-06,
        "optim.clip_norm": 1.0,
        "schedule.name": "cosine",
        "schedule.warmup": "0.06dur",
        "train.epochs": 3,
        "train.batch_size": 16,
        "train.accumulate": 4,
        "train.precision": "bf16",
        "train.seed": 42,
        "eval.batch_size": 64,
        "eval.every": 250,
        "run.save_every": 500,
        "run.keep": 3,
        "run.log_every": 10,
        "run.exporters": ["tensorboard"],
    }
    assert "per_device_train_batch_size is called train.batch_size here" in notices
    assert "logging_first_step = true" in notices


@pytest.mark.parametrize("configuration", [TRAINING_ARGUMENTS, DEEPSPEED, LIGHTNING, ULTRALYTICS, LLAMA_FACTORY])
def test_nothing_is_dropped_in_silence(configuration):
    def names(table, above=""):
        for key, value in table.items():
            if isinstance(value, dict) and value:
                yield from names(value, f"{above}{key}.")
            else:
                yield above + key

    notices = "\n".join(import_foreign(configuration)[1])

    assert [name for name in names(configuration) if name not in notices] == []


def test_a_deepspeed_file():
    recipe, notices = revised(DEEPSPEED)

    assert (recipe.train.batch_size, recipe.train.accumulate) == (8, 8)  # 64 = 8 x 8 x 1
    assert (recipe.optim.name, recipe.optim.lr, recipe.optim.beta1, recipe.optim.beta2) == ("adamw", 3e-4, 0.8, 0.99)
    assert (recipe.schedule.name, recipe.schedule.warmup) == ("constant", 1000)
    assert (recipe.train.precision, recipe.optim.clip_norm, recipe.run.log_every) == ("fp16", 1.0, 100)
    assert "train_batch_size = 64 is train.batch_size 8 x train.accumulate 8 x 1 rank here" in notices
    assert "zero_optimization.offload_optimizer.device" in notices


def test_a_lightning_configuration():
    recipe, notices = revised(LIGHTNING)

    assert (recipe.train.seed, recipe.train.epochs, recipe.train.accumulate, recipe.train.device) == (7, 20, 2, "cpu")
    assert (recipe.optim.name, recipe.optim.lr, recipe.optim.momentum, recipe.optim.extra) == (
        "sgd",
        0.1,
        0.95,
        {"nesterov": True},
    )
    assert (recipe.optim.clip_value, recipe.optim.clip_norm, recipe.train.precision) == (0.5, None, "bf16")
    assert (recipe.schedule.name, recipe.model.dropout) == ("cosine", 0.2)
    assert "model.init_args.stride is not known here and not taken over" in notices


def test_a_pretrained_start_of_others_is_taken_where_it_names_one():
    taken = Recipe(pretrained="net.pt", freeze=["body.*"])
    other = Recipe(pretrained=True, freeze=10)

    assert (taken.model.pretrained, taken.model.freeze) == ("net.pt", ["body.*"])
    assert (other.model.pretrained, other.model.freeze) == (None, "none")
    assert any("names a file of weights" in one for one in other.notices)
    assert any("parameters are named by patterns" in one for one in other.notices)
    assert Recipe(initial_checkpoint="net.pth").model.pretrained == "net.pth"


def test_an_ultralytics_configuration():
    recipe, notices = revised(ULTRALYTICS)

    assert (recipe.train.epochs, recipe.train.batch_size, recipe.data.image_size, recipe.train.patience) == (
        100,
        16,
        224,
        50,
    )
    assert (recipe.optim.name, recipe.optim.lr, recipe.schedule.floor, recipe.schedule.warmup) == (
        "adamw",
        0.01,
        0.01,
        "3.0ep",
    )
    assert (recipe.train.device, recipe.schedule.name, recipe.train.precision, recipe.data.workers) == (
        "cuda:0",
        "cosine",
        "fp16",
        8,
    )
    assert (recipe.data.scale, recipe.data.split, recipe.model.name) == ("auto", "auto", "auto")  # other things there
    assert "scale is not known here" in notices


def test_a_llama_factory_configuration():
    recipe, _ = revised(LLAMA_FACTORY)

    assert (recipe.data.max_seq_len, recipe.data.val, recipe.train.accumulate, recipe.schedule.warmup) == (
        2048,
        0.1,
        2,
        "0.1dur",
    )


def test_their_json_file_reads_as_a_recipe():
    recipe = recipe_from_json(json.dumps(DEEPSPEED, indent=1), "ds.json")

    assert recipe.train.batch_size == 8
    assert recipe.source("train.batch_size") == Source("imported", "ds.json:3, train_micro_batch_size_per_gpu")
    assert any("train_batch_size = 64" in notice for notice in recipe.notices)


def test_their_names_in_our_files():
    recipe = recipe_from_toml("learning_rate = 0.1\n[train]\nmax_epochs = 4\n[scheduler]\ntype = 'WarmupDecayLR'")

    assert (recipe.optim.lr, recipe.train.epochs, recipe.schedule.name) == (0.1, 4, "linear")
    assert len(recipe.notices) == 3


@pytest.mark.parametrize(
    ("given", "path", "value"),
    [
        ({"max_grad_norm": 0}, "optim.clip_norm", None),
        ({"max_grad_norm": 0.0}, "optim.clip_norm", None),
        ({"gradient_clip_val": 0.7}, "optim.clip_norm", 0.7),
        ({"optim": "adamw_torch_fused"}, "optim.implementation", "fused"),
        ({"optim": "adamw_torch_fused"}, "optim.name", "adamw"),
        ({"optim": "sgd"}, "optim.name", "sgd"),
        ({"optimizer": {"type": "AdamW"}}, "optim.name", "adamw"),
        ({"optimizer": {"type": "Adam", "params": {"adam_w_mode": False}}}, "optim.name", "adam"),
        ({"precision": "16-mixed"}, "train.precision", "fp16"),
        ({"precision": 32}, "train.precision", "fp32"),
        ({"trainer": {"precision": "64-true"}}, "train.precision", "fp64"),
        ({"mixed_precision": "no"}, "train.precision", "fp32"),
        ({"bf16": False, "fp16": True}, "train.precision", "fp16"),
        ({"bf16": False}, "train.precision", "fp32"),
        ({"warmup_steps": 100, "warmup_ratio": 0.1}, "schedule.warmup", 100),
        ({"warmup_steps": 0, "warmup_ratio": 0.1}, "schedule.warmup", "0.1dur"),
        ({"warmup_steps": 0.05}, "schedule.warmup", "0.05dur"),
        ({"warmup_steps": 0}, "schedule.warmup", 0),
        ({"lr_scheduler_type": "linear"}, "schedule.name", "linear"),
        ({"lr_scheduler": {"class_path": "torch.optim.lr_scheduler.ReduceLROnPlateau"}}, "schedule.name", "plateau"),
        ({"lr_scheduler": {"class_path": "torch.optim.lr_scheduler.CyclicLR"}}, "schedule.name", "cyclic"),
        ({"lr_scheduler_kwargs": {"min_lr_rate": 0.1, "power": 2}}, "schedule.floor", 0.1),
        ({"lr_scheduler_kwargs": {"min_lr_rate": 0.1, "power": 2}}, "schedule.extra", {"power": 2}),
        ({"eval_strategy": "epoch", "eval_steps": 5}, "eval.every", None),
        ({"save_strategy": "no", "save_steps": 5}, "run.save_every", None),
        ({"train_batch_size": 32}, "train.batch_size", 32),
        ({"train_batch_size": 32, "gradient_accumulation_steps": 4}, "train.batch_size", 8),
        ({"max_steps": 500}, "train.steps", 500),
        ({"max_steps": -1}, "train.steps", None),
        ({"per-device-train-batch-size": 4}, "train.batch_size", 4),
        ({"no_cuda": True}, "train.device", "cpu"),
        ({"device": "0"}, "train.device", "cuda:0"),
        ({"accelerator": "gpu"}, "train.device", "cuda"),
        ({"class_weight": "balanced"}, "loss.class_weights", "balanced"),
        ({"max_seq_length": 128}, "data.max_seq_len", 128),
        ({"metric_for_best_model": "eval_f1"}, "eval.metric", "f1"),
    ],
)
def test_values_are_translated_too(given, path, value):
    recipe, _ = revised(given)

    assert recipe.get(path) == value


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"peft_type": "IA3"}, 'peft_type = "IA3" asks for another way than LoRA'),
        ({"use_dora": True, "lora_rank": 8}, "asks for a kind of LoRA that is not available; plain LoRA is model.lora"),
        ({"zero_optimization": True}, "asks for ZeRO; here that is run.zero_stage = 2 or 3"),
        ({"trainer": {"devices": 2}}, "more than one device"),
        ({"strategy": "ddp"}, "more than one device"),
        ({"fsdp": "full_shard"}, "more than one device"),
        ({"device": [0, 1]}, "more than one device"),
        ({"optim": "paged_adamw_8bit"}, "few bits"),
        (
            {"lr_scheduler_type": "cosine_with_restarts"},
            "no counterpart of that name here; take schedule.name = 'cosine_restarts'",
        ),
        ({"lr_scheduler": {"class_path": "torch.optim.lr_scheduler.LambdaLR"}}, "as the task's schedule"),
        ({"precision": "bf16-true"}, "is not available"),
        ({"bf16": True, "fp16": True}, "exclude each other"),
        ({"train_batch_size": 65, "train_micro_batch_size_per_gpu": 8}, "8 x 8 x 1 = 64"),
        (
            {"train_batch_size": 64, "train_micro_batch_size_per_gpu": 8, "gradient_accumulation_steps": 4},
            "8 x 4 x 1 = 32",
        ),
        ({"train_batch_size": "many"}, "expected a whole number >= 1"),
        ({"warmup_steps": 5, "warmup_iters": 6}, "say different things"),
        ({"class_weight": {"0": 1.0}}, "in the order of the classes"),
        ({"optimizer": {"params": {"betas": 0.9}}}, "expected a pair"),
    ],
)
def test_what_is_not_available_is_refused(given, words):
    with pytest.raises(RecipeError) as caught:
        import_foreign(given)

    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"lora_dim": 8}, {"rank": 8}),
        (
            {"peft_type": "LORA", "r": 8, "lora_alpha": 16, "target_modules": ["q_proj", "v_proj"]},
            {"rank": 8, "alpha": 16.0, "targets": ["q_proj", "v_proj"]},
        ),
        ({"finetuning_type": "lora", "lora_rank": 4, "lora_target": "all"}, {"rank": 4, "targets": "all"}),
        (
            {"peft_config": {"r": 4, "lora_dropout": 0.1, "target_modules": "all-linear"}},
            {"rank": 4, "dropout": 0.1, "targets": "all"},
        ),
        ({"use_lora": True}, {"rank": 8}),
    ],
)
def test_an_adapter_of_others_is_model_lora(given, expected):
    changes, notices = import_foreign(given)

    assert {path.removeprefix("model.lora."): value for path, value in changes.items()} == expected
    assert notices


@pytest.mark.parametrize(
    "given",
    [
        {"lora_dim": 0},
        {"lora_r": None, "lora_alpha": 16},
        {"devices": 1},
    ],
)
def test_what_is_switched_off_is_only_told(given):
    changes, notices = import_foreign(given)

    assert changes == {}
    assert notices


@pytest.mark.parametrize(
    ("given", "path", "value"),
    [
        ({"zero_optimization": {"stage": 2}}, "run.zero_stage", 2),
        ({"zero_stage": 3}, "run.zero_stage", 3),
        ({"num_processes": 4}, "run.world_size", 4),
        ({"nproc_per_node": 2}, "run.world_size", 2),
    ],
)
def test_ranks_and_parts_are_taken_over(given, path, value):
    changes, _ = import_foreign(given)

    assert changes == {path: value}


def test_a_value_out_of_range_names_the_name_it_came_under():
    with pytest.raises(
        RecipeError, match=r'optim\.lr = -1 \(r\.toml:1, learning_rate\): expected a number > 0 or "auto"'
    ):
        recipe_from_toml("learning_rate = -1", "r.toml")


def test_a_total_batch_on_the_command_line_divides_by_the_accumulation_of_the_recipe():
    recipe = revise(Recipe(train={"accumulate": 4}), {"train_batch_size": 64})

    assert (recipe.train.batch_size, recipe.train.accumulate) == (16, 4)


def test_a_near_miss_in_their_file_is_told_with_the_nearest_name():
    _, notices = import_foreign({"per_device_train_batch_siz": 4})

    assert notices == (
        "per_device_train_batch_siz is not known here and not taken over; did you mean 'per_device_train_batch_size'?",
    )


def test_the_table_leads_to_fields_that_exist_and_gives_each_name_one_meaning():
    names = [name for row in TABLE for name in row.names]

    assert len(names) == len(set(names))
    for row in TABLE:
        assert (
            row.ours in PATHS
            or row.ours in ("", "optim.betas")
            or field(".".join(row.ours.split(".")[:2])).takes("object")
        )
        assert row.treatment != "missing" or row.why


def test_schedules_and_optimizers_are_translated_to_members_of_the_catalogues():
    optim = pytest.importorskip("tunesmith.blocks.optim")
    schedules = pytest.importorskip("tunesmith.blocks.schedules")

    assert set(SCHEDULES.values()) <= set(schedules.SCHEDULES)
    assert set(OPTIMIZERS.values()) <= set(optim.OPTIMIZERS)


def test_wrappers_are_taken_off():
    assert foreign("trainer.max_epochs") is foreign("max_epochs")
    assert foreign("nobody.writes.this") is None
    assert isinstance(foreign("betas").convert([0.9, 0.99]), Several)
