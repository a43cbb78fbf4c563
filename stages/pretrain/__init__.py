"""Pre-training: every objective on the same block, text, order and budget."""
