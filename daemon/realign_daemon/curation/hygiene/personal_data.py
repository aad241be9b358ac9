"""Personal data: what in a text names, reaches or opens something of a real person. Runs in the worker child.

Patterns and checksums only: names are not found. Hosts of one machine or of no network (RFC 6761) and the IP addresses
of documentation (RFC 5737) belong to nobody and do not count; john@example.com does, being written like a person's.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from realign_daemon.curation.hygiene import numbers, phones

_RESERVED_HOST: Final = re.compile(
    r"(?:[\w-]+\.)*(?:localhost|127\.0\.0\.1|[\w-]+\.(?:example|test|invalid|localhost))",
    re.IGNORECASE,
)
_API_KEYS: Final = (
    r"(?:AKIA|ASIA)[0-9A-Z]{16}",  # Amazon
    r"gh[pousr]_[A-Za-z0-9]{36,255}|github_pat_\w{50,255}",  # GitHub
    r"glpat-[\w-]{20,}",  # GitLab
    r"xox[abeoprs]-[0-9A-Za-z-]{20,}",  # Slack
    r"AIza[\w-]{35}",  # Google
    r"sk-(?:proj-|svcacct-|admin-|ant-)?(?=[\w-]*[A-Z])(?=[\w-]*\d)[\w-]{20,}",  # OpenAI, Anthropic
    r"hf_[A-Za-z0-9]{34}",  # Hugging Face
    r"[rs]k_(?:live|test)_[A-Za-z0-9]{24,}",  # Stripe
    r"npm_[A-Za-z0-9]{36}|pypi-AgEI[\w-]{50,}",
    r"SG\.[\w-]{22}\.[\w-]{43}",  # SendGrid
    r"(?:AC|SK)[0-9a-f]{32}",  # Twilio
    r"eyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{10,}",  # JSON web token
)
_STREET: Final = (
    r"\b\d{1,5} (?:[A-Z][\w'.-]* ){1,4}"
    r"(?:Street|St|Avenue|Ave|Road|Rd|Boulevard|Blvd|Lane|Ln|Drive|Dr|Court|Ct|Way|Place|Pl|Square|Sq)\b\.?"
    r"(?: [NSEW]{1,2}\b)?(?:,? (?:Apt|Suite|Ste|Unit|#)\.? ?\w+)?"
    r",\s*[A-Z][A-Za-z .'-]{1,30},? [A-Z]{2} \d{5}(?:-\d{4})?\b"
)

Check = Callable[[re.Match[str]], int | None]  # where the find ends, None when it is none


def _whole(match: re.Match[str]) -> int | None:
    return match.end()


def _somebodys(match: re.Match[str]) -> int | None:
    return None if _RESERVED_HOST.fullmatch(match["host"]) else match.end()


def _in_use(match: re.Match[str]) -> int | None:
    return None if match[0].endswith("EXAMPLE") else match.end()  # so Amazon's documentation ends its keys


@dataclass(frozen=True, slots=True, kw_only=True)
class Detector:
    """One form of a kind of personal data: what looks like it, and the check that it is."""

    kind: str
    pattern: re.Pattern[str]
    check: Check = _whole


# What an earlier one found is no longer there for the later ones.
DETECTORS: Final = (
    Detector(
        kind="api_key",
        pattern=re.compile(
            r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----[\s\S]{1,10000}?-----END (?:[A-Z]+ )*PRIVATE KEY-----"
        ),
    ),
    Detector(
        kind="credential_url",
        pattern=re.compile(
            r"\b[a-z][a-z0-9+.-]{1,20}://[^\s/:@]{1,100}:[^\s/@]{1,200}@(?P<host>[\w.-]+)[^\s\"'<>)\]]*"
        ),
        check=_somebodys,
    ),
    Detector(
        kind="email",
        # Not before a path: git@github.com:owner/name reaches nobody.
        pattern=re.compile(
            r"(?<![\w.%+-])[A-Za-z0-9][\w.%+-]{0,63}@(?P<host>(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24})(?![\w-]|[.:]\w)"
        ),
        check=_somebodys,
    ),
    Detector(kind="api_key", pattern=re.compile(rf"(?<![\w-])(?:{'|'.join(_API_KEYS)})(?![\w-])"), check=_in_use),
    Detector(kind="iban", pattern=re.compile(r"\b[A-Z]{2}\d{2}(?= ?[A-Z0-9]{4})"), check=numbers.iban),
    Detector(
        kind="credit_card",
        pattern=re.compile(
            r"(?<![\w.,+/-])(?<!\d )"
            r"(?:\d{14,16}|\d{4}([ -])\d{4}\1\d{4}\1\d{4}|\d{4}([ -])\d{6}\2\d{4,5})(?![\w/]|[ .,-]\d)"
        ),
        check=numbers.credit_card,
    ),
    Detector(
        kind="us_ssn",
        pattern=re.compile(r"(?<![\w.,+/-])(?!000|666|9)\d{3}-(?!00)\d\d-(?!0000)\d{4}(?![\w/]|[.,-]\d)"),
        check=numbers.social_security,
    ),
    Detector(
        kind="ip_address",
        pattern=re.compile(
            r"(?<![\w.-])(?:\d{1,3}\.){3}\d{1,3}(?![\w-]|\.\d)|(?<![\w:.])[23][0-9a-f]{3}:[0-9a-f:]{4,34}[0-9a-f](?![\w:])",
            re.IGNORECASE,
        ),
        check=numbers.host,
    ),
    Detector(kind="street_address", pattern=re.compile(_STREET)),
    Detector(kind="phone", pattern=phones.INTERNATIONAL, check=phones.international),
    Detector(kind="phone", pattern=phones.NORTH_AMERICAN, check=phones.north_american),
    Detector(kind="phone", pattern=phones.TRUNK, check=phones.trunk),
    Detector(kind="phone", pattern=phones.ANNOUNCED, check=phones.announced),
)


def personal_data(texts: list[str]) -> list[list[dict[str, str | int]]]:
    """For each text what it holds, in order and without overlaps: `kind`, `start` and `end` in characters."""
    return [_finds(text) for text in texts]


def _finds(text: str) -> list[dict[str, str | int]]:
    spans: list[tuple[int, int, str]] = []
    for detector in DETECTORS:
        ends = [(match.start(), detector.check(match)) for match in detector.pattern.finditer(text)]
        found = [(start, end) for start, end in ends if end is not None]
        spans += [(start, end, detector.kind) for start, end in found]
        text = _without(text, found)
    return [{"kind": kind, "start": start, "end": end} for start, end, kind in sorted(spans)]


def _without(text: str, found: list[tuple[int, int]]) -> str:
    """The text with what was found blotted out, so that every character keeps its place."""
    if not found:
        return text
    starts = [0, *(end for _, end in found)]
    ends = [*(start for start, _ in found), len(text)]
    blots = ["\0" * (end - start) for start, end in found]
    kept = [text[start:end] for start, end in zip(starts, ends, strict=True)]
    return "".join(part for pair in zip(kept, [*blots, ""], strict=True) for part in pair)
