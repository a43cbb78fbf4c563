"""Fine-tuning: any pre-trained model, any task, any method."""
