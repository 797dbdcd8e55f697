"""To Optuna and from it: a search as an Optuna study, so that `optuna-dashboard` opens it, and an Optuna study as trials of ours.

    to_optuna(space, trials, "sqlite:///studies.db", "first")          # optuna-dashboard sqlite:///studies.db
    space, trials = from_optuna("sqlite:///studies.db", "first")       # Search(…, warm=trials) begins with them

Scores by budget unit are intermediate values (steps count from 1), the best of them is the value. What Optuna has no word for (stopped,
paused, the reason, other measurements) stands in user attributes, from which it comes back as it was. Both ways there is one insertion
for all trials: ten thousand take seconds.
"""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from importlib import import_module
from typing import Any

import numpy as np

from tunesmith.records import DataError, MissingExtra, Trial
from tunesmith.records.plain import plain
from tunesmith.search.distributed import Distributed
from tunesmith.search.domains import Choice, Domain, Fixed, Int, Ordinal, Real, _same
from tunesmith.search.history import SCORE, History, as_history
from tunesmith.search.space import Config, Space, as_space, values_of

MARK = "tunesmith"  # the user attribute with what Optuna has no word for


def optuna_of(who: str = "an Optuna study", instead: str = "") -> Any:
    """The package. Raises `MissingExtra` where it is absent; `who` needs it, and what to do `instead`."""
    try:
        return import_module("optuna")
    except ImportError:
        other = f", or {instead}" if instead else ""
        verb = "" if " " in who and who.split()[-1] == "Optuna" else " needs Optuna"
        raise MissingExtra(f"{who}{verb}, which is not here; pip install 'tunesmith[optuna]'{other}") from None


def to_optuna(
    space: Space | Mapping[str, Domain],
    trials: Sequence[Trial],
    storage: Any = None,
    name: str = "tunesmith",
    *,
    exist_ok: bool = False,
) -> Any:
    """The Optuna study of these trials, which is returned; `storage`: a URL or one of Optuna's storages, None for memory.

    done is COMPLETE, stopped and paused are PRUNED (COMPLETE would say that they came to the end), failed is FAIL, running FAIL too: an
    exported trial runs no more. With `exist_ok` a study of that name is replaced. Raises `DataError` where there is one already, and for
    storages that Optuna cannot open.
    """
    optuna = optuna_of()
    whole, history = as_space(space), as_history(trials)
    target = _storage(optuna, storage)
    if exist_ok and target is not None and name in _names(optuna, target):
        optuna.delete_study(study_name=name, storage=target)
    with _quiet(optuna):
        try:
            study = optuna.create_study(study_name=name, storage=target, direction="minimize")
        except optuna.exceptions.DuplicatedStudyError:
            raise DataError(
                f"the storage has a study called {name!r} already; choose another name, or exist_ok=True"
            ) from None
        study.set_user_attr(MARK, {"space": _space_data(whole), "measured": SCORE})
        distributions = {each: _distribution(optuna, domain) for each, domain in whole.items()}
        frozen = list(_frozen(optuna, whole, history, distributions))
        if not _added_at_once(study, frozen):
            study.add_trials(frozen)
    return study


def from_optuna(storage: Any, name: str | None = None) -> tuple[Space, list[Trial]]:
    """Space and trials of a study: of a storage and a name, or an Optuna `Study`.

    A study of ours comes back as it was. Of another one the space is put together from the distributions of its trials, the widest
    where they differ, and its scores are negated where it maximises. Of a study with several objectives the first is the score, the others
    stand in the records as `value_1`, `value_2`, … Raises `DataError` where there is no such study, or one without parameters.
    """
    optuna = optuna_of()
    study = _opened(optuna, storage, name)
    sign = -1.0 if study.directions[0].name == "MAXIMIZE" else 1.0
    ours = study.user_attrs.get(MARK)
    found = study.get_trials(deepcopy=False)
    space = Space.from_json(ours["space"]) if ours else _space_of(optuna, found)
    return space, [_trial(space, id, one, sign) for id, one in enumerate(found)]


def _storage(optuna: Any, storage: Any) -> Any:
    if storage is None or not isinstance(storage, str):
        return storage
    try:
        return optuna.storages.get_storage(storage)
    except ImportError as missing:
        raise MissingExtra(
            f"the storage {_without_password(storage)} needs a driver: {missing}; pip install it"
        ) from None
    except Exception as error:
        if type(error).__module__.startswith(("sqlalchemy", "optuna")):
            raise DataError(
                f"Optuna cannot open the storage {_without_password(storage)}: {_first_line(error)}"
            ) from error
        raise


