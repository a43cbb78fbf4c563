"""The one Transformer: pre-norm, rotary positions, gated GELU, no biases, tied output.

It is the architecture of ModernBERT (Warner et al. 2024, §2.1) with full attention in every layer, and
of its decoder twin when causal, so that what we train loads into stock transformers classes. Encoder, decoder,
prefix decoder and both halves of an encoder–decoder are this one stack: who sees whom, and whether there is another
stack to read, is all that differs. What makes it learn within minutes is the initialisation: 1/√d for what reads the
residual stream, zero for what writes to it, so that every layer starts as the identity.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from stages.model import rotary, visibility
from stages.model.config import NORM_EPS, ROPE_THETA, TransformerConfig
from stages.model.cross_entropy import linear_cross_entropy
from stages.model.dropout import Dropout

EMBEDDING_STD = 0.02


class Linear(nn.Linear):
    """A bias-free linear map that computes in its input's type; the weight itself stays fp32."""

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__(in_features, out_features, bias=False)

    def forward(self, input: Tensor) -> Tensor:
        return F.linear(input, self.weight.to(input.dtype))


class Norm(nn.LayerNorm):
    """LayerNorm without bias: (x − μ) / σ · γ, in its input's type."""

    def __init__(self, size: int) -> None:
        super().__init__(size, eps=NORM_EPS, bias=False)

    def forward(self, input: Tensor) -> Tensor:
        return F.layer_norm(input, self.normalized_shape, self.weight.to(input.dtype), None, self.eps)


