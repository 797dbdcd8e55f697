"""What a batch must not be: without an ending that trains, with prompts that train, with ends hidden as padding.

These are the mistakes that no error ever tells of: the loss falls, and the model never stops, or talks for the user.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from tunesmith.data.language.packing import IGNORED
from tunesmith.data.language.samples import ROLES
from tunesmith.data.spec import Part
from tunesmith.records import DataError

SPOKEN = range(1, len(ROLES))  # roles of a conversation, by number


@dataclass(frozen=True, slots=True)
class Labels:
    """The labels of a part, counted."""

    labels: int
    ends: int  # labels that are end tokens
    hidden: int  # end tokens behind a label, which are none themselves
    by_role: dict[str, tuple[int, int]]  # labels, and tokens that could be labels


def counted(part: Part, ends: Collection[int]) -> Labels:
    """The labels of a part whose inputs are tokens and whose `beside` holds roles and lengths."""
    tokens, target, roles = part.inputs["tokens"], part.target, part.beside["roles"]
    assert target is not None
    following = np.zeros_like(tokens)
    following[:, :-1] = tokens[:, 1:]
    real = np.arange(tokens.shape[1]) < part.beside["lengths"][:, None] - 1
    if "segments" in part.inputs:
        segments = part.inputs["segments"]
        real[:, :-1] &= segments[:, :-1] == segments[:, 1:]
    trains = target != IGNORED
    behind = np.zeros_like(trains)
    behind[:, 1:] = trains[:, :-1]
    hidden = real & ~trains & behind & np.isin(following, list(ends))
    by_role = {
        ROLES[number]: (int((trains & (roles == number)).sum()), int((real & (roles == number)).sum()))
        for number in np.unique(roles[real]).tolist()
    }
    return Labels(int(trains.sum()), int(np.isin(target[trains], list(ends)).sum()), int(hidden.sum()), by_role)


def refuse(part: Part, ends: Collection[int], padding: int, trains: Sequence[str], *, wants_end: bool = True) -> Labels:
    """Raises `DataError` for what cannot be meant; gives the labels counted. `trains`: the roles that do."""
    found = counted(part, ends)
    if not found.labels:
        raise DataError(
            f"no token trains: data.train_roles = {list(trains)} and the tokens are of {', '.join(found.by_role)}; name other roles, "
            "or raise data.max_seq_len where the replies are cut off"
        )
    if found.hidden and not found.ends and padding in ends:
        raise DataError(
            f"the pad token ({padding}) is the end token, and all {found.hidden} end tokens behind a reply are left out of the loss as "
            "if they were padding; mask by length, or choose another pad token"
        )
    if wants_end and not found.ends:
        raise DataError(
            "no sample trains its end token, so the model would never learn to stop: "
            + (
                f"{found.hidden} replies end in one that does not train; let the chat template's generation tags hold it"
                if found.hidden
                else "the samples are cut before it, or the chat template writes none; raise data.max_seq_len, choose data.too_long = "
                "'split', or set data.end_of_text = true"
            )
        )
    for role, (labels, tokens) in found.by_role.items():
        if ROLES.index(role) in SPOKEN and labels and role not in trains:
            raise DataError(
                f"{labels} of {tokens} tokens of the role {role} train, and data.train_roles = {list(trains)}: the chat template's "
                "generation tags stand around more than the replies; mend it, or name the role in data.train_roles"
            )
    return found
