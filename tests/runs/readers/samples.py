"""Small logs in the manner of many programs, each with the curves a person would read in it.

The numbers are those of `fall` and `rise`, so that what a reader finds is held against the formula, not against the reader.
"""

# ruff: noqa: E501 -- lines as long as the programs print them
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any


def fall(at: float, start: float = 2.3, speed: float = 0.3) -> float:
    return start * math.exp(-speed * at) + 0.1


def rise(at: float) -> float:
    return 0.5 + at / 50


@dataclass(frozen=True)
class Sample:
    """A log: its file, its text, and for each curve (`part quantity`, `part quantity @ place`) the values it holds."""

    file: str
    text: str
    curves: dict[str, Sequence[float]]
    axis: str
    facts: dict[str, Any] = field(default_factory=dict)
    steps: dict[str, Sequence[float]] = field(default_factory=dict)
    runs: int = 1


SAMPLES: dict[str, Sample] = {}
E5, E6 = range(1, 6), range(6)


def add(name: str, file: str, text: str, axis: str, curves: dict[str, Sequence[float]], **more: Any) -> None:
    assert name not in SAMPLES
    SAMPLES[name] = Sample(file, text, curves, axis, **more)


def falls(steps: Sequence[float], more: float = 0.0) -> list[float]:
    return [fall(x) + more for x in steps]


def lines(template: str, steps: Sequence[int], **others: Any) -> str:
    """A line (or some) for each step: `L` falls, `V` falls a little higher, `A` rises, `P` rises in percent, `e` is the step."""
    made = []
    for e in steps:
        numbers = {"e": e, "L": fall(e), "V": fall(e) + 0.1, "A": rise(e), "P": 100 * rise(e)}
        made.append(template.format(**numbers, **{key: one(e) for key, one in others.items()}))
    return "".join(made)


def rises(steps: Sequence[float]) -> list[float]:
    return [rise(x) for x in steps]


TRAIN_VAL = {"train loss": falls(E5), "val loss": falls(E5, 0.1)}

# Keras

add(
    "keras_csvlogger",
    "training.log",
    "epoch,accuracy,loss,val_accuracy,val_loss\n" + lines("{e},{A},{L},{A},{V}\n", E6),
    "epoch",
    {"train loss": falls(E6), "val loss": falls(E6, 0.1), "train accuracy": rises(E6), "val accuracy": rises(E6)},
)
add(
    "keras_history",
    "history.json",
    json.dumps(
        {"loss": falls(E6), "acc": rises(E6), "val_loss": falls(E6, 0.1), "val_acc": rises(E6), "lr": [0.001] * 6}
    ),
    "row",
    {
        "train loss": falls(E6),
        "val loss": falls(E6, 0.1),
        "train accuracy": rises(E6),
        "val accuracy": rises(E6),
        "lr": [0.001] * 6,
    },
)
add(
    "keras_bars",
    "out.log",
    lines(
        "Epoch {e}/5\n\r  1/938 [....] - ETA: 5:20 - loss: 2.3000\r 99/938 [==>...] - ETA: 0s - loss: 1.9000"
        "\r938/938 [====] - 3s 3ms/step - loss: {L:.4f} - accuracy: {A:.4f} - val_loss: {V:.4f} - val_accuracy: {A:.4f}\n",
        E5,
    ),
    "epoch",
    TRAIN_VAL | {"train accuracy": rises(E5), "val accuracy": rises(E5)},
    facts={"epochs": 5},
)
add(
    "keras3_bars_in_colour",
    "out.log",
    lines(
        "Epoch {e}/5\n\x1b[1m469/469\x1b[0m \x1b[32m━━━━━━━━━━━━━━\x1b[0m\x1b[37m\x1b[0m \x1b[1m3s\x1b[0m 5ms/step - accuracy: {A:.4f}"
        " - loss: {L:.4f} - val_accuracy: {A:.4f} - val_loss: {V:.4f} - learning_rate: 0.0010\n",
        E5,
    ),
    "epoch",
    TRAIN_VAL | {"train accuracy": rises(E5), "lr": [0.001] * 5},
)
add(
    "keras_checkpoints_between",
    "out.log",
    lines(
        "Epoch {e}/5\n100/100 - 2s - loss: {L:.4f} - acc: {A:.4f} - val_loss: {V:.4f} - val_acc: {A:.4f} - 2s/epoch - 20ms/step\n\n"
        "Epoch {e}: val_loss improved from 9.50000 to {V:.5f}, saving model to best.h5\n",
        E5,
    ),
    "epoch",
    TRAIN_VAL | {"train accuracy": rises(E5)},
)

# PyTorch's own examples and tutorials

add(
    "torch_mnist_example",
    "out.log",
    "".join(
        "".join(
            f"Train Epoch: {e} [{k * 64}/60000 ({100 * k / 938:.0f}%)]\tLoss: {fall(e + k / 938):.6f}\n"
            for k in (0, 300, 600, 900)
        )
        + f"\nTest set: Average loss: {fall(e):.4f}, Accuracy: {9000 + 100 * e}/10000 ({90 + e}%)\n\n"
        for e in (1, 2, 3)
    ),
    "epoch",
    {
        "train loss": [fall(e + k / 938) for e in (1, 2, 3) for k in (0, 300, 600, 900)],
        "val loss": falls((1, 2, 3)),
        "val accuracy": [0.91, 0.92, 0.93],
    },
    steps={
        "val loss": [1, 2, 3],
        "train loss": [e - 1 + k * 64 / 60000 for e in (1, 2, 3) for k in (0, 300, 600, 900)],
    },
)
add(
    "torch_quickstart",
    "out.log",
    "".join(
        f"Epoch {e}\n-------------------------------\n"
        + "".join(f"loss: {fall(e + k / 10):f}  [{(k * 100 + 1) * 64:5d}/60000]\n" for k in range(8))
        + f"Test Error: \n Accuracy: {100 * rise(e):.1f}%, Avg loss: {fall(e):f} \n\n"
        for e in (1, 2, 3)
    )
    + "Done!\n",
    "epoch",
    {
        "train loss": [fall(e + k / 10) for e in (1, 2, 3) for k in range(8)],
        "val loss": falls((1, 2, 3)),
        "val accuracy": rises((1, 2, 3)),
    },
)
add(
    "torch_transfer_learning",
    "out.log",
    lines("Epoch {e}/24\n----------\ntrain Loss: {L:.4f} Acc: {A:.4f}\nval Loss: {V:.4f} Acc: {A:.4f}\n\n", E6)
    + "Training complete in 2m 5s\nBest val Acc: 0.954248\n",
    "epoch",
    {"train loss": falls(E6), "val loss": falls(E6, 0.1), "train accuracy": rises(E6), "val accuracy": rises(E6)},
)
add(
    "torch_cifar_tutorial",
    "out.log",
    "".join(f"[{e}, {k:5d}] loss: {fall(e + k / 12000):.3f}\n" for e in (1, 2) for k in (4000, 8000, 12000))
    + "Finished Training\nAccuracy of the network on the 10000 test images: 55 %\n",
    "step",
    {"train loss": [fall(e + k / 12000) for e in (1, 2) for k in (4000, 8000, 12000)]},
    steps={"train loss": [4000, 8000, 12000, 16000, 20000, 24000]},
)
add(
    "torch_imagenet_example",
    "out.log",
    "".join(
        "".join(
            f"Epoch: [{e}][{k:4d}/5005]\tTime  0.512 ( 1.234)\tData  0.001 ( 0.500)\tLoss {fall(e + k / 5005):.4e} (7.0e+00)"
            f"\tAcc@1  {100 * rise(e):.2f} ( 10.00)\tAcc@5  {80 + e:.2f} ( 30.00)\n"
            for k in (0, 2000, 4000)
        )
        + "".join(
            f"Test: [{k:3d}/196]\tTime  0.5 ( 0.6)\tLoss 1.0e+00 ({fall(e):.4e})\tAcc@1 70.0 ({100 * rise(e):.2f})\n"
            for k in (0, 195)
        )
        for e in (0, 1, 2)
    ),
    "epoch",
    {
        "train loss": [fall(e + k / 5005) for e in (0, 1, 2) for k in (0, 2000, 4000)],
        "val loss": falls((0, 1, 2)),
        "val accuracy": rises((0, 1, 2)),
    },
)

