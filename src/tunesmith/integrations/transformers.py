"""Transformers: `Trainer(callbacks=[tunesmith.integrations.transformers.WatchCallback(folder="run")])`.

Sees the loss of every update (the log has means of several), accumulation, the scores of `evaluate` while it trains, and a resumed training,
which goes on with its run. The trainer tells no callback of an exception: while it trains, its method that runs an epoch is wrapped so that
the watch takes itself away, and is as before afterwards.
"""

import functools
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tunesmith.integrations.adapter import Adapter, library

if TYPE_CHECKING:
    WatchCallback: Any

RUNS = ("_run_epoch", "training_step")  # the method that runs an epoch; of older versions the one that runs a batch


class _Watching(Adapter):
    """The hooks; `WatchCallback` has them and the `TrainerCallback` of transformers."""

    def on_train_begin(self, args: Any, state: Any, control: Any, **given: Any) -> None:
        if not state.is_world_process_zero or given.get("optimizer") is None:
            return
        self._plain = bool(args.disable_tqdm)
        self._open(
            given["model"],
            [given["optimizer"]],
            first_step=state.global_step,
            facts={
                "epochs": state.num_train_epochs,
                "steps": state.max_steps,
                "batch_size": args.train_batch_size * args.gradient_accumulation_steps,
                "trainer": "transformers",
            },
        )
        trainer = trainer_of(self)
        if trainer is not None:
            self._guard(trainer)

    def on_step_begin(self, args: Any, state: Any, control: Any, **given: Any) -> None:
        self._tell()

    def on_evaluate(self, args: Any, state: Any, control: Any, metrics: Any = None, **given: Any) -> None:
        self._judged(metrics or {})

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **given: Any) -> None:
        self._tell()

    def on_epoch_end(self, args: Any, state: Any, control: Any, **given: Any) -> None:
        if self.watch is not None and self._watching and str(getattr(args.eval_strategy, "value", "")) == "no":
            self.watch.epoch()  # nothing is judged: the rules look at the training alone

    def on_train_end(self, args: Any, state: Any, control: Any, **given: Any) -> None:
        self._close()

    def _guard(self, trainer: Any) -> None:
        """Wraps the method that runs an epoch: what ends it by an exception ends the watch."""
        name = next((one for one in RUNS if hasattr(trainer, one)), None)
        if name is None:
            return
        own = name in vars(trainer)
        method = getattr(trainer, name)

        @functools.wraps(method)
        def run(*given: Any, **named: Any) -> Any:
            try:
                return method(*given, **named)
            except BaseException as error:
                self._close("interrupted" if isinstance(error, KeyboardInterrupt) else "failed")
                raise

        def restore() -> None:
            if own:
                setattr(trainer, name, method)
            else:
                vars(trainer).pop(name, None)

        setattr(trainer, name, run)
        self._restore = restore

    def _close(self, status: Any = "finished") -> None:
        restore, self._restore = self._restore, None
        if restore is not None:
            restore()
        super()._close(status)

    def _print(self, text: str) -> None:
        if self._plain:
            super()._print(text)
        else:
            library("tqdm.auto", extra="transformers").tqdm.write(text)  # not through the bar

    def __getstate__(self) -> dict[str, Any]:
        return super().__getstate__() | {"_restore": None}

    _plain = False
    _restore: Callable[[], None] | None = None


def trainer_of(callback: Any) -> Any:
    """The trainer that calls this callback just now: callbacks are not told, so it is looked for among the calls. None outside of one."""
    frame = sys._getframe(1)
    while frame is not None:
        holder = frame.f_locals.get("self")
        handler = getattr(holder, "callback_handler", None)
        if handler is not None and any(one is callback for one in getattr(handler, "callbacks", ())):
            return holder
        frame = frame.f_back  # type: ignore[assignment]
    return None


_MADE: dict[type, type] = {}


def __getattr__(name: str) -> Any:
    if name != "WatchCallback":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    base = library("transformers", extra="transformers").TrainerCallback
    if base not in _MADE:
        about = {"__module__": __name__, "__qualname__": name, "__doc__": (__doc__ or "").strip()}
        _MADE[base] = type(name, (_Watching, base), about)
    return _MADE[base]
