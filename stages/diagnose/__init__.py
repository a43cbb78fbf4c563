"""Looking inside a tuned model: how sure it is, what disturbs it, what it goes by, where it errs."""
