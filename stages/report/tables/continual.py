"""What was learnt of a further corpus, and what was forgotten of the first."""

from __future__ import annotations

from stages.report.formats import code, spread
from stages.report.inputs import Inputs
from stages.report.tables import Table, cell, traced


def continual(inputs: Inputs) -> Table:
    """Losses at the end, mean ± standard deviation over seeds, of the objectives that went on to another corpus."""
    names = list(dict.fromkeys(item.objective for item in inputs.pretraining if item.forgotten is not None))
    return Table(
        header=["objective", "loss on the further corpus", "loss on the corpus", "forgotten"],
        rows=[_row(inputs, name) for name in names],
    )


def _row(inputs: Inputs, objective: str) -> list[str]:
    items = [item for item in inputs.pretraining if item.objective == objective]
    forgotten = [item.forgotten for item in items if item.forgotten is not None]
    losses = [item.loss for item in items if item.loss is not None]
    earlier = [item.earlier_loss for item in items if item.earlier_loss is not None]
    signed = spread(forgotten, 3)
    texts = {"loss": spread(losses, 3), "earlier_loss": spread(earlier, 3)}
    texts |= {"forgotten": signed if signed.startswith("−") else f"+{signed}"}
    origins = {metric: cell(objective, "corpus", "pretrain", metric) for metric in texts}
    return [code(objective), *(traced(text, origins[metric]) for metric, text in texts.items())]
