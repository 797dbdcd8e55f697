"""`explain`: the manual page of a fault, a recipe field, or a member of a catalogue."""

import inspect
import re
import textwrap
import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module
from importlib.resources import files
from typing import Any

from tunesmith.blocks import experience
from tunesmith.records import Catalog, UnknownName, did_you_mean, explain_field
from tunesmith.records.errors import nearest
from tunesmith.records.fields import owners
from tunesmith.records.sections import PATHS, SECTIONS

CATALOGUES: Mapping[str, tuple[str, str]] = {  # family: the module and the name of its catalogue
    "activation": ("tunesmith.blocks.layers.activations", "ACTIVATIONS"),
    "exporter": ("tunesmith.integrations", "EXPORTERS"),
    "init": ("tunesmith.blocks.layers.init", "INITS"),
    "loss": ("tunesmith.blocks.losses", "LOSSES"),
    "metric": ("tunesmith.blocks.metrics", "METRICS"),
    "model": ("tunesmith.blocks.models", "MODELS"),
    "norm": ("tunesmith.blocks.layers.norm", "NORMS"),
    "optimizer": ("tunesmith.blocks.optim", "OPTIMIZERS"),
    "pooling": ("tunesmith.blocks.layers.poolings", "POOLINGS"),
    "sampler": ("tunesmith.data.samplers", "SAMPLERS"),
    "scaler": ("tunesmith.data.scalers", "SCALERS"),
    "schedule": ("tunesmith.blocks.schedules", "SCHEDULES"),
    "tokenizer": ("tunesmith.data.tokenizers", "TOKENIZERS"),
    "warm_up": ("tunesmith.blocks.schedules", "WARMUPS"),
}
EXPERIENCE = "experience"  # the family of the rules of thumb
SOURCE = re.compile(r"\[([A-Za-z]+)\]")


def explain(name: str, *, width: int = 100) -> str:
    """The page of `name`: `loss.spike`, `optim.lr`, `norm.group`, or a member's bare name such as `cosine`.

    Raises `UnknownName` with the nearest names.
    """
    if name in faults():
        return fault_page(name, width)
    if name in PATHS:
        return field_page(name, width)
    if name == EXPERIENCE:
        return experience.overview(width)
    if name.startswith(f"{EXPERIENCE}."):
        return experience.rule_page(name.removeprefix(f"{EXPERIENCE}."), width)
    if name in SECTIONS or name in CATALOGUES:
        pages = [explain_field(name)] if name in SECTIONS else []
        return "\n\n".join(pages + ([family_page(name, width)] if name in CATALOGUES else []))
    family, _, member = name.partition(".")
    if family in CATALOGUES and member in catalogue(family):
        return member_page(family, catalogue(family)[member], member, width)
    found = [one for one in CATALOGUES if "." not in name and name in catalogue(one)]
    found = [one for one in found if one != "warm_up"] or found  # its members are named as the schedules they lead to
    if len(found) == 1:
        return member_page(found[0], catalogue(found[0])[name], name, width)
    if found:
        raise UnknownName(
            f"{name!r} stands in several catalogues; ask for {' or '.join(f'{one}.{name}' for one in found)}"
        )
    if name in experience.RULES and not owners(name):  # `depth` is a field first, and its page names the rule
        return experience.rule_page(name, width)
    return other_trainers(name, width)


def field_page(name: str, width: int) -> str:
    """The page of a field, by its path or by another name of it, with the rules of thumb for it."""
    page = explain_field(name)
    path = next((line.partition(":")[0] for line in page.splitlines() if line.partition(":")[0] in PATHS), "")
    return "\n\n".join(part for part in (page, experience.rules_of_path(path, width)) if part)


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


@cache
def faults() -> Mapping[str, Mapping[str, Any]]:
    """The fault vocabulary by id, without its list of sources."""
    return {name: entry for name, entry in vocabulary().items() if name != "sources"}


@cache
def vocabulary() -> Mapping[str, Mapping[str, Any]]:
    text = (files("tunesmith.records") / "faults.toml").read_text(encoding="utf-8")
    return dict(tomllib.loads(text))


def catalogue(family: str) -> Catalog[Any]:
    """The catalogue of a family; its room is imported now."""
    module, name = CATALOGUES[family]
    found: Catalog[Any] = getattr(import_module(module), name)
    return found


def all_names() -> Iterator[str]:
    """Every name that has a page."""
    yield from faults()
    yield from PATHS
    yield from SECTIONS
    yield EXPERIENCE
    for rule in experience.RULES:
        yield f"{EXPERIENCE}.{rule}"
        yield rule
    for family in CATALOGUES:
        yield family
        for member in catalogue(family):
            yield f"{family}.{member}"
            yield member


