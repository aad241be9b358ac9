"""Languages: which language each text is in, and how sure that is. Runs in the worker child."""

from __future__ import annotations

from functools import lru_cache
from typing import cast

from py3langid.langid import MODEL_FILE, LanguageIdentifier

UNDETERMINED = "und"  # ISO 639-2, for texts of no or no certain language
# Own choice: a short sentence. In UTF-8 bytes, since a letter of Chinese says about as much as three of English.
LEAST_LETTER_BYTES = 20
LEAST_LETTER_FRACTION = 0.5  # own choice, of what is no white space: below it are formulas, code and tables
_NO_LANGUAGE = "zxx"


def languages(texts: list[str]) -> list[dict[str, str | float]]:
    """For each text its `language` (ISO 639-1) and the `confidence` in it, 0..1; "und" for short texts and formulas."""
    return [_language(text) for text in texts]


def _language(text: str) -> dict[str, str | float]:
    visible = "".join(text.split())
    letters = "".join(filter(str.isalpha, visible))
    if len(letters.encode()) < LEAST_LETTER_BYTES or len(letters) < LEAST_LETTER_FRACTION * len(visible):
        return {"language": UNDETERMINED, "confidence": 0.0}
    language, confidence = cast("tuple[str, float]", _identifier().classify(text))  # pyright: ignore[reportUnknownMemberType] - untyped
    return {"language": UNDETERMINED if language == _NO_LANGUAGE else language, "confidence": round(confidence, 4)}


@lru_cache(maxsize=1)
def _identifier() -> LanguageIdentifier:
    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)  # pyright: ignore[reportUnknownMemberType] - untyped
