"""optim.bad_hyperparameters: momentum, betas or epsilon do not fit.

Sees      in a watched run, together: epsilon above the root of the second moment on most coordinates, momentum of 0.98 and more, or a first
          beta above the second; and a loss that is poor, or that rose again after its best. Resilient propagation on parts of the data.
          A held loss that creeps down in a smooth line from where the training began, while the training loss is gone: answers come from an
          average of the weights that still holds the first ones.
Matters   a large epsilon turns Adam into plain descent at a tiny rate; a long momentum overshoots for hundreds of updates.
Remedies  the library's defaults: momentum 0.9, betas 0.9 and 0.999, epsilon 1e-8.
Limits    long momenta at small rates are sound in long runs: the loss must show it. RMSprop and Adagrad are judged by epsilon and by updates
          that are tiny together. An average that the loop keeps apart from the model shows in its scores alone.
Source    vocabulary of optim.bad_hyperparameters; Kingma and Ba, arXiv:1412.6980, algorithm 1; Riedmiller and Braun, ICNN 1993
          (learning by epoch); bounds: assumption.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from tunesmith.doctor.diagnosis.catalogue import rule
from tunesmith.doctor.diagnosis.inside import updates_per_epoch
from tunesmith.doctor.diagnosis.live import Progress, advice, early_of, late, late_of, number, part, progress, told
from tunesmith.doctor.diagnosis.origins import born
from tunesmith.doctor.diagnosis.views import view
from tunesmith.records import Finding
from tunesmith.runs.history import History

MOST = 0.5  # of the coordinates
LARGE_EPS = 1e-4  # assumption: gradients of a trained net are of that size
LONG = 0.98  # momentum: it remembers 50 updates; assumption
BACK = 1.3  # times its best, where a loss ends; assumption
LEARNT, LAGS = 0.5, 0.6  # shares of the training loss: lost by it, and by the held loss; assumption
SMOOTH = 0.02  # of its way, by which a held loss leaves a parabola: an average has no noise; assumption
TINY = 1e-4  # of the weights in an update: vocabulary of lr.too_low


@rule("optim.bad_hyperparameters", needs=("loss",))
def optim_bad_hyperparameters(history: History) -> Iterator[Finding]:
    yield from born(history, "optim.bad_hyperparameters")
    settings, ran = part(history, "settings"), progress(history)
    if ran is None or not settings:
        return
    yield from _signs_of_parts(history, settings, ran)
    yield from _average_lags(history)
    rose = not np.isfinite(ran.end) or (ran.best > 0 and ran.end > BACK * ran.best + 3 * ran.noise)
    eps, share = float(settings.get("eps", 0.0)), history.get("adam_eps_share", where="")
    below = late(share)
    slow = list((late_of(history, "update_ratio") or early_of(history, "update_ratio")).values())
    crawls = bool(slow) and float(np.median(slow)) < TINY
    if eps > LARGE_EPS and ran.poor and ((below is not None and below > MOST) or (below is None and crawls)):
        yield told(
            "optim.bad_hyperparameters",
            "warning",
            "epsilon_large",
            {"eps": eps, "share": -1.0 if below is None else below, "end": ran.end},
            confidence=0.9 if below is not None else 0.7,
            evidence=[number("eps", eps, LARGE_EPS, "assumption")]
            + ([number("adam_eps_share", below, MOST, "assumption")] if below is not None else [])
            + ([number("update_ratio", float(np.median(slow)), TINY, "vocabulary of lr.too_low")] if slow else []),
            remedies=[advice("usual_optimizer")],
            next_probe="usual_optimizer",
        )
    momentum = float(settings.get("momentum", 0.0))
    if momentum >= LONG and (ran.poor or rose):
        yield told(
            "optim.bad_hyperparameters",
            "warning",
            "momentum_long",
            {"momentum": momentum, "updates": 1 / max(1e-9, 1 - momentum), "best": ran.best, "end": ran.end},
            confidence=0.8,
            evidence=[
                number("momentum", momentum, LONG, "assumption"),
                number("loss", ran.end, BACK * ran.best, "assumption"),
            ],
            remedies=[advice("usual_optimizer")],
            next_probe="usual_optimizer",
        )
    betas = settings.get("betas")
    if (
        betas
        and len(betas) > 1
        and ((betas[0] > betas[1] and (ran.poor or rose)) or (betas[0] >= LONG and (ran.poor or rose)))
    ):
        yield told(
            "optim.bad_hyperparameters",
            "warning",
            "betas_unusual",
            {"first": betas[0], "second": betas[1], "best": ran.best, "end": ran.end},
            confidence=0.75,
            evidence=[
                number("beta1", betas[0], min(betas[1], LONG), "arXiv:1412.6980"),
                number("loss", ran.end, BACK * ran.best, "assumption"),
            ],
            remedies=[advice("usual_optimizer")],
            next_probe="usual_optimizer",
        )


def _signs_of_parts(history: History, settings: Mapping[str, Any], ran: Progress) -> Iterator[Finding]:
    each = updates_per_epoch(history)
    if settings.get("name") != "Rprop" or each is None or each < 2 or history.facts.get("closure"):
        return
    yield told(
        "optim.bad_hyperparameters",
        "warning",
        "signs_of_parts",
        {"updates": int(each), "end": ran.end},
        confidence=0.85,
        evidence=[number("updates_an_epoch", each, 1, "Riedmiller and Braun 1993")],
        remedies=[advice("usual_optimizer")],
        next_probe="usual_optimizer",
    )


def _average_lags(history: History) -> Iterator[Finding]:
    seen = view(history)
    train, val = seen.train, seen.val
    first = history.get("loss", "train") or history.get("loss", "")
    if train is None or val is None or first is None or len(val) < 5 or not len(first.finite):
        return
    start = float(first.finite.values[:3].max())  # of single updates: the loss of the first weights
    if start <= 0 or start - train.end < LEARNT * start:
        return
    values = np.asarray(val.level, float)
    falls = np.diff(values)
    if not (falls < 0).all() or val.drop > LAGS * (start - train.end):
        return
    places = np.arange(len(values))
    away = values - np.polyval(np.polyfit(places, values, 2), places)
    near = abs(float(values[0]) - start) < float(values[0] - values[-1]) * 2 / (len(values) - 1) + 0.15 * start
    beside = float(np.interp(val.at[len(val) // 2], train.at, train.level))
    if (
        not near
        or float(np.abs(away).max()) > SMOOTH * float(values[0] - values[-1])
        or values[len(values) // 2] < 1.3 * beside
    ):
        return
    yield told(
        "optim.bad_hyperparameters",
        "warning",
        "average_lags",
        {"first": float(values[0]), "last": float(values[-1]), "start": start, "end": train.end},
        confidence=0.65,
        evidence=[
            number("held_loss_first", float(values[0]), start, "where the training began"),
            number("held_fall_over_training", val.drop / (start - train.end), LAGS, "assumption"),
        ],
        remedies=[advice("shorter_average")],
    )
