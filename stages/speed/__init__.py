"""Speed: what the compressed models gain, measured beside what they were made from."""
