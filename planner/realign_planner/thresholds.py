"""The thresholds: every figure of the product that decides whether data or a model is good enough, with its source.

Two kinds. A tiered threshold has the boundaries of HIGH and MEDIUM and is read off the point estimate. A baseline
threshold has one figure: HIGH when the whole interval is on its good side, REJECT when all of it is on the bad side.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import isfinite
from typing import Final, Literal

from realign_planner.errors import SettingError

Better = Literal["higher", "lower"]

SEED_TABLE: Final = "seed table"
OWN_CHOICE: Final = "own choice"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tiered:
    """HIGH at `high` or better, MEDIUM at `medium` or better, else REJECT: a boundary belongs to the better tier."""

    metric: str
    title: str
    better: Better
    high: float
    medium: float
    min_n: int
    biased_when_few: bool = False  # a few samples make it look worse than it is, so they can never reject
    source: str
    remedy: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """A figure to beat. Ties are MEDIUM."""

    metric: str
    title: str
    better: Better
    baseline: float
    min_n: int = 1
    source: str
    remedy: str


Threshold = Tiered | Baseline

THRESHOLDS: Final[tuple[Threshold, ...]] = (
    Tiered(
        metric="preference_gap",
        title="preference gap",
        better="higher",
        high=0.15,
        medium=0.10,
        min_n=100,
        source=f"{SEED_TABLE}; min_n: interval of about 0.03 at the usual spread of 0.15",
        remedy="the chosen and rejected answers of most prompts are too alike: sample at more temperatures or with a "
        "second generator, or use a stronger --judge; rejected.jsonl in the output folder shows them",
    ),
    Tiered(
        metric="agreement_rate",
        title="judge agreement over both orders",
        better="higher",
        high=0.90,
        medium=0.80,
        min_n=100,
        source=f"{SEED_TABLE}; position consistency as in arXiv 2406.07791",
        remedy="the judge names another winner when the order is swapped: use a stronger --judge or a plainer rubric",
    ),
    Tiered(
        metric="verifiability",
        title="verifiable problems",
        better="higher",
        high=0.80,
        medium=0.70,
        min_n=50,
        source=SEED_TABLE,
        remedy="too many problems have no answer that a program can check: give sources with closed-form answers, or "
        "leave out the pages without them; rejected.jsonl in the output folder shows which",
    ),
    Tiered(
        metric="quality_score",
        title="quality score",
        better="higher",
        high=8.0,
        medium=6.0,
        min_n=50,
        source=f"{SEED_TABLE}; min_n: interval of about 0.4 points at the usual spread of 1.5",
        remedy="the judged records are poor on the whole: use a stronger --generator, or give better "
        "sources; rejected.jsonl in the output folder shows the worst",
    ),
    Tiered(
        metric="calibration_error",
        title="calibration error",
        better="lower",
        high=0.10,
        medium=0.15,
        min_n=500,
        biased_when_few=True,
        source=f"{SEED_TABLE}; min_n, of different answers: a perfect model misses 0.10 with 15 bins in at most 2 % of "
        "runs with 500 of them, in up to 40 % with 250 (simulated)",
        remedy="the chance of being right that its confidence stands for is not how often it is right: look for wrong "
        "reference answers with `realignctl sample`, or give more questions",
    ),
    Tiered(
        metric="auroc_after",
        title="confidence still tells right from wrong (AUROC)",
        better="higher",
        high=0.70,
        medium=0.60,
        min_n=40,
        source="0.70 is acceptable discrimination (Hosmer and Lemeshow, Applied Logistic Regression, 2000); 0.60: "
        + OWN_CHOICE,
        remedy="after the training, confidence does not tell right answers from wrong ones, however it is scaled: look "
        "for wrong reference answers with `realignctl sample`, give more questions, or use a larger --target",
    ),
    Baseline(
        metric="text_ratio",
        title="pages with usable text",
        better="higher",
        baseline=0.5,
        source=OWN_CHOICE,
        remedy="most pages gave no usable text: give a text version or run text recognition on scanned pages; "
        "rejected.jsonl in the output folder shows them",
    ),
    Baseline(
        metric="valid_fraction",
        title="valid outputs",
        better="higher",
        baseline=0.95,
        source="generation practice: 95 %",
        remedy="too many outputs are empty or do not parse: use another --generator or its instruction-tuned version",
    ),
    Baseline(
        metric="truncated_fraction",
        title="truncated outputs",
        better="lower",
        baseline=0.05,
        source="generation practice: 5 %",
        remedy="too many outputs hit the token limit: raise it with `--set max_tokens=N` or ask for shorter answers",
    ),
    Baseline(
        metric="distinct_fraction",
        title="distinct outputs",
        better="higher",
        baseline=0.60,
        source="generation practice: 60 %",
        remedy="the samples of a prompt repeat each other: raise the temperatures or add a second --generator",
    ),
    Baseline(
        metric="round_trip_fraction",
        title="rows that survive the chat template",
        better="higher",
        baseline=0.99,
        source=OWN_CHOICE,
        remedy="rows change when rendered with the target's chat template, or are too long: shorten them, allow more "
        "with `--set row_tokens=N`, or check the template; rejected.jsonl in the output folder shows them",
    ),
    Baseline(
        metric="smoke_fraction",
        title="smoke prompts answered",
        better="higher",
        baseline=0.8,
        source=OWN_CHOICE,
        remedy="the trained model gives empty, endless or circling answers: retry from train with fewer steps or a "
        "lower rate",
    ),
    Baseline(
        metric="training_loss",
        title="change of the loss while training",
        better="lower",
        baseline=0.0,
        source="a loss that does not fall has learned nothing",
        remedy="the loss did not fall or is not finite: lower `--set learning_rate=X`, or give more rows",
    ),
    Baseline(
        metric="training_reward",
        title="change of the reward while training",
        better="higher",
        baseline=0.0,
        min_n=40,
        source="a policy gradient's loss says nothing about how well the policy does, its reward does (OpenAI's "
        "Spinning Up in Deep RL, part 3)",
        remedy="the trained model earns no more reward than before, or its training failed or diverged: lower "
        "`--set learning_rate=X`, or give more problems of middling pass rate",
    ),
    Baseline(
        metric="reward_accuracy",
        title="held-out reward accuracy",
        better="higher",
        baseline=0.5,
        min_n=40,
        source="chance",
        remedy="the model does not prefer held-out chosen answers: give more pairs (--count) or pairs of a wider gap",
    ),
    Baseline(
        metric="task_metric",
        title="change of the task metric",
        better="higher",
        baseline=0.0,
        min_n=40,
        source="training must not lower it; the likelihood term of RPO guards against it",
        remedy="training made the model worse at the task: raise `--set nll_weight=X`, train fewer steps, or keep "
        "the SFT baseline",
    ),
    Baseline(
        metric="win_rate",
        title="win rate against the baseline, ties half",
        better="higher",
        baseline=0.5,
        min_n=100,
        source="chance",
        remedy="answers did not get better than the baseline's: give more or wider-gapped pairs, or held-out sections "
        "(--eval-set) closer to the use",
    ),
    Baseline(
        metric="held_out_gain",
        title="fall of the held-out loss",
        better="higher",
        baseline=0.0,
        min_n=40,
        source="no gain is no learning",
        remedy="the loss on held-out sections did not fall: give more sources, or retry from train with fewer steps",
    ),
    Baseline(
        metric="closed_book_gain",
        title="gain on closed-book questions",
        better="higher",
        baseline=0.0,
        min_n=100,
        source="no gain is no learning",
        remedy="the model does not answer more questions about the source than before: give more rows (--count)",
    ),
    Baseline(
        metric="verifier_false_positives",
        title="planted wrong answers accepted",
        better="lower",
        baseline=0.01,
        min_n=100,
        source="verification practice: 1 %",
        remedy="the checker accepts wrong answers: give sources whose answers it can check strictly, as "
        "numbers or closed forms",
    ),
    Baseline(
        metric="gain_over_random",
        title="gain over a run with random rewards",
        better="higher",
        baseline=0.0,
        min_n=40,
        source="arXiv 2506.10947: random rewards alone can raise a score",
        remedy="the true reward teaches no more than a random one: give more problems of middling pass rate",
    ),
    Baseline(
        metric="pass_gain",
        title="gain in pass@1",
        better="higher",
        baseline=0.0,
        min_n=100,
        source="no gain is no learning",
        remedy="held-out problems are not solved more often: give more problems (--count) or easier ones",
    ),
    Baseline(
        metric="probed_fraction",
        title="questions with a usable confidence",
        better="higher",
        baseline=0.5,
        source=OWN_CHOICE,
        remedy="too few questions could be told known or unknown: raise `--set samples=N` or give simpler questions",
    ),
    Baseline(
        metric="auroc",
        title="confidence tells right from wrong (AUROC)",
        better="higher",
        baseline=0.5,
        min_n=40,
        source="chance",
        remedy="confidence does not tell right answers from wrong ones: give more questions or a larger --target",
    ),
    Baseline(
        metric="abstention_gain",
        title="gain in abstention score",
        better="higher",
        baseline=0.0,
        min_n=40,
        source="arXiv 2509.04664",
        remedy='saying "I don\'t know" costs more right answers than it avoids wrong ones: add known questions',
    ),
    Baseline(
        metric="over_refusal",
        title="refusals of known questions",
        better="lower",
        baseline=0.05,
        min_n=40,
        source="abstention practice: 5 %",
        remedy="the model refuses what it knows: add known questions to the mix and retry from training",
    ),
    Baseline(
        metric="wrong_answer_fall",
        title="fall of the wrong-answer rate",
        better="higher",
        baseline=0.0,
        min_n=40,
        source="no fall is no learning",
        remedy="wrong answers did not get rarer: give more unknown questions, or retry from training with more steps",
    ),
    Baseline(
        metric="regression",
        title="change on earlier capabilities",
        better="higher",
        baseline=-0.05,
        min_n=40,
        source="tolerance 0.05 on paired items",
        remedy="earlier capabilities fell: mix in more replay rows (`--set replay_fraction=X`) or train fewer steps",
    ),
)

_BY_METRIC: Final = {threshold.metric: threshold for threshold in THRESHOLDS}
_FIELDS: Final = {"high", "medium", "baseline", "min_n"}


def threshold(metric: str, overrides: Mapping[str, str] | None = None) -> Threshold:
    """The threshold of a metric, with the settings of a job applied.

    Keys are `METRIC.high`, `METRIC.medium`, `METRIC.baseline` and `METRIC.min_n` or `min_n.METRIC`. Keys that name
    no threshold are left to others; see `is_threshold_key`.

    Raises:
        SettingError: no such metric, a field that its threshold lacks, a value that is no number, or boundaries in the
            wrong order.

    """
    found = _BY_METRIC.get(metric)
    if found is None:
        raise SettingError(f"There is no threshold for {metric!r}; the metrics are {', '.join(sorted(_BY_METRIC))}.")
    for key, text in (overrides or {}).items():
        parsed = _parsed(key)
        if parsed is not None and parsed[0] == metric:
            found = _changed(found, field=parsed[1], key=key, text=text)
    if isinstance(found, Tiered) and (found.high < found.medium) == (found.better == "higher"):
        raise SettingError(
            f"{metric}.high={found.high} is on the wrong side of {metric}.medium={found.medium}; swap them."
        )
    return found


def is_threshold_key(key: str) -> bool:
    """Whether a `--set` key is about a threshold."""
    return _parsed(key) is not None


def check_settings(settings: Mapping[str, str]) -> None:
    """Checks every threshold key among a job's settings.

    Raises:
        SettingError: as `threshold` does.

    """
    for key in settings:
        if (parsed := _parsed(key)) is not None:
            threshold(parsed[0], settings)


def _parsed(key: str) -> tuple[str, str] | None:
    """Metric and field of a threshold key; None when the key is about something else."""
    left, dot, right = key.partition(".")
    if not dot:
        return None
    if left == "min_n":
        return right, "min_n"
    return (left, right) if left in _BY_METRIC or right in _FIELDS else None


def _changed(found: Threshold, *, field: str, key: str, text: str) -> Threshold:
    try:
        number = float(text)
    except ValueError:
        number = float("nan")
    if not isfinite(number) or (field == "min_n" and (number < 1 or number != int(number))):
        raise SettingError(
            f"{key}={text} is no usable number; give {'a whole number from 1' if field == 'min_n' else 'a number'}."
        )
    match found, field:
        case _, "min_n":
            return replace(found, min_n=int(number))
        case Tiered(), "high":
            return replace(found, high=number)
        case Tiered(), "medium":
            return replace(found, medium=number)
        case Baseline(), "baseline":
            return replace(found, baseline=number)
        case _:
            fields = "high, medium, min_n" if isinstance(found, Tiered) else "baseline, min_n"
            raise SettingError(f"{key} is no field of {found.metric}; its fields are {fields}.")
