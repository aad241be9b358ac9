"""Batches: the tasks that run together on the loaded model, by kind."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from realign_daemon.engine.api import Fill, Generate, Render, Rendered, Result, Score
from realign_daemon.engine.child import fill, render, score
from realign_daemon.engine.child.duty import Duty
from realign_daemon.engine.child.generate import Sequences
from realign_daemon.engine.child.load import Loaded


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
            forms = dict(islice(self._forms.items(), self._max_batch_size))
            with self._duty.step():
                filled = fill.fill(self._loaded.model, list(forms.values()))
            self._forms = {task_id: form for task_id, form in self._forms.items() if task_id not in forms}
            yield from zip(forms, filled, strict=True)
        if self._texts:
            first = dict(islice(self._texts.items(), self._max_batch_size))
            texts = dict(islice(first.items(), score.fitting(list(first.values()), self._loaded.vocabulary_size)))
            with self._duty.step():
                scored = score.score(self._loaded.model, list(texts.values()))
            self._texts = {task_id: text for task_id, text in self._texts.items() if task_id not in texts}
            yield from zip(texts, scored, strict=True)
        if self._sequences:
            with self._duty.step():
                finished = self._sequences.step()
            yield from finished
