"""Exports of the built-in nets: loaded as a stranger would load them, and compared on batches the export never saw."""

import json
import subprocess
import sys
import warnings
from importlib.util import find_spec

import pytest
import torch
from torch import nn

from tunesmith.blocks import models
from tunesmith.data.spec import Categories, Numbers, Pictures, Plain, Tokens, spec_to_json
from tunesmith.records import MissingExtra, ModelError, Recipe, RunError, UnknownName, revise
from tunesmith.training.exporting import FORMATS, export
from tunesmith.training.exporting.comparing import compared
from tunesmith.training.exporting.subject import subject_of
from tunesmith.training.predicting import Predictor

NUMBERS = Numbers(3, ("a", "b", "c"))
CATEGORIES = Categories((4, 9), ("d", "e"))
TOKENS = Tokens(30, 7)
PICTURES = Pictures(3, 20, 28, (0.5, 0.4, 0.3), (0.2, 0.2, 0.2))
SPECS = {
    "mlp": {"numbers": NUMBERS, "categories": CATEGORIES},
    "cnn": {"pictures": PICTURES},
    "bag": {"tokens": TOKENS},
    "lstm": {"tokens": TOKENS, "numbers": NUMBERS},
    "transformer": {"tokens": TOKENS},
    "encoder": {"tokens": TOKENS},
    "decoder": {"tokens": TOKENS},
}
KINDS = {"multiclass": 3, "binary": 2, "multilabel": 4, "regression": 1, "multi_regression": 2}


def predictor(model, spec, kind="multiclass", outputs=3, **scores):
    described = {
        "kind": kind,
        "classes": [f"class {i}" for i in range(outputs)] if kind in ("multiclass", "binary", "multilabel") else None,
        "positive": 1 if kind == "binary" else None,
        "spec": spec_to_json(spec),
    }
    return Predictor(model, described, None, Recipe(), scores, torch.device("cpu"))


def built(name, kind="multiclass", **changes):
    torch.manual_seed(0)
    spec = SPECS[name]
    model = models.build(name, revise(Recipe(), {"model.width": 16} | changes), spec, KINDS[kind], kind)
    with torch.no_grad():
        for parameter in model.parameters():  # far from the start, where many outputs are nearly equal
            parameter.add_(0.2 * torch.randn_like(parameter))
    return predictor(model, spec, kind, KINDS[kind])


def batch(name, rows, tokens=7):
    torch.manual_seed(rows + 100 * tokens)
    makers = {
        "numbers": lambda: torch.randn(rows, 3),
        "categories": lambda: torch.stack([torch.randint(4, (rows,)), torch.randint(9, (rows,))], 1),
        "tokens": lambda: torch.randint(1, 30, (rows, tokens)),
        "pictures": lambda: torch.randn(rows, 3, 20, 28),
    }
    return {key: makers[key]() for key in SPECS[name]}


def batches(name):
    found = [batch(name, rows) for rows in (1, 2, 9)]
    if "tokens" in SPECS[name]:
        found += [batch(name, 1, 1), batch(name, 3, 2), batch(name, 2, 61)]
    return found


def expected(predictor, inputs):
    with torch.no_grad():
        return predictor.model.eval()(inputs if len(inputs) > 1 else next(iter(inputs.values())))


LOADING = """
import importlib.util, pathlib, sys
sys.modules["tunesmith"] = None  # any import of it fails
import torch
from safetensors.torch import load_file, save_file
torch.set_num_threads(1)
for folder in map(pathlib.Path, sys.argv[1:]):
    spec = importlib.util.spec_from_file_location("model", folder / "model.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    net = module.build()
    net.load_state_dict(load_file(folder / "model.safetensors"))
    net.eval()
    given = torch.load(folder / "batches.pt")
    with torch.no_grad():
        found = [net(inputs if len(inputs) > 1 else next(iter(inputs.values()))) for inputs in given]
    save_file({str(i): outputs for i, outputs in enumerate(found)}, folder / "outputs.safetensors")
"""


def test_plain_pytorch_runs_in_a_process_without_tunesmith_and_is_equal_bit_for_bit(tmp_path):
    from safetensors.torch import load_file

    originals = {name: built(name) for name in models.MODELS}
    for name, original in originals.items():
        folder = export(original, "pytorch", tmp_path / name).path
        torch.save(batches(name), folder / "batches.pt")

    done = subprocess.run(
        [sys.executable, "-I", "-c", LOADING, *(str(tmp_path / name) for name in originals)],
        check=False,
        capture_output=True,
        text=True,
    )

    assert done.returncode == 0, done.stderr
    for name, original in originals.items():
        found = load_file(tmp_path / name / "outputs.safetensors")
        assert all(torch.equal(found[str(i)], expected(original, inputs)) for i, inputs in enumerate(batches(name))), (
            name
        )


