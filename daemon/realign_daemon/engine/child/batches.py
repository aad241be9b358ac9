"""Batches: the tasks that run together on the loaded model, by kind."""

from __future__ import annotations

from collections.abc import Iterator

from realign_daemon.engine.api import Fill, Generate, Render, Rendered, Result, Score
from realign_daemon.engine.child import fill, render, score
from realign_daemon.engine.child.duty import Duty
from realign_daemon.engine.child.generate import Sequences
from realign_daemon.engine.child.load import Loaded
from realign_daemon.engine.child.shape import Shape, company


class Batches:
    """Tasks join at any time; a step advances one batch of each kind that there is."""

    def __init__(self, loaded: Loaded, duty: Duty, max_batch_size: int) -> None:
        """At most `max_batch_size` tasks in one batch."""
        self._loaded, self._duty, self._max_batch_size = loaded, duty, max_batch_size
        self._sequences = Sequences(loaded, max_batch_size)
        self._forms: dict[int, fill.Form] = {}
        self._texts: dict[int, score.Text] = {}
        self._rendered: dict[int, Rendered] = {}

    def __len__(self) -> int:
        """How many tasks have joined and are not finished."""
        return len(self._forms) + len(self._texts) + len(self._sequences) + len(self._rendered)

    def add(self, task_id: int, task: Generate | Fill | Score | Render) -> None:
        """Lets a task join. Raises BadTask when it can never work."""
        match task:
            case Generate():
                self._sequences.add(task_id, task)
            case Fill():
                self._forms[task_id] = fill.form_of(task, self._loaded.vocabulary)
            case Score():
                self._texts[task_id] = score.text_of(task, self._loaded.vocabulary)
            case Render():
                self._rendered[task_id] = render.render(task, self._loaded.vocabulary)

    def remove(self, task_id: int) -> None:
        """Drops a task, where it is still there."""
        self._forms.pop(task_id, None)
        self._texts.pop(task_id, None)
        self._rendered.pop(task_id, None)
        self._sequences.remove(task_id)

    def step(self) -> Iterator[tuple[int, Result]]:
        """Advances every kind by one batch; yields the results as they come."""
        rendered, self._rendered = self._rendered, {}
        yield from rendered.items()
        if self._forms:
            forms, stand_ins = company(self._forms, self._form_shape)
            with self._duty.step():
                filled = fill.fill(self._loaded.model, [*forms.values(), *stand_ins])
            self._forms = {task_id: form for task_id, form in self._forms.items() if task_id not in forms}
            yield from zip(forms, filled, strict=False)
        if self._texts:
            texts, stand_ins = company(self._texts, self._text_shape)
            with self._duty.step():
                scored = score.score(self._loaded.own, [*texts.values(), *stand_ins])
            self._texts = {task_id: text for task_id, text in self._texts.items() if task_id not in texts}
            yield from zip(texts, scored, strict=False)
        if self._sequences:
            with self._duty.step():
                finished = self._sequences.step()
            yield from finished

    def _form_shape(self, form: fill.Form) -> Shape:
        return fill.shape_of(form, self._max_batch_size)

    def _text_shape(self, text: score.Text) -> Shape:
        return score.shape_of(text, self._max_batch_size, self._loaded.vocabulary_size)
