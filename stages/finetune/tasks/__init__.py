"""The families of downstream tasks, one file each."""
