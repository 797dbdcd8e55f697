"""A net with an adapter leaves as the plain net that it amounts to."""

import torch
from safetensors.torch import load_file

import tunesmith as ts
from tests.training.pretrained.test_beginning import Heard, Net, data
from tunesmith.training.exporting.formats.pytorch import imported


def test_an_adapter_is_exported_merged(tmp_path):
    torch.manual_seed(0)
    recipe = {
        "train.epochs": 2,
        "train.batch_size": 16,
        "eval.bootstrap": 0,
        "run.watch": False,
        "optim.lr": 0.05,
        "model.lora.rank": 2,
    }
    run = ts.fit(ts.Task(Net(), data()), recipe, folder=tmp_path / "run", display=Heard())

    folder = ts.export(run, "pytorch", model=Net())

    net = imported((folder / "model.py").read_text(), folder / "model.py").eval()
    net.load_state_dict(load_file(next(folder.glob("*.safetensors"))))
    x = torch.from_numpy(data()[0])
    with torch.no_grad():
        assert torch.allclose(net(x), ts.load(tmp_path / "run", model=Net()).model.eval()(x), atol=1e-5)
    assert not [name for name in net.state_dict() if "lora" in name]