# Transformers and what is built on it

add(
    "hf_prints",
    "nohup.out",
    lines(
        "{{'loss': {L:.4f}, 'grad_norm': 1.25, 'learning_rate': 4.5e-05, 'epoch': {e}.0}}\n 20%|█         | {s}/500 [00:10<01:00,  7.5it/s]\n"
        "{{'eval_loss': {V:.4f}, 'eval_accuracy': {A:.4f}, 'eval_runtime': 3.2, 'eval_samples_per_second': 100.1, 'epoch': {e}.0}}\n",
        E5,
        s=lambda e: 100 * e,
    )
    + "{'train_runtime': 100.1, 'train_samples_per_second': 50.0, 'train_loss': 0.9, 'epoch': 5.0}\n",
    "epoch",
    TRAIN_VAL | {"val accuracy": rises(E5), "lr": [4.5e-5] * 5, "grad_norm": [1.25] * 5},
)
add(
    "hf_prints_with_headings",
    "nohup.out",
    "***** Running training *****\n  Num examples = 1000\n  Num Epochs = 5\n  Instantaneous batch size per device = 8\n  Total optimization steps = 375\n"
    + lines(
        "{{'loss': {L:.4f}, 'learning_rate': 1e-05, 'epoch': {e}.0}}\n***** Running Evaluation *****\n  Num examples = 100\n  Batch size = 8\n"
        "{{'eval_loss': {V:.4f}, 'epoch': {e}.0}}\n",
        E5,
    ),
    "epoch",
    TRAIN_VAL,
    facts={"epochs": 5, "steps": 375, "batch_size": 8},
)
add(
    "hf_model_card",
    "README.md",
    "| Training Loss | Epoch | Step | Validation Loss | Accuracy |\n|:-------------:|:-----:|:----:|:---------------:|:--------:|\n"
    + lines("| {L:.4f}        | {e}.0   | {s}  | {V:.4f}          | {A:.4f}   |\n", E5, s=lambda e: 100 * e),
    "step",
    TRAIN_VAL | {"val accuracy": rises(E5)},
    steps={"train loss": [100, 200, 300, 400, 500]},
)
add(
    "llama_factory",
    "trainer_log.jsonl",
    "".join(
        json.dumps(
            {
                "current_steps": 10 * e,
                "total_steps": 50,
                "loss": fall(e),
                "lr": 1e-5,
                "epoch": e / 5,
                "percentage": 20.0 * e,
                "elapsed_time": "0:01:00",
            }
        )
        + "\n"
        for e in E5
    ),
    "step",
    {"train loss": falls(E5), "lr": [1e-5] * 5},
    facts={"steps": 50},
)
add(
    "torchtune_bar",
    "out.log",
    "\r".join(
        f"1|{i}|Loss: {fall(i / 10):.6f}: {4 * i:3d}%|██        | {i}/25 [00:{i:02d}<00:20,  1.2it/s]"
        for i in range(1, 26)
    )
    + "\n",
    "step",
    {"train loss": [fall(i / 10) for i in range(1, 26)]},
)
add(
    "torchtune_file",
    "log_1700000000.txt",
    lines("Step {e} | loss:{L} lr:2e-05 tokens_per_second_per_gpu:1234.5 peak_memory_active:12.3 grad_norm:1.5\n", E5),
    "step",
    {"train loss": falls(E5), "lr": [2e-5] * 5, "grad_norm": [1.5] * 5},
)

# Trainers of language models

