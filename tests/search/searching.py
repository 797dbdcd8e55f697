"""A sampler and a budget that depend on everything they may, so that a search that differs anywhere differs at its end."""

from tunesmith.search import Choice, Exhausted, Int, Proposal, Real
from tunesmith.search.ask import Search

SPACE = {
    "x": Real(-1, 1),
    "layers": Choice([(8, 8), (16,)]),
    "depth": Int(1, 3),
    "momentum": Real(0, 1, when=("depth", 2)),
}


def mutating(space, trials, rng, *, prior=None):
    """A sampler that goes by the best so far, and by how many are known and running."""
    known = [trial for trial in trials if trial.records]
    config = space.sample(rng)
    if known and rng.uniform() < 0.7:
        best = min(known, key=lambda trial: trials.value(trial.id))
        running = sum(trial.state == "running" for trial in trials)
        config["x"] = max(-1.0, min(1.0, best.change["x"] + 0.05 * (len(known) + running) * rng.normal()))
    return config


def halving(setting):
    """A budget of rungs 1, 3, 9 that promotes the best third of what is known at a rung."""

    def proposed(trials, rng):
        for rung, above in ((3, 9), (1, 3)):
            there = sorted((trials.value(one.id), one.id) for one in trials if len(trials.scores(one.id)) >= rung)
            for _, id in there[: len(there) // 3]:
                if trials[id].state == "paused" and len(trials.scores(id)) == rung:
                    memo = {"seen": len(trials)}
                    return Proposal(trial=id, config=trials[id].change, start=rung, upto=above, memo=memo)
        config = setting.sampler(setting.space, trials, rng, prior=setting.prior)
        return Proposal(trial=len(trials), config=config, upto=1, because=f"memo {trials.memo.get('seen')}")

    return proposed


def opened(folder=None, *, resume=False, **changed):
    """A search with both."""
    given = {"max_budget": 9, "total": 60, "sampler": mutating, "budget": halving, "seed": 3} | changed
    return Search(given.pop("space", SPACE), folder=folder, resume=resume, **given)


def records_of(proposal):
    """What training it would give."""
    config = proposal.config
    return [
        {"score": (config["x"] - 0.3) ** 2 + config["depth"] / 10 + 1 / unit}
        for unit in range(proposal.start + 1, proposal.upto + 1)
    ]


def carried_out(search, most=None):
    """Asks and tells; gives the proposals."""
    proposals = []
    while most is None or len(proposals) < most:
        try:
            proposal = search.ask()
        except Exhausted:
            break
        search.tell(proposal.trial, records_of(proposal))
        proposals.append(proposal)
    return proposals


def undisturbed(workers, **changed):
    """The search in virtual time, written down a second time: a list of who is done when, and nothing else."""
    search = opened(workers=workers, **changed)
    busy, now, free = [], 0.0, workers
    while True:
        try:
            while free:
                number, proposal = search.asked, search.ask()
                busy.append((now + proposal.upto - proposal.start, number, proposal))
                free -= 1
        except Exhausted:
            if not busy:
                return search
        busy.sort(key=lambda one: one[:2])
        now, _, proposal = busy.pop(0)
        search.tell(proposal.trial, records_of(proposal))
        free += 1


def by_trial(search):
    """All that is known of each trial, without what differs from run to run."""
    return [
        (trial.id, trial.change, [record["score"] for record in trial.records], trial.state, trial.reason)
        for trial in search.trials
    ]
