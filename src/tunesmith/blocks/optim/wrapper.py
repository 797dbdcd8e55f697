"""What optimizers around another one share: groups, state and state_dict are those of the one inside."""

from collections.abc import Mapping
from typing import Any

from torch.optim import Optimizer


class Wrapper(Optimizer):
    """An optimizer that steps by its `base`; `added` are settings that it puts into each group."""

    base: Optimizer
    added: Mapping[str, Any]

    def __init__(self, base: Optimizer, added: Mapping[str, Any] | None = None) -> None:
        super().__init__(base.param_groups, {**base.defaults, **(added or {})})
        self.base, self.added = base, dict(added or {})
        self.share()

    def share(self) -> None:
        """Takes over the groups and the state of the base, which loading makes anew."""
        self.state, self.param_groups = self.base.state, self.base.param_groups

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        if "base" not in self.__dict__:  # the groups of `base`, while this is made
            super().add_param_group(param_group)
            return
        self.base.add_param_group({**self.added, **param_group})

    def state_dict(self) -> dict[str, Any]:
        return self.base.state_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.base.load_state_dict(state_dict)
        self.share()

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "base": self.base, "added": self.added}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self.share()
