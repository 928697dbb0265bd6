"""XML from elsewhere."""

from __future__ import annotations

from xml.etree.ElementTree import Element, ParseError, fromstring


class Unreadable(Exception):
    """It is none, or more than the service ever sends; says why."""


def root_of(document: bytes) -> Element:
    """The root of a document without declarations of its own: there expansions without end could hide.

    Raises:
        Unreadable: it is no such document.
    """
    if b"<!DOCTYPE" in document or b"<!ENTITY" in document:
        raise Unreadable("XML with declarations of its own, which no statement has")
    try:
        return fromstring(document)  # noqa: S314 - without declarations nothing can expand
    except ParseError as error:
        raise Unreadable(f"no XML: {error}") from None
