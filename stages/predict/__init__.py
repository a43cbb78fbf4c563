"""Using a tuned model: texts in a file, labels and probabilities out."""
