"""Pictures of every flow for the documents: `make screenshots` writes docs/images.

Its name keeps it out of `make test`. What is shown is the desk that the sweep over all pages looks at too
(:mod:`tests.pages.stage`); program, PostgreSQL and browser all take it to be :data:`NOW`, so that what has not changed
gives the same bytes on the same machine.
"""

from __future__ import annotations

import base64
import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect
from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Group
from sqlalchemy import create_engine, make_url, text
from typer.testing import CliRunner

from api.app import create_app
from rebalancer.cli import watching
from rebalancer.cli.main import app as command_line
from rebalancer.cli.tables import console
from rebalancer.config.settings import Settings
from rebalancer.ledger.session import Ledger
from rebalancer.runner.servers import RunningServer
from rebalancer.services import Services
from sandbox.forked.clock import go_by, set_clock
from tests.conftest import ROOT
from tests.pages import stage
from tests.pages.conftest import enter_key, watched
from tests.pages.stage import Stage
from tests.serving import serving
from tests.tools.clusters import migrate

NOW = datetime(2026, 6, 15, 15, 5, 20, tzinfo=UTC)
"""A Monday at 11:05 in New York."""
FOLDER = ROOT / "docs/images"
NOISE = 40
"""Pixels."""
DESK, TALL, PHONE = (1280, 900), (1280, 1160), (360, 740)
CLOCK = f"""
CREATE FUNCTION public.now() RETURNS timestamptz LANGUAGE sql STABLE AS $$ SELECT timestamptz '{NOW}' $$;
CREATE FUNCTION public.clock_timestamp() RETURNS timestamptz LANGUAGE sql STABLE AS $$ SELECT timestamptz '{NOW}' $$;
ALTER DATABASE pictures SET search_path = public, pg_catalog;
"""
"""PostgreSQL finds these before its own."""


FEWER = """async (png) => {
    const drawn = await createImageBitmap(new Blob([Uint8Array.from(atob(png), (one) => one.charCodeAt(0))]));
    const { width, height } = drawn;
    const canvas = new OffscreenCanvas(width, height).getContext("2d");
    canvas.drawImage(drawn, 0, 0);
    const { data } = canvas.getImageData(0, 0, width, height);
    const counts = new Map();
    for (let at = 0; at < data.length; at += 4) {
        const colour = data[at] << 16 | data[at + 1] << 8 | data[at + 2];
        counts.set(colour, (counts.get(colour) ?? 0) + 1);
    }
    const bytes = (colour) => [colour >> 16, colour >> 8 & 255, colour & 255];
    const vivid = (colour) => 1 + (Math.max(...bytes(colour)) - Math.min(...bytes(colour))) / 4;
    const weight = (colour) => counts.get(colour) * vivid(colour); // a green dot is few pixels, and is seen
    const kept = [...counts.keys()].sort((one, two) => weight(two) - weight(one) || one - two).slice(0, 256);
    const far = (one, two) => bytes(one).reduce((sum, part, at) => sum + (part - bytes(two)[at]) ** 2, 0);
    const nearest = new Map(kept.map((colour, at) => [colour, at]));
    for (const colour of counts.keys()) {
        if (nearest.has(colour)) continue;
        nearest.set(colour, kept.reduce((best, one, at) => far(one, colour) < far(kept[best], colour) ? at : best, 0));
    }
    let pixels = "";
    for (let at = 0; at < data.length; at += 4)
        pixels += String.fromCharCode(nearest.get(data[at] << 16 | data[at + 1] << 8 | data[at + 2]));
    return [width, height, kept.map(bytes), btoa(pixels)];
}"""


@dataclass(frozen=True, slots=True)
class Shot:
    """A picture: of a page, or of the part of it that is named."""

    name: str
    path: str
    size: tuple[int, int] = DESK
    scheme: str = "light"
    part: str | None = None


SHOTS = (
    Shot("overview", "/", TALL),
    Shot("overview-dark", "/", TALL, "dark"),
    Shot("approval", "/", part="#approvals-part"),
    Shot("event", "/events/{traded}", TALL),
    Shot("retrying", "/events/{failing}", (1280, 620)),
    Shot("account", "/account/DU1000001", (1280, 1000)),
    Shot("money", "/money"),
    Shot("history", "/history", (1280, 700)),
    Shot("signals", "/desk/signals", (1280, 700)),
    Shot("notifications", "/desk/notifications", (1280, 420)),
    Shot("schedules", "/desk/schedules", (1280, 620)),
    Shot("audit", "/desk/audit", (1280, 460)),
    Shot("settings", "/desk/settings", part="section:nth-of-type(4)"),
    Shot("phone", "/", PHONE, "dark"),
    Shot("phone-approval", "/decide#{token}", PHONE),
)


@dataclass(frozen=True, slots=True)
class Scene:
    """A served desk at :data:`NOW`."""

    url: str
    settings: Settings
    stage: Stage
    clock: Path

    def at_now(self) -> None:
        """The program's clock has run on meanwhile."""
        set_clock(self.clock, (NOW - datetime.now(UTC)).total_seconds())


@pytest.fixture(scope="module")
def scene(
    postgres: RunningServer, redis_server: RunningServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Scene]:
    folder = tmp_path_factory.mktemp("pictures")
    settings = stage.settings(database(postgres.url), redis_server.url, folder)
    app, clock = create_app(settings), folder / "clock"
    set_clock(clock, 0)
    go_by(clock)  # after the app has read what its annotations mean
    ledger = Ledger(settings.stores.database_url)
    with serving(app) as client:
        with ledger.begin() as session:
            made = stage.set_up(session, NOW)
        scene = Scene(str(client.base_url), settings, made, clock)
        scene.at_now()
        yield scene
    ledger.close()


