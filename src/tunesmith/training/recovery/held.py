"""Snapshots of a run in the memory of the host: the newest few."""

from tunesmith.records.state import Snapshot

MOST = 3  # so that one from before a leap is there when the leap is certain


class Held:
    """At most `MOST` snapshots, each with its place in the log."""

    def __init__(self) -> None:
        self.snapshots: list[tuple[Snapshot, int]] = []

    def hold(self, snapshot: Snapshot, mark: int) -> None:
        self.snapshots = [*self.snapshots, (snapshot, mark)][-MOST:]

    def at_most(self, step: int) -> tuple[Snapshot, int] | None:
        """The newest of those with no more than `step` updates."""
        return next((one for one in reversed(self.snapshots) if one[0]["step"] <= step), None)

    def forget_after(self, step: int) -> None:
        """Drops those of updates that will be made again otherwise."""
        self.snapshots = [one for one in self.snapshots if one[0]["step"] <= step]
