"""Looks at a live training loop that somebody else wrote, through hooks of its optimizers, its model and its loss.

An update is looked at in full when the budget allows it, often at first and less later. Only then are there hooks on the model: in
between nothing is attached but two hooks on each optimizer. Nothing is read back from a device before some looks have gathered.
The training itself is left alone: no random number is drawn, no gradient, buffer or mode changed.
"""

import math
import time
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from tunesmith.doctor.probes import watcher_inputs, watcher_machine
from tunesmith.doctor.probes.watcher_activations import Activations, Blind, first_tensor, unreal
from tunesmith.doctor.probes.watcher_budget import Budget
from tunesmith.doctor.probes.watcher_curvature import Curvature
from tunesmith.doctor.probes.watcher_ledger import Ledger, Sink, points
from tunesmith.doctor.probes.watcher_loss import Seen, Tap, scale_of, seen_in
from tunesmith.doctor.probes.watcher_noise import Noise
from tunesmith.doctor.probes.watcher_outputs import Outputs
from tunesmith.doctor.probes.watcher_replay import replay
from tunesmith.doctor.probes.watcher_view import (
    entry,
    facts_of,
    inside,
    is_compiled,
    layers_table,
    layout_of,
    number,
    signature_of,
    unwrapped,
)
from tunesmith.doctor.probes.watcher_weights import Grads, Weights, adam, gradient_lengths
from tunesmith.records import ModelError, Signal

WRITE_SECONDS = 1.0  # between two hand-overs to the sink; assumption
MEMORY_SECONDS = 1.0
LOSSES = 64  # on a device that wait together
UNSEEN = (
    4.0  # times what can be timed, the most a look is charged with: a slow update has other reasons too; assumption
)
UNSAID = 3  # updates after which `step` is not waited for
PASSES = 40  # of the model that a look at the curvature takes
HEAP_SECONDS = 0.1  # that a walk over all objects takes at first; assumption
LOSS_KINDS: Mapping[str, str] = {
    "CrossEntropyLoss": "cross_entropy",
    "BCEWithLogitsLoss": "bce_with_logits",
    "BCELoss": "bce",
    "MSELoss": "mse",
    "L1Loss": "l1",
    "SmoothL1Loss": "smooth_l1",
    "HuberLoss": "huber",
}


@dataclass(slots=True, kw_only=True)
class Moment:
    """What an onlooker is told after an update: read it, keep nothing of it."""

    step: int  # updates made
    loss: Any  # of the update: a number, a detached tensor, or None where it is not known
    model: nn.Module
    optimizers: Sequence[torch.optim.Optimizer]
    inputs: Any = None
    target: Any = None
    facts: dict[str, Any] = field(default_factory=dict)  # of the run; may be added to


Onlooker = Callable[[Moment], Iterable[Signal] | None]


@dataclass(slots=True)
class Look:
    """One update that is looked at in full, while it goes on."""

    step: int
    paid: float = 0.0  # seconds
    rows: int = 0
    micro: int = 0  # forward passes
    forward: bool = False  # the first forward pass is over
    backward: bool = False
    inputs: Any = None
    result: Tensor | None = None  # detached outputs, until the loss has told more
    target: Any = None
    told: bool = False  # outputs and labels are measured
    wait: float = 0.0
    wait_from: float | None = None
    handles: list[Any] = field(default_factory=list)


