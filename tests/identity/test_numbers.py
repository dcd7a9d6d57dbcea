"""Phone tokens: the library that the relay uses against RFC 9497's vectors, and the relay's own steps against the worked example.

tests/identity/rfc9497.py is the judge: it reproduces the RFC's vectors byte for byte, proofs included, which the library cannot (it
chooses its own random scalars, as it should).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from voprf import ristretto

from relay import numbers
from relay.oprf import KEY_INFO, BadElement, NumberOprf, read_elements
from tests.identity import rfc9497

VECTORS = Path(__file__).parent.parent / "vectors"
RFC: dict[str, Any] = json.loads((VECTORS / "rfc9497_ristretto255_voprf.json").read_text())
EXAMPLE: dict[str, Any] = json.loads((VECTORS / "numbers.json").read_text())
BATCHES = pytest.mark.parametrize("vector", RFC["vectors"], ids=lambda vector: vector["name"])


def unhex(values: list[str]) -> list[bytes]:
    return [bytes.fromhex(value) for value in values]


def scalars(values: list[str]) -> list[int]:
    return [int.from_bytes(value, "little") for value in unhex(values)]


# -- the RFC -----------------------------------------------------------------------------------------------------------


@BATCHES
def test_the_judge_reproduces_the_rfc(vector: dict[str, Any]) -> None:
    secret, public_key = rfc9497.derive_key_pair(bytes.fromhex(RFC["seed"]), bytes.fromhex(RFC["key_info"]))
    assert (secret.to_bytes(32, "little").hex(), public_key.encode().hex()) == (RFC["secret_key"], RFC["public_key"])
    inputs, blinds = unhex(vector["inputs"]), scalars(vector["blinds"])
    blinded = [rfc9497.blind(message, scalar) for message, scalar in zip(inputs, blinds, strict=True)]
    evaluated = [secret * element for element in blinded]
    assert [element.encode().hex() for element in blinded] == vector["blinded"]
    assert [element.encode().hex() for element in evaluated] == vector["evaluated"]
    (random,) = scalars([vector["proof_random_scalar"]])
    assert rfc9497.generate_proof(secret, blinded, evaluated, random).hex() == vector["proof"]
    assert rfc9497.verify_proof(public_key, blinded, evaluated, bytes.fromhex(vector["proof"]))
    outputs = [rfc9497.finalize(*case) for case in zip(inputs, blinds, evaluated, strict=True)]
    assert [output.hex() for output in outputs] == vector["outputs"]


@BATCHES
def test_the_library_does_what_the_rfc_says(vector: dict[str, Any]) -> None:
    evaluator = ristretto.Evaluator.from_seed(bytes.fromhex(RFC["seed"]), bytes.fromhex(RFC["key_info"]))
    assert evaluator.public_key.serialize().hex() == RFC["public_key"]
    blinded = read_elements(unhex(vector["blinded"])).elements
    answer: bytes = evaluator.evaluate_batch(list(blinded)).serialize()
    assert answer[64:].hex() == "".join(vector["evaluated"])
    public_key = rfc9497.decode(bytes.fromhex(RFC["public_key"]))
    elements = [[rfc9497.decode(one) for one in unhex(values)] for values in (vector["blinded"], vector["evaluated"])]
    assert rfc9497.verify_proof(public_key, *elements, answer[:64])
    assert [evaluator.evaluate_known_input(message).hex() for message in unhex(vector["inputs"])] == vector["outputs"]


# -- our own use of it -------------------------------------------------------------------------------------------------


@pytest.fixture
def oprf() -> NumberOprf:
    return NumberOprf(bytes.fromhex(EXAMPLE["oprf_seed"]))


def test_the_worked_example(oprf: NumberOprf) -> None:
    assert KEY_INFO.decode() == EXAMPLE["oprf_key_info"]
    assert oprf.public_key.hex() == EXAMPLE["voprf_public_key"]
    cases = EXAMPLE["cases"]
    for case in cases:
        phone_hash = numbers.phone_hash(bytes.fromhex(EXAMPLE["app_salt"]), case["number"])
        assert phone_hash.hex() == case["phone_hash"]
        output = oprf.output(phone_hash)
        assert output.hex() == case["output"]
        assert numbers.phone_token(output).hex() == case["phone_token"]
        assert numbers.number_access_key(output).hex() == case["number_access_key"]
    blinded = unhex([case["blinded"] for case in cases])
    evaluation = oprf.evaluate(read_elements(blinded))
    assert [one.hex() for one in evaluation.evaluated] == [case["evaluated"] for case in cases]
    elements = [[rfc9497.decode(one) for one in some] for some in (blinded, evaluation.evaluated)]
    public_key = rfc9497.decode(oprf.public_key)
    for proof in (evaluation.proof, bytes.fromhex(EXAMPLE["proof"])):
        assert rfc9497.verify_proof(public_key, *elements, proof)
        for n in (0, 31, 32, 63):
            assert not rfc9497.verify_proof(public_key, *elements, proof[:n] + bytes([proof[n] ^ 1]) + proof[n + 1 :])


def test_a_proof_of_another_key_is_none(oprf: NumberOprf) -> None:
    blinded = unhex([case["blinded"] for case in EXAMPLE["cases"]])
    evaluation = NumberOprf(bytes(32)).evaluate(read_elements(blinded))
    elements = [[rfc9497.decode(one) for one in some] for some in (blinded, evaluation.evaluated)]
    assert not rfc9497.verify_proof(rfc9497.decode(oprf.public_key), *elements, evaluation.proof)


GOOD = bytes.fromhex(EXAMPLE["cases"][0]["blinded"])
# RFC 9496, Appendix A.3, one or two of each kind.
BAD = {
    "the identity": bytes(32),
    "short": GOOD[:31],
    "long": GOOD + b"\0",
    "empty": b"",
    "p itself": bytes.fromhex("edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
    "not reduced": bytes.fromhex("f3ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
    "all ones": b"\xff" * 32,
    "high bit": GOOD[:31] + bytes([GOOD[31] | 0x80]),
    "negative": bytes.fromhex("0100000000000000000000000000000000000000000000000000000000000000"),
    "negative too": bytes.fromhex("ed57ffd8c914fb201471d1c3d245ce3c746fcbe63a3679d51b6a516ebebe0e20"),
    "no square": bytes.fromhex("26948d35ca62e643e26a83177332e6b6afeb9d08e4268b650f1f5bbd8d81d371"),
    "negative xy": bytes.fromhex("3eb858e78f5a7254d8c9731174a94f76755fd3941c0ac93735c07ba14579630e"),
    "s = -1": bytes.fromhex("ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
}


@pytest.mark.parametrize("element", BAD.values(), ids=BAD)
def test_what_is_no_element_is_refused_by_its_place(element: bytes) -> None:
    with pytest.raises(BadElement) as refused:
        read_elements([GOOD, element])
    assert refused.value.place == 1
    if any(element):  # the identity is an element, but no blinded one
        with pytest.raises(ValueError, match="not"):
            rfc9497.decode(element)


def test_an_element_that_comes_twice_is_refused() -> None:
    with pytest.raises(BadElement) as refused:
        read_elements([GOOD, bytes.fromhex(EXAMPLE["cases"][1]["blinded"]), GOOD])
    assert refused.value.place == 2


@pytest.mark.parametrize(
    ("number", "good"),
    [
        ("+4915112345678", True),
        ("+12025550123", True),
        ("4915112345678", False),
        ("+0015112345678", False),
        ("+49 15112345678", False),
        ("+49151", False),
        ("+4915112345678901", False),
        ("+4915112345678\n", False),
        ("+٤٩١٥١١٢٣٤٥٦٧٨", False),
    ],
)
def test_numbers_are_written_one_way(number: str, good: bool) -> None:
    assert numbers.is_e164(number) is good