add(
    "nanogpt",
    "out.log",
    "number of parameters: 10.65M\ntokens per iteration will be: 16,384\n"
    + "".join(
        (
            f"step {i}: train loss {fall(i / 250):.4f}, val loss {fall(i / 250) + 0.1:.4f}\nsaving checkpoint to out\n"
            if i % 250 == 0
            else ""
        )
        + f"iter {i}: loss {fall(i / 250):.4f}, time {23.1 + i % 7:.2f}ms, mfu 10.25%\n"
        for i in range(0, 1001, 10)
    ),
    "step",
    {
        "train loss": [fall(i / 250) for i in range(0, 1001, 10)],
        "val loss": [fall(i / 250) + 0.1 for i in range(0, 1001, 250)],
    },
    steps={"val loss": [0, 250, 500, 750, 1000]},
)
add(
    "megatron",
    "out.log",
    lines(
        " [2023-05-01 12:00:00] iteration {s:8d}/  500000 | consumed samples: {s:12d} | elapsed time per iteration (ms): 512.3 | learning rate: 1.000E-04"
        " | global batch size:   256 | lm loss: {L:.6E} | loss scale: 65536.0 | grad norm: 1.500 | number of skipped iterations:   0"
        " | number of nan iterations:   0 |\n------------\n validation loss at iteration {s} | lm loss value: {V:.6E} | lm loss PPL: 7.389E+00 | \n------------\n",
        E5,
        s=lambda e: 10 * e,
    ),
    "step",
    TRAIN_VAL | {"lr": [1e-4] * 5, "grad_norm": [1.5] * 5, "val perplexity": [7.389] * 5},
    facts={"steps": 500000, "batch_size": 256},
)
add(
    "deepspeed",
    "out.log",
    lines(
        "[2023-05-01 12:00:00,123] [INFO] [logging.py:68:log_dist] [Rank 0] step={s}, skipped=0, lr=[1e-05, 1e-05], mom=[(0.9, 0.95), (0.9, 0.95)]\n"
        "steps: {s} loss: {L:.4f} iter time (s): 0.512 samples/sec: 31.25\n",
        E5,
        s=lambda e: 10 * e,
    ),
    "step",
    {"train loss": falls(E5), "lr": [1e-5] * 5},
)
add(
    "fairseq",
    "out.log",
    lines(
        "2020-01-01 12:00:00 | INFO | train | epoch {e:03d} | loss {L:.3f} | nll_loss 8.2 | ppl 300.10 | wps 2000.1 | ups 0.5 | wpb 3900 | bsz 128"
        " | num_updates {s} | lr 6.00e-05 | gnorm 1.200 | clip 0 | train_wall 100 | wall 120\n"
        "2020-01-01 12:11:00 | INFO | valid | epoch {e:03d} | valid on 'valid' subset | loss {V:.3f} | ppl 310.50 | num_updates {s} | best_loss 0.001\n",
        E5,
        s=lambda e: 500 * e,
    ),
    "step",
    TRAIN_VAL | {"train perplexity": [300.1] * 5, "val perplexity": [310.5] * 5, "grad_norm": [1.2] * 5},
    steps={"val loss": [500, 1000, 1500, 2000, 2500]},
)
add(
    "fairseq_json",
    "out.log",
    lines(
        '2020-01-01 12:00:00 | INFO | train | {{"epoch": {e}, "train_loss": "{L:.3f}", "train_num_updates": "{s}", "train_lr": "6e-05"}}\n'
        '2020-01-01 12:00:00 | INFO | valid | {{"epoch": {e}, "valid_loss": "{V:.3f}", "valid_num_updates": "{s}"}}\n',
        E5,
        s=lambda e: 500 * e,
    ),
    "step",
    TRAIN_VAL,
)
add(
    "litgpt",
    "out.log",
    "".join(
        f"Epoch 1 | iter {10 * i} step {i} | loss train: {fall(i):.3f}, val: {'n/a' if i % 3 else f'{fall(i) + 0.1:.3f}'} | iter time: 512.12 ms (step)\n"
        for i in range(1, 13)
    ),
    "step",
    {"train loss": falls(range(1, 13)), "val loss": falls((3, 6, 9, 12), 0.1)},
)
add(
    "opennmt",
    "out.log",
    lines(
        "[2021-01-01 12:00:00,123 INFO] Step {s}/100000; acc:  {P:.2f}; ppl:  7.39; xent: {L:.3f}; lr: 0.00010; 1000/900 tok/s;  12 sec\n"
        "[2021-01-01 12:00:00,123 INFO] Validation accuracy: {P:.3f}\n",
        E5,
        s=lambda e: 50 * e,
    ),
    "step",
    {"train loss": falls(E5), "train accuracy": rises(E5), "val accuracy": rises(E5)},
    facts={"steps": 100000},
)

# Detection and vision

