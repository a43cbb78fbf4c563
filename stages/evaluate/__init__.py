"""Measuring: what each model scores on a task's test split, how sure that is, and which differences hold."""
