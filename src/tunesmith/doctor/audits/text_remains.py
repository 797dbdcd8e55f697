"""text_remains: what a reader or a web page left in texts: markup, entities, wrong encodings, control characters.

Sees      in text columns: tags and HTML entities (&amp;, &lt;), letters that were UTF-8 and were read as Latin-1 or Windows-1252
          ('Ã©' for 'é'), the replacement character U+FFFD, control characters.
Matters   one word becomes several to a tokenizer, and where a source leaves such traces the model learns the source.
Remedies  decode the file as what it is, unescape entities, strip tags (advice).
Limits    broken encodings are a warning above 1 % of the rows, everything else is a note. Texts about markup hold it rightly.
Source    Unicode Standard, chapter 23 (U+FFFD); WHATWG HTML, character references; shares: assumption.
"""

import re
from collections.abc import Iterator

from tunesmith.data.spec import Array
from tunesmith.doctor.audits.catalogue import audit
from tunesmith.doctor.audits.material import Material, View
from tunesmith.doctor.audits.naming import placed, sources, subject_at
from tunesmith.doctor.audits.text_cells import holding, text_cells
from tunesmith.records import Evidence, Finding, Remedy, Safety
from tunesmith.records.check import PASS

MUCH = 0.01  # share of rows with a broken encoding; assumption
TAGS = "p|br|b|i|u|a|div|span|font|table|tr|td|li|ul|ol|img|h[1-6]|strong|em"
TRACES = {
    "audits.markup": rf"(?i)&(?:[a-z]{{2,8}}|#\d{{1,6}}|#x[0-9a-f]{{1,6}});|</?(?:{TAGS})(?:\s[^<>]*)?/?>",
    "audits.mojibake": r"[\u00C2-\u00F4][^\x00-\x7F]+",  # what may be a lead byte of UTF-8, and what follows; see `misread`
    "audits.replacement": r"\x{FFFD}",
    "audits.control": r"[\x00-\x08\x0B\x0C\x0E-\x1F\x7F]",
}
RUNS = re.compile(r"[^\x00-\x7F]{2,}")
BROKEN = ("audits.mojibake", "audits.replacement")
CLEAN = Remedy(title="audits.clean_texts", safety=Safety.ADVICE)


@audit("text_remains", faults=("data.mixed_types",), cost=PASS)
def text_remains(material: Material) -> Iterator[Finding]:
    for view in sources(material):
        for name, cells in text_cells(material, view):
            for message, pattern in TRACES.items():
                places = holding(cells, pattern)
                if message == "audits.mojibake":
                    places = (
                        places[[misread(text) for text in cells.gather(places).to_list()]] if len(places) else places
                    )
                if len(places):
                    example = cells.gather(places[:1]).str.extract(f"({pattern})", 1)[0]
                    yield _told(material, view, name, message, places, repr(example))


def misread(text: str) -> bool:
    """Whether letters of a text are UTF-8 that was read as Windows-1252: read back they make letters.

    >>> misread("caf\u00c3\u00a9"), misread("caf\u00e9"), misread("\u00e9\u00e8 \u00c7\u00c3O")
    (True, False, False)
    """
    return any(_decodes(run) for run in RUNS.findall(text))


def _decodes(run: str) -> bool:
    raw = bytearray()
    for letter in run:
        try:
            raw += letter.encode("cp1252")
        except UnicodeEncodeError:
            if ord(letter) > 0xFF:  # no byte reads as this letter
                return False
            raw.append(ord(letter))
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _told(material: Material, view: View, name: str, message: str, places: Array, example: str) -> Finding:
    share = len(places) / len(view)
    return Finding(
        fault="data.mixed_types",
        severity="warning" if message in BROKEN and share > MUCH else "note",
        message=message,
        values={
            "column": name,
            "part": view.part,
            "count": len(places),
            "share": share,
            "example": example,
            "place": placed(material, view, places),
        },
        evidence=(
            Evidence(name="share of rows", value=share, threshold=MUCH if message in BROKEN else None, where=view.part),
        ),
        remedies=(CLEAN,),
        confidence=0.8,
        status="confirmed" if message != "audits.mojibake" else "suspected",
        subject={**subject_at(view, places), "columns": [name]},
    )
