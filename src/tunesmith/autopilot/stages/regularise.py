"""Regularise against the validation gap: one change at a time on the best net, each kept only with evidence."""

from collections.abc import Iterator

from tunesmith.autopilot.flight import Flight
from tunesmith.autopilot.planning import planned
from tunesmith.autopilot.stages.plain import standing
from tunesmith.autopilot.stages.trying import Way, nets_one_by_one
from tunesmith.records import Recipe, Source

GAP = 0.1  # (validation - training loss) / training loss, above which a net is said to know its rows better than others; assumption
LATE = 0.5  # an average over the end is no answer where the best epoch came in the first half
CLASSED = ("binary", "multiclass", "multilabel")
WHY = Source("revised", "autopilot, regularise")


def regularise(flight: Flight) -> None:
    """Tries what narrows the gap, in the order of its price, while the stage has budget; or a larger net where there is no gap."""
    amount = planned(flight, "regularise")
    if flight.net is None:
        return
    about = standing(flight.found["net"]) if "net" in flight.found else flight.found.get("plain", {})
    gap = about.get("gap")
    over = gap is None or gap > GAP or (about.get("rising") or 0) > GAP / 2
    tried = nets_one_by_one(flight, "regularise", changes(flight, over), amount, WHY)
    if not tried:
        flight.decide(
            "regularise",
            "nothing is regularised",
            "there was no budget for a whole training, or no change that fits this net",
            taken=False,
        )


def changes(flight: Flight, over: bool) -> Iterator[Way]:
    """What is tried, from the recipe as it stands then; read anew after each, for one that was kept is built upon."""
    names = (_averaged, _augmented, _dropout, _decay, _smoothed, _smaller) if over else (_averaged, _larger, _augmented)
    for make in names:
        found = make(flight.recipe, flight)
        if found is not None:
            yield found


Offer = Way | None


def _averaged(recipe: Recipe, flight: Flight) -> Offer:
    about = standing(flight.found["net"]) if "net" in flight.found else flight.found.get("plain", {})
    if recipe.train.swa is not None or recipe.train.ema is not None or about.get("late", 1.0) < LATE:
        return None
    return "an average of the weights over the last quarter", {"train.swa": 0.75}


def _augmented(recipe: Recipe, flight: Flight) -> Offer:
    """Rows changed at random: pictures mirrored, tables with noise and mixed by pairs, words left out and swapped."""
    if recipe.data.augment not in ("auto", "none", "shift"):
        return None
    spec = flight.prepared.spec
    if "pictures" in spec:
        return None if flight.prepared.kind not in CLASSED else ("mirrored pictures", {"data.augment": "flip_shift"})
    if "tokens" in spec:
        return "words left out and swapped", {"data.augment": "token_dropout+token_swap"}
    if "numbers" in spec:
        return "noise, and rows mixed by pairs", {"data.augment": "noise+mixup"}
    return None


def _dropout(recipe: Recipe, flight: Flight) -> Offer:
    if recipe.model.dropout == "auto" or not isinstance(flight.task.model, str) or recipe.model.pretrained is not None:
        return None
    rate = min(0.6, round(float(recipe.model.dropout) + 0.2, 3))
    return f"dropout {rate:g}", {"model.dropout": rate}


def _decay(recipe: Recipe, flight: Flight) -> Offer:
    if recipe.optim.weight_decay == "auto":
        return None
    decay = min(1.0, max(1e-3, 10 * float(recipe.optim.weight_decay)))
    return f"weight decay {decay:.3g}", {"optim.weight_decay": decay}


def _smoothed(recipe: Recipe, flight: Flight) -> Offer:
    named = flight.task.loss if flight.task.loss != "auto" else recipe.loss.name
    if flight.prepared.kind != "multiclass" or named not in ("auto", "cross_entropy") or recipe.loss.label_smoothing:
        return None
    return "labels smoothed by 0.1", {"loss.label_smoothing": 0.1}


def _smaller(recipe: Recipe, flight: Flight) -> Offer:
    if recipe.model.width == "auto" or not isinstance(flight.task.model, str) or recipe.model.pretrained is not None:
        return None
    heads = 1 if recipe.model.heads == "auto" else int(recipe.model.heads)
    width = max(heads, int(recipe.model.width) // 2 // heads * heads)
    return None if width < 8 else (f"half the width, {width}", {"model.width": width})


def _larger(recipe: Recipe, flight: Flight) -> Offer:
    if recipe.model.width == "auto" or not isinstance(flight.task.model, str) or recipe.model.pretrained is not None:
        return None
    return f"twice the width, {2 * int(recipe.model.width)}", {"model.width": 2 * int(recipe.model.width)}