add(
    "mmdetection_text",
    "20210301.log",
    "".join(
        f"2021-03-01 10:00:00,123 - mmdet - INFO - Epoch [{e}][{k}/7330]\tlr: 2.000e-02, eta: 10:12:00, time: 0.333, data_time: 0.050, memory: 3000,"
        f" loss_cls: {fall(e) / 2:.4f}, acc: {100 * rise(e):.4f}, loss: {fall(e):.4f}\n"
        for e in (1, 2, 3)
        for k in (2000, 4000, 6000)
    ),
    "epoch",
    {
        "train loss": [fall(e) for e in (1, 2, 3) for _ in range(3)],
        "train accuracy": [rise(e) for e in (1, 2, 3) for _ in range(3)],
        "lr": [0.02] * 9,
    },
)
add(
    "mmdetection_json",
    "20210301.log.json",
    '{"env_info": "sys.platform: linux", "seed": 0}\n'
    + "".join(
        "".join(
            json.dumps(
                {"mode": "train", "epoch": e, "iter": k, "lr": 0.02, "memory": 3000, "loss": fall(e), "time": 0.3}
            )
            + "\n"
            for k in (50, 100)
        )
        + json.dumps({"mode": "val", "epoch": e, "iter": 40, "lr": 0.02, "bbox_mAP": rise(e)})
        + "\n"
        for e in (1, 2, 3)
    ),
    "step",
    {"train loss": [fall(e) for e in (1, 2, 3) for _ in range(2)], "val map": rises((1, 2, 3))},
    steps={"val map": [100, 200, 300]},
)
add(
    "mmengine_scalars",
    "scalars.json",
    "".join(
        "".join(
            json.dumps(
                {
                    "lr": 0.02,
                    "data_time": 0.05,
                    "loss": fall(e + k / 3),
                    "time": 0.3,
                    "epoch": e,
                    "iter": 300 * (e - 1) + 100 * k,
                    "memory": 3000,
                    "step": 300 * (e - 1) + 100 * k,
                }
            )
            + "\n"
            for k in (1, 2, 3)
        )
        + json.dumps({"coco/bbox_mAP": rise(e), "coco/bbox_mAP_50": 0.9, "data_time": 0.1, "time": 0.2, "step": e})
        + "\n"
        for e in E5
    ),
    "step",
    {"train loss": [fall(e + k / 3) for e in E5 for k in (1, 2, 3)], "val map": rises(E5), "val map @ 50": [0.9] * 5},
    steps={"val map": [300, 600, 900, 1200, 1500]},
)
add(
    "detectron2_metrics",
    "metrics.json",
    "".join(
        json.dumps(
            {
                "data_time": 0.01,
                "eta_seconds": 100.0,
                "iteration": 20 * i - 1,
                "loss_cls": fall(i) / 2,
                "lr": 2e-4,
                "total_loss": fall(i),
                "time": 0.4,
            }
            | ({"bbox/AP": 100 * rise(i)} if i % 5 == 0 else {})
        )
        + "\n"
        for i in range(1, 21)
    ),
    "step",
    {
        "train loss": falls(range(1, 21)),
        "train loss @ cls": [fall(i) / 2 for i in range(1, 21)],
        "val ap": rises((5, 10, 15, 20)),
        "lr": [2e-4] * 20,
    },
)
add(
    "detectron2_text",
    "log.txt",
    lines(
        "\x1b[32m[05/01 12:00:0{e} d2.utils.events]: \x1b[0m eta: 0:10:00  iter: {s}  total_loss: {L:.3f}  loss_cls: {L:.3f}  time: 0.4123"
        "  data_time: 0.0123  lr: 1.6e-05  max_mem: 3000M\n",
        E5,
        s=lambda e: 20 * e - 1,
    ),
    "step",
    {"train loss": falls(E5), "lr": [1.6e-5] * 5},
    steps={"train loss": [19, 39, 59, 79, 99]},
)
YOLO = "train/box_loss,train/cls_loss,metrics/precision(B),metrics/mAP50(B),metrics/mAP50-95(B),val/box_loss,val/cls_loss,lr/pg0,lr/pg1"
add(
    "yolov8_results",
    "results.csv",
    "  epoch,  "
    + YOLO.replace(",", ",   ")
    + "\n"
    + lines("  {e},  {L},  {L},  0.6,  0.7,  {A},  {V},  {V},  0.01,  0.02\n", E5),
    "epoch",
    {
        "train loss": [2 * x for x in falls(E5)],
        "train loss @ box": falls(E5),
        "val loss": [2 * x for x in falls(E5, 0.1)],
        "val map": rises(E5),
        "val map @ 50": [0.7] * 5,
        "val precision": [0.6] * 5,
        "lr": [0.01] * 5,
    },
)
add(
    "yolov5_text",
    "out.log",
    lines(
        "     Epoch   gpu_mem       box       obj       cls    labels  img_size\n"
        "     {e}/4     3.2G    {L:.5f}   0.03105   0.02745        40       640: 100%|██████████| 8/8 [00:05<00:00,  1.5it/s]\n"
        "               Class     Images     Labels          P          R     mAP@.5 mAP@.5:.95: 100%|██████████| 4/4 [00:01<00:00,  2.0it/s]\n"
        "                 all        128        929      0.600      0.500      0.700      {A:.3f}\n",
        E5,
    ),
    "epoch",
    {"train loss @ box": falls(E5), "val map": rises(E5), "val map @ 50": [0.7] * 5, "val precision": [0.6] * 5},
)
add(
    "timm_summary",
    "summary.csv",
    "epoch,train_loss,eval_loss,eval_top1,eval_top5\n" + lines("{e},{L},{V},{P},95.0\n", E6),
    "epoch",
    {
        "train loss": falls(E6),
        "val loss": falls(E6, 0.1),
        "val accuracy": rises(E6),
        "val accuracy @ top 5": [0.95] * 6,
    },
)
add(
    "timm_text",
    "out.log",
    "".join(
        "".join(
            f"Train: {e} [{k:4d}/1251 ({100 * k / 1250:3.0f}%)]  Loss: {fall(e + k / 1251):.3f} (6.92)  Time: 0.512s,  256.0/s  (0.6s,  200.0/s)"
            f"  LR: 1.000e-05  Data: 0.010 (0.1)\n"
            for k in (50, 600, 1200)
        )
        + f"Test: [   0/48]  Time: 1.0 (1.0)  Loss:  0.9 (0.9)  Acc@1: 80.0 (80.0)\nTest: [  48/48]  Time: 0.1 (0.2)  Loss:  1.2 ({fall(e):.3f})"
        f"  Acc@1: 70.1 ({100 * rise(e):.3f})\n"
        for e in (0, 1, 2)
    ),
    "epoch",
    {
        "train loss": [fall(e + k / 1251) for e in (0, 1, 2) for k in (50, 600, 1200)],
        "val loss": falls((0, 1, 2)),
        "val accuracy": rises((0, 1, 2)),
    },
)
add(
    "darknet",
    "out.log",
    lines(" {e}: {L:.6f}, {V:.6f} avg, 0.001000 rate, 3.200000 seconds, 64 images\n", E5),
    "step",
    {"train loss": falls(E5), "lr": [0.001] * 5},
)
add(
    "paddleseg",
    "out.log",
    lines(
        "2021-05-01 12:00:00 [INFO]\t[TRAIN] epoch: 1, iter: {s}/10000, loss: {L:.4f}, lr: 0.009990, batch_cost: 0.1000, reader_cost: 0.00012, ips: 30.1 samples/sec"
        " | ETA 00:10:00\n2021-05-01 12:00:00 [INFO]\t[EVAL] #Images: 500, mIoU: {A:.4f}, Acc: 0.9, Kappa: 0.5\n"
        "2021-05-01 12:00:00 [INFO]\t[EVAL] The model with the best validation mIoU (0.5) was saved at iter {s}.\n",
        E5,
        s=lambda e: 10 * e,
    ),
    "step",
    {"train loss": falls(E5), "val iou": rises(E5), "lr": [0.00999] * 5},
)
add(
    "paddleocr",
    "train.log",
    lines(
        "[2021/05/01 12:00:00] ppocr INFO: epoch: [{e}/500], global_step: {s}, lr: 0.000100, loss: {L:.6f}, avg_reader_cost: 0.10000 s,"
        " avg_batch_cost: 0.5 s, avg_samples: 16.0, ips: 30.1 samples/s, eta: 1:00:00\n",
        E5,
        s=lambda e: 10 * e,
    ),
    "step",
    {"train loss": falls(E5), "lr": [1e-4] * 5},
    facts={"epochs": 500},
)
add(
    "nnunet_negative_loss",
    "training_log.txt",
    lines(
        "2021-01-01 12:00:00.123: \nepoch:  {e}\n2021-01-01 12:00:00.123: train loss : {N:.4f}\n2021-01-01 12:00:00.123: validation loss: {N:.4f}\n"
        "2021-01-01 12:00:00.123: lr: 0.01\n2021-01-01 12:00:00.123: This epoch took 120.1 s\n",
        E5,
        N=lambda e: fall(e) - 1,
    ),
    "epoch",
    {"train loss": falls(E5, -1), "val loss": falls(E5, -1), "lr": [0.01] * 5},
)
add(
    "monai",
    "out.log",
    lines(
        "----------\nepoch {e}/5\n1/32, train_loss: 2.0000\n32/32, train_loss: 1.0000\nepoch {e} average loss: {L:.4f}\n"
        "current epoch: {e} current mean dice: {A:.4f} best mean dice: 0.9999 at epoch: 1\n",
        E5,
    ),
    "epoch",
    {"train loss @@ epoch": falls(E5), "val dice": rises(E5)},
)

