"""Checkpoints of other architectures: the states are transformers' own, and what cannot be read is said."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional as F

from stages import artifacts
from stages.errors import StageError
from stages.model import backbone, classifier, files, imported
from stages.model.classifier import Classifier
from stages.model.classifier_config import ClassifierConfig
from stages.model.imported import Imported
from stages.model.transformer import Transformer
from tests.model import checkpoints
from tests.model.checkpoints import KINDS
from tests.model.test_transformer import made


@pytest.fixture(params=KINDS)
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return checkpoints.save(tmp_path / request.param, request.param)


def padded(folder: Path) -> tuple[torch.Tensor, torch.Tensor]:
    """A batch with the padding of the folder's model."""
    return checkpoints.batch(padding=1 if folder.name == "roberta" else 0)


def reference(folder: Path) -> tuple[torch.Tensor, ...]:
    """What transformers says of the batch, of an encoder–decoder its encoder."""
    from transformers import AutoModel

    model, (input_ids, mask) = AutoModel.from_pretrained(folder).eval(), padded(folder)
    more = {"decoder_input_ids": input_ids[:, :1]} if folder.name == "t5" else {}
    with torch.no_grad():
        read = model(input_ids=input_ids, attention_mask=mask, output_hidden_states=True, **more)
    states: tuple[torch.Tensor, ...] = read.encoder_hidden_states if folder.name == "t5" else read.hidden_states
    return states


def classify(model: Imported, depths: tuple[int, ...] | None = None) -> Classifier:
    """A classifier with a head that is not zero."""
    made = Classifier(model, ClassifierConfig(("no", "yes"), depths or tuple(model.depths), 20))
    torch.nn.init.normal_(made.classifier.weight, generator=torch.Generator().manual_seed(0))
    return made.eval()


def test_states_and_pooled_features_are_those_of_transformers(folder: Path) -> None:
    """Of embeddings and of every layer; pooled, the mean of a text's own tokens, normed."""
    model, expected, (input_ids, mask) = imported.load(folder), reference(folder), padded(folder)
    with torch.no_grad():
        states = model(input_ids, mask)
        features = classify(model).features(input_ids, mask, torch.float32)
    assert (len(states), len(model.depths), model.hidden_size) == (3, 3, 32)
    for ours, theirs in zip(states, expected, strict=True):
        torch.testing.assert_close(ours, theirs)
    for row, length in enumerate((20, 12)):
        pooled = [F.layer_norm(state[row, :length].mean(0), (32,)) for state in expected]
        torch.testing.assert_close(features[row], torch.cat(pooled), atol=1e-5, rtol=1e-5)


def test_padding_changes_nothing(folder: Path) -> None:
    model, (input_ids, mask) = imported.load(folder), padded(folder)
    with torch.no_grad():
        alone, among = classify(model)(input_ids[1:, :12], mask[1:, :12]), classify(model)(input_ids, mask)[1:]
    torch.testing.assert_close(among, alone, atol=1e-4, rtol=1e-4)


def test_a_model_outlives_what_happens_to_its_file(folder: Path) -> None:
    """Its weights are its own, not the file's pages."""
    model, (input_ids, mask), file = imported.load(folder), padded(folder), folder / files.WEIGHTS
    with file.open("r+b") as weights:
        weights.seek(8 + int.from_bytes(weights.read(8), "little"))  # behind the header
        weights.write(bytes(file.stat().st_size - weights.tell()))
    with torch.no_grad():
        states = model(input_ids, mask)
    assert all(state.abs().sum() > 1 for state in states)


def test_what_was_saved_says_the_same(folder: Path, tmp_path: Path) -> None:
    """Bit for bit, whatever type the checkpoint came in; all besides the weights is as it was."""
    checkpoints.model(folder.name).half().save_pretrained(folder)
    model = classify(imported.load(folder))
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    classifier.save(tmp_path / "saved", model, folder)
    loaded = classifier.load(tmp_path / "saved")
    assert loaded.config == model.config
    with torch.no_grad():
        assert torch.equal(loaded(*padded(folder)), model(*padded(folder)))
    for name in ("config.json", "tokenizer.json"):
        assert (tmp_path / "saved" / name).read_bytes() == (folder / name).read_bytes()
    classifier.save(tmp_path / "again", loaded, tmp_path / "saved")
    assert artifacts.md5(tmp_path / "again") == artifacts.md5(tmp_path / "saved")


def test_bf16_is_near_fp32(folder: Path) -> None:
    """And not the same; gradients are those of fp32 parameters."""
    model = classify(imported.load(folder))
    exact, rounded = (model(*padded(folder), dtype) for dtype in (torch.float32, torch.bfloat16))
    assert not torch.equal(exact, rounded)
    assert (exact - rounded).abs().max() < 0.05 * exact.abs().max() + 0.05
    rounded.sum().backward()
    assert {parameter.grad.dtype for parameter in model.parameters() if parameter.grad is not None} == {torch.float32}


@pytest.mark.parametrize("depth", range(3))
def test_only_the_states_up_to_a_depth_are_given(depth: int, tmp_path: Path) -> None:
    model = imported.load(checkpoints.save(tmp_path / "bert"))
    with torch.no_grad():
        wanted, whole = model(*checkpoints.batch(), depth=depth), model(*checkpoints.batch())
    assert [torch.equal(state, whole[place]) for place, state in enumerate(wanted)] == [True] * (depth + 1)