@pytest.mark.parametrize("name", models.MODELS)
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_task_is_written_and_told(name, kind, tmp_path):
    export(built(name, kind), "pytorch", tmp_path / "out")

    text = (tmp_path / "out" / "model.py").read_text()
    told = (tmp_path / "out" / "README.md").read_text()
    assert "tunesmith" not in text
    assert "bit for bit" in told
    assert all(f"`{key}`" in told for key in SPECS[name])
    assert json.loads((tmp_path / "out" / "classes.json").read_text())["kind"] == kind


VARIANTS = [
    ("mlp", {"model.residual": True, "model.norm": "rms", "model.activation": "leaky_relu"}),
    ("mlp", {"model.norm": "batch", "model.activation": "softplus", "model.embedding_dim": 5}),
    ("cnn", {"model.norm": "rms", "model.pooling": "attention", "model.activation": "gelu"}),
    ("cnn", {"model.norm": "group", "model.pooling": "max"}),
    ("cnn", {"model.norm": "instance"}),
    ("bag", {"data.ngrams": 1, "model.depth": 3, "model.norm": "layer", "model.pooling": "attention"}),
    ("lstm", {"model.depth": 2, "model.norm": "layer", "model.pooling": "mean"}),
    ("transformer", {"model.norm": "rms", "model.embedding_dim": 6, "model.pooling": "max", "model.depth": 3}),
]


@pytest.mark.parametrize(("name", "changes"), VARIANTS)
def test_every_layer_is_written_as_code(name, changes, tmp_path):
    from tunesmith.training.exporting.formats.pytorch import imported

    original = built(name, **changes)
    folder = export(original, "pytorch", tmp_path / "out").path

    net = imported((folder / "model.py").read_text(), folder / "model.py")
    net.load_state_dict(original.model.state_dict())

    assert all(
        torch.equal(expected(original, inputs), expected(predictor(net, SPECS[name]), inputs))
        for inputs in batches(name)
    )
    assert [type(one).__name__ for one in net.modules()] == [type(one).__name__ for one in original.model.modules()]
    assert [one.p for one in net.modules() if isinstance(one, nn.Dropout)] == [
        one.p for one in original.model.modules() if isinstance(one, nn.Dropout)
    ]


def test_double_precision_stays_double(tmp_path):
    original = built("mlp")
    original.model.double()

    folder = export(original, "pytorch", tmp_path / "out").path

    assert "dtype=torch.float64" in (folder / "model.py").read_text()


@pytest.mark.parametrize(
    ("name", "changes"), [(name, {}) for name in models.MODELS] + [VARIANTS[0], VARIANTS[5], VARIANTS[6]]
)
def test_torchscript_takes_any_rows_and_any_length_of_text(name, changes, tmp_path):
    original = built(name, **changes)
    place = export(original, "torchscript", tmp_path / "model.pt").path

    extra = {"classes.json": "", "README.md": ""}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # newer torch calls TorchScript old
        program = torch.jit.load(place, _extra_files=extra)

    for inputs in batches(name):
        torch.testing.assert_close(program(*inputs.values()), expected(original, inputs), rtol=1e-4, atol=1e-4)
    assert json.loads(extra["classes.json"])["classes"] == ["class 0", "class 1", "class 2"]


