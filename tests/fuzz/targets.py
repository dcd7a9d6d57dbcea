"""What is fuzzed, and what must hold for any bytes: a value, or the one error that the docstring names. Nothing else."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from pydantic import BaseModel, ValidationError

from relay.frames import Malformed, from_b64, parse_from_mailbox_app, parse_from_post_app, to_b64
from relay.oprf import BadElement, read_elements
from relay.routes.account import CALLS
from relay.sender_certificates import is_certified
from relay.stun import Attribute, NotStun, is_authentic, parse
from relay.xeddsa_signatures import make_private_key, public_key_of, verifies

Target = Callable[[bytes], None]

_KEY = public_key_of(make_private_key())
_MODELS: tuple[type[BaseModel], ...] = tuple(call.request for call in CALLS if call.request is not None)


def frames(data: bytes) -> None:
    """A frame that is read is written again as an equal one."""
    text = data.decode("utf-8", "surrogateescape")
    for read in (parse_from_mailbox_app, parse_from_post_app):
        with suppress(Malformed):
            frame = read(text)
            assert read(frame.encode()) == frame


def bodies(data: bytes) -> None:
    """The bodies of HTTP calls: a model or a ValidationError (or what JSON itself refuses)."""
    for model in _MODELS:
        with suppress(ValidationError, ValueError):
            read = model.model_validate_json(data)
            assert model.model_validate_json(read.model_dump_json()) == read


def base64url(data: bytes) -> None:
    """One spelling: what is read is written the same, but for padding."""
    with suppress(ValueError, UnicodeDecodeError):
        text = data.decode("ascii")
        assert to_b64(from_b64(text)) == text.rstrip("=")


def signatures(data: bytes) -> None:
    """Any key, message and signature: False, or a library error that is no crash, and never True for noise."""
    key, signature, message = data[:33], data[33:97], data[97:]
    assert verifies(key, message, signature) is False
    assert is_certified(data, _KEY, _KEY) is False


def oprf_elements(data: bytes) -> None:
    with suppress(BadElement):
        read_elements([data[start : start + 32] for start in range(0, len(data), 32)])


def stun(data: bytes) -> None:
    """Whole messages or NotStun; and nobody who does not know the key made one that is authentic."""
    assert not is_authentic(data, b"a key that nobody knows")
    with suppress(NotStun):
        message = parse(data)
        for attribute in Attribute:
            message.address(attribute)
            message.text(attribute)
        assert message.error_code is None or message.error_code >= 0


TARGETS: dict[str, Target] = {
    target.__name__: target for target in (frames, bodies, base64url, signatures, oprf_elements, stun)
}
