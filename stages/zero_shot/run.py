"""One pre-trained model on one source of minimal pairs."""

from __future__ import annotations

from stages import paths
from stages.model import files
from stages.model.config import ScoringMode
from stages.params import Params
from stages.tokenizer import files as tokenizer_files
from stages.training import device, precision
from stages.zero_shot import pairs, scoring
from stages.zero_shot.accuracy import accuracies
from stages.zero_shot.pairs import Pair
from stages.zero_shot.schema import Accuracies, ZeroShot


def zero_shot(settings: Params, source: str, objective: str, seed: int) -> ZeroShot:
    """Score all pairs in each mode that the model is made for.

    Raises:
        StageError: the model or the pairs are missing or damaged.
    """
    found, equal = pairs.read(source)
    modes = files.scoring(paths.pretrained(objective, seed))
    measured = _measure(settings, found, modes, objective, seed) if modes else {}
    return ZeroShot(objective=objective, seed=seed, source=source, equal_pairs=equal, modes=measured)


def _measure(
    settings: Params, found: list[Pair], modes: tuple[ScoringMode, ...], objective: str, seed: int
) -> dict[str, Accuracies]:
    dtype = precision.set_up(settings.engine)
    folder = paths.pretrained(objective, seed)
    model = files.load(folder).to(device.find()).eval()
    texts = [pair.good for pair in found] + [pair.bad for pair in found]
    sentences = scoring.encode(tokenizer_files.load(folder), texts)
    measured: dict[str, Accuracies] = {}
    for mode in modes:
        scores = scoring.score(model, sentences, mode, dtype, document_mask=settings.pretrain.document_mask)
        measured[mode] = accuracies(found, *scores.reshape(2, -1))
    return measured


def summary(result: ZeroShot) -> dict[str, float]:
    """The overall accuracies and those of phenomena: ``causal.overall``, ``causal.binding``."""
    named = {mode: {"overall": found.overall, **found.phenomena} for mode, found in result.modes.items()}
    return {f"{mode}.{name}": each.accuracy for mode, group in named.items() for name, each in group.items()}
