"""What stages run on: so far, a number of equal places."""

from __future__ import annotations


class Slots:
    """Places for stages to run in, handed out one stage each."""

    def __init__(self, count: int) -> None:
        self._free = count

    def take(self, stage: str) -> bool:
        """Lease a place to `stage`; False if none is free now."""
        if not self._free:
            return False
        self._free -= 1
        return True

    def give_back(self, stage: str) -> None:
        """End the lease of `stage`."""
        self._free += 1
