"""Settings: what `--set` takes and what it refuses."""

from __future__ import annotations

import pytest

from realign_daemon.curation.settings import check_settings
from realign_daemon.errors import BadInput


def test_known_settings_and_thresholds_pass() -> None:
    check_settings({"steps": "5", "beta": "0.1", "pii": "drop", "language": "en", "preference_gap.high": "0.2"})


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("stepz", "1", "there is no setting 'stepz'"),
        ("steps", "0", "a whole number of at least 1"),
        ("steps", "1.5", "a whole number of at least 1"),
        ("beta", "nan", "one of at least 0"),
        ("beta", "x", "one of at least 0"),
        ("pii", "shred", "pii is redact or drop or keep"),
        ("language", " ", "language is one word"),
        ("preference_gap.high", "x", "no usable number"),
    ],
)
def test_a_setting_that_is_of_no_use_is_one_sentence(key: str, value: str, says: str) -> None:
    with pytest.raises(BadInput, match=says):
        check_settings({key: value})
