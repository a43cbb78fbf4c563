"""Compression: a fine-tuned model, smaller or faster, with what that costs in quality."""
