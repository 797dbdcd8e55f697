"""shuffling: the training rows in a new order every epoch.

Does      shuffles arrays, or makes the loader anew with `shuffle=True`.
Mends     batches of one kind after the other.
Limits    a stream without numbered rows stays.
Source    the experiment `shuffled`.
"""

from tunesmith.doctor.repair.surgery.catalogue import of_experiment

of_experiment(
    "shuffling",
    "shuffled",
    also=("loss.oscillating", "loss.spike", "collapse.constant_prediction"),
    lines=lambda before, after, values: ["loader = DataLoader(dataset, batch_size=batch_size, shuffle=True)"],
    anew=False,
)
