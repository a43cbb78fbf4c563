"""The report: one csv of all numbers, and one page that says what they mean."""
