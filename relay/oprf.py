"""The oblivious function behind phone tokens: RFC 9497, VOPRF mode, ristretto255-SHA512, by the package `voprf`.

Whoever evaluates a hash learns one output and nothing of the key; the relay learns nothing of the hash. So a stolen database cannot be
tried against all numbers, and a member can try only as many as the budget allows. The key is a file beside the database, not in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from voprf import ristretto

OPRF_SEED_BYTES: Final = 32
ELEMENT_BYTES: Final = 32
PROOF_BYTES: Final = 64
KEY_INFO: Final = b"sottovoce numbers v1"
"""The `info` of DeriveKeyPair (RFC 9497 section 3.2.1)."""


class BadElement(ValueError):
    """`place`: which of the elements is not the canonical encoding of one, is the identity, or came before."""

    def __init__(self, place: int) -> None:
        super().__init__(place)
        self.place = place


class Blinded(NamedTuple):
    """Elements that were read and are good."""

    elements: Sequence[ristretto.BlindedInput]


class Evaluation(NamedTuple):
    """One element (32 bytes) for each that was blinded, in order, and one proof (64 bytes: c || s) for all of them."""

    evaluated: list[bytes]
    proof: bytes


class NumberOprf:
    """The relay's side of the function, under the key that follows from `seed` (32 bytes)."""

    def __init__(self, seed: bytes) -> None:
        self._evaluator = ristretto.Evaluator.from_seed(seed, KEY_INFO)
        self.public_key: bytes = self._evaluator.public_key.serialize()
        """32 bytes. It stands in every invite; proofs are checked against it."""

    def evaluate(self, blinded: Blinded) -> Evaluation:
        """BlindEvaluate (RFC 9497 section 3.3.2) with one proof for the batch. Some 70 us an element, and nothing else runs meanwhile."""
        answer: bytes = self._evaluator.evaluate_batch(list(blinded.elements)).serialize()
        evaluated = answer[PROOF_BYTES:]
        return Evaluation(
            [evaluated[n : n + ELEMENT_BYTES] for n in range(0, len(evaluated), ELEMENT_BYTES)], answer[:PROOF_BYTES]
        )

    def output(self, message: bytes) -> bytes:
        """The output for a message in the clear, 64 bytes (Evaluate, RFC 9497 section 3.3.1). For the operator's commands."""
        output: bytes = self._evaluator.evaluate_known_input(message)
        return output


def read_elements(elements: Sequence[bytes]) -> Blinded:
    """Reads blinded elements. One that occurs twice is refused: blinding makes each different, so it is a mistake or a trick.

    Raises:
        BadElement: the first that is wrong.
    """
    read = []
    seen: set[bytes] = set()
    for place, element in enumerate(elements):
        if element in seen or len(element) != ELEMENT_BYTES:  # the library does not look at what comes after 32 bytes
            raise BadElement(place)
        seen.add(element)
        try:
            read.append(ristretto.BlindedInput.deserialize(element))
        except ValueError:
            raise BadElement(place) from None
    return Blinded(read)
