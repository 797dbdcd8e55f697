"""A small story teller learns to chat: trained whole, with adapters of two ranks, and drawn anew.

The model of stories260k (260,032 numbers, MIT, trained on short English stories) and its tokenizer; 300 conversations in English and Chinese
of the project's shared data, at most 192 tokens, 70 % train, the losses of the assistant's tokens on the other two parts. 6 epochs in batches
of 8, one rate by way (1e-3; with adapters 5e-3), none of them searched for. `trains` is how many numbers the optimizer moves, `state` the
size of a checkpoint's optimizer state, `stored` that of the weights one keeps: the whole model, or the adapter alone. One seed where no range is
given; seconds of the processor, one thread. TUNESMITH_SHARED names the folder of the data.
"""

import gzip
import os
import statistics
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

from tables import by_case, markdown

SHARED = Path(os.environ.get("TUNESMITH_SHARED", Path(__file__).resolve().parents[2] / "shared")) / "data"
MODEL, CHATS, ROWS = SHARED / "models" / "stories260k", SHARED / "sft" / "v1_sft_demo.jsonl.gz", 300
COMMON = {
    "data.tokenizer_folder": str(MODEL),
    "data.chat_template": "im",
    "data.max_seq_len": 192,
    "train.batch_size": 8,
    "train.epochs": 6,
    "train.threads": 1,
    "optim.lr": 1e-3,
    "eval.bootstrap": 0,
    "run.watch": False,
}
SHAPE = {"model.width": 64, "model.depth": 5, "model.heads": 8, "model.kv_heads": 4, "model.feed_forward": 172}
WAYS: dict[str, dict[str, Any]] = {
    "drawn anew": SHAPE,
    "whole": {"model.pretrained": str(MODEL)},
    "LoRA, rank 4": {"model.pretrained": str(MODEL), "model.lora.rank": 4, "optim.lr": 5e-3},
    "LoRA, rank 16": {"model.pretrained": str(MODEL), "model.lora.rank": 16, "optim.lr": 5e-3},
}


def cases() -> list[dict[str, Any]]:
    return [{"way": way, "seed": 0} for way in WAYS]


def measure(case: dict[str, Any]) -> dict[str, Any]:
    import torch

    import tunesmith as ts
    from tunesmith.records.sections import LoraTable
    from tunesmith.reports import QuietDisplay
    from tunesmith.training import adapters

    torch.set_num_threads(1)
    recipe = COMMON | WAYS[case["way"]] | {"train.seed": case["seed"]}
    with TemporaryDirectory() as place:
        chats = Path(place) / "chats.jsonl"
        with gzip.open(CHATS, "rt", encoding="utf-8") as file:
            chats.write_text("".join(line for _, line in zip(range(ROWS), file, strict=False)), encoding="utf-8")
        start = time.process_time()
        run = ts.fit(
            ts.Task(train=str(chats), kind="language"), recipe, folder=Path(place) / "run", display=QuietDisplay()
        )
        spent = time.process_time() - start
        last = max((Path(place) / "run" / "checkpoints").glob("step-*"))
        model = ts.load(Path(place) / "run").model
        lora = run.recipe.model.lora
        kept = adapters.save(model, Path(place) / "adapter", LoraTable.model_validate(lora)) if lora else last
        names = ("adapter_model.safetensors", "model.safetensors")
        stored = next((kept / name).stat().st_size for name in names if (kept / name).is_file())
        state = (last / "state.safetensors").stat().st_size
        parts = run.scores["parts"]
    return {
        "val loss": parts["val"]["loss"],
        "test loss": parts["test"]["loss"],
        "trains": sum(one.numel() for one in run.model.parameters() if one.requires_grad),
        "state": state,
        "stored": stored,
        "seconds": spent,
    }


def table(rows: Any) -> str:
    """A line for each way, over its seeds."""
    groups: dict[str, list[Any]] = {}
    for group in by_case(rows):
        groups.setdefault(group[-1]["case"]["way"], []).extend(row["measured"] for row in group)
    lines = [
        [
            way,
            ranged([one["val loss"] for one in found]),
            ranged([one["test loss"] for one in found]),
            f"{found[0]['trains']:,}",
            f"{found[0]['state'] / 1e6:.2f}",
            f"{found[0]['stored'] / 1e6:.2f}",
            f"{statistics.median(one['seconds'] for one in found):.0f}",
            str(len(found)),
        ]
        for way, found in groups.items()
    ]
    header = ["way", "validation loss", "test loss", "trains", "state, MB", "stored, MB", "seconds", "seeds"]
    return markdown(header, lines)


def ranged(values: list[float]) -> str:
    middle = statistics.median(values)
    return f"{middle:.3f}" if len(values) == 1 else f"{middle:.3f} ({min(values):.3f} to {max(values):.3f})"