def _without_password(url: str) -> str:
    """
    >>> _without_password("postgresql://me:secret@host/db")
    'postgresql://me@host/db'
    """
    head, at, rest = url.rpartition("@")
    scheme, colons, who = head.partition("://")
    return f"{scheme}{colons}{who.split(':')[0]}{at}{rest}" if at else url


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _added_at_once(study: Any, trials: Sequence[Any]) -> bool:
    """Adds all trials to a database by one insertion a table; False where the study is in no database.

    Optuna's own `add_trials` has some fifty statements a trial: measured on SQLite, 40 ms of processor time each. The tables are those
    of Optuna 4 and 5.
    """
    backend = getattr(study._storage, "_backend", study._storage)
    if not hasattr(backend, "engine") or not trials:
        return False
    models = import_module("optuna.storages._rdb.models")
    rows = _rows(models, trials)
    table = models.TrialModel.__table__
    with backend.engine.begin() as connection:
        heads = [
            {"number": number, "study_id": study._study_id, **head} for number, head in enumerate(rows.pop("trials"))
        ]
        connection.execute(table.insert(), heads)
        chosen = table.select().with_only_columns(table.c.number, table.c.trial_id)
        ids = dict(tuple(row) for row in connection.execute(chosen.where(table.c.study_id == study._study_id)))
        for name, content in rows.items():
            if content:
                whole = [{"trial_id": ids[number], **row} for number, row in content]
                connection.execute(models.BaseModel.metadata.tables[name].insert(), whole)
    return True


def _rows(models: Any, trials: Sequence[Any]) -> dict[str, list[Any]]:
    """Rows by table; all but those of `trials` with the number of their trial."""
    to_json = import_module("optuna.distributions").distribution_to_json
    json_of: dict[int, str] = {}
    now = (
        datetime.now(UTC).replace(tzinfo=None) if hasattr(models.TrialModel, "_datetime_start_utc") else datetime.now()
    )
    rows: dict[str, list[Any]] = {"trials": [], "trial_values": [], "trial_params": [], "trial_user_attributes": []}
    rows["trial_intermediate_values"] = []
    for number, trial in enumerate(trials):
        rows["trials"].append({"state": trial.state, "datetime_start": now, "datetime_complete": now})
        if trial.values is not None:
            value, kind = models.TrialValueModel.value_to_stored_repr(trial.values[0])
            rows["trial_values"].append((number, {"objective": 0, "value": value, "value_type": kind}))
        for name, param in trial.params.items():
            distribution = trial.distributions[name]
            said = json_of.setdefault(id(distribution), "") or to_json(distribution)
            json_of[id(distribution)] = said
            inner = distribution.to_internal_repr(param)
            told = {"param_name": name, "param_value": inner, "distribution_json": said}
            rows["trial_params"].append((number, told))
        for key, attribute in trial.user_attrs.items():
            rows["trial_user_attributes"].append((number, {"key": key, "value_json": json.dumps(attribute)}))
        for step, score in trial.intermediate_values.items():
            value, kind = models.TrialIntermediateValueModel.intermediate_value_to_stored_repr(score)
            told = {"step": step, "intermediate_value": value, "intermediate_value_type": kind}
            rows["trial_intermediate_values"].append((number, told))
    return rows


def _names(optuna: Any, storage: Any) -> list[str]:
    return [str(one) for one in optuna.study.get_all_study_names(storage)]


class _quiet:
    """Optuna says nothing meanwhile of trials that it is given."""

    def __init__(self, optuna: Any) -> None:
        self.logging = optuna.logging

    def __enter__(self) -> None:
        self.before = self.logging.get_verbosity()
        self.logging.set_verbosity(self.logging.ERROR)

    def __exit__(self, *error: object) -> None:
        self.logging.set_verbosity(self.before)


def _space_data(space: Space) -> dict[str, Any]:
    """As `Space.to_json`; constraints that are functions have no text and are left out."""
    if all(constraint._is_text for constraint in space.constraints):
        return space.to_json()
    return Space(dict(space), [constraint for constraint in space.constraints if constraint._is_text]).to_json()