# Boosting and scikit-learn

add(
    "xgboost",
    "out.log",
    lines("[{e}]\ttrain-rmse:{L:.5f}\teval-rmse:{V:.5f}\n", E6),
    "step",
    {"train loss": falls(E6), "val loss": falls(E6, 0.1), "train rmse": falls(E6)},
)
add(
    "xgboost_sklearn",
    "out.log",
    lines("[{e}]\tvalidation_0-logloss:{L:.5f}\tvalidation_1-logloss:{V:.5f}\n", E6),
    "step",
    {"train loss": falls(E6), "val loss": falls(E6, 0.1)},
)
add(
    "lightgbm",
    "out.log",
    "[LightGBM] [Info] Total Bins 255\n" + lines("[{e}]\ttraining's l2: {L:.5f}\tvalid_1's l2: {V:.5f}\n", E5),
    "step",
    TRAIN_VAL | {"train mse": falls(E5)},
)
add(
    "catboost",
    "out.log",
    "Learning rate set to 0.05\n"
    + lines("{e}:\tlearn: {L:.7f}\ttest: {V:.7f}\tbest: 0.1000000 (1)\ttotal: 12ms\tremaining: 900ms\n", E5),
    "step",
    TRAIN_VAL,
    facts={"lr": 0.05},
)
add(
    "sklearn_boosting",
    "out.log",
    "      Iter       Train Loss   Remaining Time \n" + lines("{e:10d} {L:16.4f}      10.20s\n", E5),
    "step",
    {"train loss": falls(E5)},
)
add(
    "sklearn_mlp",
    "out.log",
    lines("Iteration {e}, loss = {L:.8f}\n", E5) + "Training loss did not improve more than tol=0.000100.\n",
    "step",
    {"train loss": falls(E5)},
)
add(
    "skorch",
    "out.log",
    "  epoch    train_loss    valid_acc    valid_loss     dur\n-------  ------------  -----------  ------------  ------\n"
    + lines(
        "      {e}        \x1b[36m{L:.4f}\x1b[0m       \x1b[32m{A:.4f}\x1b[0m        \x1b[35m{V:.4f}\x1b[0m  0.0350\n",
        E5,
    ),
    "epoch",
    TRAIN_VAL | {"val accuracy": rises(E5)},
)

# Other trainers

