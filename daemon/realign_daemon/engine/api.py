"""Tasks an engine performs and the results it gives back: the vocabulary shared by curation, work and engine.

A task holds everything its result depends on, so its canonical bytes name the result (see work/units.py). Nothing
positional and nothing of a job may enter a task.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NewType, Protocol

if TYPE_CHECKING:
    from realign_daemon.engine.ranks import GroupWish

Sha256 = NewType("Sha256", str)  # 64 lower-case hex digits
ModelId = NewType("ModelId", str)  # hash of config and weights: Sha256 of a LocalModel


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One chat turn."""

    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampler:
    """How tokens are drawn. temperature 0 is greedy and ignores the seed."""

    temperature: float = 1.0
    top_p: float = 1.0
    max_tokens: int = 256


# off: the model is asked not to reason. strip: it reasons, and the text is what follows. keep: the text keeps the
# reasoning in the model's own marks.
Thinking = Literal["off", "strip", "keep"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Generate:
    """One completion of one conversation, sampled with its own seed whatever else is in the batch.

    With a schema (see engine/schema.py) the text fits it, whatever the model, and ends in time: where room runs out, it
    is closed, and finish_reason says "length".
    """

    kind: Literal["generate"] = "generate"
    model: ModelId
    adapter: Sha256 | None = None
    messages: tuple[Message, ...]
    sampler: Sampler
    seed: int
    template: str  # id and version of the prompt template, for the key and the provenance
    thinking: Thinking = "off"
    schema: str | None = None  # JSON schema, as text; it holds what comes after the reasoning


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """A place in a form where the model chooses one of several strings of one token each, after some fixed text."""

    before: str  # text the model is made to have written since the previous slot
    choices: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fill:
    """The answer to a conversation written into a form: the probabilities of each choice at each slot.

    Slots are filled in order; a later slot sees the most probable choice of the earlier ones. There is no room in a
    form for reasoning.
    """

    kind: Literal["fill"] = "fill"
    model: ModelId
    adapter: Sha256 | None = None
    messages: tuple[Message, ...]
    form: tuple[Slot, ...]
    template: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """The log-probability of a given completion, its end-of-sequence token included (teacher forcing)."""

    kind: Literal["score"] = "score"
    model: ModelId
    adapter: Sha256 | None = None
    messages: tuple[Message, ...]  # may be empty: the completion alone
    completion: str
    thinking: Thinking = "off"  # "keep": the completion holds its reasoning, as a Generated with "keep" does


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainSettings:
    """A LoRA run. Learning rate warms up over a tenth of the steps and decays by a cosine to a tenth."""

    rank: int = 8
    scale: float = 10.0
    learning_rate: float = 1e-4
    steps: int = 100
    batch_size: int = 32
    max_tokens: int = 2048  # longer rows are refused, never cut silently
    beta: float = 0.1  # DPO only
    nll_weight: float = 1.0  # DPO only: weight of the chosen answer's NLL (RPO)
    clip_fraction: float = 0.2  # GRPO only: how far a token's probability ratio counts (PPO, arXiv 1707.06347)
    kl_weight: float = 0.0  # GRPO only: weight of the KL divergence from the start; DAPO does without
    evaluate_every: int = 25
    patience: int = 0  # evaluations without improvement before stopping; 0 = run all steps


@dataclass(frozen=True, slots=True, kw_only=True)
class Train:
    """A LoRA adapter trained from a base and, where given, from an earlier adapter.

    The data set is a blob of JSON lines: `{"split": "train"|"valid"|"replay", "messages": [...]}` rows (loss on the
    last assistant turn only); for method "dpo" `{"split", "prompt": [messages], "chosen": str, "rejected": str}` rows,
    for method "grpo" `{"split", "prompt": [messages], "completion": str, "advantage": float, "group": str}` rows, a
    group being the samples of one prompt. Replay rows are "messages" rows mixed into every batch in their share of
    the training data. Reference of "dpo" and old policy of "grpo" is what training starts from.
    """

    kind: Literal["train"] = "train"
    model: ModelId
    adapter: Sha256 | None = None
    method: Literal["sft", "dpo", "grpo"]
    dataset: Sha256
    settings: TrainSettings
    seed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Render:
    """A training row in the model's tokens: reads nothing but the tokenizer. The last message is the answer."""

    kind: Literal["render"] = "render"
    model: ModelId
    messages: tuple[Message, ...]

    @property
    def adapter(self) -> None:
        """No weights are computed with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fuse:
    """An adapter to be written into the weights of its model, and what to ask the result."""

    kind: Literal["fuse"] = "fuse"
    model: ModelId
    adapter: Sha256
    quantise_bits: int | None = None  # as the model's own when None
    prompts: tuple[Generate, ...]  # asked of the new model; they name the old one and no adapter


Task = Generate | Fill | Score | Train | Render | Fuse


@dataclass(frozen=True, slots=True, kw_only=True)
class Generated:
    """A completion. Log-probabilities are the model's own at temperature 1, before the sampler."""

    kind: Literal["generated"] = "generated"
    text: str  # without the end-of-sequence token, and without the reasoning unless the task said "keep"
    reasoning: str = ""  # without its marks
    finish_reason: Literal["stop", "length"]
    prompt_tokens: int
    completion_tokens: int
    logprob: float  # summed over the sampled tokens, end-of-sequence included when it was sampled; nan: not told


@dataclass(frozen=True, slots=True, kw_only=True)
class Filled:
    """For each slot the probability of each choice, normalised over the choices, and their share of all mass."""

    kind: Literal["filled"] = "filled"
    probabilities: tuple[tuple[float, ...], ...]
    mass: tuple[float, ...]  # 0..1: how much of the model's probability fell on the choices at all
    prompt_tokens: int
    samples: int = 0  # above 0: there were no probabilities, and so many sampled answers were counted


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """Summed log-probability of a completion and its number of tokens, end-of-sequence included."""

    kind: Literal["scored"] = "scored"
    logprob: float
    tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainPoint:
    """One evaluation during training. For DPO the pair figures are per example, never means of a batch.

    For GRPO a group's rewarded and unrewarded samples make a pair of means, r being log pi - log old.
    """

    step: int
    train_loss: float
    valid_loss: float | None = None
    reward_accuracy: float | None = None
    reward_margin: float | None = None
    chosen_logratio: float | None = None  # mean of log pi(y+) - log ref(y+) over y+: its fall is displacement


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """A finished LoRA run. The adapter is a blob: a tar of adapters.safetensors and adapter_config.json.

    With patience the adapter is that of the best evaluation, which may lie before the last of `steps`.
    """

    kind: Literal["trained"] = "trained"
    adapter: Sha256
    steps: int
    points: tuple[TrainPoint, ...]
    step_losses: tuple[float, ...]
    valid_margins: tuple[float, ...] = ()  # r(y+) - r(y-) of every held-out pair (GRPO: group) by this adapter
    trained_tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendered:
    """A row's tokens: those that are read, and those that are learned, which are the answer and its end."""

    kind: Literal["rendered"] = "rendered"
    prompt_tokens: int
    completion_tokens: int
    problem: str  # why the row would not be learned as it is; empty when it comes back from its tokens unharmed


@dataclass(frozen=True, slots=True, kw_only=True)
class Fused:
    """A model of its own, as a blob: a tar of the files of its folder; and its answers to the prompts in order."""

    kind: Literal["fused"] = "fused"
    weights: Sha256
    answers: tuple[Generated, ...]


Result = Generated | Filled | Scored | Trained | Rendered | Fused


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelShape:
    """What a plan that divides a model among nodes must know of it. None means unknown."""

    layers: int
    heads: int | None
    kv_heads: int | None  # None also where the cache is not kept by head
    kv_values: int  # numbers cached for each token and layer
    tensor: bool | None  # whether each layer can be divided
    pipeline: bool | None  # whether its layers can be


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalModel:
    """A model whose weights are on this machine; or, with an endpoint, one that this machine asks a server for."""

    name: str  # "pocket", a hub id, or a folder's name
    model: ModelId
    path: Path
    params_b: float
    active_params_b: float
    bits: int
    weight_bytes: int
    templates: str = "standard"  # prompt template set
    revision: str = ""  # commit of the hub; empty for what did not come from there
    shape: ModelShape | None = None  # None when its configuration does not tell
    endpoint: str = ""  # URL of the server; then there are no weights here: path is empty, weight_bytes 0
    remote: str = ""  # what that server calls it
    concurrency: int = 0  # requests that it may have in flight there


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchPoint:
    """A batch size, or at an endpoint a number of requests in flight, and what it gave over all of them."""

    batch_size: int
    decode_tps: float
    examples_per_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelBenchmark:
    """A model's measured speed on this machine. peak_batch_size is the size with the highest examples_per_s."""

    prefill_tps: float
    decode_tps: float
    peak_batch_size: int
    examples_per_s: float
    points: tuple[BatchPoint, ...]
    noisy: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ComputeBenchmark:
    """GFLOPS by dtype of a chained square matrix product, and bytes read per second by a matrix-vector product."""

    gflops: dict[str, float] = field(default_factory=dict[str, float])
    bandwidth_gbs: float
    noisy: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupPart:
    """Which part of which group an engine child is."""

    group: str  # the attempt's name
    rank: int
    backend: str
    parallelism: str
    nodes: tuple[str, ...]  # in the order of the ranks
    lacks_reference: bool = False  # of the head: no node alone has found what the group should compute


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineStatus:
    """The engine child as a value: what it is doing, and the last words of the one before it."""

    state: Literal["absent", "starting", "ready", "busy", "benchmarking", "failed"]
    model: str = ""
    pid: int = 0
    rss_bytes: int = 0
    last_error: str = ""
    group: GroupPart | None = None  # None: it computes alone


Progress = Callable[[int, int, str], None]  # done, total, note


class Engine(Protocol):
    """One model on this machine. Many tasks may be in flight; the engine batches them as it likes.

    Raises (all from engine/errors.py): EngineDied when the child ended under the task (the caller may try again),
    OutOfMemory when the model does not fit the memory that is free now, BadTask when this task can never work.
    """

    async def load(self, model: LocalModel, group: GroupWish | None = None) -> None:
        """Ends the child of another model, checks live free memory, starts a child and loads. No-op when loaded.

        With a group several nodes hold the model, this one asks them. Raises GroupDied when there is no such group.
        """
        ...

    async def perform(self, task: Task, *, progress: Progress | None = None) -> Result:
        """The task's result. Train and Fuse tasks run alone; everything else is batched continuously."""
        ...

    def confirmation(self) -> Awaitable[None] | None:
        """Ends once results given so far are known to be right; None where a result is right by itself.

        Raises GroupDied when they were found not to be.
        """
        ...

    async def benchmark_model(self, model: LocalModel, *, budget_s: float) -> ModelBenchmark:
        """The model's speed over batch sizes, its load included in none of the figures."""
        ...

    async def benchmark_compute(self, *, budget_s: float) -> ComputeBenchmark:
        """The machine's arithmetic and memory speed."""
        ...

    def status(self) -> EngineStatus:
        """What the child is doing. Answers at once."""
        ...

    async def close(self) -> None:
        """Ends the child."""
        ...


class Blobs(Protocol):
    """Files by content hash on local disk."""

    def path(self, sha256: Sha256) -> Path:
        """Where the blob is; the file exists only if `has` says so."""
        ...

    def has(self, sha256: Sha256) -> bool:
        """True when the blob is here."""
        ...

    def put_file(self, source: Path) -> Sha256:
        """Moves a file in and makes it durable."""
        ...

    def put_bytes(self, data: bytes) -> Sha256:
        """Makes bytes durable and gives their hash."""
        ...
