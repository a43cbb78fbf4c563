"""The registry of fine-tuning methods: the names that `params.yaml` may list."""

from __future__ import annotations

from stages.errors import StageError
from stages.finetune.methods.adalora import AdaLora
from stages.finetune.methods.adapter import Adapter
from stages.finetune.methods.base import Method
from stages.finetune.methods.bitfit import BitFit
from stages.finetune.methods.few_shot import FewShot
from stages.finetune.methods.frozen import Frozen
from stages.finetune.methods.full import Full
from stages.finetune.methods.ia3 import IA3
from stages.finetune.methods.layerwise_decay import LayerwiseDecay
from stages.finetune.methods.lora import Lora
from stages.finetune.methods.p_tuning import PTuning
from stages.finetune.methods.prefix import Prefix
from stages.finetune.methods.prompt import Prompt
from stages.finetune.methods.top_k import TopK
from stages.finetune.methods.zero_shot import ZeroShot

METHODS: dict[str, type[Method]] = {
    "frozen": Frozen,
    "full": Full,
    "top_k": TopK,
    "bitfit": BitFit,
    "layerwise_decay": LayerwiseDecay,
    "lora": Lora,
    "adalora": AdaLora,
    "ia3": IA3,
    "adapter": Adapter,
    "prefix": Prefix,
    "prompt": Prompt,
    "p_tuning": PTuning,
    "zero_shot": ZeroShot,
    "few_shot": FewShot,
}


def get(name: str) -> type[Method]:
    """The class of a method.

    Raises:
        StageError: there is none of that name.
    """
    if name not in METHODS:
        raise StageError(f"params.yaml: finetune.methods: {name!r} is unknown; there are: {', '.join(METHODS)}")
    return METHODS[name]
