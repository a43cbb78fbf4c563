"""Exported graphs: they say what PyTorch says, whoever made them and wherever they are asked."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import helper, numpy_helper
from tokenizers import Tokenizer

from stages.artifacts import md5
from stages.compress import files, runtime
from stages.compress.graph import trace
from stages.compress.methods.onnx import GRAPH
from stages.compress.methods.onnx_int8 import _quantized
from stages.errors import Inapplicable, StageError
from stages.model import backbone, classifier, imported
from stages.model.classifier import Classifier
from stages.model.classifier_config import ClassifierConfig
from tests.compress.conftest import save
from tests.compress.made import compress, material, steps
from tests.finetune.methods.made import method, pretrained
from tests.model import checkpoints
from tests.model.checkpoints import batch

pytestmark = pytest.mark.usefixtures("traced_once")

BLOCKED = ("torch", "transformers", "stages", "onnx", "safetensors")
LABELS = ("no", "yes")
SHAPES = [(1, 3), (1, 20), (3, 17), (2, 9)]


@pytest.fixture
def encoder(tmp_path: Path) -> Path:
    return save(tmp_path / "encoder", "encoder")


@pytest.mark.parametrize("kind", ["encoder", "decoder", "bert"])
def test_batch_and_length_are_free(kind: str, tmp_path: Path) -> None:
    """Whatever they are, and however much of a text is padding, PyTorch's logits come out."""
    source = save(tmp_path / kind, kind)
    compress(tmp_path / "graph", source, "onnx")
    model, session = classifier.load(source), files.load(tmp_path / "graph")
    for count, length in SHAPES:
        ids = torch.randint(4, 28, (count, length), generator=torch.Generator().manual_seed(length))
        padded = (torch.arange(length) < torch.arange(length, length - count, -1)[:, None]).long()
        for mask in (padded, torch.ones_like(padded)):
            with torch.no_grad():
                torch.testing.assert_close(session(ids * mask, mask), model(ids * mask, mask), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    ("name", "architecture"),
    [
        ("prompt", "encoder"),
        ("p_tuning", "decoder"),
        ("prompt", "imported"),
        ("prefix", "encoder"),
        ("prefix", "imported"),
        ("adapter", "encoder"),
    ],
)
def test_what_a_method_attached_is_exported(name: str, architecture: str, tmp_path: Path) -> None:
    """Virtual tokens, too: of batches and lengths that were not traced, padded or not, up to the greatest length."""
    model = Classifier(backbone.load(pretrained(tmp_path / "base", architecture)), ClassifierConfig(LABELS, (0, 2), 20))
    torch.nn.init.normal_(model.classifier.weight, generator=torch.Generator().manual_seed(0))
    method(name).attach(model, 0)
    session = runtime.Session(trace(model.eval()).SerializeToString())
    ids = torch.randint(5, 20, (3, 20), generator=torch.Generator().manual_seed(0))
    padded = (torch.arange(20) < torch.tensor([[20], [7], [3]])).long()
    for mask in (padded, torch.ones_like(padded)):
        with torch.no_grad():
            torch.testing.assert_close(session(ids * mask, mask), model(ids * mask, mask), atol=1e-4, rtol=1e-4)


def test_what_cannot_be_traced_is_refused_with_a_reason(encoder: Path, tmp_path: Path) -> None:
    """A model that asks its input which way to go."""
    model, (step,) = classifier.load(encoder), steps("onnx")
    model.transformer.register_forward_pre_hook(lambda _, given: None if given[0].max().item() > 3 else given)
    (tmp_path / "graph").mkdir()
    with pytest.raises(Inapplicable, match=r"compressors\.made\.0: torch\.export makes no graph .*leave this step out"):
        step.compressor.export(model, tmp_path / "graph", material(tmp_path / "data", encoder))  # type: ignore[attr-defined]


