"""Waits beside a training loop for the first number that is not finite, and then says where it was born.

While all is finite it costs, an update, references to the last batch and the state of the random numbers, and now and then a norm over
the gradients: no copy of a weight, one hook on the model itself and none below it. On a device nobody waits: what is measured there is
read when it has arrived, an update or two later, and the last weights are kept for it where they are small.
"""

import math
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from tunesmith.doctor.probes.nonfinite import Origin, looked_into
from tunesmith.doctor.probes.nonfinite_graph import SLOPED, InLoss, between, born_between, edge, loss_origin
from tunesmith.doctor.probes.nonfinite_replay import Call, Replay, Replaying, breaks, call_of
from tunesmith.doctor.probes.nonfinite_trace import finite, floats
from tunesmith.doctor.probes.nonfinite_update import Rates, of_update, turned_by_decay
from tunesmith.doctor.probes.watcher_activations import Blind, unreal
from tunesmith.doctor.probes.watcher_loss import Tap
from tunesmith.doctor.probes.watcher_view import entry, inside, is_compiled
from tunesmith.doctor.probes.watcher_view import unwrapped as whole
from tunesmith.records import Signal

if TYPE_CHECKING:
    from tunesmith.doctor.probes.watcher import Watcher

KEPT_BYTES = 64 * 2**20  # of the batches since the last update, in references; assumption
GRADIENT_BYTES = 16 * 2**20  # of what comes back to the outputs; assumption
BUFFER_SIZE = (
    2**16
)  # numbers of a buffer that is looked at after each call: statistics of norms are smaller; assumption
WEIGHT_BYTES = 4 * 2**30  # a larger model is not copied, even once; assumption
RING_BYTES = 64 * 2**20  # of weights kept on a device at each update while all is finite; assumption
CREDIT = 0.01  # seconds of looks at gradients before the share of time counts; assumption: the first updates are those that fail most
FEW = 64  # numbers that are quicker fetched one by one than put together
UNREAD = 12  # numbers of a device that are waited for; assumption: a device is not further behind
AT_MOST = 3  # origins that are told of one run
SKIPPED = 25  # updates left out in a row: more than loss scaling needs, 2^16 halved to below 1


@dataclass(slots=True, kw_only=True, eq=False)
class _Seen:
    """Something that is not finite, or a number of a device that is not known yet, and what is needed to go through its batch again."""

    step: int
    calls: list[Call]
    prior: list[Call] = field(default_factory=list)  # of the update before
    weights: list[Tensor] | None = None  # of this step, where they may have changed since
    bad: list[str] = field(default_factory=list)  # parameters whose gradient is not finite
    gradient: bool = False  # a gradient is what was measured
    value: Tensor | None = None
    event: Any = None
    loss: float | None = None
    given: Any = None
    target: Any = None

    def ready(self, behind: int, late: int) -> bool:
        return bool(self.event.query()) if self.event is not None else behind >= late

    def told(self, loss: float | None, given: Any, target: Any) -> "_Seen":
        """With what is known of its loss."""
        self.loss, self.given, self.target = loss, given, target
        return self

    @property
    def lost(self) -> bool:
        return self.value is not None and not math.isfinite(float(self.value))


COMPILED = ("_before_call", "_after_call", "_before_loss")  # hooks that a compiler may run on stand-ins


class _Door:
    """A hook that does not keep the watch alive; a copy or pickle of what it hangs on has a blind one."""

    def __init__(self, watch: "FiniteWatch", name: str, *first: Any) -> None:
        self._watch, self._name, self._compiled, self._first = weakref.ref(watch), name, name in COMPILED, first

    def __call__(self, *given: Any) -> None:
        watch = self._watch()
        if watch is not None and not (self._compiled and unreal()):
            getattr(watch, self._name)(*self._first, *given)

    def __reduce__(self) -> tuple[Any, ...]:
        return (Blind, ())

    def __deepcopy__(self, memo: Any) -> Blind:
        return Blind()


