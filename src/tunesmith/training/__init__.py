"""Training: the loop and what it stands on. A plan is made of a task, a recipe and prepared data, and carried out in a session."""
