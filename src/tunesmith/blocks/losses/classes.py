"""Logits and labels of any layout, brought into torch's: the classes at dimension 1."""

from torch import Tensor

from tunesmith.records import ModelError


def classes_first(outputs: Tensor, target: Tensor, class_dim: int, name: str) -> tuple[Tensor, Tensor]:
    """Logits (N, C, …) with labels (N, …), or with probabilities in the shape of the logits."""
    if outputs.dim() < 2 or outputs.shape[class_dim] < 2:
        raise ModelError(
            f"{name} got outputs of shape {tuple(outputs.shape)}, one logit a class was expected at dimension "
            f"{class_dim}; "
            "give the model one output a class, or take binary_cross_entropy for a single logit"
        )
    logits = outputs if class_dim == 1 or outputs.dim() == 2 else outputs.movedim(class_dim, 1)
    if target.is_floating_point():
        target = target if class_dim == 1 or target.dim() < 3 else target.movedim(class_dim, 1)
        if target.shape == logits.shape:
            return logits, target
    labels = logits.shape[:1] + logits.shape[2:]
    if target.shape == (*labels, 1):
        target = target.squeeze(-1)
    if target.shape != labels or target.is_floating_point() or target.is_complex():
        raise ModelError(
            f"{name} got outputs of shape {tuple(outputs.shape)} and a {target.dtype} target of shape "
            f"{tuple(target.shape)}, "
            f"whole-number labels of shape {tuple(labels)} were expected; check where the classes lie (dimension "
            f"{class_dim}) and the labels"
        )
    return logits, target.long()


def labelled(outputs: Tensor, target: Tensor, class_dim: int, name: str) -> tuple[Tensor, Tensor]:
    """The same where only labels will do."""
    logits, labels = classes_first(outputs, target, class_dim, name)
    if labels.is_floating_point():
        raise ModelError(
            f"{name} got a {target.dtype} target of shape {tuple(target.shape)}, whole-number labels were expected; "
            "cross_entropy takes probabilities as a target"
        )
    return logits, labels


def one_logit(outputs: Tensor, target: Tensor) -> Tensor:
    """Two logits (N, 2) of a yes or no as their difference, which is the same probability; one logit as it is."""
    two = outputs.dim() == 2 and outputs.shape[1] == 2 and target.shape != outputs.shape
    return outputs[:, 1] - outputs[:, 0] if two else outputs
