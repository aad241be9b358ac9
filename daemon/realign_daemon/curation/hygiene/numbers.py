"""Numbers that name a person or what is theirs: bank accounts, cards, social security, network addresses.

A check gets a match that looks right and gives the place where the find ends, or None for what only looks like one.
"""

from __future__ import annotations

import re
from ipaddress import ip_address
from typing import Final

# Countries by length: the IBAN registry of SWIFT.
_IBAN_COUNTRIES: Final = {
    15: "NO",
    16: "BE",
    18: "DK FI FO GL NL",
    19: "MK SI",
    20: "AT BA EE KZ LT LU XK",
    21: "CH HR LI LV",
    22: "BG BH CR DE GB GE IE ME RS VA",
    23: "AE GI IL",
    24: "AD CZ ES MD PK RO SA SE SK TN VG",
    25: "PT",
    26: "IS TR",
    27: "FR GR IT MC MR SM",
    28: "AL AZ BY CY DO GT HU LB PL",
    29: "BR EG PS QA UA",
    30: "JO KW MU",
    31: "MT",
}
_IBAN_LENGTHS: Final = {
    country: length for length, countries in _IBAN_COUNTRIES.items() for country in countries.split()
}
# Issuers' prefixes at the lengths in use: Visa, Mastercard, American Express, Discover, JCB, Diners Club.
_CARD: Final = re.compile(
    r"4\d{15}|(?:5[1-5]\d\d|222[1-9]|22[3-9]\d|2[3-6]\d\d|27[01]\d|2720)\d{12}|3[47]\d{13}|(?:6011|64[4-9]\d|65\d\d)\d{12}"
    r"|35(?:2[89]|[3-8]\d)\d{12}|3(?:0[0-5]|[68]\d)\d{11}"
)
_IN_A_SUM: Final = re.compile(r"[=*\u00d7\u00f7^<>] *\Z"), re.compile(r" *[=+*\u00d7\u00f7^<>]")
_BEFORE_A_VERSION: Final = re.compile(
    r"(?:\b(?:v|ver|version|release|section|chapter|figure|table)\.?|§) *\Z", re.IGNORECASE
)
_LAST_SECTION_NUMBER: Final = 31  # own choice: 3.2.1.4 is a section or a version more often than a host


def stands_in_a_sum(match: re.Match[str]) -> bool:
    """Whether the match is a term of arithmetic: an operator or an equals sign stands beside it."""
    before, after = _IN_A_SUM
    text = match.string
    return bool(before.search(text, max(0, match.start() - 3), match.start()) or after.match(text, match.end()))


def iban(match: re.Match[str]) -> int | None:
    """An international bank account number of its country's length whose check digits hold (ISO 13616, ISO 7064)."""
    length = _IBAN_LENGTHS.get(match[0][:2], 0)
    account = re.compile(rf"(?: ?[A-Z0-9]){{{length}}}(?![A-Za-z0-9])").match(match.string, match.start())
    if not length or account is None:
        return None
    characters = account[0].replace(" ", "")
    remainder = int("".join(str(int(one, 36)) for one in characters[4:] + characters[:4])) % 97
    return account.end() if remainder == 1 else None


def credit_card(match: re.Match[str]) -> int | None:
    """A card number of a known issuer whose check digit holds (Luhn, ISO/IEC 7812)."""
    digits = re.sub(r"\D", "", match[0])
    doubled = [int(digit) * (2 if place % 2 else 1) for place, digit in enumerate(reversed(digits))]
    holds = sum(value // 10 + value % 10 for value in doubled) % 10 == 0
    return match.end() if holds and _CARD.fullmatch(digits) and not stands_in_a_sum(match) else None


def social_security(match: re.Match[str]) -> int | None:
    """A US social security number that could have been issued: the pattern leaves the others out."""
    return None if stands_in_a_sum(match) else match.end()


def host(match: re.Match[str]) -> int | None:
    """A public address of a host: no private, reserved or documentation range, no version or section number."""
    try:
        address = ip_address(match[0])
    except ValueError:
        return None
    is_numbering = address.version == 4 and max(address.packed) <= _LAST_SECTION_NUMBER  # noqa: PLR2004 - IPv4
    named = _BEFORE_A_VERSION.search(match.string, max(0, match.start() - 12), match.start())
    is_hosts = address.is_global and not address.is_multicast
    return match.end() if is_hosts and not is_numbering and not named else None