add(
    "fastai_table",
    "out.log",
    "epoch     train_loss  valid_loss  accuracy  time    \n"
    + lines("{e:<9} {L:.6f}    {V:.6f}    {A:.6f}  00:10    \n", E5),
    "epoch",
    TRAIN_VAL | {"val accuracy": rises(E5)},
)
add(
    "fastai_csvlogger",
    "history.csv",
    "epoch,train_loss,valid_loss,accuracy,time\n" + lines("{e},{L},{V},{A},00:10\n", E5),
    "epoch",
    TRAIN_VAL | {"val accuracy": rises(E5)},
)
add(
    "ignite",
    "out.log",
    "".join(
        "".join(f"Epoch[{e}] Iteration[{k}/938] Loss: {fall(e + k / 938):.2f}\n" for k in (100, 500, 900))
        + f"Training Results - Epoch: {e}  Avg accuracy: 0.91 Avg loss: 0.50\nValidation Results - Epoch: {e}  Avg accuracy: {rise(e):.2f} Avg loss: {fall(e):.2f}\n"
        for e in (1, 2, 3)
    ),
    "step",
    {
        "train loss": [fall(e + k / 938) for e in (1, 2, 3) for k in (100, 500, 900)],
        "val loss": falls((1, 2, 3)),
        "val accuracy": rises((1, 2, 3)),
    },
    facts={"steps_per_epoch": 938},
    steps={"val loss": [938, 1876, 2814]},
)
add(
    "lightning_csv",
    "metrics.csv",
    "epoch,lr-Adam,step,train_acc_epoch,train_acc_step,train_loss_epoch,train_loss_step,val_acc,val_loss\n"
    + "".join(
        "".join(f"{e},,{100 * e + k},,0.5,,{fall(e + k / 100)},,\n" for k in (49, 99))
        + f"{e},0.001,{100 * e + 99},,,,,,\n{e},,{100 * e + 99},,,,,{rise(e)},{fall(e) + 0.1}\n{e},,{100 * e + 99},0.6,,{fall(e)},,,\n"
        for e in range(5)
    ),
    "step",
    {
        "train loss @@ update": [fall(e + k / 100) for e in range(5) for k in (49, 99)],
        "train loss @@ epoch": falls(range(5)),
        "val loss": falls(range(5), 0.1),
        "val accuracy": rises(range(5)),
        "lr": [0.001] * 5,
    },
    steps={"val loss": [99, 199, 299, 399, 499]},
)
add(
    "lightning_bar",
    "out.log",
    lines(
        "Epoch {e}: 100%|██████████| 938/938 [00:12<00:00, 75.10it/s, v_num=0, train_loss={L:.3f}, val_loss={V:.3f}]\n",
        E5,
    ),
    "epoch",
    TRAIN_VAL,
)
add(
    "tqdm_postfix",
    "out.log",
    "".join(
        "\r".join(
            f"Epoch {e}: {k:3d}%|████▌     | {10 * k}/1000 [00:12<00:15, 35.1it/s, loss={fall(e + k / 100):.3f}]"
            for k in (20, 60, 100)
        )
        + f"\nepoch {e} val loss {fall(e):.4f}\n"
        for e in (0, 1, 2)
    ),
    "epoch",
    {"train loss": [fall(e + k / 100) for e in (0, 1, 2) for k in (20, 60, 100)], "val loss": falls((0, 1, 2))},
)
add(
    "wandb_history",
    "history.csv",
    "_step,_runtime,_timestamp,train/loss,train/global_step,val/loss\n"
    + lines("{e},1.5,1.7e9,{L},{s},{V}\n", E5, s=lambda e: 10 * e),
    "step",
    TRAIN_VAL,
    steps={"train loss": [10, 20, 30, 40, 50]},
)
add(
    "tensorboard_csv",
    "run-version_0-tag-train_loss.csv",
    "Wall time,Step,Value\n" + lines("1.7e9,{s},{L}\n", E5, s=lambda e: 50 * e),
    "step",
    {"train loss": falls(E5)},
)
add(
    "tensorboard_json",
    "val_loss.json",
    json.dumps([[1.7e9 + e, 10 * e, fall(e)] for e in E5]),
    "step",
    {"val loss": falls(E5)},
)
add(
    "mlflow_metric",
    "train_loss",
    "".join(f"{1700000000000 + e} {fall(e)} {e}\n" for e in E5),
    "step",
    {"train loss": falls(E5)},
)
add(
    "tf_estimator",
    "out.log",
    lines(
        "INFO:tensorflow:global_step/sec: 8.12\nINFO:tensorflow:loss = {L:.5f}, step = {s} (12.345 sec)\n",
        E5,
        s=lambda e: 100 * e,
    ),
    "step",
    {"train loss": falls(E5)},
    steps={"train loss": [100, 200, 300, 400, 500]},
)
add(
    "caffe",
    "out.log",
    lines(
        "I0501 12:00:00.123456  1234 solver.cpp:228] Iteration {s}, loss = {L:.5f}\nI0501 12:00:00.123456  1234 sgd_solver.cpp:106] Iteration {s}, lr = 0.01\n"
        "I0501 12:00:00.123456  1234 solver.cpp:404]     Test net output #0: accuracy = {A:.4f}\n",
        E5,
        s=lambda e: 100 * e,
    ),
    "step",
    {"train loss": falls(E5), "val accuracy": rises(E5), "lr": [0.01] * 5},
)
add(
    "mxnet",
    "out.log",
    lines(
        "INFO:root:Epoch[{e}] Batch [100]\tSpeed: 1000.00 samples/sec\taccuracy=0.100000\nINFO:root:Epoch[{e}] Batch [200]\tSpeed: 1000.00 samples/sec\taccuracy=0.200000\n"
        "INFO:root:Epoch[{e}] Train-accuracy={A:.6f}\nINFO:root:Epoch[{e}] Time cost=12.3\nINFO:root:Epoch[{e}] Validation-accuracy={A:.6f}\n",
        E5,
    ),
    "step",
    {"train accuracy @@ epoch": rises(E5), "val accuracy": rises(E5)},
)
add(
    "espnet",
    "train.log",
    lines(
        "[host] 2021-01-01 12:10:00,123 (trainer:334) INFO: {e}epoch results: [train] iter_time=0.1, loss_ctc=1.5, loss={L:.3f}, acc={A:.3f}, time=10 minutes,"
        " total_count=100, [valid] loss_ctc=1.5, loss={V:.3f}, acc={A:.3f}\n",
        E5,
    ),
    "epoch",
    TRAIN_VAL | {"train accuracy": rises(E5), "val accuracy": rises(E5)},
)
add(
    "matlab",
    "out.log",
    "|=======================================================|\n|  Epoch  |  Iteration  |  Time Elapsed  |  Mini-batch  |  Mini-batch  |  Base Learning  |\n"
    "|         |             |   (hh:mm:ss)   |   Accuracy   |     Loss     |      Rate       |\n|=======================================================|\n"
    + lines(
        "|       {e} |        {s} |       00:00:01 |       {P:.2f}% |       {L:.4f} |          0.0100 |\n",
        E5,
        s=lambda e: 50 * e,
    ),
    "step",
    {"train loss": falls(E5), "train accuracy": rises(E5), "lr": [0.01] * 5},
)
add(
    "spacy",
    "out.log",
    "E    #       LOSS NER  ENTS_F  ENTS_P  ENTS_R  SCORE \n---  ------  --------  ------  ------  ------  ------\n"
    + lines("  {e}     {s:4d}    {L:.2f}   {P:.2f}   60.10   59.20    0.60\n", E5, s=lambda e: 200 * e),
    "step",
    {"train loss": falls(E5), "val f1": rises(E5)},
)
add(
    "kohya_bar",
    "out.log",
    "\r".join(
        f"steps:  {10 * i}%|█         | {100 * i}/1000 [01:00<09:00,  1.66it/s, avr_loss={fall(i):.3f}]" for i in E5
    )
    + "\n",
    "step",
    {"train loss": falls(E5)},
    steps={"train loss": [100, 200, 300, 400, 500]},
    facts={"steps": 1000},
)

# Hand-written loops, in several languages