class Watcher:
    """Hooks on a model and its optimizers, which are not kept alive; `detach` takes all of them away.

    With `loop` the loop itself writes loss, rate and gradient norm.
    """

    def __init__(
        self,
        model: nn.Module,
        optimizers: Sequence[Any],
        sink: Sink,
        *,
        loss_fn: Any = None,
        overhead: float = 0.03,
        num_classes: int | None = None,
        loop: bool = False,
        first_step: int = 0,
    ) -> None:
        found = [unwrapped(one) for one in optimizers]
        for one in found:
            if not hasattr(one, "register_step_post_hook"):
                raise ModelError(
                    f"{type(one).__name__} is no torch.optim.Optimizer, so its steps cannot be seen; give the optimizer itself, "
                    "or call watch on the loop's own optimizer object"
                )
        self._model = weakref.ref(model)
        self._optimizers = [weakref.ref(one) for one in found]
        self._index = {id(one): place for place, one in enumerate(found)}
        self.sink = sink
        self.loop = loop
        self.loss_fn = loss_fn
        self.num_classes = num_classes
        self.steps = self.first_step = first_step
        self.facts: dict[str, Any] = {"watched": True} | facts_of(inside(model), found)
        if num_classes is not None:
            self.facts["classes"] = num_classes
        self.modes = {"training": [0, 0], "judging": [0, 0]}  # forward passes: in evaluation mode, in training mode
        self.budget = Budget(overhead)
        self.ledger = Ledger()
        self.activations = Activations(self.ledger)
        self.outputs = Outputs(self.ledger, num_classes)
        self.noise = Noise(self.ledger)
        self.curvature = Curvature(loss_fn)
        self._weights: list[Weights | None] = [None] * len(found)
        self._gradients: dict[int, Tensor] = {}  # of this update, by optimizer: the coordinates taken
        self._grads: dict[int, Grads] = {}
        self._onlookers: list[Onlooker] = []
        self.early: list[
            tuple[Callable[..., None], Callable[..., None]]
        ] = []  # told before and after each optimizer's update, first
        self._handles: list[Any] = []
        self.uncounted: Callable[[], None] | None = None  # told of a `step` without an update since the last one
        self._tap = Tap(Door(self, "_tapped"))
        weakref.finalize(self, self._tap.close)
        self._look: Look | None = None
        self._closing: Look | None = None  # of the update just made, which `step` may still tell something of
        self._light = False
        self._light_paid = 0.0
        self._scale: float | Tensor = 1.0  # of the loss that is run backwards
        self._stepped: set[int] = set()
        self._closure = False  # inside a step that evaluates the loss itself
        self._taken = False  # the first evaluation of a closure is over
        self._rates: list[float | None] = []
        self._losses: list[tuple[int, Any]] = []  # by step, until they are fetched
        self._pending: list[Any] = []  # losses of this update so far
        self._unsaid: list[tuple[int, Any]] = []  # read off backward passes, while it is open whether `step` is called
        self._counted = False  # an update was made since the last `step`
        self._said = False  # `step` was called
        self._told_at = 0  # the update of which onlookers were told last
        self._order = ""  # whether `step` comes "before" the optimizer's or "after"; "" is not known yet
        self._run_back = False  # a backward pass since the last update
        self._left: list[Tensor] = []
        self._ended = self._written = self._memory_at = time.perf_counter()
        self._since: tuple[float, int, float] = (
            self._ended,
            first_step,
            0.0,
        )  # time, step and payments at the last full look
        self._write_cost = 0.0
        self._idle = 0  # updates before this one are not looked at, whatever comes
        self._usual = 0.0  # seconds of an update that is not looked at

    # The two ends

    def attach(self) -> None:
        """Begins to look."""
        for reference in self._optimizers:
            optimizer = reference()
            if optimizer is not None:
                self._handles.append(optimizer.register_step_pre_hook(self._pre))
                self._handles.append(optimizer.register_step_post_hook(self._post))
        self._plan()
        if not self.loop:
            self._tap.open()

    def detach(self) -> None:
        """Takes every hook away; what was measured is written."""
        self._disarm()
        self._tap.close()
        for handle in self._handles:
            handle.remove()
        self._handles.clear()
        self._flush_pending(self.steps)
        self._losses += self._unsaid
        self._unsaid.clear()
        self.write()

    @property
    def model(self) -> nn.Module | None:
        return self._model()

    @property
    def rate(self) -> float | None:
        """The rate of the first group."""
        optimizer = self._optimizers[0]()
        return None if optimizer is None else number(optimizer.param_groups[0].get("lr"))

    @property
    def optimizers(self) -> list[torch.optim.Optimizer]:
        """Those that are still there."""
        return [one for reference in self._optimizers if (one := reference()) is not None]

    def succeeded(self, optimizer: torch.optim.Optimizer) -> list[Any]:
        """Goes on with an optimizer that took the place of the first; the hooks are the caller's to take away."""
        self._optimizers[0], self._weights[0] = weakref.ref(optimizer), None
        self._index = {id(one()): place for place, one in enumerate(self._optimizers)}
        self._stepped.discard(0)
        return [optimizer.register_step_pre_hook(self._pre), optimizer.register_step_post_hook(self._post)]

    def register(self, onlooker: Onlooker) -> None:
        """Asks that it be called after each update (at `step`, where that is called); the signals it gives are written."""
        self._onlookers.append(onlooker)

    # What the user tells

    def step(self, loss: Any, inputs: Any = None, target: Any = None) -> None:
        """Of an update or of one of its micro-batches: its loss, and the batch where the hooks cannot see it."""
        began = time.perf_counter()
        if not self._said:
            self._said = True
            self._pending.clear()
            self._unsaid.clear()  # its own numbers count
            if self._look is None:
                self._tap.close()
        value = loss
        if isinstance(loss, Tensor):
            value = loss.item() if loss.is_cpu else loss.detach()
        self._pending.append(value)
        if not self._run_back and self._tap.is_open and self._counted:
            self._order = self._order or "after"
        counted, self._counted = self._counted, False
        if not counted and self.uncounted is not None:
            self.uncounted()
        look, self._closing = self._closing if counted else self._look, None
        if look is not None and (inputs is not None or target is not None):
            self._given(look, inputs, target)
        if counted and self._order != "before":
            self._flush_pending(self.steps)
        if self._onlookers and (counted or self._order == "before") and self._told_at < self.steps:
            self._tell(value, inputs, target)
        self._paid_light(began)

    def _given(self, look: Look, inputs: Any, target: Any) -> None:
        """A batch handed over by the user, where nothing else has shown it."""
        if inputs is not None and look.inputs is None:
            watcher_inputs.look(inputs, look.step, self.ledger)
        if target is not None and not look.told and look.result is not None and isinstance(target, Tensor):
            self._outputs(look, look.result, target)

    def write(self) -> None:
        """Hands over everything measured so far."""
        began = time.perf_counter()
        self._fetch_losses()
        self.ledger.write(self.sink)
        self._written = time.perf_counter()
        self._write_cost = self._written - began
        self.budget.pay("full", self._write_cost)

    def known(self) -> dict[str, Any]:
        """The facts of the run by now."""
        model = self.model
        facts = self.facts | self.outputs.facts | self.outputs.chance()
        if self.activations.kinds:
            facts["activations"] = {name: self.activations.kinds[name] for name in self.activations.order}
        facts["modes"] = {
            kind: {"evaluation": found[0], "training": found[1]} for kind, found in self.modes.items() if any(found)
        }
        if self.curvature.note:
            facts["curvature"] = self.curvature.note
        facts["steps_taken"] = self.steps
        facts["watch_share"] = self.budget.share
        if model is not None and self.optimizers:
            facts["layers"] = [(row["name"], row["kind"]) for row in self.layers()]
        return facts

    def layers(self) -> list[dict[str, Any]]:
        """The table of the layers that hold parameters."""
        model = self.model
        if model is None:
            return []
        decay = {
            id(parameter): float(group.get("weight_decay") or 0.0)
            for optimizer in self.optimizers
            for group in optimizer.param_groups
            for parameter in group["params"]
        }
        return layers_table(inside(model), decay)

    # Which updates

    def _plan(self) -> None:
        """Decides about the coming update."""
        coming = self.steps + 1
        count = coming - self.first_step
        if count < self._idle:
            return
        self._light = self.budget.due("light", count) or self.noise.waits_for(coming)
        self._light_paid = 0.0
        if self.budget.due("full", count):
            self._arm(coming)
        if self._light and not self._tap.is_open:
            self._tap.open()
        if self._look is None and not self._light and self._usual:
            self._idle = count + self.budget.rests(count, self._usual)

    def _arm(self, step: int) -> None:
        began = time.perf_counter()
        model = self.model
        if model is None:
            return
        look = self._look = Look(step)
        door = entry(model)
        if getattr(door, "_compiled_call_impl", None) is None:  # hooks would be compiled along
            look.handles.append(door.register_forward_pre_hook(Door(self, "_enter"), with_kwargs=True))
            look.handles.append(door.register_forward_hook(Door(self, "_leave"), with_kwargs=True))
        if isinstance(self.loss_fn, nn.Module):
            look.handles.append(self.loss_fn.register_forward_hook(Door(self, "_lost")))
        self._tap.open()
        look.wait_from = time.perf_counter()
        look.paid += look.wait_from - began

    def _disarm(self) -> None:
        self.activations.detach()
        look, self._look = self._look, None
        if look is not None:
            for handle in look.handles:
                handle.remove()
            look.handles.clear()
            if look.told:
                look.result = look.target = None
            look.inputs = None if look.inputs is None else True
        if self._said or self.loop:
            self._tap.close()

    # The forward pass

    def _enter(self, module: nn.Module, given: Any, named: Any) -> None:
        look, began = self._look, time.perf_counter()
        if look is None:
            return
        training = int(inside(module).training)
        if not torch.is_grad_enabled():
            self.modes["judging"][training] += 1
            look.wait_from, look.wait = None, math.nan  # an evaluation lies between
            return
        if look.wait_from is not None:
            look.wait += began - look.wait_from
            look.wait_from = None
        if self._taken:
            return
        self.modes["training"][training] += 1
        look.rows += watcher_inputs.rows_of((given, named))
        look.micro += 1
        if not look.forward:
            look.inputs = given[0] if len(given) == 1 and not named else (given, named)
            watcher_inputs.look((given, named), look.step, self.ledger)
            if "input_shapes" not in self.facts:
                self.facts |= watcher_inputs.describe((given, named))
                self.facts["autocast"] = torch.is_autocast_enabled(str(self.facts["device"]).partition(":")[0])
            self.activations.detach()  # of a pass that raised
            if not is_compiled(module):
                self.activations.attach(module, look.step)
        look.paid += time.perf_counter() - began

    def _leave(self, module: nn.Module, given: Any, named: Any, result: Any) -> None:
        look, began = self._look, time.perf_counter()
        if look is None or look.forward or not torch.is_grad_enabled():
            return
        self.activations.detach()
        look.forward = True
        if is_compiled(module):
            model = inside(module)
            self.activations.attach(model, look.step)
            try:
                replay(model, given, named)
            finally:
                self.activations.detach()
            self.activations.seconds = 0.0
        output = first_tensor(result)
        if output is not None:
            look.result = output.detach()
            self.facts.setdefault("output_shape", list(output.shape))
        look.paid += time.perf_counter() - began

    def _lost(self, module: nn.Module, given: Any, result: Any) -> None:
        """A call of the loss that was given as a module."""
        look = self._look
        if look is None or not torch.is_grad_enabled() or len(given) < 2 or look.target is not None or self._taken:
            return
        outputs, target = given[0], given[1]
        if isinstance(outputs, Tensor) and isinstance(target, Tensor):
            self.facts.setdefault("loss_given", [list(outputs.shape), list(target.shape)])
            plainly = look.result is not None and outputs.shape == look.result.shape
            look.target = target.detach() if plainly else None

    # The backward pass

    def _tapped(self, tensors: Any, before: bool) -> None:
        began = time.perf_counter()
        if before:
            self._run_backward(tensors)
        elif not self._taken and (self._look is not None or self._light):
            self._ran_backward()
        spent = time.perf_counter() - began
        if self._look is not None:
            self._look.paid += spent
        else:
            self._light_paid += spent

    def _run_backward(self, tensors: Any) -> None:
        listed = (
            [tensors] if isinstance(tensors, Tensor) else list(tensors) if isinstance(tensors, list | tuple) else []
        )
        loss = next(
            (one for one in listed if isinstance(one, Tensor) and one.numel() == 1 and one.grad_fn is not None), None
        )
        first, self._run_back = not self._run_back, True
        if not first and not self._said and self.uncounted is not None:
            self.uncounted()  # another pass without an update that was seen: accumulation, or an optimizer nobody named
        if first and self._pending and self._said and self._counted:  # an update was made, and none came after it
            self._order = self._order or "before"
            self._flush_pending(self.steps)
        if loss is None or self._taken:
            return
        scale = scale_of(loss)
        self._scale = scale
        if not self._said and not self.loop:
            self._pending.append(loss.detach() / scale)
        look = self._look
        if look is None:
            return
        if scale != 1.0 if isinstance(scale, float) else True:
            self.facts["loss_scaled"] = True
        if first and not look.told:
            seen = seen_in(loss)
            if seen is not None:
                look.told = True
                self.outputs.look(seen, look.step)
                if look.target is None and self.curvature.able and seen.target is not None:
                    look.target = seen.target.detach()
        if first and len(self._optimizers) == 1 and not self._closure:
            self._left = self._held(0)

    def _held(self, place: int) -> list[Tensor]:
        """Length of the gradient that lies in the parameters, as a list of at most one number."""
        weights = self._weights[place]
        parameters = weights.layout.live() if weights is not None else None
        grads = gradient_lengths(parameters) if parameters is not None else None
        return [] if grads is None else [torch.linalg.vector_norm(grads.norms)]

    def _ran_backward(self) -> None:
        for place, reference in enumerate(self._optimizers):
            optimizer = reference()
            parameters = self._parameters(place, optimizer) if optimizer is not None else None
            if parameters is None:
                continue
            with torch.no_grad():
                grads = gradient_lengths(parameters, self._scale)
                if grads is None:
                    continue
                self._grads[place] = grads
                weights = self._weights[place]
                if self._closure and weights is not None:
                    self._gradients[place] = weights.pieces.of_gradients(parameters)
                if self._look is not None and len(self._optimizers) == 1 and not self._closure:
                    self._tell_left(grads)
        if self._closure:
            self._taken = True
        if self._look is not None:
            self._look.backward = True
            self._look.wait_from = time.perf_counter()

    def _tell_left(self, grads: Grads) -> None:
        """What an earlier batch left in the gradients, as a share of what lies there after the first backward pass."""
        look = self._look
        if look is None or look.backward or look.step < 2:
            return
        now = torch.linalg.vector_norm(grads.norms)
        left = self._left[0].to(now) if self._left else torch.zeros_like(now)
        self._left = []
        self.ledger.later(look.step, left / now.clamp(min=torch.finfo(now.dtype).tiny), points("gradient_left"))

    # The update

    def _parameters(self, place: int, optimizer: torch.optim.Optimizer) -> list[Tensor] | None:
        """The parameters of an optimizer, with its measurements made anew when its groups have changed."""
        weights, model = self._weights[place], self.model
        if model is None:
            return None
        if weights is None or weights.layout.signature != signature_of(optimizer):
            layout = layout_of(inside(model), optimizer)
            parameters = layout.live()
            self._weights[place] = Weights(layout, parameters) if parameters else None
            self.facts |= facts_of(inside(model), self.optimizers)
            return parameters or None
        parameters = weights.layout.live()
        if parameters is None:
            self._weights[place] = None
        return parameters

    def _pre(self, optimizer: torch.optim.Optimizer, given: Any, named: Any) -> Any:
        for before, _ in self.early:
            before(optimizer)
        place = self._index[id(optimizer)]
        closure = len(given) > 1 or named.get("closure") is not None  # the optimizer itself comes first
        self._closure, self._taken = closure, False
        if place in self._stepped:
            self._updated()
        if self._look is None and not self._light:
            return
        began = time.perf_counter()
        parameters = self._parameters(place, optimizer)
        weights = self._weights[place]
        if parameters is not None and weights is not None:
            with torch.no_grad():
                if not closure:
                    self._found(place, optimizer, weights, parameters)
                if self._look is not None:
                    weights.before(parameters)
        self._pay(began)

    def _found(
        self, place: int, optimizer: torch.optim.Optimizer, weights: Weights, parameters: Sequence[Tensor]
    ) -> None:
        """The gradients as the optimizer finds them."""
        scaled = getattr(optimizer, "grad_scale", None)  # a fused optimizer takes the scale away itself
        now = gradient_lengths(parameters, scaled if scaled is not None else 1.0)
        if now is None:
            return
        seen = None
        if place in self._grads and self._look is not None:
            seen = torch.linalg.vector_norm(now.norms)
            seen = seen / scaled.to(seen) if isinstance(scaled, Tensor) else seen
        elif place not in self._grads:
            self._grads[place] = now
        if not self.loop or self._look is not None:
            weights.gradients(self._grads.pop(place), seen, self.steps + 1, self.ledger, self._clipped)
        if self._look is not None or self.noise.waits_for(self.steps + 1):
            self._gradients[place] = weights.pieces.of_gradients(parameters)

    def _clipped(self, length: float) -> None:
        self.facts["clip_norm"] = length
        self.facts["clipped_looks"] = self.facts.get("clipped_looks", 0) + 1

    def _post(self, optimizer: torch.optim.Optimizer, given: Any, named: Any) -> None:
        for _, after in self.early:
            after(optimizer)
        place = self._index[id(optimizer)]
        if self._look is not None or self._light:
            began = time.perf_counter()
            parameters, weights = self._parameters(place, optimizer), self._weights[place]
            if parameters is not None and weights is not None:
                with torch.no_grad():
                    self._moved(place, optimizer, weights, parameters)
            self._pay(began)
        self._closure = self._taken = False
        self._stepped.add(place)
        if len(self._stepped) == len(self._optimizers):
            self._updated()

    def _moved(
        self, place: int, optimizer: torch.optim.Optimizer, weights: Weights, parameters: Sequence[Tensor]
    ) -> None:
        step, gradient = self.steps + 1, self._gradients.pop(place, None)
        if place in self._grads:  # a closure's: it saw nothing of them before
            weights.gradients(self._grads.pop(place), None, step, self.ledger, self._clipped)
        if self._look is not None:
            weights.after(parameters, gradient, step, self.ledger)
            adam(optimizer, parameters, weights.pieces, gradient, step, self.ledger)
        if place == 0 and gradient is not None:
            rows = self._look.rows if self._look is not None else int(self.facts.get("batch_size") or 0)
            self.noise.look(gradient, step, rows)
            if self._look is not None:
                self.noise.keep(gradient, step)

    def _pay(self, began: float) -> None:
        spent = time.perf_counter() - began
        if self._look is not None:
            self._look.paid += spent
        else:
            self._light_paid += spent

    def _paid_light(self, began: float) -> None:
        self.budget.pay("light", time.perf_counter() - began)

    def _updated(self) -> None:
        """All optimizers have made their step."""
        now = time.perf_counter()
        self.steps += 1
        self._stepped.clear()
        self._counted, self._run_back = True, False
        self._grads.clear()
        self._gradients.clear()
        if not self.loop:
            self._rate()
        if self._order == "before" or not self._said:
            self._flush_pending(self.steps)
        if self._order == "before":
            self._counted = False
        look, self._closing = self._look, None
        if look is not None:
            self._finish(look, now)
            self._disarm()
            self._closing = look
        elif self._light:
            spent = self._excess(self._light_paid, now)
            self.budget.pay("light", spent)
            self.budget.looked("light", self.steps - self.first_step, spent)
            if self._said or self.loop:
                self._tap.close()
        else:
            took = now - self._ended
            self._usual = took if not self._usual else 0.9 * self._usual + 0.1 * min(took, 3 * self._usual)
        if self._onlookers and not self._said:
            self._tell(self._unsaid[-1][1] if self._unsaid else None, None, None)
        if self.ledger.full or len(self._losses) >= LOSSES:
            began = time.perf_counter()
            self._fetch_losses()
            self.ledger.fetch()
            self.budget.pay("full", time.perf_counter() - began)
        if now - self._written > max(WRITE_SECONDS, 50 * self._write_cost):
            self.write()
        self._plan()
        self._ended = time.perf_counter()

    def _excess(self, timed: float, now: float) -> float:
        """Seconds by which an update looked at was longer than the others: hooks cost more than what can be timed inside them."""
        if not self._usual:
            return timed
        return max(timed, min(now - self._ended - self._usual, UNSEEN * timed))

    def _finish(self, look: Look, now: float) -> None:
        """The last measurements of a look: time, memory, curvature."""
        began = time.perf_counter()
        look.paid += self.activations.seconds
        self.activations.seconds = 0.0
        ledger, budget = self.ledger, self.budget
        took = now - self._ended - look.paid
        look.paid = self._excess(look.paid, now)
        at, step, paid = self._since
        if look.step > step + 1 or step == self.first_step:
            seconds = (now - at - (budget.spent + look.paid - paid)) / (look.step - step)
            ledger.add("seconds_per_step", look.step, max(seconds, 0.0))
        if look.forward and look.step > 1 and math.isfinite(look.wait) and took > 0:
            ledger.add("data_wait", look.step, min(1.0, look.wait / took))
        if look.rows:
            ledger.add("batch_rows", look.step, look.rows)
            self.facts["batch_size"] = max(look.rows, int(self.facts.get("batch_size") or 0))
            self.facts["accumulate"] = max(look.micro, int(self.facts.get("accumulate") or 1))
        if now - self._memory_at > MEMORY_SECONDS or look.step == 1:
            self._memory_at = now
            self._memory(look.step)
        ledger.add("watch_share", look.step, budget.share)
        spent = look.paid + time.perf_counter() - began
        budget.pay("full", spent)
        budget.looked("full", look.step - self.first_step, spent)
        self._seldom(look, max(took, 0.0))
        self._since = (time.perf_counter(), look.step, budget.spent)

    def _memory(self, step: int) -> None:
        device = torch.device(self.facts.get("device", "cpu"))
        for name, value in (
            ("memory_mb", watcher_machine.peak_mb(device)),
            ("resident_mb", watcher_machine.resident_mb()),
        ):
            if math.isfinite(value):
                self.ledger.add(name, step, value)
        if device.type == "cuda":
            self.ledger.add("live_bytes", step, torch.cuda.memory_allocated(device))

    def _seldom(self, look: Look, took: float) -> None:
        """What costs many passes, where the budget has grown for it."""
        budget = self.budget
        budget.expect("heap", HEAP_SECONDS)
        if budget.due("heap", look.step - self.first_step):
            began = time.perf_counter()
            count, held = watcher_machine.live_tensors()
            self.ledger.add("live_tensors", look.step, count)
            if self.facts.get("device", "cpu") == "cpu":
                self.ledger.add("live_bytes", look.step, held)
            spent = time.perf_counter() - began
            budget.pay("heap", spent)
            budget.looked("heap", look.step - self.first_step, spent)
        model = self.model
        budget.expect("curvature", PASSES * took)
        if model is None or not self.curvature.able or not budget.due("curvature", look.step - self.first_step):
            return
        began = time.perf_counter()
        found = self.curvature.look(inside(model), look.inputs, look.target)
        spent = time.perf_counter() - began
        budget.pay("curvature", spent)
        budget.looked("curvature", look.step - self.first_step, spent)
        if found is not None:
            self.ledger.add("hessian_top", look.step, found[0])
            self.ledger.add("hessian_seconds", look.step, found[1])

    def _outputs(self, look: Look, result: Tensor, target: Tensor) -> None:
        """From outputs and target alone, where no known loss was found in the graph."""
        kind = LOSS_KINDS.get(type(self.loss_fn).__name__, "")
        whole = not target.is_floating_point()
        wide = result.dim() > 1 and result.shape[1] > 1
        outputs = result
        if kind == "cross_entropy" or (not kind and whole and wide and target.dim() == result.dim() - 1):
            kind = "cross_entropy"
            with torch.no_grad():
                outputs = result.float().log_softmax(1)
        if kind and target.numel() and (kind != "cross_entropy" or whole):
            look.told = True
            self.outputs.look(Seen(kind=kind, outputs=outputs, target=target), look.step)

    # Loss and rate

    def _rate(self) -> None:
        optimizer = self._optimizers[0]()
        if optimizer is None:
            return
        groups = optimizer.param_groups
        if self._look is None and len(groups) == len(self._rates) == 1 and groups[0].get("lr") is self._rates[0]:
            return
        for place, group in enumerate(groups[:8]):
            rate = group.get("lr")
            if isinstance(rate, Tensor):
                if self._look is None:
                    continue
                rate = number(rate)
            if place == len(self._rates):
                self._rates.append(None)
            if rate is not None and (rate != self._rates[place] or self._look is not None):
                self._rates[place] = rate
                self.ledger.add("lr", self.steps, float(rate), str(place) if place else "")

    def _flush_pending(self, step: int) -> None:
        pending, self._pending = self._pending, []
        if not pending or step < 1:
            return
        total = pending[0] if len(pending) == 1 else sum(pending[1:], pending[0])
        if self._said and len(pending) > 1:
            total = total / len(pending)  # of micro-batches; what ran backwards adds up
        if not self._said:
            self._unsaid.append((step, total))
            if len(self._unsaid) > UNSAID:
                self._losses.append(self._unsaid.pop(0))
        elif isinstance(total, Tensor):
            self._losses.append((step, total))
        else:
            self.ledger.add("loss", step, float(total))

    def _fetch_losses(self) -> None:
        held, self._losses = self._losses, []
        if held:
            table = torch.stack([value.reshape(()).double() for _, value in held]).tolist()
            for (step, _), value in zip(held, table, strict=True):
                self.ledger.add("loss", step, value)

    def _tell(self, loss: Any, inputs: Any, target: Any) -> None:
        model, self._told_at = self.model, self.steps
        if model is None:
            return
        moment = Moment(
            step=self.steps,
            loss=loss,
            model=model,
            optimizers=self.optimizers,
            inputs=inputs,
            target=target,
            facts=self.facts,
        )
        for onlooker in self._onlookers:
            for signal in onlooker(moment) or ():
                self.ledger.add(signal.name, signal.step, signal.value, signal.where)


class Door:
    """A hook on the model that does not keep its watcher alive; a copy or pickle of the model has a blind one."""

    def __init__(self, watcher: Watcher, name: str) -> None:
        self._watcher, self._name = weakref.ref(watcher), name

    def __call__(self, *given: Any) -> None:
        watcher = self._watcher()
        if watcher is not None and not unreal():
            getattr(watcher, self._name)(*given)

    def __reduce__(self) -> tuple[Any, ...]:
        return (Blind, ())

    def __deepcopy__(self, memo: Any) -> Blind:
        return Blind()
