"""Learning without labels: what to look at while embeddings are trained, a watch for anybody's loop, and a small trainer."""
