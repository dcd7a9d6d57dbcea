"""RFC 9497 (VOPRF mode, ristretto255-SHA512) once more, slowly and after the letter of the RFC, to judge the library that the relay uses.

Neither fast nor constant-time: for tests alone. Names are those of the RFCs (9496 for the group, 9380 for hashing to it).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final

P: Final = 2**255 - 19
L: Final = 2**252 + 27742317777372353535851937790883648493
"""Order of the group."""


def _abs(x: int) -> int:
    x %= P
    return P - x if x & 1 else x


SQRT_M1: Final = pow(2, (P - 1) // 4, P)
D: Final = -121665 * pow(121666, -1, P) % P


def _sqrt_ratio_m1(u: int, v: int) -> tuple[bool, int]:
    """RFC 9496 section 3.1."""
    r = u * pow(v, 3, P) * pow(u * pow(v, 7, P), (P - 5) // 8, P) % P
    check = v * r * r % P
    u %= P
    correct, flipped, flipped_i = check == u, check == -u % P, check == -u * SQRT_M1 % P
    if flipped or flipped_i:
        r = r * SQRT_M1 % P
    return correct or flipped, _abs(r)


INVSQRT_A_MINUS_D: Final = _sqrt_ratio_m1(1, -1 - D)[1]
# The RFC takes the odd one of the two roots.
SQRT_AD_MINUS_ONE: Final = 25063068953384623474111414158702152701244531502492656460079210482610430750235
ONE_MINUS_D_SQ: Final = (1 - D * D) % P
D_MINUS_ONE_SQ: Final = (D - 1) ** 2 % P


@dataclass(frozen=True)
class Element:
    """A point in extended coordinates, standing for its class."""

    x: int
    y: int
    z: int
    t: int

    def __add__(self, other: Element) -> Element:
        a = (self.y - self.x) * (other.y - other.x)
        b = (self.y + self.x) * (other.y + other.x)
        c = self.t * 2 * D * other.t
        d = self.z * 2 * other.z
        e, f, g, h = b - a, d - c, d + c, b + a
        return Element(e * f % P, g * h % P, f * g % P, e * h % P)

    def __rmul__(self, scalar: int) -> Element:
        total, addend = IDENTITY, self
        for bit in bin(scalar % L)[:1:-1]:
            if bit == "1":
                total += addend
            addend += addend
        return total

    def encode(self) -> bytes:
        """RFC 9496 section 4.3.2."""
        u1, u2 = (self.z + self.y) * (self.z - self.y) % P, self.x * self.y % P
        _, invsqrt = _sqrt_ratio_m1(1, u1 * u2 * u2 % P)
        den1, den2 = invsqrt * u1 % P, invsqrt * u2 % P
        z_inv = den1 * den2 * self.t % P
        x, y, den_inv = self.x, self.y, den2
        if self.t * z_inv % P & 1:
            x, y, den_inv = self.y * SQRT_M1 % P, self.x * SQRT_M1 % P, den1 * INVSQRT_A_MINUS_D % P
        if x * z_inv % P & 1:
            y = -y
        return _abs(den_inv * (self.z - y)).to_bytes(32, "little")


IDENTITY: Final = Element(0, 1, 1, 0)


def decode(data: bytes) -> Element:
    """RFC 9496 section 4.3.1.

    Raises:
        ValueError: not the encoding of an element.
    """
    s = int.from_bytes(data, "little")
    if len(data) != 32 or s >= P or s & 1:
        raise ValueError("not canonical")
    u1, u2 = (1 - s * s) % P, (1 + s * s) % P
    v = (-D * u1 * u1 - u2 * u2) % P
    was_square, invsqrt = _sqrt_ratio_m1(1, v * u2 * u2 % P)
    den_x = invsqrt * u2 % P
    x, y = _abs(2 * s * den_x), u1 * invsqrt * den_x * v % P
    if not was_square or x * y % P & 1 or y == 0:
        raise ValueError("not an element")
    return Element(x, y, 1, x * y % P)


BASE: Final = decode(bytes.fromhex("e2f2ae0a6abc4e71a884a961c500515f58e30b6aa582dd8db6a65945e08d2d76"))


def _map(data: bytes) -> Element:
    """RFC 9496 section 4.3.4, MAP."""
    t = int.from_bytes(data, "little") & (2**255 - 1)
    r = SQRT_M1 * t * t % P
    u, v = (r + 1) * ONE_MINUS_D_SQ % P, (-1 - r * D) * (r + D) % P
    was_square, s = _sqrt_ratio_m1(u, v)
    c = -1
    if not was_square:
        s, c = -_abs(s * t) % P, r
    n = (c * (r - 1) * D_MINUS_ONE_SQ - v) % P
    w0, w1, w2, w3 = 2 * s * v, n * SQRT_AD_MINUS_ONE, 1 - s * s, 1 + s * s
    return Element(w0 * w3 % P, w2 * w1 % P, w1 * w3 % P, w0 * w2 % P)


def _expand(message: bytes, dst: bytes) -> bytes:
    """expand_message_xmd with SHA-512 to 64 bytes (RFC 9380 section 5.3.1)."""
    dst += bytes([len(dst)])
    b0 = hashlib.sha512(bytes(128) + message + b"\0\x40\0" + dst).digest()
    return hashlib.sha512(b0 + b"\x01" + dst).digest()


def _i2osp(number: int, size: int = 2) -> bytes:
    return number.to_bytes(size, "big")


def _prefixed(*parts: bytes) -> bytes:
    return b"".join(_i2osp(len(part)) + part for part in parts)


CONTEXT: Final = b"OPRFV1-\x01-ristretto255-SHA512"


def hash_to_group(message: bytes) -> Element:
    uniform = _expand(message, b"HashToGroup-" + CONTEXT)
    return _map(uniform[:32]) + _map(uniform[32:])


def hash_to_scalar(message: bytes, dst: bytes = b"HashToScalar-") -> int:
    return int.from_bytes(_expand(message, dst + CONTEXT), "little") % L


def derive_key_pair(seed: bytes, info: bytes) -> tuple[int, Element]:
    """Section 3.2.1."""
    for counter in range(256):
        secret = hash_to_scalar(seed + _prefixed(info) + bytes([counter]), b"DeriveKeyPair")
        if secret:
            return secret, secret * BASE
    raise ValueError("no key")


def blind(message: bytes, scalar: int) -> Element:
    """Section 3.3.1, with a scalar that is given."""
    return scalar * hash_to_group(message)


def finalize(message: bytes, scalar: int, evaluated: Element) -> bytes:
    """The output (section 3.3.2); whether the proof is good is another question."""
    unblinded = pow(scalar, -1, L) * evaluated
    return hashlib.sha512(_prefixed(message, unblinded.encode()) + b"Finalize").digest()


def _composite(public_key: Element, blinded: list[Element], evaluated: list[Element]) -> tuple[Element, Element]:
    """ComputeComposites (section 2.2.2)."""
    seed = hashlib.sha512(_prefixed(public_key.encode(), b"Seed-" + CONTEXT)).digest()
    m = z = IDENTITY
    for i, (c, d) in enumerate(zip(blinded, evaluated, strict=True)):
        transcript = _prefixed(seed) + _i2osp(i) + _prefixed(c.encode(), d.encode()) + b"Composite"
        weight = hash_to_scalar(transcript)
        m, z = m + weight * c, z + weight * d
    return m, z


def _challenge(*elements: Element) -> int:
    return hash_to_scalar(_prefixed(*(element.encode() for element in elements)) + b"Challenge")


def generate_proof(secret: int, blinded: list[Element], evaluated: list[Element], r: int) -> bytes:
    """GenerateProof (section 2.2.1), with a random scalar that is given."""
    public_key = secret * BASE
    m, z = _composite(public_key, blinded, evaluated)
    c = _challenge(public_key, m, z, r * BASE, r * m)
    return c.to_bytes(32, "little") + ((r - c * secret) % L).to_bytes(32, "little")


def verify_proof(public_key: Element, blinded: list[Element], evaluated: list[Element], proof: bytes) -> bool:
    """VerifyProof (section 2.2.2)."""
    c, s = int.from_bytes(proof[:32], "little"), int.from_bytes(proof[32:], "little")
    if len(proof) != 64 or c >= L or s >= L:
        return False
    m, z = _composite(public_key, blinded, evaluated)
    return c == _challenge(public_key, m, z, s * BASE + c * public_key, s * m + c * z)
