"""Template: one prompt with placeholders, how its answer is sampled, or the form that its answer fills in."""

from __future__ import annotations

import string
from dataclasses import dataclass
from typing import Final

from realign_daemon.engine.api import Message, Sampler, Slot

# What a caller fills in, by the template's name.
PLACEHOLDERS: Final[dict[str, frozenset[str]]] = {
    "question": frozenset({"chunk"}),
    "answer": frozenset({"question", "chunk"}),  # with the source at hand
    "response": frozenset({"question"}),  # from the question alone, as the trained model will be asked
    "rubric": frozenset({"question", "response", "chunk"}),
    "rubric_again": frozenset({"question", "response", "chunk"}),  # a second look at the same, in another order
    "compare": frozenset({"question", "first", "second", "chunk"}),
}
# A model may be too small to read the source beside a question; everything else must be shown.
OPTIONAL: Final = frozenset({"chunk"})
FORMS: Final = frozenset({"rubric", "rubric_again", "compare"})


class TemplateError(ValueError):
    """A template file is wrong; the text says which and what about it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """A prompt. `form` is empty where the answer is free text; `sampler` is unused where there is a form."""

    name: str  # "rubric"
    id: str  # set, name and version, "standard.rubric@1": part of the key of every unit made with it
    messages: tuple[Message, ...]
    sampler: Sampler
    form: tuple[Slot, ...]

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
