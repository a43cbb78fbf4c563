"""From named sources to clean text: the corpus to pre-train on, and the rows of every task."""
