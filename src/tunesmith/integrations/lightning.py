"""Lightning: `Trainer(callbacks=[tunesmith.integrations.lightning.WatchCallback(folder="run")])`.

Made for `lightning.pytorch` and for `pytorch_lightning`, whichever is imported. Sees automatic and manual optimization, accumulation,
precision plugins, several optimizers; a resumed fit goes on with its run. The sanity check is no epoch, `test`, `validate` and `predict` are
not looked at.
"""

import inspect
import re
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tunesmith.integrations.adapter import Adapter, library

if TYPE_CHECKING:
    WatchCallback: Any

NAMES = ("lightning.pytorch", "pytorch_lightning")
CALLED = re.compile(r"\bself(?:\.forward)?\(")  # a module that calls itself


class _Watching(Adapter):
    """The hooks; `WatchCallback` has them and Lightning's `Callback`."""

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        self._heard: set[str] = set()  # names of scores that came from a validation
        self._validated = False
        self._backward: list[Any] = []
        self._trainer = trainer
        if not trainer.is_global_zero:
            return
        optimizers = trainer.optimizers
        if not optimizers:
            return  # a module without optimizers is not trained
        self._open(
            watched(pl_module),
            optimizers,
            first_step=trainer.global_step // len(optimizers),
            facts=planned(trainer),
        )

    def on_before_backward(self, trainer: Any, pl_module: Any, loss: Any) -> None:
        if self._watching and not pl_module.automatic_optimization:
            self._backward.append(loss.detach() / _scale(trainer, loss))

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        if not self._watching:
            return
        loss = outputs.get("loss") if isinstance(outputs, Mapping) else outputs
        if pl_module.automatic_optimization:
            parts = trainer.accumulate_grad_batches
            loss = loss if loss is None or parts == 1 else loss * parts  # Lightning has divided it
        elif loss is None and self._backward:
            loss = sum(self._backward[1:], self._backward[0])
        self._backward = []
        inputs, target = parted(batch)
        self._update(loss, inputs=inputs, target=target)

    def on_validation_start(self, trainer: Any, pl_module: Any) -> None:
        self._known = dict(trainer.callback_metrics) if self._watching else {}

    def on_validation_end(self, trainer: Any, pl_module: Any) -> None:
        if trainer.sanity_checking or not self._watching:
            return
        self._validated = True
        now = trainer.callback_metrics
        self._heard |= {
            name for name, value in now.items() if name not in self._known or _differ(value, self._known[name])
        }
        self._judged({name: value for name, value in now.items() if name in self._heard})
        self._tell()

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        if self.watch is not None and self._watching and not self._validated and not trainer.enable_validation:
            self.watch.epoch()  # nothing is judged: the rules look at the training alone
        self._validated = False

    def on_train_end(self, trainer: Any, pl_module: Any) -> None:
        self._close()

    def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
        self._close("interrupted" if isinstance(exception, KeyboardInterrupt) else "failed")

    def teardown(self, trainer: Any, pl_module: Any, stage: str) -> None:
        self._close("interrupted")  # a fit that was left without a word
        self._trainer = None

    def _print(self, text: str) -> None:
        module = getattr(self._trainer, "lightning_module", None)
        module.print(text) if module is not None else super()._print(text)

    def __getstate__(self) -> dict[str, Any]:
        return super().__getstate__() | {"_trainer": None, "_backward": [], "_known": {}}

    _trainer: Any = None
    _validated = False
    _heard: set[str] = set()  # noqa: RUF012 -- replaced when a training begins
    _backward: list[Any] = []  # noqa: RUF012
    _known: dict[str, Any] = {}  # noqa: RUF012


def watched(module: Any) -> Any:
    """The module whose calls are seen: the Lightning module, or the one inside that holds all its parameters where that is called instead."""
    try:
        calls_itself = bool(CALLED.search(inspect.getsource(type(module))))
    except (OSError, TypeError):
        calls_itself = True
    if calls_itself:
        return module
    own = {id(parameter) for parameter in module.parameters()}
    whole = [child for child in module.children() if own and {id(one) for one in child.parameters()} == own]
    return whole[0] if len(whole) == 1 else module


def planned(trainer: Any) -> dict[str, Any]:
    """What the trainer means to do, as facts of the run."""
    batches = trainer.num_training_batches
    epochs, steps = trainer.max_epochs, trainer.max_steps
    finite = isinstance(batches, int)
    return {
        "epochs": epochs if epochs is not None and epochs > 0 else None,
        "steps": steps if steps is not None and steps > 0 else None,
        "steps_per_epoch": max(1, batches // trainer.accumulate_grad_batches) if finite else None,
        "trainer": "lightning",
    }


def parted(batch: Any) -> tuple[Any, Any]:
    """Inputs and target of a batch that is a pair; nothing of others."""
    return (batch[0], batch[1]) if isinstance(batch, tuple | list) and len(batch) == 2 else (None, None)


def _scale(trainer: Any, loss: Any) -> Any:
    """By how much a loss scaler has multiplied it, without waiting for the device."""
    scaler = getattr(trainer.precision_plugin, "scaler", None)
    return 1.0 if scaler is None else scaler.scale(loss.detach().new_ones(()))


def _differ(one: Any, other: Any) -> bool:
    """Whether a score has changed; one that was and is no number has not."""
    return one is not other and not bool((one == other) | ((one != one) & (other != other)))


_MADE: dict[tuple[type, ...], type] = {}


def __getattr__(name: str) -> Any:
    if name != "WatchCallback":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    loaded = [sys.modules[one] for one in NAMES if one in sys.modules and hasattr(sys.modules[one], "Callback")]
    bases = tuple(one.Callback for one in loaded or [library(*NAMES, extra="lightning")])
    if bases not in _MADE:
        about = {"__module__": __name__, "__qualname__": name, "__doc__": (__doc__ or "").strip()}
        _MADE[bases] = type(name, (_Watching, *bases), about)
    return _MADE[bases]
