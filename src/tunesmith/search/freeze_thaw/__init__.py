"""The model and the moves of the default search: configuration and learning curve in one Gaussian process, after Swersky, Snoek and
Adams, Freeze-Thaw Bayesian Optimization, arXiv:1406.3896; the acquisition after Rakotoarison et al., ifBO, arXiv:2404.16795.
"""
