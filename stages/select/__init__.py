"""Choosing the model to go on with: the best fine-tuned one of a task, by its validation metric."""