def database(url: str) -> str:
    """A database in which it is :data:`NOW`."""
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text("CREATE DATABASE pictures"))
    engine.dispose()
    ours = make_url(url).set(database="pictures").render_as_string(hide_password=False)
    engine = create_engine(ours, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(CLOCK))
    engine.dispose()
    migrate(ours)
    return ours


@pytest.fixture(scope="module")
def signed_in(browser: Browser, scene: Scene) -> Iterator[BrowserContext]:
    context = browser.new_context(reduced_motion="reduce", timezone_id="America/New_York", locale="en-US")
    context.clock.set_fixed_time(NOW)
    with watched(context) as page:
        page.goto(scene.url)
        enter_key(page)
    yield context
    context.close()


@pytest.mark.parametrize("shot", SHOTS, ids=lambda shot: shot.name)
def test_a_page_is_drawn(browser: Browser, signed_in: BrowserContext, scene: Scene, shot: Shot) -> None:
    with watched(signed_in) as page:
        page.set_viewport_size({"width": shot.size[0], "height": shot.size[1]})
        page.emulate_media(color_scheme="dark" if shot.scheme == "dark" else "light", reduced_motion="reduce")
        scene.at_now()
        token = scene.stage.token
        events = {name: getattr(scene.stage, name) for name in ("traded", "failing", "waiting")}
        page.goto(scene.url + shot.path.format(token=token, **events))
        is_all_there(page)
        keep(f"{shot.name}.png", smaller(browser, at_rest(page.locator(shot.part) if shot.part else page)))


def is_all_there(page: Page) -> None:
    page.wait_for_load_state()
    # What sticks is drawn in a layer of its own or not, as it happens, with other edges of letters.
    page.evaluate("document.querySelectorAll('.accounts thead th').forEach((one) => one.style.position = 'static')")
    if "/decide" in page.url:
        expect(page.get_by_role("button", name="Approve")).to_be_visible()
    else:
        expect(page.get_by_role("status")).to_have_text("connected")
    for chart in page.locator("#equity-chart").all():
        expect(chart.locator("canvas")).to_be_visible()


def at_rest(shown: Page | Locator) -> bytes:
    """A picture that is the same twice: what is drawn in layers comes to rest a moment after it is there."""
    seen = b""
    for _ in range(10):
        before, seen = seen, shown.screenshot(animations="disabled", caret="hide")
        if seen == before:
            return seen
    raise AssertionError("it does not come to rest")


def test_the_command_line_is_drawn(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    for name in ("database_url", "redis_url"):
        monkeypatch.setenv(name.upper(), getattr(scene.settings.stores, name))
    monkeypatch.setenv("ACCOUNTS_FILE", str(scene.settings.files.accounts_file))
    monkeypatch.setattr(console, "record", True)
    console.size = (110, 60)
    scene.at_now()
    console.print(Group(*watching._picture(Services.of(scene.settings))))
    keep("watch.svg", terminal("rebalancer watch"))
    assert CliRunner().invoke(command_line, ["events", "--limit", "12"]).exit_code == 0
    keep("events.svg", terminal("rebalancer events"))


def terminal(title: str) -> bytes:
    """What the console has recorded, without the remote font that rich would name."""
    plain = re.sub(r"@font-face \{\{.*?\}\}", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)
    return console.export_svg(title=title, code_format=plain).encode()


def keep(name: str, picture: bytes) -> None:
    """What is there already stays, where only the edge of a round corner came out otherwise."""
    file = FOLDER / name
    before = file.read_bytes() if file.exists() else b""
    if not (name.endswith(".png") and before and _apart(before, picture) < NOISE):
        file.write_bytes(picture)


def _apart(one: bytes, other: bytes) -> float:
    """Pixels in which two pictures of ours differ."""
    (first, red_1), (second, red_2) = map(_opened, (one, other))
    return sum(a != b for a, b in zip(red_1, red_2, strict=True)) if first == second else float("inf")


def _opened(png: bytes) -> tuple[bytes, bytes]:
    """Its size, and the red of each pixel, as :func:`smaller` has written them."""
    size, place, found = png[16:24], 8, dict[bytes, bytes]()
    while place < len(png):
        (length,) = struct.unpack(">I", png[place : place + 4])
        found[png[place + 4 : place + 8]] = png[place + 8 : place + 8 + length]
        place += 12 + length
    reds = found[b"PLTE"][::3].ljust(256, b"\0")
    return size, zlib.decompress(found[b"IDAT"]).translate(reds)


def smaller(browser: Browser, png: bytes) -> bytes:
    """The same picture in 256 colours, the most frequent and vivid ones; edges of letters take the nearest."""
    page = browser.new_page()
    width, height, colours, pixels = page.evaluate(FEWER, base64.b64encode(png).decode())
    page.close()
    head = struct.pack(">2I5B", width, height, 8, 3, 0, 0, 0)
    lines = base64.b64decode(pixels)
    rows = b"".join(b"\0" + lines[at : at + width] for at in range(0, len(lines), width))
    palette = b"".join(struct.pack("3B", *colour) for colour in colours)
    chunks = ((b"IHDR", head), (b"PLTE", palette), (b"IDAT", zlib.compress(rows, 9)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, content) for kind, content in chunks)


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
