"""Languages: told apart in sentences, and not guessed in what has none."""

from __future__ import annotations

import pytest

from realign_daemon.curation.hygiene.languages import languages


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("The gradient tells the optimiser in which direction to move the weights.", "en"),
        ("Der Gradient sagt dem Verfahren, in welche Richtung es die Gewichte bewegen soll.", "de"),
        ("Le gradient indique dans quelle direction il faut déplacer les poids du réseau.", "fr"),
        ("El gradiente indica en qué dirección hay que mover los pesos de la red.", "es"),
        ("勾配は重みをどの方向に動かすべきかを示しています。", "ja"),
    ],
)
def test_a_sentence_is_surely_in_its_language(text: str, language: str) -> None:
    (found,) = languages([text])
    assert found["language"] == language
    assert float(found["confidence"]) >= 0.9


@pytest.mark.parametrize("text", ["", "Paris", "12+34=46", "x^2 + y^2 = (a + b)^2 - 4 * x * y / 3 + z_1 * z_2", "猫"])
def test_short_texts_and_formulas_have_no_language(text: str) -> None:
    assert languages([text]) == [{"language": "und", "confidence": 0.0}]
