"""Checkpoints as others save them: transformers' own models of 32 dimensions, each with a tokenizer of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
from tokenizers.processors import TemplateProcessing

HIGH = ("good", "great", "fine", "lovely", "superb", "warm", "bright", "clever")
LOW = ("bad", "poor", "dull", "awful", "weak", "cold", "grim", "silly")
WORDS = (*HIGH, *LOW, "film", "plot", "the", "a", "##s", "##er", "##ly", ".")
BERT, ROBERTA = ("[PAD]", "[UNK]", "[CLS]", "[SEP]"), ("<unk>", "<pad>", "<s>", "</s>")
"""Their special tokens, in the order of their ids: RoBERTa's padding is 1, from behind which it counts positions."""

SIZES = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 48,
    "max_position_embeddings": 24,
}
KINDS: dict[str, dict[str, Any]] = {
    "bert": SIZES,
    "roberta": {**SIZES, "pad_token_id": 1},
    "distilbert": {"dim": 32, "n_layers": 2, "n_heads": 2, "hidden_dim": 48, "max_position_embeddings": 24},
    "deberta-v2": {**SIZES, "relative_attention": True, "pos_att_type": ["p2c", "c2p"], "position_buckets": 8},
    "t5": {"d_model": 32, "num_layers": 2, "num_heads": 2, "d_ff": 48, "d_kv": 16},
    "gpt2": {"n_embd": 32, "n_layer": 2, "n_head": 2, "n_positions": 24},
}


def tokenizer(special: tuple[str, ...] = BERT, words: tuple[str, ...] = WORDS) -> Tokenizer:
    """WordPiece over `WORDS`, framed as [CLS] A [SEP] B [SEP]."""
    unknown = special[1] if special is BERT else special[0]
    start, end = special[2:]
    vocabulary = {piece: index for index, piece in enumerate((*special, *words))}
    made = Tokenizer(models.WordPiece(vocabulary, unk_token=unknown))
    made.normalizer, made.pre_tokenizer = normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer()
    made.add_special_tokens(list(special))
    made.post_processor = TemplateProcessing(
        single=f"{start} $A {end}",
        pair=f"{start} $A {end} $B {end}",
        special_tokens=[(token, vocabulary[token]) for token in (start, end)],
    )
    return made


def save(folder: Path, kind: str = "bert", **changes: Any) -> Path:
    """A checkpoint, every weight of which matters; whole, as `save_pretrained` writes it."""
    model(kind, **changes).save_pretrained(folder)
    tokens(kind).save(str(folder / "tokenizer.json"))
    return folder


def tokens(kind: str) -> Tokenizer:
    """The tokenizer of a kind of checkpoint, with the settings for truncation and padding that many are saved with."""
    made = tokenizer(ROBERTA if kind == "roberta" else BERT)
    made.enable_truncation(5)
    made.enable_padding(length=12)
    return made


def model(kind: str = "bert", vocab_size: int = len(WORDS) + 4, purpose: str = "AutoModel", **changes: Any) -> Any:
    """The model itself."""
    import transformers

    config = transformers.AutoConfig.for_model(kind, vocab_size=vocab_size, **{**KINDS[kind], **changes})
    with torch.random.fork_rng():
        torch.manual_seed(0)
        made = getattr(transformers, purpose).from_config(config)
        with torch.no_grad():
            for parameter in made.parameters():
                parameter.add_(torch.randn_like(parameter) * 0.1)
    return made.eval()


def batch(vocab_size: int = len(WORDS) + 4, padding: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Two texts of 20 and 12 tokens, padded on the right."""
    input_ids = torch.randint(4, vocab_size, (2, 20), generator=torch.Generator().manual_seed(1))
    attention_mask = torch.ones_like(input_ids)
    attention_mask[1, 12:], input_ids[1, 12:] = 0, padding
    return input_ids, attention_mask
