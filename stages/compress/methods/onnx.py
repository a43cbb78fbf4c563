"""Hand the model over to ONNX Runtime, as a graph that it has optimised (ONNX: Open Neural Network Exchange).

The folder is all that is needed to answer: the graph, the tokenizer, the labels, and ``example.py``, which asks it.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from stages.artifacts import atomic_file
from stages.compress import graph, runtime
from stages.compress.base import Export, Material
from stages.finetune.predict import Scorer
from stages.model.answerer import Answerer
from stages.model.classifier import Classifier

if TYPE_CHECKING:
    from onnx import ModelProto

GRAPH, EXAMPLE = "model.onnx", Path(graph.__file__).with_name("example.py")
CHECKED, BATCH_SIZE, TOLERANCE = 32, 8, 1e-4
"""Training examples on which the graph must say what the model says, and to within what."""


class Onnx(Export):
    """The model in fp32."""

    def export(self, model: Answerer, folder: Path, material: Material) -> None:
        if not isinstance(model, Classifier):
            raise self.unfit(f"a {type(model).__name__} is no graph from token ids to logits: leave this step out")
        traced = self._traced(model)
        content = runtime.optimized(traced).SerializeToString(deterministic=True)
        self._check(runtime.Session(content), model, material)
        with atomic_file(folder / GRAPH) as temporary:
            temporary.write_bytes(self.finish(traced, content))
        shutil.copyfile(EXAMPLE, folder / EXAMPLE.name)

    def finish(self, traced: ModelProto, optimized: bytes) -> bytes:
        """What is written: the optimised graph, or what else is made of the one that was traced."""
        return optimized

    def open(self, folder: Path) -> Scorer:
        return runtime.Session(folder / GRAPH)

    def _traced(self, model: Classifier) -> ModelProto:
        try:
            return graph.trace(model)
        except torch.onnx.OnnxExporterError as error:
            reason = str(error.__cause__ or error).strip().splitlines()[0]
            raise self.unfit(f"torch.export makes no graph of this model ({reason}): leave this step out") from None

    @torch.no_grad()
    def _check(self, session: Scorer, model: Classifier, material: Material) -> None:
        """Whether the graph is the model."""
        for batch in material.batches(CHECKED, BATCH_SIZE):
            expected = model(batch.input_ids, batch.attention_mask).cpu()
            found = session(batch.input_ids, batch.attention_mask)
            if not torch.allclose(found, expected, rtol=TOLERANCE, atol=TOLERANCE):
                far = float((found - expected).abs().max())
                raise self.refuse(f"ONNX Runtime's answers are {far:.2g} from PyTorch's: leave this step out")
