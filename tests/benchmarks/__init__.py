"""Measurements, each a ratio against a named peer in one run; not part of the tests."""
