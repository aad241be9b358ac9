"""Tasks as chat completions, and what came of them."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realign_daemon.endpoints.chat import Abilities, NoReply, body_of, fitted, generated, read_reply
from realign_daemon.engine.api import Filled, Message, Thinking
from realign_daemon.engine.codec import decode_result, encode, unpack
from realign_daemon.engine.schema import parse

ALL = Abilities(top_logprobs=10, template_arguments=True, efforts=True, seeds=True, schemas=True)
HELLO = (Message(role="user", content="Hello"),)
SCHEMA = (
    '{"type":"object","properties":{"a":{"type":"string","maxLength":3}},"required":["a"],"additionalProperties":false}'
)


def answer(content: str, *, finish_reason: str = "stop", **message: object) -> dict[str, Any]:
    choice = {"message": {"role": "assistant", "content": content, **message}, "finish_reason": finish_reason}
    return {"choices": [choice], "usage": {"prompt_tokens": 3, "completion_tokens": 2}}


def test_a_server_is_asked_for_what_it_takes_and_for_nothing_else() -> None:
    asked = body_of("m", HELLO, ALL, temperature=0.5, max_tokens=9, seed=4, shows=True, schema=SCHEMA)
    assert {"seed", "chat_template_kwargs", "logprobs", "top_logprobs", "response_format"} <= asked.keys()
    plain = body_of("m", HELLO, Abilities(), temperature=0.5, max_tokens=9, seed=4, shows=True, schema=SCHEMA)
    assert plain == {
        "model": "m",
        "messages": [{"role": "user", "content": "Hello"}],
        "temperature": 0.5,
        "top_p": 1.0,
        "max_tokens": 9,
        "stream": False,
    }


def test_a_model_that_is_not_to_reason_is_told_so_in_every_way_and_one_that_is_may_do_it_as_it_likes() -> None:
    told, free = (body_of("m", HELLO, ALL, temperature=0.0, max_tokens=9, thinks=thinks) for thinks in (False, True))
    assert (told["chat_template_kwargs"], told["reasoning_effort"]) == ({"enable_thinking": False}, "none")
    assert free["chat_template_kwargs"] == {"enable_thinking": True}
    assert "reasoning_effort" not in free


def test_a_greedy_request_names_no_seed_which_would_keep_it_from_a_batch() -> None:
    assert "seed" not in body_of("m", HELLO, ALL, temperature=0.0, max_tokens=9, seed=4)


@pytest.mark.parametrize(
    ("thinking", "text", "reasoning"),
    [
        ("off", "It is 4.", ""),
        ("strip", "It is 4.", "two and two"),
        ("keep", "<think>\ntwo and two\n</think>\n\nIt is 4.", "two and two"),
    ],
)
@pytest.mark.parametrize(
    "said",
    [
        answer("It is 4.", reasoning_content="two and two"),
        answer("It is 4.", reasoning="two and two"),
        answer("<think>two and two</think>\n\nIt is 4."),
        answer("two and two</think>It is 4."),
    ],
)
def test_reasoning_is_found_wherever_a_server_puts_it(
    said: dict[str, Any], *, thinking: Thinking, text: str, reasoning: str
) -> None:
    result = generated(read_reply(said), thinking)
    assert (result.text, result.reasoning) == (text, reasoning)


def test_reasoning_that_was_cut_off_leaves_no_answer() -> None:
    result = generated(read_reply(answer("<think>two and", finish_reason="length")), "strip")
    assert (result.text, result.reasoning, result.finish_reason) == ("", "two and", "length")


def test_an_answer_that_a_filter_took_is_none() -> None:
    with pytest.raises(NoReply, match="content_filter"):
        generated(read_reply(answer("", finish_reason="content_filter")), "off")


@pytest.mark.parametrize("count", [float("inf"), float("nan"), 1e300, -3, "seven", [], None])
def test_a_number_of_tokens_is_one_that_can_be_noted_or_the_reply_is_none(count: object) -> None:
    said = answer("x") | {"usage": {"prompt_tokens": count}}
    try:
        assert 0 <= read_reply(said).prompt_tokens < 2**31
    except NoReply:
        assert count not in (1e300, -3, None)


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(
                st.sampled_from(
                    ["choices", "message", "content", "usage", "prompt_tokens", "logprobs", "top_logprobs"]
                ),
                inner,
            )
        ),
        max_leaves=20,
    )
)
def test_whatever_a_server_sends_is_a_reply_or_none(plain: object) -> None:
    with suppress(NoReply):
        read_reply(plain)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('{"a":"yes"}', '{"a": "yes"}'),
        ('Sure:\n```json\n{"a": "yes"}\n```', '{"a": "yes"}'),
        ('{"a":"much too long"}', None),
        ('{"a":"yes"', None),
        ("yes", None),
    ],
)
def test_only_what_fits_the_schema_is_taken_whatever_stands_around_it(text: str, found: str | None) -> None:
    assert fitted(text, parse(SCHEMA)) == found


def test_an_older_node_can_read_a_form_that_was_not_counted() -> None:
    own = Filled(probabilities=((1.0,),), mass=(1.0,), prompt_tokens=1)
    assert "samples" not in unpack(encode(own))
    counted = Filled(probabilities=((1.0,),), mass=(1.0,), prompt_tokens=1, samples=10)
    assert decode_result(encode(counted)) == counted
