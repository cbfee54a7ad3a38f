"""JSON bodies into messages, strictly, with a sentence that names the field and never repeats a value."""

import re
from typing import TypeVar

import msgspec
from msgspec import UNSET

from walletsync.protocol import PAYLOAD_VERSION, Message
from walletsync_server.services.errors import BadRequest, UnsupportedVersion

M = TypeVar("M", bound=Message)

_WITH_FIELD = re.compile(r"(?P<what>.+) - at `\$\.(?P<field>\w+)[^`]*`", re.DOTALL)
_UNKNOWN = re.compile(r"Object contains unknown field .*", re.DOTALL)


def decode(body: bytes, message: type[M]) -> M:
    """Return the message in `body`, whatever its Content-Type was.

    No message has an object or array in it, so a body that nests is refused at the first bracket, however deep it is.

    Raises:
        BadRequest: if it is no JSON object, or not exactly this message.
        UnsupportedVersion: if the message has a `version`, and this is another one; its other fields may be anything.
    """
    if not body.strip():
        raise BadRequest("The body is empty; send a JSON object.")
    try:
        found = _decode(body, message)
    except BadRequest:
        if "version" in message.__struct_fields__ and _has_another_version(body):
            raise UnsupportedVersion from None
        raise
    if getattr(found, "version", UNSET) not in (UNSET, PAYLOAD_VERSION):
        raise UnsupportedVersion
    if _repeats_a_name(body, found):
        raise BadRequest("The body has the same field twice; send each field once.")
    return found


def _decode(body: bytes, message: type[M]) -> M:
    try:
        return msgspec.json.decode(body, type=message, strict=True)
    except msgspec.ValidationError as error:
        raise BadRequest(_sentence(str(error), message)) from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise BadRequest("The body is not JSON in UTF-8; send a JSON object.") from None


def _repeats_a_name(body: bytes, found: Message) -> bool:
    """Say whether the object that `found` was decoded from has a name twice: two readers could take different values.

    Each text of the object, its names included, is between two quotation marks that are not escaped. So there are more
    of these than what was found accounts for if, and only if, something is there twice. They are counted without
    making an object of each: a body of names that repeat would become twenty times as large.
    """
    values = [value for name in found.__struct_fields__ if (value := getattr(found, name)) is not UNSET]
    texts = len(values) + sum(isinstance(value, str) for value in values)
    marks = body.count(b'"')
    if marks != 2 * texts:
        # Once every escaped backslash is gone, a backslash before a mark escapes it.
        marks -= body.replace(rb"\\", b"").count(rb"\"")
    return marks != 2 * texts


class _Versioned(msgspec.Struct):
    version: msgspec.Raw = msgspec.Raw(b"%d" % PAYLOAD_VERSION)


_VERSIONED = msgspec.json.Decoder(_Versioned)  # made here and not when it is first needed, see `protocol`


def _has_another_version(body: bytes) -> bool:
    """Say whether `body` is a JSON object, whatever else is in it, whose `version` is not the integer 1."""
    try:
        found = _VERSIONED.decode(body.decode()).version
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return bytes(found) != bytes(_Versioned().version)


def _sentence(problem: str, message: type[Message]) -> str:
    """Turn what msgspec found into a sentence. It never shows values, but an unknown field's name, which is dropped."""
    at_field = _WITH_FIELD.fullmatch(problem)
    if at_field:
        what = at_field["what"]
        return f"Field `{at_field['field']}`: {what[0].lower()}{what[1:]}."
    if _UNKNOWN.fullmatch(problem):
        known = ", ".join(field.encode_name for field in msgspec.structs.fields(message))
        return f"The body has an unknown field; the known ones are {known}."
    return f"The body is not valid: {problem[0].lower()}{problem[1:]}."
