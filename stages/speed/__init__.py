"""Speed: of compressed models beside what they were made from, and of pre-training objectives beside each other."""