def _distribution(optuna: Any, domain: Domain) -> Any:
    """Optuna's own where it has one. What it has not: ordinals and fixed values are choices, a distribution is a range of numbers."""
    of = optuna.distributions
    match domain:
        case Real(step=None):
            return of.FloatDistribution(float(domain.low), float(domain.high), log=domain.log)
        case Real(log=False):
            return of.FloatDistribution(float(domain.low), float(domain.high), step=float(domain.step or 0))
        case Real():  # steps on a logarithmic scale: Optuna has none
            return of.FloatDistribution(float(domain.low), float(domain.high), log=True)
        case Int(log=True):
            return of.IntDistribution(domain.low, domain.high, log=True)
        case Int():
            return of.IntDistribution(domain.low, domain.high, step=domain.step)
        case Distributed():
            low, high = domain.ends
            whole = domain.is_whole
            return of.IntDistribution(int(low), int(high)) if whole else of.FloatDistribution(float(low), float(high))
        case _:
            return of.CategoricalDistribution([_storable(value) for value in values_of(domain)])


def _storable(value: Any) -> Any:
    """A choice as Optuna may hold it: None, a truth value, a number, a text; others as JSON."""
    return value if value is None or isinstance(value, bool | int | float | str) else json.dumps(plain(value))


def _frozen(optuna: Any, space: Space, history: History, distributions: Mapping[str, Any]) -> Iterable[Any]:
    of = optuna.trial
    for trial in history:
        value = history.value(trial.id)
        scores = history.scores(trial.id)
        state = _state(of.TrialState, trial, math.isfinite(value))
        yield of.create_trial(
            state=state,
            params={name: _param(space[name], one) for name, one in trial.change.items()},
            distributions={name: distributions[name] for name in trial.change},
            value=value if state == of.TrialState.COMPLETE else None,
            intermediate_values={unit: float(one) for unit, one in enumerate(scores, 1) if np.isfinite(one)},
            user_attrs=_attributes(trial, scores),
        )


def _param(domain: Domain, value: Any) -> Any:
    if isinstance(domain, Real) or (isinstance(domain, Distributed) and not domain.is_whole):
        return float(value)
    if isinstance(domain, Int | Distributed):
        return int(value)
    return _storable(value)


def _state(states: Any, trial: Trial, has_value: bool) -> Any:
    if trial.state == "done" and has_value:
        return states.COMPLETE
    return states.PRUNED if trial.state in ("stopped", "paused") else states.FAIL


def _attributes(trial: Trial, scores: Any) -> dict[str, Any]:
    """What Optuna would lose; what is the same for most is left out."""
    more = {name: [record.get(name) for record in trial.records] for name in _names_beside(trial)}
    lost = {unit: repr(float(one)) for unit, one in enumerate(scores, 1) if not np.isfinite(one)}
    told: dict[str, Any] = {"state": trial.state, "units": len(trial.records), "spent": trial.spent, "seed": trial.seed}
    told |= {"reason": trial.reason} if trial.reason else {}
    told |= {"parent": trial.parent} if trial.parent is not None else {}
    told |= {"checkpoint": trial.checkpoint} if trial.checkpoint is not None else {}
    told |= {"lost": lost} if lost else {}
    told |= {"records": plain(more)} if more else {}
    told |= {"values": plain(dict(trial.values))} if trial.values else {}
    return {MARK: json.dumps(told)}


def _names_beside(trial: Trial) -> list[str]:
    return list(dict.fromkeys(name for record in trial.records for name in record if name != SCORE))


def _opened(optuna: Any, storage: Any, name: str | None) -> Any:
    if hasattr(storage, "get_trials"):
        return storage
    target = _storage(optuna, storage)
    names = _names(optuna, target)
    if name is None and len(names) == 1:
        name = names[0]
    if name not in names:
        asked = "which study was not said" if name is None else f"there is no study called {name!r}"
        raise DataError(f"{asked} in the storage; it has {', '.join(map(repr, sorted(names)[:12])) or 'none'}")
    with _quiet(optuna):
        return optuna.load_study(study_name=name, storage=target)


def _space_of(optuna: Any, trials: Sequence[Any]) -> Space:
    domains: dict[str, Domain] = {}
    for trial in trials:
        for name, distribution in trial.distributions.items():
            known = domains.get(name)
            domain = _domain(optuna, distribution)
            domains[name] = domain if known is None or known == domain else _wider(known, domain)
    if not domains:
        raise DataError("the study has no trial with a parameter; expected one at least")
    return Space(domains)


