"""skorch: `NeuralNetClassifier(module, callbacks=[tunesmith.integrations.skorch.WatchCallback(folder="run")])`.

Sees `fit`, `partial_fit` and warm starts (which go on with the run), several modules and optimizers, and the scores of every epoch's
validation. skorch tells no callback of an exception: while it trains, the net's `fit_loop` is wrapped so that the watch takes itself away,
and is as before afterwards. In a search each net has a copy of the callback: give no folder there, or each run a number behind it.
"""

import functools
from typing import TYPE_CHECKING, Any

from tunesmith.integrations.adapter import Adapter, library

if TYPE_CHECKING:
    WatchCallback: Any

SETTINGS = ("folder", "overhead", "num_classes", "loss_fn", "language", "sink")
HELD_OUT = ("valid_", "val_")


class _Watching(Adapter):
    """The hooks; `WatchCallback` has them and skorch's `Callback`."""

    def on_train_begin(self, net: Any, X: Any = None, y: Any = None, **given: Any) -> None:
        optimizers = [getattr(net, f"{name}_") for name in getattr(net, "_optimizers", None) or ["optimizer"]]
        before = self._steps if self._net_is(net) and len(net.history) else 0
        self._seen = len(net.history)
        self._quiet = not net.verbose
        self._open(
            module_of(net),
            optimizers,
            first_step=before,
            loss_fn=self.loss_fn if self.loss_fn is not None else getattr(net, "criterion_", None),
            facts={"epochs": self._seen + net.max_epochs, "batch_size": _positive(net.batch_size), "trainer": "skorch"},
        )
        self._guard(net)

    def on_batch_end(self, net: Any, batch: Any = None, training: Any = None, loss: Any = None, **given: Any) -> None:
        if training and self._watching:
            inputs, target = batch if isinstance(batch, tuple | list) and len(batch) == 2 else (None, None)
            self._update(loss, inputs=inputs, target=target)

    def on_epoch_begin(self, net: Any, dataset_train: Any = None, dataset_valid: Any = None, **given: Any) -> None:
        self._read(net, len(net.history) - 1)  # skorch has opened the row of this epoch already

    def on_train_end(self, net: Any, X: Any = None, y: Any = None, **given: Any) -> None:
        whole = len(net.history) == 0 or "train_loss" in net.history[-1]
        self._read(net, len(net.history))
        self._close("finished" if whole else "interrupted")

    def _read(self, net: Any, upto: int) -> None:
        """The scores of the epochs that are over: other callbacks may add some after this one was asked."""
        for row in [net.history[place] for place in range(self._seen, upto)]:
            held = {
                name: value for name, value in row.items() if name.startswith(HELD_OUT) and not name.endswith("_best")
            }
            if held:
                self._judged(held)
                self._tell()
            elif self.watch is not None and self._watching:
                self.watch.epoch()  # nothing is judged: the rules look at the training alone
        self._seen = max(self._seen, upto)

    def _guard(self, net: Any) -> None:
        loop = net.fit_loop

        @functools.wraps(loop)
        def fit_loop(*given: Any, **named: Any) -> Any:
            try:
                return loop(*given, **named)
            except KeyboardInterrupt:
                raise  # skorch takes it, and tells of the end of the training
            except BaseException:
                self._close("failed")
                raise

        own = "fit_loop" in vars(net)

        def restore() -> None:
            vars(net).pop("fit_loop", None)
            if own:
                vars(net)["fit_loop"] = loop

        vars(net)["fit_loop"] = fit_loop
        self._restore = restore

    def _close(self, status: Any = "finished") -> None:
        restore, self._restore = self._restore, None
        if restore is not None:
            restore()
        if self.watch is not None and self._watching:
            self._steps = self.watch.watcher.steps
        super()._close(status)

    def _net_is(self, net: Any) -> bool:
        """Whether this is the net that was watched before, not a copy or a new one."""
        last, self._last = self._last, id(module_of(net))
        return last == self._last

    def _print(self, text: str) -> None:
        if not self._quiet:
            super()._print(text)

    def _get_param_names(self) -> list[str]:
        return list(SETTINGS)

    def __getstate__(self) -> dict[str, Any]:
        return super().__getstate__() | {"_restore": None}

    _seen = 0
    _steps = 0
    _last = 0
    _quiet = False
    _restore: Any = None


def module_of(net: Any) -> Any:
    """The module of a net; several of them as one."""
    names = getattr(net, "_modules", None) or ["module"]
    if len(names) == 1:
        return getattr(net, f"{names[0]}_")
    from torch import nn

    return nn.ModuleDict({name: getattr(net, f"{name}_") for name in names})


def _positive(number: Any) -> int | None:
    return int(number) if isinstance(number, int) and number > 0 else None


_MADE: dict[type, type] = {}


def __getattr__(name: str) -> Any:
    if name != "WatchCallback":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    base = library("skorch.callbacks", extra="skorch").Callback
    if base not in _MADE:
        about = {"__module__": __name__, "__qualname__": name, "__doc__": (__doc__ or "").strip()}
        _MADE[base] = type(name, (_Watching, base), about)
    return _MADE[base]