class FiniteWatch:
    """An onlooker of a watcher: `watcher.register(FiniteWatch(…))`, then `attach`. `detach` takes its hooks away.

    What it finds stands in `origins`, and in the facts of the run as `nonfinite`. `passing` is called with the model at each of its passes.
    """

    def __init__(
        self,
        model: nn.Module,
        optimizers: Sequence[torch.optim.Optimizer],
        *,
        loss_fn: Any = None,
        facts: dict[str, Any] | None = None,
        first_step: int = 0,
        share: float = 0.01,
        late: int = 0,
    ) -> None:
        self._model = weakref.ref(model)
        self._optimizers = [weakref.ref(whole(one)) for one in optimizers]
        self._stepped: set[int] = set()
        self.loss_fn = loss_fn
        self.origins: list[Origin] = []
        self._over = sharded(inside(model))  # training is spoiled, or enough was told
        self.steps = first_step  # updates made
        self._first = first_step
        self.late = late  # updates by which numbers arrive late where the device is the processor: for tests
        self._facts = facts
        self._names: weakref.WeakKeyDictionary[nn.Module, str] = weakref.WeakKeyDictionary({entry(model): ""})
        self._calls: list[Call] = []
        self._last: list[Call] = []
        self._count = 0
        self._evaluated = 0
        self._updated = False
        self._skipped = 0
        self._target: Any = None
        self._target_seen = False  # and the loss function is known
        self._caught: _Seen | None = None
        self._unread: deque[_Seen] = deque()
        self._before: Call | None = None  # the last call in training, while the buffers after it were not looked at
        self._loss: weakref.ref[Tensor] | None = None  # run backwards last
        self._in_loss: InLoss | None = None
        self._said: _Seen | None = None  # told of before the update that it belongs to
        self._tap = Tap(_Door(self, "_run_backwards"), after=False)
        self.share = share
        self._credit, self._cost, self._ended, self._gap = CREDIT, 0.0, time.perf_counter(), 0.0
        self._due = True  # the gradients of this update are looked at
        self._small: bool | None = None  # the weights fit into what may be kept of them
        self._sound = first_step  # the last update whose gradients were found finite
        self._kept: tuple[int, list[Tensor] | None] = (0, None)  # weights of some updates ago
        self._last_target: Any = None
        self._edge: str | None = None  # the operation of the loss that comes to the end of its domain most often
        self._rates = Rates()
        self._start = sizes(self._inner)
        self._broken_before = frozenset[str]() if self._over or self._gone() else frozenset(self._broken())
        self._sound_buffers = [
            (module, short, f"{name}.{short}" if name else short)
            for name, module in self._inner.named_modules()
            for short, one in module._buffers.items()
            if one is not None and one.is_floating_point() and one.numel() <= BUFFER_SIZE and finite(one)
        ]
        self._handles: list[Any] = []
        self._after: list[Any] = []  # hooks after a call, where its result is looked at
        self._draws = False  # a training pass whose end was seen has drawn random numbers
        self.passing: Callable[[nn.Module], None] | None = None

    @property
    def _inner(self) -> nn.Module:
        model = self._model()
        assert model is not None, "asked only from within a call or an update of the model"
        return inside(model)

    @property
    def optimizers(self) -> list[torch.optim.Optimizer]:
        """Those that are still there."""
        return [one for reference in self._optimizers if (one := reference()) is not None]

    @property
    def latest(self) -> tuple[Any, Any]:
        """What the model was called with last (arguments, named arguments), and the target of the loss; None where unknown."""
        call = self._calls[-1] if self._calls else None
        return None if call is None else (call.args, call.kwargs), self._target

    def attach(self, beside: "Watcher | None" = None) -> None:
        """Begins; told of updates by the watcher `beside`, which has hooks of its own on the same optimizers, where there is one."""
        self._hook_roots()
        self._tap.open()
        weakref.finalize(self, self._tap.close)
        if isinstance(self.loss_fn, nn.Module):
            self._handles.append(self.loss_fn.register_forward_pre_hook(_Door(self, "_before_loss")))
        if beside is not None:
            beside.early.append((self._before_update, self._after_update))
            return
        for optimizer in self.optimizers:
            self._handles.append(optimizer.register_step_pre_hook(_Door(self, "_before_update")))
            self._handles.append(optimizer.register_step_post_hook(_Door(self, "_after_update")))

    def detach(self) -> None:
        if self._unread and self._unread[-1].event is not None:
            self._unread[-1].event.synchronize()
        self.late = 0
        if self._model() is not None:
            self._read(all_of_it=True)
            self._look_at_weights()
        self._tap.close()
        for handle in (*self._handles, *self._after):
            handle.remove()
        self._handles, self._after, self._over = [], [], True
        self._forget()

    def _look_at_weights(self) -> None:
        """At the end: weights that the loss of no update has shown."""
        if self._over or self.steps == self._first or self._gone():
            return
        broken = [name for name in self._broken() if name not in self._broken_before]
        if broken:
            seen = _Seen(step=self.steps + 1, calls=[], prior=list(self._last))
            self._tell(self._of_broken(seen, broken))

    def _gone(self) -> bool:
        """The weights lie where nothing can be read of them."""
        return any(one.is_meta or nn.parameter.is_lazy(one) for one in self._inner.parameters())

    def _hook_roots(self) -> None:
        for root in list(self._names):
            if getattr(root, "_compiled_call_impl", None) is None:  # else hooks would be compiled along
                before = _Door(self, "_before_call", self._names[root])
                self._handles.append(root.register_forward_pre_hook(before, with_kwargs=True))

    def _see_results(self, wanted: bool) -> None:
        """Hooks after a call, changed from within the hook before it: torch takes a call's later hooks when it comes to them."""
        if wanted and not self._after:
            self._after = [root.register_forward_hook(_Door(self, "_after_call")) for root in list(self._names)]
        elif not wanted and self._after:
            for handle in self._after:
                handle.remove()
            self._after = []

    # around a call of the model

    def _before_call(self, name: str, root: nn.Module, args: Any, kwargs: Any) -> None:
        if Replaying.now:
            return
        if self.passing is not None and not name:
            self.passing(root)
        if self._over:
            self._see_results(False)
            return
        if self._before is not None:
            self._look_at_buffers()
        self._count += 1
        training = root.training and torch.is_grad_enabled()
        seen = not training or self._due or self._edge is None or bool(self._sound_buffers)
        self._see_results(seen)
        call = call_of(root, args, kwargs, self._count, draws=self._draws or seen)
        call.name, call.step, call.training = name, self.steps + 1, training
        if self._updated and call.training:
            self._calls, self._updated = [], False
        self._calls.append(call)
        while len(self._calls) > 1 and sum(one.bytes for one in self._calls) > KEPT_BYTES:
            del self._calls[0]

    def _after_call(self, root: nn.Module, args: Any, result: Any) -> None:
        if self._over or Replaying.now or not self._calls:
            return
        call, made = self._calls[-1], [result] if isinstance(result, Tensor) else floats(result)
        if not call.training:
            self._calls.pop()
            self._evaluated += 1
            if not made or made[0].is_cuda or not any(_broken(one) for one in made):
                return
            if not self._told("evaluation", "buffer"):
                self._at_evaluation(call)
            return
        if self._sound_buffers and not self._told("buffer"):
            self._before = call
        if not self._draws and call.random is not None:
            self._draws = call.device_random is not None or not torch.equal(call.random, torch.get_rng_state())
        call.ends = [one.grad_fn._sequence_nr() for one in made if one.grad_fn is not None]
        if not self._due or self._target_seen:
            return
        for one in made:
            if one.grad_fn is not None and one.numel() * one.element_size() <= GRADIENT_BYTES:
                one.retain_grad()
                call.outputs.append(one)

    def _before_loss(self, module: nn.Module, args: Any) -> None:
        if not Replaying.now and len(args) == 2:
            self._target = args[1]

    def _look_at_buffers(self) -> None:
        """What the last call in training left in the buffers: only evaluation would read it, an epoch later."""
        call, self._before = self._before, None
        if call is None or self.late:
            return
        for module, short, _ in self._sound_buffers:
            one = module._buffers[short]
            if one is not None and not one.is_cuda and not math.isfinite(one.sum().item()) and not finite(one):
                replay = self._replay(call)
                replay.of_buffers = True
                self._tell(looked_into(replay, step=call.step, grown={}))
                return  # on a device: found at the evaluation, without its step

    def _at_evaluation(self, call: Call) -> None:
        broken = [name for name in self._broken() if name not in self._broken_before]
        if broken:
            self._tell(self._of_weights(self.steps, broken, None))
            return
        found = looked_into(self._replay(call), step=self.steps, grown=self._grown(None))
        self._tell(found and replace(found, batch=self._evaluated))

    def _run_backwards(self, tensors: Any, before: bool) -> None:
        """Told of the loss while its graph still keeps what its operations were given."""
        if not before or self._over or Replaying.now:
            return
        loss = tensors if isinstance(tensors, Tensor) else next(iter(tensors), None)
        if not isinstance(loss, Tensor) or loss.numel() != 1 or loss.grad_fn is None:
            return
        self._loss = weakref.ref(loss)
        if self._due and self._edge is None:
            self._edge = edge(between(loss, [one for call in self._calls for one in call.ends]))
        if not loss.is_cuda and not self.late and not math.isfinite(loss.item()):
            self._in_loss = born_between(between(loss, [one for call in self._calls for one in call.ends]))
            self._caught = self._caught or self._catch()

    # around an update

    def _before_update(self, optimizer: torch.optim.Optimizer, *_: Any) -> None:
        if self._over or Replaying.now:
            return
        step = self.steps + 1
        wrong = self._rates.look(optimizer)
        if wrong is not None:
            self._tell(replace(wrong, step=step, noticed=step))
            return
        if self._caught is not None:
            self._caught.bad, self._caught.gradient = self._caught.bad or self._bad(), True
            return
        if not self._due or getattr(optimizer, "found_inf", None) is not None:
            return  # the scaler of the loss looks for itself, and leaves the update out
        began = time.perf_counter()
        self._look_at_gradients(optimizer, step)
        looked = time.perf_counter()
        self._pay(looked - began)
        self._credit -= time.perf_counter() - looked  # what keeping the weights took

    def _look_at_gradients(self, optimizer: torch.optim.Optimizer, step: int) -> None:
        held = [one.grad for group in optimizer.param_groups for one in group["params"] if one.grad is not None]
        gradients = [one for one in held if one.layout == torch.strided]
        if not gradients:
            return
        sizes_of = torch._foreach_norm(gradients)
        if len(sizes_of) <= FEW and not gradients[0].is_cuda and not self.late:
            total = sum(one.item() for one in sizes_of)
            if math.isfinite(total):
                self._sound = step
                return
        size = torch.stack([one.float() for one in sizes_of]).sum()
        if size.is_cuda or self.late:
            small = _bytes(list(self._inner.parameters())) <= RING_BYTES
            seen = _Seen(
                step=step, calls=list(self._calls), weights=_copied(self._inner) if small else None, gradient=True
            )
            self._wait_for(seen, size)
        elif not math.isfinite(float(size)) and not all(finite(one) for one in gradients):
            self._caught = self._catch()
            self._caught.bad, self._caught.gradient = self._bad(), True
            if self._said is not None:
                self._look_into(self._caught.told(self._said.loss, self._said.given, self._said.target))

    def _catch(self) -> _Seen:
        """The state as it is before the update."""
        return _Seen(step=self.steps + 1, calls=list(self._calls), prior=list(self._last), weights=_copied(self._inner))

    def _bad(self) -> list[str]:
        """The parameters whose gradient is not finite."""
        named = self._inner.named_parameters()
        return [name for name, one in named if one.grad is not None and not finite(one.grad)]

    def _after_update(self, optimizer: torch.optim.Optimizer, *_: Any) -> None:
        self._stepped.add(id(optimizer))
        if len(self._stepped) < len(self._optimizers) or Replaying.now:
            return
        self._stepped.clear()
        self.steps += 1
        self._last, self._updated, self._skipped, self._said = self._calls, True, 0, None
        self._plan()
        if self.steps > self._first + 1 or self._count:
            return
        inner = self._inner
        if not is_compiled(inner):  # the loop calls parts of the model, never the whole
            parts = {one: name for name, one in inner.named_modules() if _part(inner, name, one)}
            self._see_results(False)
            self._names = weakref.WeakKeyDictionary(parts)
            self._hook_roots()

    def _plan(self) -> None:
        """Decides whether the gradients of the coming update are looked at: as often as the share of time allows."""
        now = time.perf_counter()
        self._credit = min(self._credit + self.share * (now - self._ended), CREDIT)
        self._gap, self._ended = now - self._ended, now
        self._due = self._credit >= self._cost or bool(self.late)

    def _pay(self, seconds: float) -> None:
        """For a look at gradients; where the next one is not paid for, the weights are kept for the updates in between."""
        self._credit -= seconds if self._cost else 0.0  # the first look is dear, and free
        self._cost = min(seconds, 1.1 * self._cost) if self._cost else seconds
        if self._credit + self.share * self._gap < self._cost and self._caught is None and not self.late:
            inner = self._inner
            if self._small is None:
                self._small = _bytes(list(inner.parameters())) <= RING_BYTES
            if self._small:
                self._kept = (self.steps, _copied(inner))

    def __call__(self, moment: Any) -> Iterable[Signal] | None:
        """What became of the update, with its loss."""
        self._facts, self.steps = moment.facts, moment.step
        if not self._over:
            self._after_step(moment)
        self._last_target = moment.target if moment.target is not None else self._target
        self._target = self._in_loss = None
        if self.origins:
            self._write()
        return None

    def _after_step(self, moment: Any) -> None:
        target = moment.target if moment.target is not None else self._target
        self._target_seen = self.loss_fn is not None and target is not None
        plain = self._updated and self._caught is None and isinstance(moment.loss, float)
        if plain and math.isfinite(moment.loss):
            return
        given = self._loss() if self._loss is not None else None
        step = self.steps if self._updated else self.steps + 1
        now = _Seen(step=step, calls=list(self._last if self._updated else self._calls), given=given, target=target)
        if isinstance(moment.loss, Tensor) and (moment.loss.is_cuda or self.late):
            self._wait_for(now, moment.loss.detach())
            self._read()
            return
        now.loss = None if moment.loss is None else float(moment.loss)
        lost = now.loss is not None and not math.isfinite(now.loss)
        caught, self._caught = self._caught, None
        if caught is not None and (caught.gradient or lost or now.loss is None):
            self._look_into(caught.told(now.loss, given, target))
        elif lost:
            self._skipped += not self._updated
            self._look_into(now)
        if not self._updated:
            self._said = now

    # numbers of a device

    def _wait_for(self, seen: _Seen, value: Tensor) -> None:
        """Sends a number on its way to the processor."""
        seen.value = value.detach()
        if value.is_cuda:
            seen.value = torch.empty((), dtype=value.dtype, pin_memory=True)
            seen.value.copy_(value.detach(), non_blocking=True)
            seen.event = torch.cuda.Event()  # type: ignore[no-untyped-call]
            seen.event.record()
        self._unread.append(seen)
        while len(self._unread) > UNREAD:
            self._unread.popleft()

    def _read(self, all_of_it: bool = False) -> None:
        """Looks at what has arrived, a step at a time: its gradient and its loss."""
        while self._unread and not self._over:
            step = self._unread[0].step
            own = [one for one in self._unread if one.step == step]
            gradient = next((one for one in own if one.gradient), None)
            loss = next((one for one in own if not one.gradient), None)
            whole = (gradient is not None and loss is not None) or len(own) < len(self._unread) or all_of_it
            if not whole or not all(one.ready(self.steps - step, self.late) for one in own):
                return
            for one in own:
                self._unread.remove(one)
            loss = loss or _Seen(step=step, calls=[])
            if loss.value is not None:
                loss.loss = float(loss.value)
            if gradient is None:
                self._skipped += loss.lost
                if loss.lost:
                    self._look_into(loss)
            elif gradient.lost or loss.lost:
                self._look_into(gradient.told(loss.loss, loss.given, loss.target))

    # what is behind it

    def _look_into(self, seen: _Seen) -> None:
        found = self._origin(seen)
        if found is not None and found.why == "bad_weight":  # it was there before the first update
            found = replace(found, step=self._first, fault="init.bad_scale")
        turned = turned_by_decay(self.optimizers) if found is not None and found.why == "exploding" else None
        if found is not None and turned is not None:
            numbers = {**found.numbers, "decay_times_rate": turned}
            found = replace(found, why="decay_explodes", fault="reg.too_strong", numbers=numbers)
        self._tell(found)

    def _origin(self, seen: _Seen) -> Origin | None:
        values = seen.weights if seen.weights is not None else [one.detach() for one in self._inner.parameters()]
        broken = [name for name in self._broken(values) if name not in self._broken_before]
        if broken:
            return self._of_broken(seen, broken)
        grown, failed = self._grown(seen.weights), ""
        for call in seen.calls:
            replay = self._replay(call, seen.weights)
            if self.loss_fn is not None and call is seen.calls[-1] and not call.name:
                replay.loss_fn, replay.target = self.loss_fn, seen.target
                found = looked_into(replay, step=seen.step, grown=grown)
                if found is not None:
                    return found
                replay.loss_fn, replay.target = None, None
            found = looked_into(replay, step=seen.step, grown=grown)
            if found is not None and found.why != "bad_gradient":
                return found
            failed = failed or replay.failed
        if failed:
            return Origin(
                module="", direction="forward", why="not_replayed", fault="loss.nonfinite", step=seen.step, code=failed
            )
        if _many():
            return None  # what came in is that of another process, which tells it
        if not seen.gradient and not self._updated and self._skipped <= SKIPPED:
            return None  # one update left out: loss scaling does this
        last = self._replay(seen.calls[-1], seen.weights) if seen.calls else None
        return loss_origin(
            seen.step, seen.calls, seen.loss, seen.given, self._inner, seen.bad, seen.target, last, self._in_loss
        )

    def _broken(self, values: Sequence[Tensor] | None = None) -> list[str]:
        """The parameters that are not finite."""
        named = list(self._inner.named_parameters())
        held = [one.detach() for _, one in named] if values is None else values
        return [name for (name, _), one in zip(named, held, strict=True) if not finite(one)]

    def _of_broken(self, seen: _Seen, broken: list[str]) -> Origin:
        """Weights that are not finite before the update: of the one before it, or of one whose gradients nobody looked at."""
        step = seen.step - 1
        found = self._of_unseen_gradient(step, seen.prior)
        if found is None:
            found = self._of_weights(step, broken, seen.weights, noticed=seen.step)
        unseen = self._sound < step and found.why == "weights_changed"
        if unseen and self._edge in SLOPED and self._edge != "Div":
            slope = SLOPED[str(self._edge)]
            found = replace(found, module="loss", direction="backward", op=str(self._edge), why=slope)
        elif unseen:
            found = replace(found, module="gradients", why="gradients_unseen")
        return replace(found, not_before=self._sound + 1) if self._sound + 1 < step else found

    def _of_unseen_gradient(self, step: int, calls: Sequence[Call]) -> Origin | None:
        """A gradient that nobody looked at may have spoiled the weights: its batch is gone through on weights kept some updates ago."""
        kept, weights = self._kept
        if step < 1 or self._sound >= step or weights is None:
            return None
        for call in calls:
            replay = self._replay(call, weights)
            if self.loss_fn is not None and call is calls[-1] and self._last_target is not None and not call.name:
                replay.loss_fn, replay.target = self.loss_fn, self._last_target
            found = looked_into(replay, step=step, grown=self._grown(weights))
            if found is not None and found.why not in ("bad_gradient", "exploding"):
                return replace(found, noticed=step + 1, numbers={**found.numbers, "weights_of": kept})
        return None

    def _of_weights(
        self, step: int, broken: list[str], weights: Sequence[Tensor] | None, noticed: int | None = None
    ) -> Origin:
        named = dict(self._inner.named_parameters())
        values = [one.detach() for one in named.values()] if weights is None else weights
        held = dict(zip(named, values, strict=True))
        return of_update(
            step, broken, named, held, self.optimizers, self._start, noticed=self.steps if noticed is None else noticed
        )

    def _replay(self, call: Call, weights: Sequence[Tensor] | None = None) -> Replay:
        root = next(one for one, name in self._names.items() if name == call.name)
        own = None
        if weights is not None:
            by_name = dict(zip((name for name, _ in self._inner.named_parameters()), weights, strict=True))
            front = f"{call.name}." if call.name else ""
            own = [by_name[front + name] for name, _ in inside(root).named_parameters()]
        sound = frozenset(name for _, _, name in self._sound_buffers)
        return Replay(model=root, call=call, weights=own, sound_buffers=sound)

    def _grown(self, weights: Sequence[Tensor] | None) -> Mapping[str, float]:
        """By how much each weight has grown since the start."""
        now = sizes(self._inner, weights)
        return {name: now[name] / was for name, was in self._start.items() if was > 0 and math.isfinite(now[name])}

    def _told(self, *directions: str) -> bool:
        return any(one.direction in directions for one in self.origins)

    def _tell(self, found: Origin | None) -> None:
        if found is None:
            return
        self.origins.append(found)
        spoiled = found.direction not in ("evaluation", "buffer")
        self._over = self._over or spoiled or len(self.origins) >= AT_MOST
        self._write()
        if self._over:
            self._forget()

    def _write(self) -> None:
        if self._facts is not None:
            self._facts["nonfinite"] = [one.as_dict() for one in self.origins]

    def _forget(self) -> None:
        self._calls, self._last, self._caught, self._before = [], [], None, None
        self._unread.clear()


