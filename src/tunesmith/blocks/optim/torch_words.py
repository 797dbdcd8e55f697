"""What the optimizers of torch do, in our words: rule, source, and when to take which.

Legend: w weights, g gradient, η rate, λ weight decay, t updates made, this one included; a hat divides by 1 - β^t. Read in
torch 2.13, `torch/optim/`; where it departs from the paper, its own rule is written and the departure named.
"""

from typing import NamedTuple


class Words(NamedTuple):
    """One optimizer."""

    title: str
    rule: str
    more: str
    use: str
    source: str


TORCH: dict[str, Words] = {
    "adadelta": Words(
        "Steps in the unit of the weights",
        "v ← ρ v + (1 - ρ) g²; Δ = √(u + ε) / √(v + ε) g; u ← ρ u + (1 - ρ) Δ²; w ← w - η Δ.",
        "The rate is a plain factor, 1 in the paper. Decay is added to g (L2).",
        "where no rate is to be chosen; slower than a tuned Adam on most nets.",
        "Zeiler, arXiv:1212.5701, algorithm 1.",
    ),
    "adafactor": Words(
        "Adam with a second moment of one row and one column a matrix",
        "V ≈ R C / ΣR of g² + ε₁; U = g / √V; w ← w - max(ε₂, RMS(w)) ρ U / max(1, RMS(U) / d), ρ = min(η, 1 / √t).",
        "No first moment. η caps the relative step ρ. Decay is apart from the gradient, η λ w. Vectors keep a whole V.",
        "large language models whose optimizer state does not fit; else AdamW.",
        "Shazeer & Stern, arXiv:1804.04235, algorithms 4 and 5.",
    ),
    "adagrad": Words(
        "A rate for every weight that falls with its gradients",
        "s ← s + g²; w ← w - η / (1 + (t - 1) lr_decay) g / (√s + ε).",
        "The sum never forgets, so steps shrink for good. Takes sparse gradients. Decay is added to g (L2).",
        "sparse features and embeddings, convex problems; deep nets stall once s is large.",
        "Duchi, Hazan & Singer, JMLR 12, 2011, figure 1 (diagonal).",
    ),
    "adam": Words(
        "Momentum over the root of a mean square",
        "m ← β₁ m + (1 - β₁) g; v ← β₂ v + (1 - β₂) g²; w ← w - η m̂ / (√v̂ + ε).",
        "Decay is added to g (L2), so it is divided by √v̂ too: for decay take adamw. `amsgrad` keeps the largest v̂.",
        "quick progress without tuning; with weight decay take adamw.",
        "Kingma & Ba, arXiv:1412.6980, algorithm 1; amsgrad: Reddi et al., arXiv:1904.09237, algorithm 2.",
    ),
    "adamax": Words(
        "Adam with the largest gradient instead of the mean square",
        "m ← β₁ m + (1 - β₁) g; u ← max(β₂ u, |g| + ε); w ← w - η / (1 - β₁^t) m / u.",
        "Decay is added to g (L2).",
        "gradients with rare large entries, embeddings; seldom better than adam.",
        "Kingma & Ba, arXiv:1412.6980, algorithm 2.",
    ),
    "adamw": Words(
        "Adam with weight decay apart from the gradient",
        "w ← w - η λ w; m ← β₁ m + (1 - β₁) g; v ← β₂ v + (1 - β₂) g²; w ← w - η m̂ / (√v̂ + ε).",
        "torch multiplies the decay by the rate, so a schedule scales both and λ is about 0.01 to 0.1; in the paper the decay "
        "has a schedule of its own and no η.",
        "the first choice for transformers and tables; tuned SGD with momentum can end better on pictures.",
        "Loshchilov & Hutter, arXiv:1711.05101, algorithm 2.",
    ),
    "asgd": Words(
        "Plain SGD that keeps the average of its weights",
        "w ← (1 - lambd η_t) w - η_t g, η_t = η / (1 + lambd η t)^alpha; ax is the mean of w from update t0 on.",
        "The average lies in the state (`ax`), the model keeps w: train.average evaluates one for any optimizer. `t0` is "
        "1e6 by default: shorter runs never begin to average.",
        "convex problems; for nets take sgd with train.average.",
        "Polyak & Juditsky, SIAM J. Control Optim. 30, 1992.",
    ),
    "lbfgs": Words(
        "A quasi-Newton step from the last `history_size` changes",
        "w ← w - η H g, H from pairs (Δw, Δg) by the two-loop recursion; `line_search_fn` strong_wolfe chooses η.",
        "Asks for the loss again and again in one update (a closure), up to max_iter times; the state holds 2 × history_size "
        "copies of the weights.",
        "small problems with all rows in one batch, smooth losses; never with noise of batches or dropout.",
        "Liu & Nocedal, Math. Programming 45, 1989; line search: Nocedal & Wright, Numerical Optimization, algorithm 3.5.",
    ),
    "muon": Words(
        "Momentum with its singular values made equal",
        "b ← μ b + (1 - μ) g; O = the orthogonal factor of b (Nesterov: of (1 - μ) g + μ b); w ← w - η λ w - η a O.",
        "O comes of five Newton-Schulz iterations, singular values about 1. a = √max(1, rows / columns), or with "
        "`adjust_lr_fn` match_rms_adamw 0.2 √max(rows, columns), which keeps the rates of AdamW.",
        "the matrices inside transformers; embeddings, heads, vectors need another optimizer beside it.",
        "Jordan et al., Muon, 2024 (kellerjordan.github.io/posts/muon); Liu et al., arXiv:2502.16982.",
    ),
    "nadam": Words(
        "Adam that looks ahead along its momentum",
        "w ← w - η (μ₊ m / (1 - Πμ μ₊) + (1 - μ) g / (1 - Πμ)) / (√v̂ + ε), μ = β₁ (1 - ½ 0.96^(0.004 t)), μ₊ the next.",
        "m and v as in adam; Πμ is the product of all μ so far. Decay is added to g (L2) unless `decoupled_weight_decay`.",
        "as adam; a little quicker where momentum helps.",
        "Dozat, Incorporating Nesterov momentum into Adam, ICLR workshop 2016.",
    ),
    "radam": Words(
        "Adam with a warm-up of its own",
        "w ← w - η r m̂ √(1 - β₂^t) / (√v + ε) where ρ_t > 5, else w ← w - η m̂.",
        "r = √((ρ_t - 4)(ρ_t - 2) ρ∞ / ((ρ∞ - 4)(ρ∞ - 2) ρ_t)), ρ∞ = 2 / (1 - β₂) - 1, ρ_t = ρ∞ - 2 t β₂^t / (1 - β₂^t). The "
        "paper asks for ρ_t > 4. Decay is added to g (L2) unless `decoupled_weight_decay`.",
        "in the place of adam with a warm-up; with one it warms up twice.",
        "Liu et al., arXiv:1908.03265, algorithm 2.",
    ),
    "rmsprop": Words(
        "The gradient over the root of its mean square",
        "v ← α v + (1 - α) g²; w ← w - η g / (√v + ε); with a momentum μ: b ← μ b + g / (√v + ε), w ← w - η b.",
        "`centered` takes the mean from v. TensorFlow adds ε under the root, so its rates differ. Decay is added to g (L2).",
        "recurrent nets and reinforcement learning, as their papers did; else adam.",
        "Tieleman & Hinton, Coursera lecture 6.5, 2012; centered: Graves, arXiv:1308.0850, eq. 38 to 41.",
    ),
    "rprop": Words(
        "Steps by the sign of the gradient alone",
        "Δ ← 1.2 Δ where the sign stayed, 0.5 Δ where it turned (and no step there); w ← w - sign(g) Δ.",
        "Δ begins at the rate and lies within `step_sizes`. The size of g is ignored.",
        "all rows in one batch; the signs of small batches are noise.",
        "Riedmiller & Braun, ICNN 1993; without the step back: Igel & Hüsken, 2000.",
    ),
    "sgd": Words(
        "Gradient descent, with momentum",
        "b ← μ b + (1 - dampening) g; w ← w - η b; nesterov: w ← w - η (g + μ b); μ = 0: w ← w - η g.",
        "b begins as g. The rate stands outside of b, so a change of rate acts at once. Decay is added to g (L2), which for "
        "SGD is the same as apart from it, up to the momentum.",
        "pictures with a tuned rate and schedule, where it often ends best; needs more care for the rate than adamw.",
        "Robbins & Monro, 1951; momentum: Polyak, 1964; Sutskever et al., ICML 2013, eq. 1 to 4.",
    ),
    "sparseadam": Words(
        "Adam that moves only the rows with a gradient",
        "as adam, for the entries of a sparse gradient; moments and weights of all others stay as they are.",
        "Others would decay at every step in adam, so the results differ: a lazy form. No weight decay. Needs layers made "
        "with sparse=True.",
        "embeddings of many rows of which a batch touches few.",
        "Kingma & Ba, arXiv:1412.6980, algorithm 1, on the rows touched.",
    ),
}