def test_training_draws_nothing(tmp_path: Path) -> None:
    """The checkpoint asks for dropout, but a step on a batch is the same step again; nor does opening it draw."""
    folder = checkpoints.save(tmp_path / "bert", hidden_dropout_prob=0.5)
    state = torch.get_rng_state()
    models = imported.load(folder), imported.empty(folder)
    assert torch.equal(torch.get_rng_state(), state)
    model = classify(models[0]).train()
    assert torch.equal(model(*checkpoints.batch()), model(*checkpoints.batch()))


def test_tuning_leaves_the_size_of_embeddings(tmp_path: Path) -> None:
    model = imported.load(checkpoints.save(tmp_path / "bert"))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    model.shrink_embeddings()
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_it_computes_where_its_weights_are(tmp_path: Path) -> None:
    """The batch stays on the CPU; DeBERTa alone does not look into the mask, which has no values here."""
    model = imported.load(checkpoints.save(tmp_path / "deberta", "deberta-v2")).to("meta")
    seen: set[str] = set()
    watch = lambda _, __, given: seen.update(given[name].device.type for name in ("input_ids", "attention_mask"))  # noqa: E731
    model.model.register_forward_pre_hook(watch, with_kwargs=True)
    head = Classifier(model, ClassifierConfig(("no", "yes"), tuple(model.depths), 20))
    assert head(*checkpoints.batch()).device.type == "meta"
    assert seen == {"meta"}


@pytest.mark.parametrize(("kind", "positions"), [("bert", 24), ("gpt2", 24), ("roberta", 22), ("t5", None)])
def test_a_text_may_have_as_many_tokens_as_there_are_positions(
    kind: str, positions: int | None, tmp_path: Path
) -> None:
    """That many can be read, and one more cannot; RoBERTa's table has two rows that are no text's."""
    model = imported.load(checkpoints.save(tmp_path / kind, kind))
    assert model.positions == positions
    length = positions or 200
    with torch.no_grad():
        model(torch.full((1, length), 5))
        if positions:
            with pytest.raises((IndexError, RuntimeError)):
                model(torch.full((1, length + 1), 5))


def test_a_pooler_that_was_never_saved_is_not_made_up(tmp_path: Path) -> None:
    """A masked language model has none, so the classifier's weights hold none either, and are the same each time."""
    folder = checkpoints.save(tmp_path / "bert", purpose="AutoModelForMaskedLM")
    for name in "ab":
        classifier.save(tmp_path / name, classify(imported.load(folder)), folder)
    assert artifacts.md5(tmp_path / "a") == artifacts.md5(tmp_path / "b")
    assert not any("pooler" in name for name in files.load_weights(tmp_path / "a" / files.WEIGHTS))


def test_whose_a_checkpoint_is_decides_how_it_is_opened(tmp_path: Path) -> None:
    """Ours by our block, all others by transformers, ModernBERT and T5 too, whose configurations are near to ours."""
    files.save(tmp_path / "ours", made(causal=True))
    special = dict.fromkeys(files.SPECIAL_TOKENS, 0)
    config: dict[str, Any] = {**checkpoints.SIZES, **special}
    from transformers import ModernBertConfig, ModernBertModel

    ModernBertModel(ModernBertConfig(vocab_size=30, **config)).save_pretrained(tmp_path / "modernbert")
    checkpoints.save(tmp_path / "t5", "t5")
    assert isinstance(backbone.load(tmp_path / "ours"), Transformer)
    for name in ("modernbert", "t5"):
        assert isinstance(backbone.load(tmp_path / name), Imported)
        assert isinstance(backbone.empty(tmp_path / name), Imported)


def rewrite(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_an_unknown_architecture_is_named(tmp_path: Path) -> None:
    """And code that claims to know it is not run."""
    folder = checkpoints.save(tmp_path / "bert")
    rewrite(folder / "config.json", model_type="newest", auto_map={"AutoModel": "code.Newest"})
    (folder / "code.py").write_text("raise SystemExit")
    with pytest.raises(
        StageError, match=r"config\.json: model_type 'newest' is unknown .*take a checkpoint of an arch"
    ):
        backbone.load(folder)


def test_weights_that_are_not_whole_are_named(tmp_path: Path) -> None:
    """A layer that is not there would be drawn at random, and stand in the table as if it were the checkpoint's."""
    folder = checkpoints.save(tmp_path / "bert")
    weights = files.load_weights(folder / files.WEIGHTS)
    files.save_weights(folder / files.WEIGHTS, {name: weights[name] for name in weights if "layer.1" not in name})
    with pytest.raises(
        StageError, match=r"model\.safetensors lacks encoder\.layer\.1\..* BertModel needs: .*saved whole"
    ):
        backbone.load(folder)


def test_weights_of_another_size_or_no_weights_are_an_error(tmp_path: Path) -> None:
    folder = checkpoints.save(tmp_path / "bert")
    rewrite(folder / "config.json", intermediate_size=64)
    with pytest.raises(StageError, match=r"bert cannot be read as text model 'bert'.*AutoModel"):
        backbone.load(folder)
    (folder / files.WEIGHTS).rename(folder / "pytorch_model.bin")
    with pytest.raises(StageError, match=r"bert cannot be read as text model 'bert'.*model\.safetensors"):
        backbone.load(folder)


def test_a_model_that_reads_no_tokens_is_named(tmp_path: Path) -> None:
    from transformers import ViTConfig, ViTModel

    ViTModel(ViTConfig(**checkpoints.SIZES, image_size=8, patch_size=4)).save_pretrained(tmp_path / "vit")
    with pytest.raises(StageError, match=r"vit cannot be read as text model 'vit'.*token ids"):
        backbone.load(tmp_path / "vit")