add(
    "plain",
    "out.log",
    lines(
        "Epoch {e}/10 | Train Loss: {L:.4f} | Val Loss: {V:.4f} | Val Acc: {P:.2f}% | LR: 1.00e-03 | Time: 12.3s\n", E5
    ),
    "epoch",
    TRAIN_VAL | {"val accuracy": rises(E5), "lr": [0.001] * 5},
    facts={"epochs": 10},
)
add(
    "two_lines",
    "out.log",
    lines(
        "Epoch: {e:02d} | Epoch Time: 0m 12s\n\tTrain Loss: {L:.3f} | Train Acc: {P:.2f}%\n\t Val. Loss: {V:.3f} |  Val. Acc: {P:.2f}%\n",
        E5,
    ),
    "epoch",
    TRAIN_VAL | {"train accuracy": rises(E5), "val accuracy": rises(E5)},
)
add(
    "headings",
    "out.log",
    lines(
        "======== Epoch {e} / 5 ========\nTraining...\n  Batch    40  of    241.    Elapsed: 0:00:08.\n  Average training loss: {L:.3f}\n\nRunning Validation...\n  Accuracy: {A:.3f}\n  Validation Loss: {V:.3f}\n  Validation took: 0:00:03\n",
        E5,
    ),
    "epoch",
    TRAIN_VAL | {"val accuracy": rises(E5)},
)
add(
    "sentences",
    "out.log",
    lines(
        "INFO:root:After epoch {e}, the training loss was {L:.4f} and the validation accuracy reached {P:.1f}% (took 12.3s)\n",
        E5,
    ),
    "epoch",
    {"train loss": falls(E5), "val accuracy": rises(E5)},
)
add(
    "timestamps",
    "out.log",
    lines(
        "2023-11-05 10:0{e}:00,123 INFO train.py:55 epoch={e} train_loss={L:.4f} valid_loss={V:.4f} lr=1.00e-03 time=12.5s\n",
        E5,
    ),
    "epoch",
    TRAIN_VAL | {"lr": [0.001] * 5},
)
add(
    "tensors_in_dicts",
    "out.log",
    lines("{{'epoch': {e}, 'train_loss': tensor({L:.4f}, device='cuda:0'), 'val_loss': {V:.4f}}}\n", E5),
    "epoch",
    TRAIN_VAL,
)
add(
    "settings_first",
    "out.log",
    "Namespace(lr=0.001, epochs=50, batch_size=64, seed=0)\n" + lines("epoch: {e:3d}, loss: {L:.4f}\n", E5),
    "epoch",
    {"train loss": falls(E5)},
    facts={"lr": 0.001, "epochs": 50, "batch_size": 64},
)
add(
    "one_name_two_parts",
    "out.log",
    lines("epoch {e} loss: train {L:.3f} val {V:.3f} acc: train {A:.3f} val {A:.3f}\n", E5),
    "epoch",
    TRAIN_VAL | {"train accuracy": rises(E5), "val accuracy": rises(E5)},
)
add(
    "steps_anew",
    "out.log",
    "".join(
        f"Epoch [{e}/3], Step [{k}/391], Loss: {fall(e + k / 391):.4f}\n" for e in (1, 2, 3) for k in (100, 200, 300)
    ),
    "step",
    {"train loss": [fall(e + k / 391) for e in (1, 2, 3) for k in (100, 200, 300)]},
    steps={"train loss": [100, 200, 300, 491, 591, 691, 882, 982, 1082]},
    facts={"steps_per_epoch": 391, "epochs": 3},
)
add(
    "chinese",
    "out.log",
    "开始训练\n"
    + lines(
        "第{e}轮 训练损失：{L:.4f}，训练准确率：{P:.2f}%，验证损失：{V:.4f}，验证准确率：{P:.2f}%，学习率：0.001，耗时：12.3秒\n",
        E5,
    ),
    "epoch",
    TRAIN_VAL | {"train accuracy": rises(E5), "val accuracy": rises(E5), "lr": [0.001] * 5},
)
add(
    "chinese_sentences",
    "out.log",
    lines("2023-05-01 12:00:00 - 第{e}个epoch，平均损失为{L:.4f}，测试集准确率为{P:.2f}%\n", E5),
    "epoch",
    {"train loss": falls(E5), "val accuracy": rises(E5)},
)
add(
    "chinese_table",
    "log.csv",
    "轮次,训练损失,验证损失,准确率(%)\n" + lines("{e},{L:.4f},{V:.4f},{P}\n", E5),
    "epoch",
    TRAIN_VAL | {"val accuracy": rises(E5)},
)
add(
    "russian",
    "out.log",
    lines(
        "Эпоха {e}/10: потери на обучении {L:.3f}, точность {A:.3f}, потери на валидации {V:.3f}, время 12.5 с\n", E5
    ),
    "epoch",
    TRAIN_VAL | {"train accuracy": rises(E5)},
    facts={"epochs": 10},
)
add(
    "spanish",
    "out.log",
    lines(
        "Época {e} de 10 - pérdida de entrenamiento: {L:.3f} - pérdida de validación: {V:.3f} - exactitud: {A:.3f}\n",
        E5,
    ),
    "epoch",
    TRAIN_VAL | {"val accuracy": rises(E5)},
)
add(
    "german_decimal_comma",
    "out.log",
    lines("Epoche {e}/10: Trainingsverlust {L:.3f}; Validierungsverlust {V:.3f}; Genauigkeit {A:.3f}\n", E5).replace(
        ".", ","
    ),
    "epoch",
    TRAIN_VAL | {"val accuracy": rises(E5)},
    facts={"epochs": 10},
)
add(
    "german_table",
    "verlauf.csv",
    "Epoche;Verlust;Val_Verlust\n" + lines("{e};{L:.4f};{V:.4f}\n", E5).replace(".", ","),
    "epoch",
    TRAIN_VAL,
)
add(
    "french",
    "out.log",
    lines(
        "Époque {e}/10, perte d'entraînement = {L:.3f}, perte de validation = {V:.3f}, taux d'apprentissage = 0.001, durée 3.2 s\n",
        E5,
    ),
    "epoch",
    TRAIN_VAL | {"lr": [0.001] * 5},
)
add(
    "japanese",
    "out.log",
    lines("エポック {e}/10 訓練損失: {L:.4f} 検証損失: {V:.4f} 検証精度: {A:.3f}\n", E5),
    "epoch",
    TRAIN_VAL | {"val accuracy": rises(E5)},
)
add("korean", "out.log", lines("에폭 {e}/10, 손실: {L:.4f}, 검증 손실: {V:.4f}\n", E5), "epoch", TRAIN_VAL)
add(
    "portuguese",
    "out.log",
    lines("Época {e}/10 - Perda de treino: {L:.4f} - Perda de validação: {V:.4f} - Acurácia: {P:.1f}%\n", E5),
    "epoch",
    TRAIN_VAL | {"val accuracy": rises(E5)},
)

# Tables and documents of one's own

