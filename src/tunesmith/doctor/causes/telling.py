"""Findings of the experiments."""

from collections.abc import Iterator, Sequence

from tunesmith.doctor.causes.case import Case
from tunesmith.doctor.causes.catalogue import Experiment
from tunesmith.doctor.causes.change import Change
from tunesmith.records import Evidence, Finding, Remedy, Safety
from tunesmith.records.finding import Severity

SOURCE = "paired trainings with the same rows in the same order"
AT_CHANCE = 0.1  # of what the reference gains over chance: the run is spoiled; as the fault list's plateau
FIRST, LATER, VAGUE = (
    0.9,
    0.5,
    0.4,
)  # confidence of the first cure, of others, of another optimizer; assumption, to be calibrated


def cured(
    case: Case, experiment: Experiment, change: Change, after: str | None, count: int, idle: Sequence[str]
) -> Finding:
    """A single change that cures; `after` is the fault whose undoing cures as well and stands first."""
    base, found, again = case.base(), case.train(change), case.train(change, seed=1)
    assert found is not None
    assert again is not None
    values = _values(case, experiment, change) | {
        "score": _shown(case, base),
        "better": _shown(case, found),
        "before": _shown(case, case.base(1)),
        "again": _shown(case, again),
    }
    fault = experiment.undoes(change)
    return Finding(
        fault=fault,
        severity=_severity(case) if change.sure else "warning",
        message=experiment.message(change),
        values=values,
        evidence=(
            Evidence(name=_name(case), value=_shown(case, base), threshold=_goal(case), source=_reference(case)),
            _changed(case, change, 0),
            _changed(case, change, 1),
            *_controlled(case, change),
        ),
        remedies=(_remedy(case, experiment, change),),
        confidence=_sureness(case, change, after, count),
        caused_by=after,
        status="confirmed" if change.sure else "suspected",
        ruled_out=tuple(one for one in idle if one != fault),
    )


def _sureness(case: Case, change: Change, after: str | None, count: int) -> float:
    """How far a change goes, in the worse of its two trainings; less where others go as far."""
    if not change.sure:
        return VAGUE
    if after is not None:
        return LATER
    went = min(
        min(case.closed(one, seed, change), 1.0) for seed in (0, 1) if (one := case.train(change, seed)) is not None
    )
    return max(LATER, round(FIRST * (0.5 + 0.5 * went) - (0.1 if count > 1 else 0.0), 3))


def in_company(case: Case, experiment: Experiment, change: Change, lost: float, idle: Sequence[str]) -> Finding:
    """One of several changes that cure together and not alone."""
    return Finding(
        fault=experiment.undoes(change),
        severity=_severity(case),
        message="causes.in_company",
        values=_values(case, experiment, change) | {"score": _shown(case, case.base()), "lost": lost},
        evidence=(
            Evidence(name=_name(case), value=_shown(case, case.base()), threshold=_goal(case), source=_reference(case)),
            Evidence(name="share_of_the_cure_lost_without_it", value=lost, source=SOURCE, where=change.name),
        ),
        remedies=(_remedy(case, experiment, change),),
        confidence=0.6,
        status="confirmed",
    )


def unexplained(case: Case, tried: int, idle: Sequence[str]) -> Iterator[Finding]:
    """Short of its reference, and no change cures."""
    apart = case.trouble.kind == "apart"
    if case.reference is None:
        return
    yield Finding(
        fault="fit.overfit" if apart else "fit.underfit",
        severity="warning",
        message="causes.apart" if apart else "causes.unexplained",
        values=_values(case) | {"score": _shown(case, case.base()), "train": case.base().score, "tried": tried},
        evidence=(
            Evidence(name=_name(case), value=_shown(case, case.base()), threshold=_goal(case), source=_reference(case)),
        ),
        remedies=(Remedy(title="remedy.loop_look_at_net", safety=Safety.ADVICE),),
        confidence=0.5,
        status="confirmed" if apart else "suspected",
        ruled_out=tuple(idle),
    )


def _values(case: Case, experiment: Experiment | None = None, change: Change | None = None) -> dict[str, object]:
    reference = case.reference
    return {
        "steps": case.steps,
        "measure": f"word.{_name(case)}",
        "reference": _goal(case),
        "model": f"word.{reference.best.replace(' ', '_')}" if reference is not None else "",
        "change": "" if experiment is None else f"word.change_{experiment.name}",
        **({} if change is None else change.values),
    }


def _severity(case: Case) -> Severity:
    """An error where the run comes to nothing, a warning where it costs score."""
    if case.trouble.kind in ("broken", "stands"):
        return "error"
    reference = case.reference
    near = reference is not None and case.merit(case.base()) < reference.chance + AT_CHANCE * reference.gain
    return "error" if near and case.trouble.kind == "short" and case.share == 1.0 else "warning"


def _shown(case: Case, one: object) -> float:
    value = case.merit(one)  # type: ignore[arg-type]
    return -value if case.trouble.measure == "training loss" else value


def _goal(case: Case) -> float:
    return -case.trouble.goal if case.trouble.measure == "training loss" else case.trouble.goal


def _name(case: Case) -> str:
    return case.trouble.measure.replace(" ", "_")


def _reference(case: Case) -> str:
    return f"{case.reference.best}, cross-validated" if case.reference is not None else "half of the loss at the start"


def _changed(case: Case, change: Change, seed: int) -> Evidence:
    found = case.train(change, seed)
    assert found is not None
    name = f"{_name(case)}_changed" + ("_again" if seed else "")
    return Evidence(
        name=name, value=_shown(case, found), threshold=_shown(case, case.base(seed)), source=SOURCE, where=change.name
    )


def _controlled(case: Case, change: Change) -> Iterator[Evidence]:
    """What the control reaches, which differs from the change in the fault alone."""
    control = None if change.control is None else case.train(change.control)
    if change.control is not None and control is not None:
        where = change.control.name
        yield Evidence(name=f"{_name(case)}_control", value=_shown(case, control), source=SOURCE, where=where)


def _remedy(case: Case, experiment: Experiment, change: Change) -> Remedy:
    recipe = change.recipe if case.bench.recipe is not None else {}
    return Remedy(
        title=experiment.remedy,
        safety=Safety.RISKY if recipe else Safety.ADVICE,
        change=recipe,
        values=change.values,
    )