def _domain(optuna: Any, distribution: Any) -> Domain:
    of = optuna.distributions
    if isinstance(distribution, of.CategoricalDistribution):
        return Choice(distribution.choices)
    if distribution.low == distribution.high:
        return Fixed(distribution.low)
    if isinstance(distribution, of.IntDistribution):
        return Int(distribution.low, distribution.high, distribution.log, step=distribution.step)
    return Real(distribution.low, distribution.high, distribution.log, step=distribution.step)


def _wider(one: Domain, other: Domain) -> Domain:
    """Of a parameter whose range was changed on the way: what holds the values of both."""
    if isinstance(one, Real | Int) and isinstance(other, Real | Int):
        low, high = min(one.low, other.low), max(one.high, other.high)
        log = one.log and other.log
        if isinstance(one, Int) and isinstance(other, Int):
            return Int(int(low), int(high), log, step=one.step if one.step == other.step and not log else 1)
        return Real(low, high, log)
    if isinstance(one, Fixed) and isinstance(other, Real | Int):
        return _wider(_around(one.value, other), other)
    if isinstance(other, Fixed):
        return _wider(other, one) if isinstance(one, Real | Int) else _listed(one, other)
    return _listed(one, other)


def _around(value: Any, like: Real | Int) -> Domain:
    low, high = min(value, like.low), max(value, like.high)
    return Int(int(low), int(high), like.log) if isinstance(like, Int) else Real(low, high, like.log)


def _listed(one: Domain, other: Domain) -> Domain:
    if not isinstance(one, Choice | Ordinal | Fixed) or not isinstance(other, Choice | Ordinal | Fixed):
        raise DataError(f"a parameter was {one} in some trials and {other} in others; import them one kind at a time")
    values = list(values_of(one))
    values += [value for value in values_of(other) if not any(_same(value, known) for known in values)]
    return Choice(values)


def _trial(space: Space, id: int, trial: Any, sign: float) -> Trial:
    config = _config(space, trial.params)
    said = trial.user_attrs.get(MARK)
    if said is not None:
        return _ours(id, config, trial, json.loads(said))
    state, reason = _state_of(trial)
    records = _records(trial, sign)
    values = dict(trial.user_attrs)
    return Trial(
        id=id, change=config, records=records, state=state, reason=reason, spent=float(len(records)), values=values
    )


def _config(space: Space, params: Mapping[str, Any]) -> Config:
    """As the space has it: choices that went as JSON come back as they were."""
    config: Config = {}
    for name, value in params.items():
        domain = space[name]
        if isinstance(domain, Choice | Ordinal):
            config[name] = next((one for one in domain.choices if _same(_storable(one), value)), value)
        elif isinstance(domain, Fixed):
            config[name] = domain.value
        else:
            config[name] = value
    return {name: config[name] for name in space if name in config}


def _ours(id: int, config: Config, trial: Any, told: Mapping[str, Any]) -> Trial:
    lost = {int(unit): float(value) for unit, value in told.get("lost", {}).items()}
    units = range(1, told["units"] + 1)
    scores = trial.intermediate_values | lost
    more: Mapping[str, Sequence[Any]] = told.get("records", {})
    records = tuple(
        {
            SCORE: scores[unit],
            **{name: values[unit - 1] for name, values in more.items() if values[unit - 1] is not None},
        }
        for unit in units
    )
    return Trial(
        id=id,
        change=config,
        records=records,
        state=told["state"],
        reason=told.get("reason", ""),
        seed=told["seed"],
        spent=told["spent"],
        checkpoint=told.get("checkpoint"),
        parent=told.get("parent"),
        values=told.get("values", {}),
    )


def _state_of(trial: Any) -> tuple[Any, str]:
    match trial.state.name:
        case "COMPLETE":
            return "done", ""
        case "PRUNED":
            return "stopped", "pruned"
        case "FAIL":
            return "failed", str(trial.system_attrs.get("fail_reason", "failed in Optuna"))
        case _:
            return "running", ""


def _records(trial: Any, sign: float) -> tuple[dict[str, float], ...]:
    """One a reported step; the final value is the last one's, or a record of its own."""
    steps = [{SCORE: sign * float(value)} for _, value in sorted(trial.intermediate_values.items())]
    if trial.values is not None:
        final = {SCORE: sign * float(trial.values[0])}
        final |= {f"value_{place}": float(value) for place, value in enumerate(trial.values[1:], 1)}
        if steps and steps[-1][SCORE] == final[SCORE]:
            steps[-1] = final
        else:
            steps.append(final)
    return tuple(steps)
