"""The Transformer block that every objective shares, its heads, its loss and its files."""
