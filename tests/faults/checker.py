"""The checker: a total queue. What goes in and was acknowledged comes out, as it went in, where it was sent.

In the terms of the literature on testing distributed systems by their histories: every post ends as *ok*, *refused* or *unknown*. Then

- ok is a subset of what the recipient's app has stored                  else **lost**
- what was delivered is a subset of what was tried, for that recipient   else **invented**
- a body comes out under the id it went in with                         else **altered**
- what was only ever refused is not delivered                            else **phantom**
- what was settled (acknowledged, and the relay said: nothing waits)
  does not come again                                                    else **resurrected**
- posts of which one was acknowledged before the other began, through
  one node, come in that order                                           else **reordered**
- a healthy session gets what was acknowledged without asking again      else **late**

Redeliveries on the wire are allowed (at least once) and counted.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from math import inf

from tests.faults.history import Attempt, History


@dataclass
class Verdict:
    """Ids by charge; empty lists are an acquittal."""

    lost: list[str] = field(default_factory=list)
    invented: list[str] = field(default_factory=list)
    altered: list[str] = field(default_factory=list)
    phantom: list[str] = field(default_factory=list)
    resurrected: list[str] = field(default_factory=list)
    reordered: list[str] = field(default_factory=list)
    late: list[str] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)

    @property
    def charges(self) -> dict[str, int]:
        """Charge -> how many envelopes; only those that stand."""
        names = ("lost", "invented", "altered", "phantom", "resurrected", "reordered", "late")
        return {name: len(getattr(self, name)) for name in names if getattr(self, name)}


def judge(history: History) -> Verdict:
    """Pure: the same history gives the same verdict."""
    verdict = Verdict()
    tried: dict[str, list[Attempt]] = defaultdict(list)
    for attempt in history.attempts:
        tried[attempt.id].append(attempt)
    stored = {(d.mailbox, d.id) for d in history.deliveries if d.stored}

    for id_, attempts in tried.items():
        if any(a.outcome == "ok" for a in attempts) and (attempts[0].mailbox, id_) not in stored:
            verdict.lost.append(id_)

    told: set[tuple[str, str]] = set()
    first_on_wire: dict[str, list[str]] = defaultdict(list)
    again = 0
    for delivery in history.deliveries:
        if (delivery.mailbox, delivery.id) not in told:
            told.add((delivery.mailbox, delivery.id))
            first_on_wire[delivery.mailbox].append(delivery.id)
        else:
            again += 1
        mine = [a for a in tried.get(delivery.id, ()) if a.mailbox == delivery.mailbox]
        if not mine:
            verdict.invented.append(delivery.id)
        elif delivery.digest not in {a.digest for a in mine}:
            verdict.altered.append(delivery.id)
        elif all(a.outcome == "refused" for a in mine):
            verdict.phantom.append(delivery.id)
        if delivery.at > history.settled.get(delivery.id, inf):
            verdict.resurrected.append(delivery.id)

    for ids in first_on_wire.values():
        verdict.reordered += _overtaken(ids, tried)
    verdict.late = sorted(history.late)

    outcomes = [_best(attempts) for attempts in tried.values()]
    verdict.counts = {
        "envelopes": len(tried),
        "attempts": len(history.attempts),
        "ok": outcomes.count("ok"),
        "refused": outcomes.count("refused"),
        "unknown": outcomes.count("unknown"),
        "stored": len(stored),
        "redelivered": again,
        "injuries": len(history.injuries),
    }
    return verdict


def _best(attempts: list[Attempt]) -> str:
    outcomes = {a.outcome for a in attempts}
    return next(outcome for outcome in ("ok", "unknown", "refused") if outcome in outcomes)


def _overtaken(ids: list[str], tried: dict[str, list[Attempt]]) -> list[str]:
    """Ids that came before one which had been acknowledged, by the same node, before they were first tried.

    Through several nodes there is no such promise: the other node's mail is found by a wake-up, one's own is at hand.
    """
    overtaken = []
    earliest_ok: dict[int, float] = defaultdict(lambda: inf)  # by node, among those that come later on the wire
    for id_ in reversed(ids):
        attempts = tried.get(id_)
        if not attempts:
            continue
        first = attempts[0]
        if len({a.node for a in attempts}) == 1 and first.begun > earliest_ok[first.node]:
            overtaken.append(id_)
        if len({a.node for a in attempts}) == 1:
            oks = [a.ended for a in attempts if a.outcome == "ok" and a.ended is not None]
            earliest_ok[first.node] = min([earliest_ok[first.node], *oks])
    return overtaken
