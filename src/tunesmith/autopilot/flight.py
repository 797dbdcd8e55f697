"""What the stages share: the task and its data, the budget, the ledger, the candidates so far, and the hands of other rooms."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from tunesmith.autopilot.decision import Decision
from tunesmith.autopilot.judging import Scorer
from tunesmith.autopilot.ledger import Ledger
from tunesmith.autopilot.nets import Nets, best_of
from tunesmith.autopilot.purse import Purse
from tunesmith.data.spec import Array, Prepared
from tunesmith.records import Findings, Recipe, Task
from tunesmith.search.subject import Subject

if TYPE_CHECKING:
    from tunesmith.autopilot.program.losses import Losses

JUDGEMENT = 0.02  # of the seconds, kept for the last judgement; assumption


@dataclass(frozen=True, kw_only=True)
class Hands:
    """What rooms below the autopilot do for it."""

    audit: Callable[..., Findings]
    preflight: Callable[..., Findings]
    repair: Callable[..., Any]
    search: Callable[..., Any]
    subject: Callable[..., Subject]  # (task, recipe, share of the rows, other targets of them, seed of the split)


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A model that might be handed over: a net's run, or a simple model in a file, and what it says of the validation rows."""

    name: str
    kind: str  # net, linear, boosted, constant, program
    place: str  # below the folder of the tuning: a run, or an .npz; "" for the constant
    said: Array  # (N, C), or values in the target's unit
    score: float
    recipe: Any = None  # as `Flying.recipe`; None of what is no net
    step: int | None = None  # of the weights that were set aside, where they are not the best of the run


@dataclass(kw_only=True)
class Flying:
    """What every tuning under way has, whatever is tuned."""

    purse: Purse
    ledger: Ledger
    hands: Hands
    scorer: "Scorer | Losses"
    seed: int
    without: ClassVar[frozenset[str]] = frozenset()  # stages that no part of the budget is planned for
    recipe: Any  # what is altered, as far as it is decided: a `Recipe`; of a program the ways in which it is changed
    epochs: int = 0  # of a full training
    pace: float = 0.0  # seconds an epoch
    overhead: float = 0.0  # seconds of beginning a training
    candidates: list[Candidate] = field(default_factory=list)
    net: Candidate | None = None  # the best net so far
    tries: int = 0  # changes that were weighed on the same validation rows
    found: dict[str, Any] = field(default_factory=dict)  # what a stage leaves for later ones, by the name of the stage

    @property
    def folder(self) -> Any:
        """Where everything lies."""
        return self.ledger.folder

    def decide(self, stage: str, title: str, because: str, **about: Any) -> None:
        """Writes a decision down."""
        self.ledger.decide(Decision(stage=stage, title=title, because=because, **about))

    def add(self, candidate: Candidate) -> Candidate:
        """Takes in a candidate."""
        self.candidates.append(candidate)
        return candidate

    def called(self, name: str) -> Candidate | None:
        """The candidate of that name."""
        return next((one for one in self.candidates if one.name == name), None)

    def over(self) -> bool:
        """Whether the whole budget is spent but for the judgement: a training is cut for that alone."""
        return self.purse.timed and self.purse.left() <= JUDGEMENT * self.purse.total

    def price(self, epochs: float) -> float:
        """What a training of so many epochs costs, in the unit of the budget."""
        return epochs * self.pace + self.overhead if self.purse.timed else epochs

    def affords(self, epochs: float, keep: float = 0.05) -> bool:
        """Whether a training of so many epochs can be paid, and a share of the budget is left."""
        return self.price(epochs) <= self.purse.left() - keep * self.purse.total

    def pays(self, step: str, epochs: float, keep: float = 0.05) -> bool:
        """`affords`, asked once for a step and kept: gone through again after a kill, the clock is not asked another time."""
        found = self.ledger.once(f"plan/{step}", lambda: {"paid": self.affords(epochs, keep)})
        return bool(found["paid"])

    def shown(self, score: float) -> str:
        """A score with the name of its metric."""
        return f"{self.scorer.name} {score:.4f}"


@dataclass(kw_only=True)
class Flight(Flying):
    """One tuning of a task under way."""

    task: Task
    scorer: Scorer
    recipe: Recipe  # settled: what the net is trained with
    prepared: Prepared
    nets: Nets
    context: Mapping[str, Any]  # what is known of the training, as the rules of thumb call it

    def net_of(
        self,
        name: str,
        title: str,
        recipe: Recipe,
        epochs: int | None = None,
        *,
        share: float = 1.0,
        targets: Array | None = None,
        kept: Sequence[int] = (),
    ) -> tuple[Candidate | None, dict[str, Any]]:
        """Trains a net as the step `name`; the candidate `title`, None where the training broke.

        One that sees a `share` of the training rows alone is no candidate for being handed over. `targets` and `kept` as `Nets.trained` has them.
        """
        length = self.epochs if epochs is None else epochs
        found = self.nets.trained(name, recipe, length, self.over, share=share, targets=targets, kept=kept)
        if best_of(found) is None:
            return None, found
        said, _, _ = self.nets.said(found["run"], self.prepared.val)
        made = Candidate(
            name=title, kind="net", place=found["run"], said=said, score=self.scorer.score(said), recipe=recipe
        )
        return made if share < 1 else self.add(made), found

    def snapshots(self, title: str, recipe: Recipe, found: Mapping[str, Any]) -> list[Candidate]:
        """The weights that a training set aside, as candidates."""
        about: dict[str, Any] = {"kind": "net", "place": found["run"], "recipe": recipe}
        made = []
        for number, step in enumerate(found.get("snapshots", ()), start=1):
            said, _, _ = self.nets.said(found["run"], self.prepared.val, step)
            one = Candidate(name=f"{title} {number}", said=said, score=self.scorer.score(said), step=step, **about)
            made.append(self.add(one))
        return made
