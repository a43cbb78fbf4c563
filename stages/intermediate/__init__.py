"""Lending: what the models of some tasks are fitted to before, laid beside each task by itself."""
