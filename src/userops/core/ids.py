"""Ids and other short texts: opaque, exact to the byte, and safe in every store."""

from __future__ import annotations

from userops.errors import InvalidValue

#: The most UTF-8 bytes of an id; every database index holds a key of this length.
MAX_ID_BYTES = 1_024
#: The most UTF-8 bytes of an event's id, and of a program's or rule's name: ids made from them still fit.
MAX_EVENT_ID_BYTES, MAX_NAME_BYTES = 512, 100
#: The most UTF-8 bytes of a reason and of other free text.
MAX_TEXT_BYTES = 4_096


def text(value: object, name: str, *, most: int = MAX_TEXT_BYTES) -> str:
    """Return `value` as an exact `str`, refusing what a store could not keep.

    Composed and decomposed characters are different texts: nothing is normalised.

    >>> text("a|b", "reference")
    'a|b'
    """
    if not isinstance(value, str):
        raise InvalidValue(f"{name} must be text, not {type(value).__name__}")
    exact = value if type(value) is str else str.__str__(value)
    if "\0" in exact:
        raise InvalidValue(f"{name} contains a NUL character")
    if len(exact) > most or not exact.isascii():
        try:
            size = len(exact.encode())
        except UnicodeEncodeError:
            raise InvalidValue(f"{name} contains a lone surrogate, which no store can keep") from None
        if size > most:
            raise InvalidValue(f"{name} has {size} bytes; at most {most} are kept")
    return exact


def identifier(value: object, name: str, *, most: int = MAX_ID_BYTES) -> str:
    """Return `value` as an id: non-empty text of at most `most` bytes.

    >>> identifier("", "member")
    Traceback (most recent call last):
    userops.errors.InvalidValue: member must not be empty
    """
    if type(value) is str and 0 < len(value) <= most and value.isascii() and "\0" not in value:
        return value  # As nearly all are.
    exact = text(value, name, most=most)
    if not exact:
        raise InvalidValue(f"{name} must not be empty")
    return exact


def derived_id(*parts: str) -> str:
    """Join parts into one id that no other parts give: each is preceded by its length.

    >>> derived_id("club", "e:1", "shop")
    '4:club3:e:14:shop'
    """
    return "".join(f"{len(part)}:{part}" for part in parts)


def split_id(derived: str) -> tuple[str, ...]:
    """Return the parts that `derived_id` joined.

    >>> split_id("4:club3:e:14:shop")
    ('club', 'e:1', 'shop')
    """
    parts, rest = [], derived
    while rest:
        size, colon, rest = rest.partition(":")
        if not (colon and size.isascii() and size.isdigit() and int(size) <= len(rest)):
            raise InvalidValue("an id that was not made from parts")
        parts.append(rest[: int(size)])
        rest = rest[int(size) :]
    return tuple(parts)
