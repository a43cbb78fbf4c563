"""The sub-word vocabulary: trained on the corpus's training text alone, then applied to everything."""