@pytest.mark.parametrize("pooling", ["none", "first", "last"])
def test_every_pooling_is_exported(pooling: str, tmp_path: Path) -> None:
    """Words' own outputs, too, at real tokens."""
    folder = checkpoints.save(tmp_path / "bert")
    transformer = imported.load(folder)
    config = ClassifierConfig(LABELS, (0, 2), 20, pooling=pooling)  # type: ignore[arg-type]
    model = Classifier(transformer, config)
    torch.nn.init.normal_(model.classifier.weight, generator=torch.Generator().manual_seed(0))
    session = runtime.Session(trace(model.eval()).SerializeToString())
    ids, mask = batch()
    with torch.no_grad():
        expected, found = model(ids, mask), session(ids, mask)
    real = mask.bool() if pooling == "none" else slice(None)
    torch.testing.assert_close(found[real], expected[real], atol=1e-4, rtol=1e-4)


def test_another_process_writes_the_same_bytes(encoder: Path, tmp_path: Path) -> None:
    """And nothing in them says where they were made, or by which version of what."""
    compress(tmp_path / "graph", encoder, "onnx_int8")
    code = (
        "import sys; from pathlib import Path; from tests.compress.made import compress\n"
        "compress(Path(sys.argv[1]), Path(sys.argv[2]), 'onnx_int8')"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "again"), str(encoder)], check=True)
    assert md5(tmp_path / "graph") == md5(tmp_path / "again")
    content = (tmp_path / "graph" / GRAPH).read_bytes()
    for word in (torch.__version__, "stages", "site-packages", "onnxruntime.quant"):
        assert word.encode() not in content


def test_int8_weights_are_within_half_a_step(encoder: Path, tmp_path: Path) -> None:
    """Of a product's outputs each its own; in fp32 are only angles and the head. Some matrices are there in parts."""
    compress(tmp_path / "graph", encoder, "onnx_int8")
    constants = {
        one.name: numpy_helper.to_array(one) for one in onnx.load(tmp_path / "graph" / GRAPH).graph.initializer
    }
    values = {name: array for name, array in constants.items() if name.endswith("_quantized")}
    parts = {"Wqkv": 3, "Wi": 2}
    matrices = [
        part.detach().numpy()
        for name, whole in classifier.load(encoder).named_parameters()
        if whole.ndim == 2 and not name.startswith("classifier.")
        for part in whole.chunk(parts.get(name.split(".")[-2], 1))
    ]
    assert len(values) == len(matrices)
    model = classifier.load(encoder)
    head, angles = (
        model.classifier.weight.detach().numpy(),
        (model.config.max_length, model.transformer.config.head_dim // 2),
    )
    floats = [
        array for array in constants.values() if array.dtype == np.float32 and array.ndim == 2 and min(array.shape) > 1
    ]
    assert {array.shape for array in floats} - {head.shape, head.T.shape} == {angles}
    assert any(np.array_equal(array, head) or np.array_equal(array, head.T) for array in floats)
    for name, array in values.items():
        step = constants[name.removesuffix("_quantized") + "_scale"]
        zero = constants[name.removesuffix("_quantized") + "_zero_point"].astype(np.int32)
        assert array.dtype == np.int8 or "embeddings" in name
        again = (array.astype(np.int32) - zero) * step
        alike = [one for matrix in matrices for one in (matrix, matrix.T) if one.shape == again.shape]
        assert min(np.abs(one - again).max() for one in alike) <= step.max() * 0.51


def test_int8_products_fit_into_16_bits(encoder: Path, tmp_path: Path) -> None:
    """Two of the largest inputs by the largest weights, as processors without VNNI add them; tables have all 8 bits."""
    compress(tmp_path / "graph", encoder, "onnx_int8")
    tables, weights = [], []
    for constant in onnx.load(tmp_path / "graph" / GRAPH).graph.initializer:
        if constant.name.endswith("_quantized"):
            array = numpy_helper.to_array(constant).astype(np.int64)
            (tables if "embeddings" in constant.name else weights).append(array)
    assert weights
    assert all(np.abs(array).max() > 2**5 and 2 * 255 * np.abs(array).max() < 2**15 for array in weights)
    assert tables
    assert all(np.ptp(array) > 2**7 for array in tables)


@pytest.mark.parametrize("alike", [False, True])
def test_int8_products_are_those_of_integers(alike: bool) -> None:
    """On every processor; the largest inputs and weights side by side are what overflows 16 bits."""
    draw = np.random.default_rng(0)
    weight, inputs = draw.normal(size=(128, 40)).astype(np.float32), draw.normal(size=(9, 128)).astype(np.float32)
    if alike:
        weight, inputs = np.ones_like(weight), np.abs(inputs).clip(3.0)
    proto = helper.make_model(
        helper.make_graph(
            [helper.make_node("MatMul", ["x", "w"], ["y"])],
            "product",
            [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["rows", 128])],
            [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, ["rows", 40])],
            [numpy_helper.from_array(weight, "w")],
        ),
        opset_imports=[helper.make_opsetid("", 18)],
        ir_version=9,
    )
    quantized = _quantized(proto, [])
    constants = {one.name: numpy_helper.to_array(one) for one in quantized.graph.initializer}
    (found,) = onnxruntime.InferenceSession(quantized.SerializeToString()).run(None, {"x": inputs})
    low, high = min(float(inputs.min()), 0.0), float(inputs.max())
    step = np.float32((high - low) / 255)
    integers = np.rint(inputs / step).clip(np.rint(low / step), np.rint(high / step)).astype(np.int64)
    expected = integers @ constants["w_quantized"].astype(np.int64) * constants["w_scale"] * step
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-4)