def sizes(model: nn.Module, weights: Sequence[Tensor] | None = None) -> dict[str, float]:
    """The root mean square of each weight; not of biases, which begin at 0 or near it."""
    found: dict[str, float] = {}
    for place, (name, one) in enumerate(model.named_parameters()):
        if one.dim() > 1 and one.numel() and one.layout == torch.strided and not nn.parameter.is_lazy(one):
            values = weights[place] if weights is not None else one.detach()
            found[name] = float(torch.linalg.vector_norm(values.float())) / values.numel() ** 0.5
    return found


def sharded(model: nn.Module) -> bool:
    """Whether the model cannot be looked at without talking to other processes: its weights lie there, or norms gather over them."""
    if not _many():
        return False
    kinds = [type(one).__name__ for one in model.modules()]
    return any("FullySharded" in kind or kind == "SyncBatchNorm" for kind in kinds) or any(
        hasattr(one, "device_mesh") for one in model.parameters()
    )


def _many() -> bool:
    """Whether several processes train together."""
    spread = torch.distributed.is_available() and torch.distributed.is_initialized()
    return spread and torch.distributed.get_world_size() > 1


def _part(model: nn.Module, name: str, one: nn.Module) -> bool:
    """Whether a module is one of the parts nearest to the model that can be called."""
    holders = (nn.ModuleList, nn.ModuleDict)
    if not name or isinstance(one, holders):
        return False
    above = [name.rsplit(".", cut)[0] for cut in range(1, name.count(".") + 1)]
    return all(isinstance(model.get_submodule(path), holders) for path in above)


def _bytes(tree: Any) -> int:
    return sum(one.numel() * one.element_size() for one in tree_leaves(tree) if isinstance(one, Tensor))


def _broken(values: Tensor) -> bool:
    """As `breaks`, at the price of one sum where all is finite."""
    total = values.detach().sum()
    return not bool(torch.isfinite(total)) and breaks(values.detach())


def _copied(model: nn.Module) -> list[Tensor] | None:
    held = [one.detach() for one in model.parameters()]
    if _bytes(held) > WEIGHT_BYTES:
        return None
    try:
        return [one.clone() for one in held]
    except torch.OutOfMemoryError:
        return None
