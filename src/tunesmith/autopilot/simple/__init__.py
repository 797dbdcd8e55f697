"""Strong simple models beside the net: linear, and gradient boosting. scikit-learn fits them; they are kept as plain arrays, not as pickles."""
