"""What single objectives read besides the corpus: labelled examples, and checkpoints to start from."""
