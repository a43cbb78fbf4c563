"""The pipeline's stages: one room per step from raw text to a comparison report."""

import os

# Threads that wait by spinning take the processor from those that work as soon as anything else runs: two stages
# side by side were measured to go ten times slower. Which way they wait does not touch a bit of the result. It has
# to be said before the first import of torch.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