add(
    "decimal_points_and_comments",
    "log.txt",
    "# made by hand\n# epoch train_loss val_loss\n" + lines("{e:.18e} {L:.18e} {V:.18e}\n", E5),
    "epoch",
    TRAIN_VAL,
)
add("no_header", "log.csv", lines("{e},{L}\n", E5), "step", {"train loss": falls(E5)})
add("bare_numbers", "train_loss.txt", lines("{L}\n", E5), "row", {"train loss": falls(E5)})
add(
    "tensors_in_cells",
    "log.csv",
    "epoch,train_loss,val_loss\n" + lines("{e},\"tensor({L}, device='cuda:0')\",{V}\n", E5),
    "epoch",
    TRAIN_VAL,
)
add(
    "percent_signs",
    "log.csv",
    "epoch,loss,val_acc\n" + lines("{e},{L},{P}%\n", E5),
    "epoch",
    {"train loss": falls(E5), "val accuracy": rises(E5)},
)
add(
    "no_epoch_column",
    "log.csv",
    "Train Loss,Valid Loss,Train Acc,Valid Acc\n" + lines("{L},{V},{P},{P}\n", E5),
    "row",
    TRAIN_VAL | {"train accuracy": rises(E5), "val accuracy": rises(E5)},
)
add(
    "nested_json",
    "results.json",
    json.dumps(
        {
            "config": {"lr": 0.01, "batch_size": 32},
            "train": {"loss": falls(E5)},
            "val": {"loss": falls(E5, 0.1)},
            "classes": ["a", "b", "c"],
        }
    ),
    "row",
    TRAIN_VAL,
    facts={"lr": 0.01, "batch_size": 32, "classes": 3},
)
add(
    "list_of_epochs",
    "history.json",
    json.dumps(
        [{"epoch": e, "train": {"loss": fall(e)}, "val": {"loss": fall(e) + 0.1, "acc": rise(e)}} for e in E5], indent=1
    ),
    "epoch",
    TRAIN_VAL | {"val accuracy": rises(E5)},
)
add(
    "dict_of_epochs",
    "history.json",
    json.dumps({f"epoch_{e}": {"train_loss": fall(e), "val_loss": fall(e) + 0.1} for e in E5}),
    "epoch",
    TRAIN_VAL,
)
add(
    "pandas_json",
    "history.json",
    json.dumps({"loss": {str(e): fall(e) for e in E5}, "val_loss": {str(e): fall(e) + 0.1 for e in E5}}),
    "row",
    TRAIN_VAL,
)
add(
    "lists_of_two_lengths",
    "losses.json",
    json.dumps({"train_losses": [fall(i / 100) for i in range(500)], "val_losses": falls(E5)}),
    "step",
    {"train loss": [fall(i / 100) for i in range(500)], "val loss": falls(E5)},
    steps={"val loss": [100, 200, 300, 400, 500]},
)
add(
    "terms_of_a_loss",
    "vae.csv",
    "epoch,loss,recon_loss,kl_loss,val_loss\n" + lines("{e},{L},1.5,0.5,{V}\n", E5),
    "epoch",
    TRAIN_VAL | {"train loss @ recon": [1.5] * 5, "train loss @ kl": [0.5] * 5},
)
add(
    "batches_without_steps",
    "log.csv",
    "epoch,loss\n" + "".join(f"{e},{fall(e + k / 4)}\n" for e in (1, 2, 3) for k in range(4)),
    "epoch",
    {"train loss": [fall(e + k / 4) for e in (1, 2, 3) for k in range(4)]},
    steps={"train loss": [0.25 * (i + 1) for i in range(12)]},
)

# Several runs in one log

add(
    "folds",
    "cv.csv",
    "fold,epoch,train_loss,val_loss\n" + "".join(f"{f},{e},{fall(e)},{fall(e) + 0.1}\n" for f in range(3) for e in E5),
    "epoch",
    TRAIN_VAL,
    runs=3,
)
add(
    "folds_in_turn",
    "cv.csv",
    "epoch,fold,train_loss,val_loss\n" + "".join(f"{e},{f},{fall(e)},{fall(e) + 0.1}\n" for e in E5 for f in range(3)),
    "epoch",
    TRAIN_VAL,
    runs=3,
)
add(
    "folds_as_headings",
    "out.log",
    "".join(f"Fold {f}\n" + lines("Epoch {e}: train_loss={L:.4f} val_loss={V:.4f}\n", E5) for f in (1, 2, 3)),
    "epoch",
    TRAIN_VAL,
    runs=3,
)
add(
    "two_headers",
    "log.csv",
    "".join("epoch,loss,val_loss\n" + lines("{e},{L},{V}\n", E5) for _ in range(2)),
    "epoch",
    TRAIN_VAL,
    runs=2,
)
add(
    "one_number_a_row",
    "long.csv",
    "run,step,metric,value\n"
    + "".join(
        f"{r},{e},{m},{fall(e) + k}\n" for r in "ab" for m, k in (("train_loss", 0.0), ("val_loss", 0.1)) for e in E5
    ),
    "step",
    TRAIN_VAL,
    runs=2,
)
add(
    "wandb_export",
    "wandb.csv",
    '"Step","swift-sky-1 - val_loss","swift-sky-1 - val_loss__MIN","swift-sky-1 - val_loss__MAX","old-moon-2 - val_loss","old-moon-2 - val_loss__MIN","old-moon-2 - val_loss__MAX"\n'
    + lines('"{s}","{L}","0","9","{L}","0","9"\n', E5, s=lambda e: 10 * e),
    "step",
    {"val loss": falls(E5)},
    runs=2,
)
add(
    "runs_in_json",
    "runs.json",
    json.dumps({name: {"train_loss": falls(E5), "val_loss": falls(E5, 0.1)} for name in ("sgd", "adam")}),
    "row",
    TRAIN_VAL,
    runs=2,
)

# Odds and ends

add("loss_after_an_epoch", "out.log", lines("Loss after epoch {e}: {L:.6f}\n", E5), "epoch", {"train loss": falls(E5)})
add(
    "cost_after_an_iteration",
    "out.log",
    lines("Cost after iteration {s}: {L:.6f}\n", E5, s=lambda e: 100 * e) + "Accuracy: 0.98\n",
    "step",
    {"train loss": falls(E5)},
    steps={"train loss": [100, 200, 300, 400, 500]},
)
add("index_of_pandas", "log.csv", ",loss,accuracy,val_loss\n" + lines("{e},{L},{A},{V}\n", E5), "row", TRAIN_VAL)
add(
    "models_in_turn",
    "log.csv",
    "model,epoch,val_acc\n" + "".join(f"{name},{e},{rise(e)}\n" for e in E5 for name in ("resnet", "vgg")),
    "epoch",
    {"val accuracy": rises(E5)},
    runs=2,
)
add(
    "types_that_are_parts",
    "log.jsonl",
    "".join(
        json.dumps({"step": e, "type": kind, "loss": fall(e) + more}) + "\n"
        for e in E5
        for kind, more in (("train", 0.0), ("eval", 0.1))
    ),
    "step",
    TRAIN_VAL,
)
add(
    "steps_and_values",
    "log.json",
    json.dumps(
        {
            "train_loss": {"steps": [10 * e for e in E5], "values": falls(E5)},
            "val_loss": {"steps": [20, 40], "values": falls((2, 4))},
        }
    ),
    "step",
    {"train loss": falls(E5), "val loss": falls((2, 4))},
    steps={"val loss": [20, 40]},
)
add("parts_alone", "out.log", lines("epoch: {e} train: {L:.4f} valid: {V:.4f}\n", E5), "epoch", TRAIN_VAL)
add(
    "a_line_a_number",
    "out.log",
    lines("epoch = {e}\ntrain loss = {L:.4f}\nval loss = {V:.4f}\nval accuracy = {A:.3f}\n\n", E5),
    "epoch",
    TRAIN_VAL | {"val accuracy": rises(E5)},
)
add(
    "wall_clock_and_errors",
    "log.csv",
    "iter,time,train_loss,test_loss,train_err,test_err\n" + lines("{s},{s},{L},{V},{A},{A}\n", E5, s=lambda e: 100 * e),
    "step",
    TRAIN_VAL | {"val error": rises(E5)},
)
