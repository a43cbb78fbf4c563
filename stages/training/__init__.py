"""The training engine: one loop for pre-training and fine-tuning, resumable bit for bit."""
