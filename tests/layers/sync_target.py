"""One of several processes with a synchronised batch norm: python sync_target.py RANK WORLD FOLDER.

Reads FOLDER/cases.pt, a list of {sizes, x, dy, dims, options}; each process takes its own rows, and writes
FOLDER/RANK.pt with what came out.
"""

import sys
from pathlib import Path

import torch
from torch import distributed

from tunesmith.blocks.layers import norm


def run(case: dict, rank: int) -> dict:
    start = sum(case["sizes"][:rank])
    rows = slice(start, start + case["sizes"][rank])
    x = case["x"][rows].clone().requires_grad_()
    torch.manual_seed(0)
    layer = norm("sync_batch", case["x"].shape[1], dims=case["dims"], **case["options"]).to(x.dtype)
    torch.nn.init.normal_(layer.weight)
    outputs = [layer(x)]
    (gradient,) = torch.autograd.grad((outputs[0] * case["dy"][rows]).sum(), x, create_graph=True)
    (second,) = torch.autograd.grad(gradient.square().sum(), x)
    outputs.append(layer(x.detach() + 1))  # another update of the averages
    (outputs[1] * case["dy"][rows]).sum().backward()
    return {
        "y": outputs[0].detach(),
        "dx": gradient.detach(),
        "d2x": second,
        "dgamma": layer.weight.grad,
        "dbeta": layer.bias.grad,
        "averages": {name: value.clone() for name, value in layer.named_buffers()},
        "eval": layer.eval()(x).detach(),
    }


def main(rank: int, world: int, folder: Path) -> None:
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=world)
    torch.save([run(case, rank) for case in torch.load(folder / "cases.pt")], folder / f"{rank}.pt")
    try:
        norm("sync_batch", 2)(torch.ones(1 if rank == 0 else 0, 2))
        said = ""
    except ValueError as error:
        said = str(error)
    (folder / f"{rank}.txt").write_text(said)
    distributed.destroy_process_group()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
