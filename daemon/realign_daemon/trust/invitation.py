"""Invitation: a standing offer to let one more member in, known by the hash of its secret."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from realign_daemon.clock import Clock
from realign_daemon.errors import BadInput, NotAllowed, RealignError
from realign_daemon.trust.roles import MemberRole
from realign_proto.token import BadToken, Token, parse_secret

MAX_TTL_S = 7 * 86_400.0  # a forgotten invitation is an open door
MAX_OUTSTANDING = 100
# With 128 bits nobody guesses; the limit keeps a stranger from having the daemon hash all day.
FAILURE_DELAY_S = 0.5
MAX_FAILURES = 5
FAILURE_WINDOW_S = 60.0

T = TypeVar("T")

_ASK = "ask for a new invitation"


@dataclass(frozen=True, slots=True, kw_only=True)
class Invitation:
    """What whoever has the secret will become."""

    role: MemberRole
    name: str  # the member's; empty = what it calls itself
    by: str  # Principal.label of whoever invited
    expires_at_s: float  # on the continuous clock


class Invitations:
    """Those of one daemon. A restart forgets them: the clock that they expire on does not outlive the machine's run."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._offered: dict[bytes, Invitation] = {}  # by sha256 of the secret: a core dump lets nobody in
        self._used: deque[bytes] = deque(maxlen=MAX_OUTSTANDING)
        self._failures: deque[float] = deque(maxlen=MAX_FAILURES)

    def invite(self, *, authority_sha256: bytes, role: MemberRole, name: str, by: str, ttl_s: float) -> Token:
        """A token for one new member.

        Raises:
            BadInput: it would last for no time or too long, or too many are outstanding.
        """
        if not 0 < ttl_s <= MAX_TTL_S:
            raise BadInput(f"an invitation cannot last {ttl_s:g} s; give more than 0 and at most {MAX_TTL_S:.0f} s")
        now_s = self._clock.continuous()
        if len(self._offered) >= MAX_OUTSTANDING:
            self._offered = {key: offer for key, offer in self._offered.items() if now_s < offer.expires_at_s}
        if len(self._offered) >= MAX_OUTSTANDING:
            raise BadInput(f"{MAX_OUTSTANDING} invitations are outstanding; wait until some were used or have expired")
        token = Token.mint(authority_sha256)
        expires_at_s = now_s + ttl_s
        self._offered[_hashed(token.secret)] = Invitation(role=role, name=name, by=by, expires_at_s=expires_at_s)
        return token

    @property
    def outstanding(self) -> int:
        """How many can still be used."""
        return sum(self._clock.continuous() < invitation.expires_at_s for invitation in self._offered.values())

    @property
    def is_open(self) -> bool:
        """Whether the join ports are to be open: somebody is expected, and nobody has just failed again and again."""
        return self.outstanding > 0 and not self._is_flooded()

    async def redeem(self, secret: str, fits: Callable[[Invitation], T]) -> tuple[Invitation, T]:
        """The invitation that the secret belongs to, used up by this call, and what `fits` makes of it.

        `fits` raises RealignError where the rest of the enrolment is wrong; the invitation is still good then. Nothing
        of it is looked at without a secret that counts, and whatever fails is answered late.

        Raises:
            NotAllowed: the secret is wrong, was used, or has expired, or too much has failed lately.
        """
        if self._is_flooded():
            raise NotAllowed("too many enrolments have failed in the last minute; try again in a minute")
        try:
            key, invitation = self._offer(secret)
            fitting = fits(invitation)
        except RealignError:
            self._failures.append(self._clock.continuous())
            await self._clock.sleep(FAILURE_DELAY_S)
            raise
        del self._offered[key]
        self._used.append(key)
        return invitation, fitting

    def put_back(self, secret: str, invitation: Invitation) -> None:
        """Makes one that was redeemed, and let nobody in, good again."""
        key = _hashed(parse_secret(secret))
        self._used.remove(key)
        self._offered[key] = invitation

    def _offer(self, secret: str) -> tuple[bytes, Invitation]:
        try:
            key = _hashed(parse_secret(secret))
        except BadToken as error:
            raise NotAllowed(str(error)) from error
        invitation = self._offered.get(key)
        if invitation is None:
            raise NotAllowed(f"this invitation was {'used already' if key in self._used else 'not given'}; {_ASK}")
        if self._clock.continuous() >= invitation.expires_at_s:
            raise NotAllowed(f"this invitation has expired; {_ASK}")
        return key, invitation

    def _is_flooded(self) -> bool:
        since_s = self._clock.continuous() - FAILURE_WINDOW_S
        return sum(failed_s > since_s for failed_s in self._failures) >= MAX_FAILURES


def parse_token(text: str) -> Token:
    """The token in what a person pasted. Raises BadInput."""
    try:
        return Token.parse(text)
    except BadToken as error:
        raise BadInput(str(error)) from error


def _hashed(secret: bytes) -> bytes:
    return hashlib.sha256(secret).digest()
