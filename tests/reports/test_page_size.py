"""A page of large pictures stays below 3 MB."""

import numpy as np
from PIL import Image

from tunesmith.reports.page import page
from tunesmith.reports.sections.samples import MOST, inside

MOST_BYTES = 3_000_000


def test_large_pictures_are_brought_inside_small(make_run):
    run = make_run()
    rng = np.random.default_rng(0)
    items = []
    for i in range(MOST):  # noise: nothing compresses worse
        name = f"samples/test-{i:04d}.png"
        Image.fromarray(rng.integers(0, 256, (320, 240, 3), dtype=np.uint8)).save(run.folder / name)
        items.append({"row": i, "truth": "a", "prediction": "b", "probability": 0.9, "loss": 3.0, "picture": name})
    with run.writer() as writer:
        writer.write_json("samples/test", {"kind": "pictures", "items": items})

    html = page(run)

    assert sum(file.stat().st_size for file in (run.folder / "samples").glob("*.png")) > 2 * MOST_BYTES
    assert html.count("data:image/jpeg;base64,") == MOST
    assert len(html.encode()) < MOST_BYTES


def test_small_pictures_stay_as_they_are(tmp_path):
    Image.fromarray(np.zeros((28, 28), np.uint8)).save(tmp_path / "a.png")

    assert inside(tmp_path / "a.png").startswith("data:image/png;base64,")