def fault_page(name: str, width: int) -> str:
    """What a fault is, what proves it, what usually helps, what it comes from."""
    entry = faults()[name]
    effects = [other for other, one in faults().items() if name in one.get("causes", ())]
    rows = [("What", entry["definition"]), ("Evidence", entry["evidence"]), ("Remedy", entry.get("remedy", ""))]
    rows.append(("Causes", ", ".join(entry.get("causes", ()))))
    rows.append(("Seen as", ", ".join(effects)))
    cited = dict.fromkeys(
        SOURCE.findall(" ".join(str(entry.get(field, "")) for field in ("definition", "evidence", "remedy")))
    )
    known = vocabulary()["sources"]
    told = "; ".join(f"[{short}] {known[short]}" for short in cited if short in known)
    rows.append(("Sources", told))
    return "\n".join([f"{name} · {entry['kind']}", "", *(row(label, text, width) for label, text in rows if text)])


def row(label: str, text: str, width: int) -> str:
    """A label, and a text that hangs beside it."""
    return textwrap.fill(f"{label:<10}{text}", width, subsequent_indent=" " * 10, break_on_hyphens=False)


def member_page(family: str, member: Any, name: str, width: int) -> str:
    """The docstrings of a member, its arguments, and where the recipe names it."""
    spoken = described(member)
    pages = [own_words(spoken), module_words(spoken)]
    if not shares_file(family, member):
        pages.reverse()
    facts = [f"{field:<10}{value}" for field, value in plain_facts(member).items()]
    signature = arguments(spoken)
    lines = [
        f"{family}.{name}" + (f"  {signature}" if signature else ""),
        "",
        *dict.fromkeys(page for page in pages if page),
    ]
    return "\n".join([*lines, *(["", *facts] if facts else []), *recipe_line(family, name)])


def described(member: Any) -> Any:
    """Whose words describe a member: its own, or, of an object, those of the function or class that it holds."""
    if inspect.isclass(member) or inspect.isroutine(member):
        return member
    held = (getattr(member, name, None) for name in getattr(member, "__dataclass_fields__", None) or vars(member))
    return next((one for one in held if inspect.isclass(one) or inspect.isroutine(one)), type(member))


def module_words(member: Any) -> str:
    """The docstring of the file that a member stands in, where that is ours and no catalogue itself."""
    module = inspect.getmodule(member)
    if module is None or not module.__name__.startswith("tunesmith.") or hasattr(module, "__path__"):
        return ""
    return inspect.cleandoc(module.__doc__ or "")


def shares_file(family: str, member: Any) -> bool:
    """Whether other members of the family stand in the same file, so that the member's own words say more."""
    file = inspect.getmodule(described(member))
    return sum(inspect.getmodule(described(other)) is file for other in catalogue(family).values()) > 1


def own_words(member: Any) -> str:
    """The docstring of a member; of another library's, what comes before the formulas and the list of arguments."""
    text = inspect.getdoc(member) or ""
    if str(getattr(member, "__module__", "")).startswith("tunesmith."):
        return text
    return re.split(r"\n\s*(?:\.\. |Args:|Arguments:)", text)[0].strip()


def plain_facts(member: Any) -> dict[str, str]:
    """The words that an object holds beside its function, such as whether more is better."""
    told = {}
    for name in getattr(member, "__dataclass_fields__", ()):
        value = getattr(member, name)
        if name != "name" and isinstance(value, str):
            told[name] = value
        elif value and isinstance(value, tuple) and all(isinstance(one, str) for one in value):
            told[name] = ", ".join(value)
    return told


def arguments(member: Any) -> str:
    """The signature, without the modules of its types."""
    try:
        return re.sub(r"\b(?:[a-z_]+\.)+(?=[A-Za-z])", "", str(inspect.signature(member)))
    except (TypeError, ValueError):  # built in C, without a signature
        return ""


def recipe_line(family: str, name: str) -> list[str]:
    """How a recipe asks for the member."""
    paths = {
        "optimizer": "optim.name",
        "sampler": "data.sampler",
        "scaler": "data.scale",
        "tokenizer": "data.tokenizer",
        "warm_up": "schedule.warmup_kind",
    }
    paths |= {one: f"model.{one}" for one in ("activation", "init", "norm", "pooling")}
    paths |= {"metric": "eval.metric", "exporter": "run.exporters"}
    paths |= {one: f"{one}.name" for one in ("loss", "model", "schedule")}
    path = paths.get(family)
    return ["", f"set  --set {path}={name}"] if path in PATHS else []


def family_page(family: str, width: int) -> str:
    """The members of a catalogue, each with the first line of its page."""
    members = catalogue(family)
    longest = max(map(len, members), default=0)
    lines = []
    for name, member in members.items():
        page = member_page(family, member, name, width).splitlines()[2:]
        first = next((line for line in page if line and not line.startswith("set ")), "")
        line = f"{name:<{longest}}  {first}"
        lines.append(line if len(line) <= width else line[: width - 2].rsplit(" ", 1)[0] + " …")
    return "\n".join([f"{family}: {len(members)} members, each with `tunesmith explain {family}.<name>`", "", *lines])


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
            "Rules of thumb (tunesmith explain experience, tunesmith explain lr.adam)",
        ]
    )
