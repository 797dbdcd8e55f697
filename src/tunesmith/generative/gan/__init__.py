"""Generative adversarial nets: what to look at while they train, a watch for anybody's loop, and a small trainer."""
