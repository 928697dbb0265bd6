"""The two questions of the Flex web service: have a statement made, then ask for it by its reference."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode
from xml.etree.ElementTree import Element

from rebalancer import http_get
from rebalancer.flex.answers import Next, NoStatement, refusal
from rebalancer.flex.xml import Unreadable, root_of
from rebalancer.http_get import Unanswered

TIMEOUT_S = 30.0
LARGEST = 30_000_000
"""Bytes; a month of many trades with every column is a few million."""
OK = 200
_HEADERS = {"user-agent": f"Python/{sys.version_info.major}.{sys.version_info.minor}", "accept": "*/*"}
"""Programs have to say what they are written in; see docs/broker-facts.md."""


@dataclass(frozen=True, slots=True)
class FlexService:
    """Asks for the statements of one query.

    Attributes:
        base_url: whatever the answers say: the token goes nowhere else.
        query_id: the query's number; no secret.
    """

    base_url: str
    token: str
    query_id: str

    def request(self) -> str:
        """Have a statement made.

        Returns:
            Its reference.

        Raises:
            NoStatement: it is not being made.
        """
        root = self._ask("SendRequest", self.query_id)
        reference = (root.findtext("ReferenceCode") or "").strip()
        if root.tag != "FlexStatementResponse" or not reference:
            raise NoStatement(f"an answer without a reference, <{root.tag}>", Next.LATER)
        return reference

    def statement(self, reference: str) -> Element:
        """Ask for it.

        Raises:
            NoStatement: not now; codes say why.
        """
        root = self._ask("GetStatement", reference)
        if root.tag != "FlexQueryResponse":
            raise NoStatement(f"no statement but <{root.tag}>", Next.LATER)
        return root

    def _ask(self, step: str, what: str) -> Element:
        query: Mapping[str, str] = {"t": self.token, "q": what, "v": "3"}
        try:
            answer = http_get.get(f"{self.base_url}/{step}?{urlencode(query)}", _HEADERS, TIMEOUT_S, LARGEST)
            if answer.status != OK:
                raise NoStatement(f"{step}: HTTP {answer.status}", Next.LATER)
            root = root_of(answer.body)
        except (Unanswered, Unreadable) as why:
            raise NoStatement(f"{step}: {str(why).replace(self.token, '(token)')}", Next.LATER) from None
        _check_code(root)
        return root


def _check_code(root: Element) -> None:
    code = (root.findtext("ErrorCode") or "").strip()
    if root.tag == "FlexStatementResponse" and code:
        words = root.findtext("ErrorMessage") or "without a word"
        raise refusal(int(code) if code.isdigit() else 0, words)
