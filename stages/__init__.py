"""The pipeline's stages: one room per step from raw text to a comparison report."""

import os

from stages import allocator

# How long a thread that has nothing to do spins before it sleeps. Asleep at once, every small tensor operation pays
# for waking it (measured: a training step takes 1.4 times as long); spinning on, it takes the processor from whoever
# else runs (two stages side by side: ten times slower). Where several stages share the cores, as in a flow, the
# environment says 0. It does not touch a bit of any result, and has to be said before the first import of torch.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
os.environ.setdefault("GOMP_SPINCOUNT", "10000")

# Without it cuBLAS may choose another order of sums on each call. Read when CUDA is first used.
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")

allocator.keep_freed_memory()
