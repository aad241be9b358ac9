"""Template: one prompt with placeholders, how its answer is sampled, or the form that its answer fills in."""

from __future__ import annotations

import json
import re
import string
from dataclasses import dataclass
from typing import Any, Final, cast

from realign_daemon.engine.api import Message, Sampler, Slot
from realign_daemon.engine.closing import longest_closing
from realign_daemon.engine.schema import SchemaError, fits, parse

# What a caller fills in, by the template's name.
PLACEHOLDERS: Final[dict[str, frozenset[str]]] = {
    "question": frozenset({"chunk"}),
    "answer": frozenset({"question", "chunk"}),  # with the source at hand
    "response": frozenset({"question"}),  # from the question alone, as the trained model will be asked
    "short_answer": frozenset({"question"}),  # the same in a few words, or that it does not know
    "rubric": frozenset({"question", "response", "chunk"}),
    "rubric_again": frozenset({"question", "response", "chunk"}),  # a second look at the same, in another order
    "compare": frozenset({"question", "first", "second", "chunk"}),
    "verdict": frozenset({"question", "response", "chunk", "gold"}),  # right or wrong; the last choice is right
    "fact": frozenset({"chunk"}),  # a question with one short answer
    "false_premise": frozenset({"question", "chunk"}),  # a question like that one which nobody can answer
    "p_true": frozenset({"question", "response"}),  # how sure the target is of its answer; the last choice is right
    "problem": frozenset({"chunk"}),  # with one answer that a program can check
    "gold": frozenset({"question", "chunk"}),  # the answer of a problem, with the source at hand
    "solution": frozenset({"question"}),  # of a problem, as the trained model will be asked
    "program": frozenset({"question", "calls"}),  # the same for a code problem; the tests themselves hold the answers
}
# A model may be too small to read the source or a reference beside a question; everything else must be shown.
OPTIONAL: Final = frozenset({"chunk", "gold", "calls"})
FORMS: Final = frozenset({"rubric", "rubric_again", "compare", "verdict", "p_true"})
# What a family of models may be unable to write at all.
MAY_LACK: Final = frozenset({"false_premise"})

# In JSON a model may write \times with one backslash, which then stands for a tab and "imes"; no word begins like that.
# Other commands cannot come to this, since the grammar has no other escapes (engine/schema.py).
_SWALLOWED = re.compile(
    r"\t(?=(?:imes|heta|ext(?:bf|it|rm|tt)?|frac|au|ilde|op|riangle|herefore|binom)(?![A-Za-z]))"
    r"|\n(?=(?:eq|abla|otin|ot)(?![A-Za-z]))"
)


def _command(found: re.Match[str]) -> str:
    return r"\t" if found[0] == "\t" else r"\n"


class TemplateError(ValueError):
    """A template file is wrong; the text says which and what about it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """A prompt. `form` is empty where the answer is written freely; `sampler` is unused where there is a form."""

    name: str  # "rubric"
    id: str  # set, name and version, "standard.rubric@1": part of the key of every unit made with it
    messages: tuple[Message, ...]
    sampler: Sampler
    form: tuple[Slot, ...]
    schema: str | None = None  # JSON schema that the answer is held to, as text; None where it is any text

    def __post_init__(self) -> None:
        """Raises TemplateError when placeholders are unknown or missing, or a form is missing or out of place."""
        allowed = PLACEHOLDERS.get(self.name)
        if allowed is None:
            raise TemplateError(f"{self.id}: no workflow uses such a template; known are {sorted(PLACEHOLDERS)}")
        used = {field for message in self.messages for field in _fields(message.content, self.id)}
        needed = allowed - OPTIONAL if len(allowed) > 1 else allowed
        if not needed <= used <= allowed:
            wrong = sorted((used - allowed) | (needed - used))
            raise TemplateError(f"{self.id}: unknown or missing placeholder {', '.join(wrong)}; use {sorted(allowed)}")
        if bool(self.form) != (self.name in FORMS):
            raise TemplateError(f"{self.id}: a template of this name has {'a' if self.name in FORMS else 'no'} form")
        if any(len(slot.choices) < 2 or len(set(slot.choices)) < len(slot.choices) for slot in self.form):  # noqa: PLR2004
            raise TemplateError(f"{self.id}: a slot needs two different choices at least")
        if self.schema is not None:
            self._check_schema(self.schema)

    def render(self, **values: str) -> tuple[Message, ...]:
        """The messages with every placeholder replaced. Braces in values stay as they are.

        Raises:
            TypeError: `values` are not exactly the placeholders of this kind of template.
        """
        if values.keys() != PLACEHOLDERS[self.name]:
            raise TypeError(f"{self.id} takes {sorted(PLACEHOLDERS[self.name])}, not {sorted(values)}")
        return tuple(
            Message(role=message.role, content=message.content.format_map(values)) for message in self.messages
        )

    def read(self, text: str) -> dict[str, Any] | None:
        """The fields of an answer; None when it is no JSON object that fits the schema, or there is no schema."""
        if self.schema is None:
            return None
        try:
            value: object = json.loads(text)
            return (
                cast("dict[str, Any]", value) if fits(parse(self.schema), value) and isinstance(value, dict) else None
            )
        except (ValueError, RecursionError):
            return None

    def text_of(self, text: str, field: str) -> str:
        """What an answer says, without blanks around it: that field of it where there is a schema, else all of it.

        Empty when the answer does not fit the schema. LaTeX whose backslash was read as that of an escape is put right.
        """
        if self.schema is None:
            return text.strip()
        value = (self.read(text) or {}).get(field, "")
        return _SWALLOWED.sub(_command, value).strip() if isinstance(value, str) else ""

    def _check_schema(self, schema: str) -> None:
        if self.form:
            raise TemplateError(f"{self.id}: a form has a schema of its own")
        try:
            closing_bytes = longest_closing(parse(schema))
        except SchemaError as error:
            raise TemplateError(f"{self.id}: {error}") from error
        if self.sampler.max_tokens < 2 * closing_bytes:
            raise TemplateError(
                f"{self.id}: max_tokens is {self.sampler.max_tokens}, and closing an answer may take {closing_bytes}: "
                "give twice as many at least"
            )


def _fields(content: str, template_id: str) -> set[str]:
    """The names of the placeholders in a text; only plain `{name}` is one."""
    try:
        parts = list(string.Formatter().parse(content))
    except ValueError as error:
        raise TemplateError(f"{template_id}: {error}; write a brace that is text as two braces") from error
    named = [(field, spec, conversion) for _, field, spec, conversion in parts if field is not None]
    for field, spec, conversion in named:
        if not field.isidentifier() or spec or conversion:
            raise TemplateError(f"{template_id}: {{{field}}} is not a plain placeholder")
    return {field for field, _, _ in named}
