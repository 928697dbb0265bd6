"""Our decoder reads an order as ib_async's does, sooner; and what the gateway lists again is read once."""

from __future__ import annotations

from dataclasses import fields
from datetime import UTC, datetime
from typing import Any

import ib_async
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ib_async.decoder import Decoder
from ib_async.wrapper import Wrapper

from rebalancer.ibkr.decoding import QuickDecoder, ReadingDecoder
from rebalancer.ibkr.messages import ExecutionMessage, Message
from rebalancer.ibkr.times import GatewayTime

KINDS = (ib_async.Order, ib_async.OrderState, ib_async.Contract, ib_async.ComboLeg)
TEXTS: dict[type[Any], st.SearchStrategy[str]] = {
    bool: st.sampled_from(["", "0", "1"]),
    int: st.sampled_from(["", "0", "7", "2147483647"]),
    float: st.sampled_from(["", "0", "1.5", "1.7976931348623157E308"]),
}
EXECUTION = "11 -1 4 756733 SPY STK  0.0   ARCA USD SPY SPY 0001.01.01 {at} DU1 ARCA BOT 10 100.5 99 7 0 10 100.5 ref"


def read(decoder: Decoder, kind: type[Any], texts: dict[str, str]) -> Any:
    found = kind()
    for name, text in texts.items():
        setattr(found, name, text)
    decoder.parse(found)  # type: ignore[no-untyped-call]
    return [getattr(found, field.name) for field in fields(found)]


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
def test_every_field_is_read_as_ib_async_reads_it(kind: type[Any], data: st.DataObject) -> None:
    typed = [field for field in fields(kind) if type(field.default) in TEXTS]
    texts = {one.name: data.draw(TEXTS[type(one.default)]) for one in typed if data.draw(st.booleans())}
    wrapper = Wrapper(ib_async.IB())
    assert read(QuickDecoder(wrapper, 178), kind, texts) == read(Decoder(wrapper, 178), kind, texts)  # type: ignore[no-untyped-call]


def test_an_execution_that_is_listed_again_is_the_same_but_for_the_request() -> None:
    heard: list[Message] = []
    decoder = ReadingDecoder(Wrapper(ib_async.IB()), heard.append, GatewayTime())  # type: ignore[no-untyped-call]
    pushed = EXECUTION.format(at=f"{datetime.now(UTC):%Y%m%d-%H:%M:%S}").split(" ")
    listed = [pushed[0], "23", *pushed[2:]]
    for values in (pushed, listed, pushed):
        decoder.interpret(values)
    first, second, third = heard
    assert isinstance(first, ExecutionMessage)
    assert isinstance(second, ExecutionMessage)
    assert (first, first.fill, second.request_id) == (third, second.fill, 23)