def test_the_folder_is_all_that_is_needed(encoder: Path, tmp_path: Path) -> None:
    """Its ten lines answer as the model does, in a process that can import nothing else."""
    checkpoints.tokens("bert").save(str(encoder / "tokenizer.json"))
    compress(tmp_path / "graph", encoder, "onnx")
    code = (
        f"import sys; sys.modules.update(dict.fromkeys({BLOCKED!r})); import runpy\n"
        "path, sys.argv = sys.argv[1], sys.argv[1:]; runpy.run_path(path, run_name='__main__')"
    )
    texts = ["good film .", "the plot the plot the plot the plot the plot the plot the plot the plot the plot bad"]
    words = [sys.executable, "-c", code, str(tmp_path / "graph" / "example.py"), *texts]
    told = subprocess.run(words, capture_output=True, text=True, check=True, cwd=tmp_path).stdout.splitlines()
    model, tokenizer = classifier.load(encoder), Tokenizer.from_file(str(encoder / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(model.config.max_length)
    for text, line in zip(texts, told, strict=True):
        ids = torch.tensor([tokenizer.encode(text).ids])
        with torch.no_grad():
            expected = model(ids, torch.ones_like(ids))[0].tolist()
        answer = json.loads(line)
        assert list(answer) == list(model.config.labels)
        assert list(answer.values()) == pytest.approx(expected, abs=1e-4)


def test_a_graph_that_says_something_else_is_not_written(
    encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is asked before."""
    honest = runtime.Session.__call__
    monkeypatch.setattr(runtime.Session, "__call__", lambda self, *given: honest(self, *given) + 1e-2)
    with pytest.raises(StageError, match=r"compressors\.made\.0: ONNX Runtime's answers are 0\.01 from PyTorch's"):
        compress(tmp_path / "graph", encoder, "onnx")
    assert not (tmp_path / "graph").exists()


def test_integers_of_pytorch_are_not_exported() -> None:
    with pytest.raises(StageError, match=r"compressors\.made\.1: onnx cannot come after int8_dynamic|put int8_dynamic"):
        steps("int8_dynamic", "onnx")
    with pytest.raises(StageError, match=r"compressors\.made\.1"):
        steps("onnx", "prune_neurons")


def test_what_was_pruned_is_exported(encoder: Path, tmp_path: Path) -> None:
    """And is smaller than the whole."""
    compress(tmp_path / "whole", encoder, "onnx_int8")
    compress(tmp_path / "pruned", encoder, ("prune_heads", {"sparsity": 0.5}), ("low_rank", {"rank": 4}), "onnx_int8")
    whole, pruned = (len((tmp_path / name / GRAPH).read_bytes()) for name in ("whole", "pruned"))
    assert pruned < whole


def test_a_damaged_graph_is_an_error(encoder: Path, tmp_path: Path) -> None:
    compress(tmp_path / "graph", encoder, "onnx")
    (tmp_path / "graph" / GRAPH).write_bytes(b"no graph")
    with pytest.raises(StageError, match=r"model\.onnx cannot be read .*dvc repro"):
        files.load(tmp_path / "graph")
