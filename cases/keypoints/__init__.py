"""Facial keypoints: the classic tutorial as a ladder of recipes, and what each rung gains on persons not seen."""
