"""0-1 loss in parts, row by row, in the two ways that are in use.

Domingos, A Unified Bias-Variance Decomposition, ICML 2000: the *main prediction* of a row is the mode over training sets;

    bias = [main != y]      variance = P(pred != main)      loss = bias + c · variance

with c = +1 where the main prediction is right, and -P(pred = y | pred != main) where it is wrong (-1 for two classes): there variance helps.
The averages of bias and of variance therefore do not add up to the loss; those of bias and of *net* variance do. y stands for the best answer,
so that bias holds the noise. With few refits the mode is that of a small sample, for which there is no unbiased correction: have 30 or more.

Kohavi & Wolpert, Bias Plus Variance Decomposition for Zero-One Loss Functions, ICML 1996: the squared decomposition of the one-hot answers,
halved, with the shares P(c) of the answers of a row:

    loss = bias² + variance + noise      bias² = ½ Σ (P_y(c) - P(c))²      variance = ½ (1 - Σ P(c)²)      noise = ½ (1 - Σ P_y(c)²)

It adds up, has the unbiased corrections of the squared loss, and its noise can be measured from replicates.
Ties of the mode go to the class that sorts first.
"""

import numpy as np

from tunesmith.data.spec import Array


def counts_of(predictions: Array, classes: int) -> Array:
    """(N, C): how many of the refits (R, N) answer with each class."""
    rows = predictions.shape[1]
    places = np.arange(rows) * classes + predictions
    return np.bincount(places.reshape(-1), minlength=rows * classes).reshape(rows, classes)


def domingos(counts: Array, target: Array) -> dict[str, Array]:
    """(N,) each: main, error, bias, variance, net_variance; `target` as places of classes.

    >>> {name: values.tolist() for name, values in domingos(np.array([[3, 1], [3, 1]]), np.array([0, 1])).items()}
    {'main': [0, 0], 'error': [0.25, 0.75], 'bias': [0.0, 1.0], 'variance': [0.25, 0.25], 'net_variance': [0.25, -0.25]}
    """
    refits = counts.sum(axis=1)
    rows = np.arange(len(target))
    main = counts.argmax(axis=1)
    right = counts[rows, target] / refits
    biased = main != target
    variance = 1 - counts[rows, main] / refits
    net = np.where(
        biased, -right, variance
    )  # c · variance: -P(pred = y | pred != main) · P(pred != main) = -P(pred = y)
    return {"main": main, "error": 1 - right, "bias": biased.astype(float), "variance": variance, "net_variance": net}


def kohavi_wolpert(counts: Array, target: Array) -> dict[str, Array]:
    """(N,) each, unbiased for the number of refits: bias2_and_noise, variance; they add up to the error.

    >>> {name: values.round(3).tolist() for name, values in kohavi_wolpert(np.array([[3, 1]]), np.array([0])).items()}
    {'variance': [0.25], 'bias2_and_noise': [0.0]}
    """
    refits = counts.sum(axis=1)
    shares = counts / refits[:, None]
    variance = (1 - (shares**2).sum(axis=1)) / 2 * refits / (refits - 1)
    right = shares[np.arange(len(target)), target]
    apart = (1 - 2 * right + (shares**2).sum(axis=1)) / 2
    return {"variance": variance, "bias2_and_noise": apart - variance / refits}


def disagreement(labels: Array) -> float:
    """½ (1 - Σ P_y(c)²) of the labels (M,) of rows with equal inputs, unbiased: half the share of pairs that disagree.

    >>> disagreement(np.array([0, 0, 1]))
    0.333...
    """
    count = len(labels)
    equal = (np.unique(labels, return_counts=True)[1] ** 2).sum()
    return float((count**2 - equal) / (count * (count - 1)) / 2)
