"""Personal data: found where it is, and not in what a textbook is full of."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from realign_daemon.curation.hygiene.personal_data import personal_data
from realign_daemon.curation.hygiene.redaction import redact, strings, with_strings

# Keys are put together here, so that nobody's scanner takes this file for a leak.
SOME = "aB3dE5gH7jK9mN1pQ3sT5vW7yZ9bC1dF3hJ5kL7nP9rS1"

PRESENT = [
    ("mail [bob.smith+x@mail.company.co.uk] now", "email"),
    ("Contact: [alice@uni-bonn.de].", "email"),
    ('"[carol_92@gmail.com]"', "email"),
    ("a page of [frank@web.de], as he says", "email"),
    ("Call [+49 30 901820] today", "phone"),
    ("[+1 (415) 867-5309]", "phone"),
    ("[+4915112345678]", "phone"),
    ("office: [+44 20 7183 8750]", "phone"),
    ("[(212) 736-5000]", "phone"),
    ("call [415-867-5309] after six", "phone"),
    ("toll free [1-800-356-9377]", "phone"),
    ("[415.867.5309]", "phone"),
    ("[(089) 2180-72]", "phone"),
    ("[030 12345678]", "phone"),
    ("[020 7183 8750]", "phone"),
    ("Tel.: [06 12 34 56 78]", "phone"),
    ("my phone number is [867-5309]", "phone"),
    ("to [DE89 3704 0044 0532 0130 00] BIC COBADEFF", "iban"),
    ("[GB82WEST12345698765432]", "iban"),
    ("[FR14 2004 1010 0505 0001 3M02 606]", "iban"),
    ("[NL91ABNA0417164300].", "iban"),
    ("card [4111 1111 1111 1111]", "credit_card"),
    ("[5500-0000-0000-0004]", "credit_card"),
    ("[378282246310005]", "credit_card"),
    ("[3782 822463 10005]", "credit_card"),
    ("[6011111111111117]", "credit_card"),
    ("SSN [219-09-9999]", "us_ssn"),
    ("her number [536-22-8726].", "us_ssn"),
    ("from [93.184.216.34] at noon", "ip_address"),
    ("[81.2.69.142]:8080", "ip_address"),
    ("[2a00:1450:4001:81b::200e]", "ip_address"),
    ("use [postgres://admin:s3cret@db.corp.net:5432/x]", "credential_url"),
    ("([https://bob:hunter2@intra.company.com/path])", "credential_url"),
    ("at [742 Evergreen Terrace Rd, Springfield, IL 62704]", "street_address"),
    ("[1600 Pennsylvania Avenue NW, Washington, DC 20500]", "street_address"),
    ("[10 Main St., Apt 4, Boston, MA 02101-1234]", "street_address"),
    (f"[AKIA{'7Q2ZJ5XK' * 2}]", "api_key"),
    (f"token=[ghp_{SOME[:36]}]", "api_key"),
    (f"[glpat-{SOME[:20]}]", "api_key"),
    (f"[xoxb-{SOME[:30]}]", "api_key"),
    (f"[AIza{SOME[:35]}]", "api_key"),
    (f"OPENAI_API_KEY=[sk-proj-{SOME}]", "api_key"),
    (f"[sk-ant-api03-{SOME}]", "api_key"),
    (f"[hf_{SOME[:34]}]", "api_key"),
    (f"[sk_live_{SOME[:24]}]", "api_key"),
    (f"[eyJ{SOME[:20]}.eyJ{SOME[:20]}.{SOME[:20]}]", "api_key"),
    (f"[-----BEGIN RSA PRIVATE KEY-----\n{SOME}\n-----END RSA PRIVATE KEY-----]", "api_key"),
    ("[john.doe@example.com]", "email"),
    ("[(212) 555-0147]", "phone"),
]
ABSENT = [
    "12+34=46",
    "4111111111111111 + 1 = 4111111111111112",
    "x = 123-45-6789",
    "415-867-5309 = -5761",
    "+12345678 = 3",
    "5 +1234567890 is a sum",
    "f(x) +12345678901",
    "Decimal('+35236450.61')",
    "3.14159265358979323846 and 0.4111111111111111",
    "1,234,567,890 people",
    "1234567890123456",
    "0101 1010 0101",
    "01 02 03 04 05",
    "1 2 3 4 5 6 7 8 9 10",
    "2^10 = 1024 and 10^-9",
    "a 3-4-5 triangle",
    "pages 123-145 and 1990-2005",
    "On 2026-11-23 at 12:34:56",
    "01/02/2023 and 23.11.2026",
    "the telephone 1876-1922",
    "the phone: 2026-11-23 at 9, the fax on 23.11.2026",
    "Apollo 11 landed on 20 July 1969 at 20:17:40",
    "ISBN 978-0-306-40615-7",
    "ISBN-10: 0-306-40615-2",
    "ISBN 0306 40615 2",
    "arXiv:2411.15124 and doi:10.1000/182",
    "RFC 5737, RFC-2606",
    "version 120.34.56.78",
    "section 3.2.1.4, then 1.2.3.4",
    "127.0.0.1, 192.168.1.1 and 10.0.0.255",
    "203.0.113.77 and 2001:db8::1",
    "MAC 00:1b:44:11:3a:b7",
    "std::vector<int> a::b::c",
    "write to root@localhost or me@host.invalid",
    "git clone git@github.com:owner/name.git",
    "pip install package@1.2.3, then @app.route and foo@bar",
    "postgres://user:password@localhost/db",
    "http://host:8080/path@2x",
    "dial 555-0123",
    "call 1234567",
    "DE89 3704 0044 0532 0130 01",
    "AB12 CDEF 3456",
    "4111 1111 1111 1112",
    "219-00-9999, 000-12-3456 and 666-12-3456",
    "sk-learn-compatible-estimators-are-good",
    "AKIAIOSFODNN7EXAMPLE",
    "Boston, MA\n02111-1307, USA",
    "12 Rules for Life, New York, NY",
    "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    '{"a": 1234567, "b": 89012345}',
]


@pytest.mark.parametrize(("marked", "kind"), PRESENT)
def test_personal_data_is_found_from_its_first_to_its_last_character(marked: str, kind: str) -> None:
    before, rest = marked.split("[", 1)
    found, after = rest.rsplit("]", 1)
    (finds,) = personal_data([before + found + after])
    assert finds == [{"kind": kind, "start": len(before), "end": len(before + found)}]


@pytest.mark.parametrize("text", ABSENT)
def test_what_belongs_to_nobody_is_not_found(text: str) -> None:
    assert personal_data([text]) == [[]]


def test_redaction_leaves_the_kind_in_the_place_of_the_find() -> None:
    text = "Ask ann@corp.de or +49 30 901820, not bob@corp.de."
    (found,) = personal_data([text])
    assert redact(text, found) == "Ask [EMAIL] or [PHONE], not [EMAIL]."


@settings(deadline=None)
@given(st.lists(st.sampled_from([*(marked.translate({91: None, 93: None}) for marked, _ in PRESENT), *ABSENT])))
def test_every_line_is_judged_by_itself_and_nothing_is_found_in_what_is_redacted(lines: list[str]) -> None:
    text = "\n".join(lines)
    (found,) = personal_data([text])
    assert [find["kind"] for find in found] == [find["kind"] for finds in personal_data(lines) for find in finds]
    assert all(int(first["end"]) <= int(second["start"]) for first, second in pairwise(found))
    assert personal_data([redact(text, found)]) == [[]]


@pytest.mark.parametrize(
    "part", ["1 ", "a@", "a.", " 2", "A ", "http://", "0", "1 A ", "a:", "phone ", "Aaaa ", "x@a.de "]
)
def test_a_long_and_hostile_text_takes_no_more_than_its_length(part: str) -> None:
    assert isinstance(personal_data([part * 20_000]), list)


def test_strings_of_a_value_are_replaced_where_they_stand_and_names_are_left_alone() -> None:
    value = {"id": "x", "messages": [{"role": "user", "content": "a"}], "n": 1, "more": ("b", None)}
    assert strings(value) == ["a", "b"]
    assert with_strings(value, iter("AB")) == {
        "id": "x",
        "messages": [{"role": "user", "content": "A"}],
        "n": 1,
        "more": ["B", None],
    }