@pytest.mark.parametrize("name", models.MODELS)
def test_a_torch_export_program_takes_any_rows_and_any_length_of_text(name, tmp_path):
    original = built(name)
    place = export(original, "torch_export", tmp_path / "model.pt2").path

    program = torch.export.load(place).module()

    for inputs in batches(name):
        torch.testing.assert_close(program(*inputs.values()), expected(original, inputs), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", models.MODELS)
def test_onnx_takes_any_rows_and_any_length_of_text(name, tmp_path):
    onnx = pytest.importorskip("onnx", reason="ONNX export is an extra: pip install 'tunesmith[onnx]'")
    pytest.importorskip("onnxscript", reason="ONNX export is an extra: pip install 'tunesmith[onnx]'")
    original = built(name)

    place = str(export(original, "onnx", tmp_path / "model.onnx").path)

    for run in runtimes(place):
        for inputs in batches(name):
            found = torch.from_numpy(run(None, {key: values.numpy() for key, values in inputs.items()})[0])
            torch.testing.assert_close(found, expected(original, inputs), rtol=1e-3, atol=1e-3)
    written = onnx.load(place)
    properties = {one.key: one.value for one in written.metadata_props}
    assert json.loads(properties["classes.json"])["classes"] == ["class 0", "class 1", "class 2"]
    assert [one.name for one in written.graph.input] == list(SPECS[name])


def runtimes(place):
    """The reference of the onnx package, and onnxruntime where it is installed."""
    from onnx.reference import ReferenceEvaluator

    found = [ReferenceEvaluator(place).run]
    if find_spec("onnxruntime") is not None:
        import onnxruntime

        found.append(onnxruntime.InferenceSession(place, providers=["CPUExecutionProvider"]).run)
    return found


@pytest.mark.parametrize("absent", [("onnx",), ("onnxscript",), ("onnx", "onnxscript")])
def test_an_absent_onnx_is_told_with_the_extra_to_install(absent, monkeypatch, tmp_path):
    from tunesmith.training.exporting.formats import onnx

    monkeypatch.setattr(onnx, "find_spec", lambda name: None if name in absent else object())

    with pytest.raises(
        MissingExtra, match=rf"{' and '.join(absent)}, which (is|are) not here; pip install 'tunesmith\[onnx\]'"
    ):
        export(built("mlp"), "onnx", tmp_path / "model.onnx")


def test_an_unknown_format_is_told_with_the_nearest(tmp_path):
    with pytest.raises(UnknownName, match="no export format called 'onx'; did you mean 'onnx'"):
        export(built("mlp"), "onx", tmp_path / "model.onnx")


class Noisy(nn.Module):
    """Never gives the same twice."""

    def __init__(self):
        super().__init__()
        self.head = nn.Linear(3, 2)

    def forward(self, x):
        return self.head(x) + torch.rand(1)


@pytest.mark.parametrize("format", ["pytorch", "torchscript", "torch_export"])
def test_what_comes_out_different_is_not_left_behind(format, tmp_path):
    with pytest.raises(ModelError, match="outputs differ by"):
        export(predictor(Noisy(), {"x": Plain((3,))}), format, tmp_path / "place" / "model.pt2")

    assert list(tmp_path.rglob("*")) == [tmp_path / "place"]


def test_a_failed_export_keeps_the_one_before(tmp_path):
    place = export(built("mlp"), "pytorch", tmp_path / "out").path
    before = (place / "model.py").read_text()

    with pytest.raises(ModelError):
        export(predictor(Noisy(), {"x": Plain((3,))}), "pytorch", place)

    assert (place / "model.py").read_text() == before
    assert list(tmp_path.iterdir()) == [place]


def test_an_export_replaces_an_earlier_one_and_nothing_else(tmp_path):
    place = export(built("mlp"), "pytorch", tmp_path / "out").path
    (place / "stale.txt").write_text("of the former export")

    export(built("cnn"), "pytorch", place)

    assert not (place / "stale.txt").exists()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("all I have")
    with pytest.raises(RunError, match="is not empty and holds no earlier export"):
        export(built("mlp"), "pytorch", tmp_path / "mine")
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "all I have"


def test_a_file_goes_into_a_folder_that_is_there(tmp_path):
    assert export(built("mlp"), "torchscript", tmp_path).path == tmp_path / FORMATS["torchscript"].file


def test_the_model_is_left_as_it_was(tmp_path):
    original = built("lstm")
    original.model.train()
    before = {key: value.clone() for key, value in original.model.state_dict().items()}

    export(original, "torchscript", tmp_path / "model.pt")

    assert original.model.training
    assert all(value.requires_grad for value in original.model.parameters())
    assert list(before) == list(original.model.state_dict())
    assert all(torch.equal(value, before[key]) for key, value in original.model.state_dict().items())


def test_a_difference_is_measured_against_the_size_of_the_outputs():
    subject = subject_of(built("mlp"))

    told = compared(subject, lambda sample: subject.outputs(sample) * (1 + 4e-6), 1e-5, "copy")

    assert "agree to 4e-06, where 1e-05 is allowed" in told
    with pytest.raises(ModelError, match=r"the copy does not compute what the model does: outputs differ by 0\.001"):
        compared(subject, lambda sample: subject.outputs(sample) * (1 + 1e-3), 1e-5, "copy")
    with pytest.raises(ModelError, match="outputs of shape"):
        compared(subject, lambda sample: subject.outputs(sample)[:, :1], 1e-5, "copy")
    with pytest.raises(ModelError, match="outputs differ by nan"):
        compared(subject, lambda sample: subject.outputs(sample) * float("nan"), 1e-5, "copy")


def test_a_run_is_exported_into_its_folder_and_one_in_memory_where_it_is_told(tmp_path):
    from tunesmith.data import Pipeline
    from tunesmith.verbs.export import export as exported
    from tunesmith.verbs.fit import fit

    inputs = torch.randn(60, 4, generator=torch.Generator().manual_seed(0)).numpy()
    data, recipe = (inputs, inputs[:, 0] > 0), {"train.epochs": 1, "model.width": 8}
    run, quiet = fit(data, recipe, folder=tmp_path / "run"), fit(data, recipe)

    place = exported(run)

    assert place == tmp_path / "run" / "export" / "pytorch"
    pipeline = Pipeline.from_json(json.loads((place / "preprocessing.json").read_text()))
    assert pipeline.transform(inputs).inputs["numbers"].shape == (60, 4)
    assert json.loads((place / "classes.json").read_text())["classes"] == [False, True]
    assert exported(quiet, "torchscript", tmp_path / "model.pt") == tmp_path / "model.pt"
    with pytest.raises(RunError, match="a run in memory has no folder to export into"):
        exported(quiet)
