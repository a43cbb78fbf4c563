"""Zero-shot evaluation: which sentence of a minimal pair a pre-trained model finds likelier, without any tuning."""
