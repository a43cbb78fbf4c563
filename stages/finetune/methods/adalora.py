"""Low-rank updates whose rank goes where it is needed (Zhang et al. 2023, AdaLoRA, §3): Wx + PΛQx.

PEFT's allocator cuts singular values by their importance, from an initial rank down to the rank that is asked for.
What it remembers from step to step lies in the optimizer's state, so that a run that goes on cuts as one left alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from stages.errors import StageError
from stages.finetune.methods.gradient import Share
from stages.finetune.methods.injected import Injected, targets
from stages.model.backbone import Backbone
from stages.model.parts import linear_maps
from stages.model.tunable import Tunable
from stages.training.loss import Term
from stages.training.optimizer import Optimizers

if TYPE_CHECKING:
    from peft import AdaLoraConfig

ADAPTER = "default"


class AdaLora(Injected):
    """In every linear map of attention and feed-forward."""

    class Options(Injected.Options):
        """``rank`` is the mean over maps in the end, ``initial_rank`` that of each at first; ``alpha`` as in LoRA.

        ``initial``, ``final``: shares of the run before ranks begin to fall, and after they have fallen.
        ``orthogonality``: what is paid for P and Q not being orthogonal (equation 4).
        """

        rank: Annotated[int, Field(ge=1)]
        initial_rank: Annotated[int, Field(ge=2)]
        alpha: Annotated[float, Field(gt=0)]
        initial: Share
        final: Share
        orthogonality: Annotated[float, Field(ge=0)]

        @model_validator(mode="after")
        def _ranks_fall(self) -> Self:
            if self.rank >= self.initial_rank:
                raise ValueError(f"rank {self.rank} must be below initial_rank {self.initial_rank}")
            if self.initial + self.final >= 1:
                raise ValueError("initial and final together must leave steps in which ranks fall (sum below 1)")
            return self

    def config(self, backbone: Backbone, steps: int = 2) -> AdaLoraConfig:
        """``steps``: of the run; they decide when ranks fall, and not what is injected."""
        from peft import AdaLoraConfig

        initial, final = int(self.options.initial * steps), max(1, int(self.options.final * steps))
        if initial >= steps - final:
            raise StageError(
                f"params.yaml: methods.adalora: in {steps} steps there is no room for ranks to fall: raise epochs, or "
                "lower batch_size, initial or final"
            )
        return AdaLoraConfig(
            target_r=self.options.rank,
            init_r=self.options.initial_rank,
            lora_alpha=self.options.alpha,
            tinit=initial,
            tfinal=final,
            total_step=steps,
            **targets(backbone, linear_maps(backbone)),
        )

    def penalties(self, model: Tunable) -> Mapping[str, Term]:
        """‖PᵀP − I‖ and ‖QQᵀ − I‖, the mean over all maps."""
        named = list(model.named_parameters())
        grams = [parameter @ parameter.T for name, parameter in named if ".lora_A." in name]
        grams += [parameter.T @ parameter for name, parameter in named if ".lora_B." in name]
        norms = [torch.linalg.norm(gram - torch.eye(len(gram), device=gram.device)) for gram in grams]
        return {"orthogonality": Term(torch.stack(norms).sum(), len(norms), self.options.orthogonality)}

    def optimizers(self, model: Tunable, learning_rate: float, steps: int) -> Optimizers:
        made = super().optimizers(model, learning_rate, steps)
        allocation = Allocation(model, self.config(model.transformer, steps))
        made.parts[0].register_step_post_hook(allocation)
        return made


class Allocation:
    """PEFT's allocator, called behind each step of an optimizer that remembers for it."""

    def __init__(self, model: nn.Module, config: AdaLoraConfig) -> None:
        from peft.tuners.adalora import RankAllocator

        assert config.total_step is not None
        self._model, self._allocator = model, RankAllocator(model, config, ADAPTER)
        self._parameters = {name: p for name, p in model.named_parameters() if ".lora_" in name}
        self._last = config.total_step - config.tfinal

    def __call__(self, optimizer: torch.optim.Optimizer, *_: Any) -> None:
        """Weigh and cut, as `AdaLoraModel.update_and_allocate` does behind the same step."""
        state = {name: optimizer.state[parameter] for name, parameter in self._parameters.items()}
        step = self._recall(state)
        if step <= self._last:
            with _values_alone_matter():
                _, kept = self._allocator.update_and_allocate(self._model, step, force_mask=step == self._last)
        else:
            kept = {name: slot["kept"].flatten().tolist() for name, slot in state.items() if "kept" in slot}
            self._allocator.mask_using_rank_pattern(self._model, kept)
        self._remember(state, step, kept or {})

    def _recall(self, state: Mapping[str, dict[str, Tensor]]) -> int:
        """Give the allocator what it knew; the number of the step."""
        for name, slot in state.items():
            if "importance" in slot:
                self._allocator.ipt[name] = slot["importance"]
                self._allocator.exp_avg_ipt[name], self._allocator.exp_avg_unc[name] = (
                    slot["importance"],
                    slot["uncertainty"],
                )
        return int(next(iter(state.values())).get("allocations", torch.zeros(())))

    def _remember(self, state: Mapping[str, dict[str, Tensor]], step: int, kept: Mapping[str, list[bool]]) -> None:
        for name, slot in state.items():
            slot["allocations"] = torch.tensor(float(step + 1))
            slot["importance"], slot["uncertainty"] = (
                self._allocator.exp_avg_ipt[name],
                self._allocator.exp_avg_unc[name],
            )
            if name in kept:
                slot["kept"] = torch.tensor(kept[name], dtype=torch.float32)


@contextmanager
def _values_alone_matter() -> Iterator[None]:
    """Allow a kernel that finds the k-th value surely, but on a GPU not which of equal ones it is."""
    mode = torch.get_deterministic_debug_mode()
    torch.set_deterministic_debug_mode("default")
    try:
        yield
    finally:
        torch.set_deterministic_debug_mode(mode)
