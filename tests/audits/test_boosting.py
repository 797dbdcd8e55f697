import numpy as np

import tunesmith as ts
from tunesmith.doctor.audits.boosting import Boosted


def test_a_column_of_gaps_alone_is_as_if_it_were_not_there():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 3))
    y = (X[:, 0] > 0).astype(int)
    hollow = np.column_stack([X, np.full(200, np.nan)])

    plain = Boosted(2, max_iter=10, random_state=0).fit(X, y).predict_proba(X)

    np.testing.assert_allclose(Boosted(2, max_iter=10, random_state=0).fit(hollow, y).predict_proba(hollow), plain)


def test_numbers_with_gaps_are_taken_as_they_are():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 2))
    X[::3, 1] = np.nan

    assert Boosted(0, max_iter=10).fit(X, X[:, 0]).predict(X).shape == (200,)


def test_audits_of_data_with_such_a_column_do_not_break():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 4)).astype(np.float32)
    X[:, 2] = np.nan

    found = ts.audit(
        (X, (X[:, 0] > 0).astype(int)), only=["reference_score", "usefulness", "shift", "label_errors", "no_signal"]
    )

    assert found.failed == {}
