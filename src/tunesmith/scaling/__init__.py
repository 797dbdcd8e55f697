"""What a larger model or more data would reach, from trainings of small ones, and which settings carry over."""
