"""Made tests/vectors/numbers.json, once: `python -m tests.vectors.make_numbers > tests/vectors/numbers.json`.

Secrets and scalars in it are fixed and for tests alone. Everything is computed by tests/identity/rfc9497.py and the standard library, so
it is a judge of the relay's own code and of the app's, which both read the file.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import sys
from typing import Any

from tests.identity import rfc9497

APP_SALT = hashlib.sha256(b"app salt of the worked example").digest()
SEED = hashlib.sha256(b"oprf seed of the worked example").digest()
KEY_INFO = b"sottovoce numbers v1"
NUMBERS = ("+4915112345678", "+905321234567", "+12025550123", "+9665012345678")


def scalar(name: str) -> int:
    return int.from_bytes(hashlib.sha512(name.encode()).digest(), "little") % rfc9497.L


def hkdf(ikm: bytes, info: bytes, length: int) -> bytes:
    """RFC 5869 with SHA-256, without salt; one block is enough."""
    extracted = hmac.digest(bytes(32), ikm, hashlib.sha256)
    return hmac.digest(extracted, info + b"\x01", hashlib.sha256)[:length]


def main() -> None:
    secret, public_key = rfc9497.derive_key_pair(SEED, KEY_INFO)
    cases: list[dict[str, Any]] = []
    blinded, evaluated = [], []
    for number in NUMBERS:
        phone_hash = hmac.digest(APP_SALT, number.encode(), hashlib.sha256)
        blind = scalar(f"blind {number}")
        blinded.append(rfc9497.blind(phone_hash, blind))
        evaluated.append(secret * blinded[-1])
        output = rfc9497.finalize(phone_hash, blind, evaluated[-1])
        cases.append(
            {
                "number": number,
                "phone_hash": phone_hash.hex(),
                "blind": blind.to_bytes(32, "little").hex(),
                "blinded": blinded[-1].encode().hex(),
                "evaluated": evaluated[-1].encode().hex(),
                "output": output.hex(),
                "phone_token": hkdf(output, b"sottovoce phone token v1", 32).hex(),
                "number_access_key": hkdf(output, b"sottovoce number access key v1", 16).hex(),
            }
        )
    proof = rfc9497.generate_proof(secret, blinded, evaluated, scalar("proof"))
    example = {
        "about": "docs/protocol.md, section Numbers. All in hex. `proof` is over all cases in order.",
        "app_salt": APP_SALT.hex(),
        "oprf_seed": SEED.hex(),
        "oprf_key_info": KEY_INFO.decode(),
        "oprf_secret_key": secret.to_bytes(32, "little").hex(),
        "voprf_public_key": public_key.encode().hex(),
        "proof": proof.hex(),
        "proof_random_scalar": scalar("proof").to_bytes(32, "little").hex(),
        "cases": cases,
    }
    sys.stdout.write(json.dumps(example, indent=2) + "\n")


if __name__ == "__main__":
    main()