class Embeddings(nn.Module):
    """Token embeddings, normed."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.tok_embeddings = nn.Embedding(config.vocab_size, config.hidden_size)
        self.norm = Norm(config.hidden_size)

    def forward(self, input_ids: Tensor, dtype: torch.dtype) -> Tensor:
        return self.norm(self.tok_embeddings(input_ids).to(dtype))

    @torch.no_grad()
    def shrink(self) -> None:
        """Bring every row to the spread it was drawn with; the norm behind it makes that up, to within 2 %.

        Pre-training makes rows more than ten times longer, and an optimizer whose steps do not scale with what
        they change, as AdamW's, then turns them ten times less: in fine-tuning they would hardly move.
        """
        rows = self.tok_embeddings.weight
        rows.mul_(EMBEDDING_STD / rows.std(dim=1, keepdim=True, unbiased=False).clamp_min(NORM_EPS))


class Attention(nn.Module):
    """Multi-head scaled dot-product attention (Vaswani et al. 2017, §3.2); how many heads, its maps say."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.head_dim = config.head_dim
        self.Wqkv = Linear(config.hidden_size, 3 * config.hidden_size)
        self.Wo = Linear(config.hidden_size, config.hidden_size)

    def forward(self, x: Tensor, position: tuple[Tensor, Tensor], mask: Tensor | None) -> Tensor:
        return self.write(attend(*self.read(x, position), mask))

    def read(self, x: Tensor, position: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values, (batch, heads, length, head_dim)."""
        batch, length, _ = x.shape
        qkv = self.Wqkv(x)
        heads = qkv.shape[-1] // (3 * self.head_dim)
        query, key, value = qkv.view(batch, length, 3, heads, self.head_dim).permute(2, 0, 3, 1, 4).unbind(0)
        return rotary.rotate(query, *position), rotary.rotate(key, *position), value

    def write(self, mixed: Tensor) -> Tensor:
        """(batch, heads, length, head_dim) -> (batch, length, hidden_size)."""
        return self.Wo(mixed.transpose(1, 2).flatten(2))


class Memory(NamedTuple):
    """What a decoder reads of another stack: its last states (batch, length, hidden_size), and which of them are seen.

    ``attention_mask`` is (batch, length), or (batch, queries, length) where queries see different ones; None shows all.
    """

    states: Tensor
    attention_mask: Tensor | None


class CrossAttention(nn.Module):
    """Attention to another stack's states (Vaswani et al. 2017, §3.2.3), without positions, as in T5."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.head_dim = config.head_dim
        self.Wq = Linear(config.hidden_size, config.hidden_size)
        self.Wkv = Linear(config.hidden_size, 2 * config.hidden_size)
        self.Wo = Linear(config.hidden_size, config.hidden_size)

    def forward(self, x: Tensor, states: Tensor, mask: Tensor | None) -> Tensor:
        batch, length, _ = x.shape
        query, both = self.Wq(x), self.Wkv(states)
        heads = query.shape[-1] // self.head_dim
        query = query.view(batch, length, heads, self.head_dim).transpose(1, 2)
        key, value = both.view(batch, states.shape[1], 2, heads, self.head_dim).permute(2, 0, 3, 1, 4)
        mixed = attend(query, key, value, mask)
        if mask is not None:  # what sees nothing reads nothing, where softmax would give it the mean of all
            mixed = mixed.masked_fill((mask < 0).all(-1, keepdim=True), 0)
        return self.Wo(mixed.transpose(1, 2).flatten(2))


def attend(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> Tensor:
    """softmax(QKᵀ/√d + mask)V over (batch, heads, length, head_dim); the mask is additive.

    On CPUs plain products beat PyTorch's fused kernel at these lengths, above all backward in bf16.
    """
    if query.device.type != "cpu":
        return F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
    scores = (query * query.shape[-1] ** -0.5) @ key.transpose(-1, -2)
    if mask is not None:
        scores = scores + mask
    return scores.softmax(-1) @ value


class FeedForward(nn.Module):
    """Gated GELU feed-forward (Shazeer 2020, GLU Variants Improve Transformer)."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.Wi = Linear(config.hidden_size, 2 * config.intermediate_size)
        self.Wo = Linear(config.intermediate_size, config.hidden_size)

    def forward(self, x: Tensor) -> Tensor:
        value, gate = self.Wi(x).chunk(2, dim=-1)
        return self.Wo(F.gelu(value) * gate)


class Layer(nn.Module):
    """Attention and feed-forward, each normed on the way in and added to the residual stream.

    With ``cross`` there is attention to another stack between them.
    """

    def __init__(self, config: TransformerConfig, *, normed: bool, cross: bool) -> None:
        """``normed``: what comes in is normed already, as embeddings are."""
        super().__init__()
        self.attn_norm = nn.Identity() if normed else Norm(config.hidden_size)
        self.attn = Attention(config)
        if cross:
            self.cross_norm = Norm(config.hidden_size)
            self.cross = CrossAttention(config)
        self.mlp_norm = Norm(config.hidden_size)
        self.mlp = FeedForward(config)

    def forward(
        self,
        x: Tensor,
        position: tuple[Tensor, Tensor],
        mask: Tensor | None,
        memory: tuple[Tensor, Tensor | None] | None,
        dropout: Dropout,
        *,
        first: bool,
    ) -> Tensor:
        """``first``: behind attention, of first tokens alone."""
        mixed = self.attn(self.attn_norm(x), position, mask)
        x, mixed = (x[:, :1], mixed[:, :1]) if first else (x, mixed)
        x = x + dropout(mixed)
        if memory is not None:
            x = x + dropout(self.cross(self.cross_norm(x), *memory))
        return x + dropout(self.mlp(self.mlp_norm(x)))


class Stack(nn.Module):
    """Layers and a final norm over states that are embedded already."""

    def __init__(self, config: TransformerConfig, *, cross: bool = False) -> None:
        super().__init__()
        self.config = config
        layers = range(config.num_hidden_layers)
        self.layers = nn.ModuleList(Layer(config, normed=index == 0, cross=cross) for index in layers)
        self.final_norm = Norm(config.hidden_size)

    @property
    def device(self) -> torch.device:
        """Where the weights are, and so where it computes."""
        return self.final_norm.weight.device

    def run(
        self,
        embedded: Tensor,
        attention_mask: Tensor | None,
        *,
        causal: bool,
        depth: int | None = None,
        memory: Memory | None = None,
        dropout: Dropout | None = None,
        first: bool = False,
    ) -> tuple[Tensor, ...]:
        """Hidden states of every depth, as `Transformer.forward` gives them, from ``embedded`` on."""
        length, dtype, dropout = embedded.shape[1], embedded.dtype, dropout or Dropout()
        cos, sin = rotary.tables(length, self.config.head_dim, ROPE_THETA, self.device)
        position = cos.to(dtype), sin.to(dtype)
        mask = visibility.additive(length, attention_mask, causal=causal, device=self.device, dtype=dtype)
        read = memory and (memory.states, visibility.of_memory(memory.attention_mask, self.device, dtype))
        states, layers = [dropout(embedded)], self.layers[:depth]
        for index, layer in enumerate(layers, 1):
            is_last = index == len(layers)
            states.append(layer(states[-1], position, mask, read, dropout, first=first and is_last))
        if depth is None or depth > len(self.layers):
            states.append(self.final_norm(states[-1]))
        return tuple(states)


class Transformer(Stack):
    """Embeddings, layers, final norm: an encoder, or a decoder if the configuration is causal."""

    def __init__(self, config: TransformerConfig, *, cross: bool = False) -> None:
        super().__init__(config, cross=cross)
        self.embeddings = Embeddings(config)

    @property
    def hidden_size(self) -> int:
        """Width of the states."""
        return self.config.hidden_size

    @property
    def depths(self) -> range:
        """All depths that can be pooled: embeddings, every layer, the final norm."""
        return range(len(self.layers) + 2)

    @property
    def positions(self) -> None:
        """Texts may be of any length: rotary positions have no table to outgrow."""

    def shrink_embeddings(self) -> None:
        """Bring embeddings to their initial size: see `Embeddings.shrink`."""
        self.embeddings.shrink()

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        dtype: torch.dtype = torch.float32,
        depth: int | None = None,
        *,
        causal: bool | None = None,
        dropout: Dropout | None = None,
        first: bool = False,
    ) -> tuple[Tensor, ...]:
        """Hidden states of every depth: embeddings, each layer, and the last one normed; on the weights' device.

        Args:
            input_ids: (batch, length), int64.
            attention_mask: (batch, length), 1 at real tokens and 0 at padding; or (batch or 1, length, length), 1
                where a query (second axis) sees a key (third); None where all are real.
            dtype: the type to compute in; parameters stay fp32.
            depth: the last depth that is wanted; what lies above is not computed. None wants all.
            causal: whether a position is kept from seeing those after it; None is as the configuration says.
            dropout: what is left out at random, in training.
            first: of the last layer that is computed, and of what lies above, only first tokens are wanted.

        Returns:
            ``num_hidden_layers + 2`` tensors (batch, length, hidden_size), or ``depth + 1``; (batch, 1, hidden_size)
            where only first tokens are wanted.
        """
        embedded = self.embeddings(input_ids.to(self.device), dtype)
        causal = self.config.causal if causal is None else causal
        return self.run(embedded, attention_mask, causal=causal, depth=depth, dropout=dropout, first=first)


class PredictionHead(nn.Module):
    """What stands between the last hidden state and the tied vocabulary (BERT's transform)."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.dense = Linear(config.hidden_size, config.hidden_size)
        self.norm = Norm(config.hidden_size)

    def forward(self, hidden: Tensor) -> Tensor:
        return self.norm(F.gelu(self.dense(hidden)))


class LanguageModel(nn.Module):
    """A Transformer that scores tokens, with the embedding table as its output matrix.

    What an objective needs besides, it adds in a subclass; what is written to disk is what stands here.
    """

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.config = config
        self.model = Transformer(config)
        self.head = PredictionHead(config)

    @property
    def output_weight(self) -> Tensor:
        """(vocab_size, hidden_size), shared with the input embeddings."""
        return self.model.embeddings.tok_embeddings.weight

    def nll(self, hidden: Tensor, labels: Tensor) -> Tensor:
        """Summed negative log-likelihood (nats) of ``labels`` (rows,) at ``hidden`` (rows, hidden_size)."""
        return linear_cross_entropy(self.head(hidden), self.output_weight, labels.to(hidden.device))

    def logits(self, hidden: Tensor) -> Tensor:
        """(…, hidden_size) -> (…, vocab_size)."""
        return F.linear(self.head(hidden), self.output_weight.to(hidden.dtype))


class EncoderDecoder(LanguageModel):
    """An encoder, and a causal decoder that reads it; one embedding table for both and for the output (T5, §2.1)."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__(config)
        self.decoder = Stack(_of_decoder(config), cross=True)

    def decode(
        self,
        input_ids: Tensor,
        memory: Memory,
        attention_mask: Tensor | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> Tensor:
        """The decoder's last states (batch, length, hidden_size) over ``input_ids`` (batch, length)."""
        embedded = self.model.embeddings(input_ids.to(self.model.device), dtype)
        return self.decoder.run(embedded, attention_mask, causal=True, memory=memory)[-1]


class Seq2Seq(Transformer):
    """Both stacks of an encoder–decoder on one text (Lewis et al. 2020, BART, §3.1); the states are the decoder's."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__(_of_decoder(config), cross=True)
        self.encoder = Stack(config)

    @classmethod
    def of(cls, model: EncoderDecoder) -> Self:
        """Its stacks and embeddings, without the head."""
        made = cls(model.config)
        made.embeddings = model.model.embeddings
        made.encoder.layers, made.encoder.final_norm = model.model.layers, model.model.final_norm
        made.layers, made.final_norm = model.decoder.layers, model.decoder.final_norm
        return made

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        dtype: torch.dtype = torch.float32,
        depth: int | None = None,
        *,
        causal: bool | None = None,
        dropout: Dropout | None = None,
        first: bool = False,
    ) -> tuple[Tensor, ...]:
        """As a `Transformer`; ``causal`` is whether the encoder, too, is kept from looking ahead."""
        memory = self.encode(input_ids, attention_mask, dtype, causal=bool(causal), dropout=dropout)
        return self.decode(input_ids, memory, attention_mask, dtype, depth, dropout=dropout, first=first)

    def encode(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        dtype: torch.dtype = torch.float32,
        *,
        causal: bool = False,
        dropout: Dropout | None = None,
    ) -> Memory:
        """What the decoder reads of a text (batch, length)."""
        embedded = self.embeddings(input_ids.to(self.device), dtype)
        states = self.encoder.run(embedded, attention_mask, causal=causal, dropout=dropout)
        return Memory(states[-1], attention_mask)

    def decode(
        self,
        input_ids: Tensor,
        memory: Memory,
        attention_mask: Tensor | None = None,
        dtype: torch.dtype = torch.float32,
        depth: int | None = None,
        *,
        dropout: Dropout | None = None,
        first: bool = False,
    ) -> tuple[Tensor, ...]:
        """The decoder's states over a text (batch, length) of its own."""
        embedded = self.embeddings(input_ids.to(self.device), dtype)
        return self.run(embedded, attention_mask, causal=True, depth=depth, memory=memory, dropout=dropout, first=first)


def _of_decoder(config: TransformerConfig) -> TransformerConfig:
    """The sizes of the decoder alone."""
    return replace(config, causal=True, num_hidden_layers=config.num_decoder_layers, num_decoder_layers=0)


def initialize(model: nn.Module, generator: torch.Generator) -> None:
    """Draw all weights: embeddings N(0, 0.02²), readers N(0, 1/d), writers and biases zero, norms one.

    Zero output projections follow µP and modded-nanogpt's practice; 1/√d is LeCun's.
    """
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("tok_embeddings.weight"):
                parameter.normal_(0, EMBEDDING_STD, generator=generator)
            elif name.endswith(("Wo.weight", "bias")):
                parameter.zero_()
            elif parameter.ndim == 2:
                parameter.normal_(0, parameter.shape[1] ** -0.5, generator=generator)
            else:
                parameter.fill_(1)
