"""Messages with fields that are missing or make no sense."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from rebalancer.domain.order_states import OrderStatus
from rebalancer.domain.portfolio import Position, Side
from rebalancer.domain.units import Shares
from rebalancer.ibkr import frames
from rebalancer.ibkr.decoding import ReadingDecoder
from rebalancer.ibkr.frames import Fields
from rebalancer.ibkr.messages import (
    CompletedOrderRow,
    ExecutionMessage,
    MarkMessage,
    Message,
    PositionMessage,
    UnreadableMessage,
)
from rebalancer.ibkr.times import GatewayTime

NOW = datetime(2026, 11, 26, 14, 30, tzinfo=UTC)


def fields_of(text: str) -> list[str]:
    return text.split("|")


EXECUTION = fields_of(
    "11|-1|4|1002|GLD|STK||0.0|||ARCA|USD|GLD|GLD|0e.01.01|20261126 09:30:00 JST|DU1|ARCA|BOT|198|100.01|"
    "1800000001|7|0|198|100.01|ref-1||||2|0"
)
OPEN_ORDER = fields_of(
    "5|4|1002|GLD|STK||0|?||SMART|USD|GLD|GLD|BUY|198|MKT|0.0|0.0|DAY||DU1||0|ref-1|7|1800000001|0|odd|Filled"
)
COMPLETED = fields_of(
    "101|1002|GLD|STK||0|?||SMART|USD|GLD|GLD|SELL|0|MKT|0.0|0.0|DAY||DU1||0|ref-1|1800000001|odd|Filled"
)
ID_AT, QUANTITY_AT, PRICE_AT, TOTAL_AT, REF_AT = 14, 19, 20, 24, 26


def execution(**changed: str) -> ExecutionMessage:
    values = [changed.get(f"at_{number}", text) for number, text in enumerate(EXECUTION)]
    return frames.execution(Fields(values), NOW)


def test_a_whole_execution() -> None:
    message = execution()
    fill = message.fill
    assert (message.request_id, message.order_id, message.client_id) == (-1, 4, 7)
    assert (fill.order_ref, fill.execution_id, fill.symbol, fill.side) == ("ref-1", "0e.01.01", "GLD", Side.BUY)
    assert (fill.quantity, fill.price, fill.cumulative_quantity) == (Decimal(198), Decimal("100.01"), Decimal(198))
    assert Fields(EXECUTION).text(frames.EXECUTED_AT) == "20261126 09:30:00 JST"


@pytest.mark.parametrize("at", [ID_AT, QUANTITY_AT, PRICE_AT])
@pytest.mark.parametrize("text", ["", "1.7976931348623157E308", "nan"])
def test_without_identity_quantity_or_price_it_still_states_how_much_is_filled(at: int, text: str) -> None:
    fill = execution(**{f"at_{at}": "" if at == ID_AT else text}).fill
    assert (fill.quantity, fill.cumulative_quantity, fill.order_ref) == (0, 198, "ref-1")


def test_without_a_total_an_execution_states_itself() -> None:
    assert execution(**{f"at_{TOTAL_AT}": "?"}).fill.cumulative_quantity == 198


@pytest.mark.parametrize("length", range(1, len(EXECUTION)))
def test_a_short_execution_is_read_as_far_as_it_goes(length: int) -> None:
    fill = frames.execution(Fields(EXECUTION[:length]), NOW).fill
    assert fill.quantity == (198 if length > PRICE_AT else 0)


def test_a_client_id_that_is_missing_is_nobodys() -> None:
    assert frames.status(Fields(["3", "4", "Filled", "198"]), NOW).client_id == frames.NOBODY


def test_an_open_order_and_a_completed_one_are_read_at_their_beginning() -> None:
    order = frames.open_order(Fields(OPEN_ORDER), NOW).order
    assert (order.order_id, order.client_id, order.perm_id, order.order_ref) == (4, 7, 1800000001, "ref-1")
    assert (order.status, order.quantity, order.side) == (OrderStatus.FILLED, Decimal(198), Side.BUY)
    done = frames.completed_order(Fields(COMPLETED))
    assert (done.order_ref, done.perm_id, done.status, done.side) == (
        "ref-1",
        1800000001,
        OrderStatus.FILLED,
        Side.SELL,
    )
    assert (done.filled, done.quantity) == (None, 0)


def test_an_order_whose_status_cannot_be_found_may_still_fill() -> None:
    assert frames.open_order(Fields(OPEN_ORDER[:-1]), NOW).order.status.can_fill


def decoded(*messages: list[str]) -> list[Message]:
    """What the decoder says of messages, in order."""
    heard: list[Message] = []
    decoder = ReadingDecoder(object(), heard.append, GatewayTime())
    decoder.serverVersion = 178
    for fields in messages:
        decoder.interpret(fields)
    return heard


def test_no_message_is_lost_without_a_word() -> None:
    position = ["61", "3", "DU1", "1002"]
    heard = decoded(EXECUTION, OPEN_ORDER, COMPLETED, position, ["999", "1"], ["?"])
    execution, listed, row = heard[:3]
    assert (type(execution).__name__, type(listed).__name__) == ("ExecutionMessage", "OpenOrderMessage")
    assert isinstance(row, CompletedOrderRow)
    assert (row.account_id, row.order_ref) == ("DU1", "ref-1")
    assert row.read() == frames.completed_order(Fields(COMPLETED)), "what ib_async cannot read is read at its beginning"
    assert heard[3:] == [UnreadableMessage(61), UnreadableMessage(999), UnreadableMessage(0)]


@pytest.mark.parametrize("paid", ["-1", "1.7976931348623157E308", "", "?"])
def test_a_commission_that_is_not_computed_yet_is_no_commission(paid: str) -> None:
    assert decoded(["59", "1", "0e.01.01", paid, "USD", "", "", ""]) == []


def test_a_rebate_is_a_commission_however_odd_the_other_fields_are() -> None:
    report = frames.commission(Fields(["59", "1", "0e.01.01", "-0.35", "USD", "?", "?", "?"]))
    assert report is not None
    assert report.commission == Decimal("-0.35")


def framed(*texts: str) -> bytes:
    """Messages as they come over the socket; ``|`` ends a field."""
    encoded = [f"{text}|".replace("|", "\0").encode() for text in texts]
    return b"".join(len(one).to_bytes(4) + one for one in encoded)


@pytest.mark.parametrize("parts", [1, 2, 3, 7, 1000])
def test_messages_are_the_same_however_the_socket_cuts_them(parts: int) -> None:
    stream, found, left = framed("61|3|DU1", "4|2|-1|2104|Zürich||", "53|1"), list[bytes](), b""
    for at in range(0, len(stream), parts):
        whole, left = frames.whole_messages(left + stream[at : at + parts])
        found += whole
    assert left == b""
    texts = ["|".join(frames.fields_of(one)) for one in found]
    assert texts == ["61|3|DU1", "4|2|-1|2104|Zürich||", "53|1"]


def test_only_an_ended_order_that_names_another_account_is_one() -> None:
    row = "|".join(COMPLETED).replace("|DU1|", "|{}|")

    def of_another(text: str) -> bool:
        [message], _ = frames.whole_messages(framed(text))
        return frames.ended_order_of_another(message, {b"DU1", b"DU3"})

    assert [of_another(row.format(account)) for account in ("DU1", "DU2", "DU3", "DU11", "")] == [
        False,
        True,
        False,
        True,
        False,
    ]
    assert not of_another("101|short"), "which is told to be unreadable"
    assert not of_another(row.format("DU2").replace("101|", "5|", 1))


POSITION = fields_of("61|3|DU1|5|BRK B|STK||0.0|||NYSE|USD|BRK B|BRK|7.5|101.25")


def test_a_position_keeps_its_fraction() -> None:
    held = Position("BRK B", Shares(Decimal("7.5")), 5, Decimal("101.25"), "STK", "USD", "NYSE")
    assert frames.position(POSITION) == PositionMessage("DU1", held)


POSITION_OF_ONE = ["71", "1", "9", *POSITION[2:], ""]


def test_a_position_of_one_account_says_what_it_answers_and_whose_model_it_is() -> None:
    held = frames.position(POSITION).position
    assert frames.position_of_one(POSITION_OF_ONE) == PositionMessage("DU1", held, 9)
    assert frames.position_of_one([*POSITION_OF_ONE[:-1], "Value"]) == PositionMessage("DU1", held, 9, "Value")


@pytest.mark.parametrize(
    "damaged",
    [POSITION_OF_ONE[:-1], [*POSITION_OF_ONE, "1"], ["71", "1", "", *POSITION_OF_ONE[3:]]],
    ids=["short", "long", "of no request"],
)
def test_a_position_of_one_account_that_cannot_be_read_is_none(damaged: list[str]) -> None:
    assert decoded(damaged) == [UnreadableMessage(71)]


@pytest.mark.parametrize("unset", ["", "1.7976931348623157E308"])
def test_a_position_without_cost_is_one(unset: str) -> None:
    assert frames.position([*POSITION[:15], unset]).position.average_cost == 0


@pytest.mark.parametrize(
    "damaged", [POSITION[:15], [*POSITION, "1"], ["61", "3", "DU1", "five", *POSITION[4:]]], ids=len
)
def test_a_position_that_cannot_be_read_is_none(damaged: list[str]) -> None:
    assert decoded(damaged) == [UnreadableMessage(61)]


MARK = fields_of("7|8|5|BRK B|STK||0.0|0||NYSE|USD|BRK B|BRK|7.5|400.1|3000.75|101.25|2241.38|0.0|DU1")


def test_a_mark_is_what_all_of_a_holding_is_worth() -> None:
    assert frames.mark(Fields(MARK)) == MarkMessage("DU1", 5, "USD", Decimal("3000.75"))


@pytest.mark.parametrize(("at", "text"), [(15, "1.7976931348623157E308"), (15, ""), (15, "much"), (2, "")])
def test_a_mark_that_says_nothing_is_none(at: int, text: str) -> None:
    assert decoded([*MARK[:at], text, *MARK[at + 1 :]]) == []
