"""`explain`: the manual page of a fault, a recipe field, or a member of a catalogue."""

import textwrap
from collections.abc import Iterator

from tunesmith.blocks import experience
from tunesmith.records import UnknownName, did_you_mean, explain_field
from tunesmith.records.errors import nearest
from tunesmith.records.fields import owners
from tunesmith.records.sections import PATHS, SECTIONS
from tunesmith.reports.plot import Look
from tunesmith.verbs.catalogues import CATALOGUES, catalogue
from tunesmith.verbs.check_pages import found_page
from tunesmith.verbs.check_pages import names as check_names
from tunesmith.verbs.fault_pages import fault_page, faults
from tunesmith.verbs.surgery_pages import names as surgery_names
from tunesmith.verbs.surgery_pages import surgery_page
from tunesmith.verbs.words import beside, entries

EXPERIENCE = "experience"  # the family of the rules of thumb


def explain(name: str, *, width: int = 100, look: Look | None = None) -> str:
    """The page of `name`: `loss.spike`, `optim.lr`, `norm.group`, or a member's bare name such as `he_normal`.

    `look` says what the place can show where the page is printed; without one there are no colours. Raises `UnknownName`
    with the nearest names.
    """
    look = Look(width) if look is None else look
    if name in faults():
        return fault_page(name, width)
    if name in PATHS:
        return field_page(name, width)
    if name == EXPERIENCE:
        return experience.overview(width)
    if name.startswith(f"{EXPERIENCE}."):
        return experience.rule_page(name.removeprefix(f"{EXPERIENCE}."), width)
    from tunesmith.verbs.member_pages import family_page, member_page

    if name in SECTIONS or name in CATALOGUES:
        pages = [fitted(explain_field(name), width)] if name in SECTIONS else []
        return "\n\n".join(pages + ([family_page(name, width, look)] if name in CATALOGUES else []))
    family, _, member = name.partition(".")
    if family in CATALOGUES and member in catalogue(family):
        return member_page(family, member, width, look)
    found = [one for one in CATALOGUES if "." not in name and name in catalogue(one)]
    found = [one for one in found if one != "warmup"] or found  # its members are named as the schedules they lead to
    if len(found) == 1:
        return member_page(found[0], name, width, look)
    if found:
        raise UnknownName(
            f"{name!r} stands in several catalogues; ask for {' or '.join(f'{one}.{name}' for one in found)}"
        )
    if (page := found_page(name, width) or surgery_page(name, width)) is not None:
        return page
    if name in experience.RULES and not owners(name):  # `depth` is a field first, and its page names the rule
        return experience.rule_page(name, width)
    return other_trainers(name, width)


def field_page(name: str, width: int) -> str:
    """The page of a field, by its path or by another name of it, with the rules of thumb for it."""
    page = fitted(explain_field(name), width)
    path = next((line.partition(":")[0] for line in page.splitlines() if line.partition(":")[0] in PATHS), "")
    return "\n\n".join(part for part in (page, experience.rules_of_path(path, width)) if part)


def fitted(page: str, width: int) -> str:
    """A page of labels and texts beside them, in lines that fit."""
    return "\n".join(beside(entry, width) for entry in entries(page))


def other_trainers(name: str, width: int) -> str:
    """The page of a name that another trainer uses. Raises `UnknownName` with the nearest of all names."""
    try:
        return field_page(name, width)
    except UnknownName:
        near = list(all_names())
        if nearest(name, near):
            raise UnknownName(f"nothing is called {name!r}{did_you_mean(name, near)}") from None
        raise UnknownName(
            f"nothing is called {name!r}; `tunesmith explain` without a name lists what there is"
        ) from None


def all_names() -> Iterator[str]:
    """Every name that has a page."""
    yield from faults()
    yield from PATHS
    yield from SECTIONS
    yield from check_names()
    yield from surgery_names()
    yield EXPERIENCE
    for rule in experience.RULES:
        yield f"{EXPERIENCE}.{rule}"
        yield rule
    for family in CATALOGUES:
        yield family
        for member in catalogue(family):
            yield f"{family}.{member}"
            yield member


def contents(width: int = 100) -> str:
    """What there are pages of."""
    ids = textwrap.fill(", ".join(faults()), width, initial_indent="  ", subsequent_indent="  ", break_on_hyphens=False)
    families = textwrap.fill(", ".join(CATALOGUES), width, initial_indent="  ", subsequent_indent="  ")
    sections = textwrap.fill(", ".join(SECTIONS), width, initial_indent="  ", subsequent_indent="  ")
    return "\n".join(
        [
            "Faults (tunesmith explain loss.spike):",
            ids,
            "",
            "Recipe sections and their fields (tunesmith explain optim, tunesmith explain optim.lr):",
            sections,
            "",
            "Catalogues and their members (tunesmith explain schedule, tunesmith explain schedule.cosine):",
            families,
            "",
            "Audits of the data, checks of the program, rules over runs (tunesmith explain audit, check, rule)",
            "",
            "Rules of thumb (tunesmith explain experience, tunesmith explain lr.adam)",
        ]
    )
