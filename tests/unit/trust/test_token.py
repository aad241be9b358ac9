"""An invitation's text: one spelling, and nothing else is taken for it."""

from __future__ import annotations

import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from realign_daemon.errors import BadInput
from realign_daemon.trust.invitation import parse_token
from realign_proto.token import BadToken, Token, parse_secret

TOKENS = st.builds(
    Token, authority_sha256=st.binary(min_size=32, max_size=32), secret=st.binary(min_size=16, max_size=16)
)


@settings(deadline=None)
@given(token=TOKENS)
def test_a_token_survives_being_copied(token: Token) -> None:
    assert Token.parse(f"  {token.text()}\n") == token
    assert parse_secret(token.secret_text) == token.secret
    assert len(token.text()) == 83


@settings(deadline=None)
@given(token=TOKENS, place=st.integers(0, 82), other=st.sampled_from(string.ascii_letters + string.digits + ".-_= é"))
def test_a_token_with_one_other_character_is_refused_or_is_for_another_cluster_or_secret(
    token: Token, place: int, other: str
) -> None:
    text = token.text()
    changed = text[:place] + other + text[place + 1 :]
    if changed in (text, text[:-1] + " "):
        return
    try:
        read = Token.parse(changed)
    except BadToken as refusal:
        said = str(refusal)
    else:
        said = ""
        assert read != token
        assert read.text() == changed
    assert token.secret_text not in said


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "this is no invitation of realign; copy the whole line"),
        ("SWMTKN-1-abc", "this is no invitation of realign"),
        ("ra1.abc", "this is no invitation of realign"),
        ("ra2.abc.def", "of the form ra2, which this realign cannot read; upgrade it"),
        ("ra1.abc." + "a" * 26, "second part of the invitation has 3 characters, not 52"),
        ("ra1." + "a" * 52 + ".abc", "third part of the invitation has 3 characters, not 26"),
        ("ra1." + "A" * 52 + "." + "a" * 26, "second part of the invitation has characters other than"),
        ("ra1." + "a" * 51 + "b." + "a" * 26, "second part of the invitation was mistyped at its end"),
    ],
)
def test_what_is_no_token_is_refused_with_what_is_wrong(text: str, sentence: str) -> None:
    with pytest.raises(BadInput) as refusal:
        parse_token(text)
    assert sentence in str(refusal.value)


def test_a_token_shows_no_secret_where_it_is_printed_by_accident() -> None:
    token = Token.mint(b"\x00" * 32)

    assert repr(token.secret) not in repr(token)
    assert token.secret_text not in f"{token}"
