"""What more data would be worth: the best recipe on a quarter and a half of the training rows."""

from tunesmith.autopilot.flight import Flight

SHARES = (0.25, 0.5)


def worth(flight: Flight) -> None:
    """A learning curve on the validation rows, where the budget holds two shorter trainings; what the last doubling of the rows brought."""
    if flight.net is None or flight.net.recipe is None:
        return
    recipe = flight.net.recipe
    epochs = int(recipe.train.epochs)
    rows = len(flight.prepared.train)
    if not flight.pays("worth", sum(SHARES) * epochs, keep=0.1):
        flight.decide("worth", "the worth of more data is not measured", "the budget is spent", taken=False)
        return
    scores: dict[str, float] = {}
    said = flight.net.said
    for share in SHARES:
        made, found = flight.net_of(f"worth/{share:g}", f"net on {share:.0%} of the rows", recipe, epochs, share=share)
        if made is None:
            flight.decide("worth", "the worth of more data is not measured", str(found.get("failed", "")), taken=False)
            return
        scores[f"{round(share * rows)} rows"] = made.score
        said = made.said
    scores[f"{rows} rows"] = flight.net.score
    gain = flight.scorer.gain(flight.net.said, said, flight.seed)
    curve = ", ".join(f"{score:.4f} with {name}" for name, score in scores.items())
    verdict = "more rows are likely to help" if gain.sure else "more rows of the same kind would bring little"
    flight.decide(
        "worth",
        verdict,
        f"{flight.scorer.name} {curve}: the last doubling brought {gain.value:+.4f}, better in {gain.chance:.0%} of resamples",
        evidence={**scores, **gain.as_dict()},
    )
