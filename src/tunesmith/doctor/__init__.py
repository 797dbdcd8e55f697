"""Looks, names, proves, mends."""
