"""The pages in a real browser: what a scripted person does there is what the server is told, within 200 ms."""

from __future__ import annotations

import io
import json
import tarfile
import time
from collections.abc import Iterator

import chat_server
import devtools
import httpx
import pytest
from chat_server import FILMS, World
from devtools import Browser, Tab, until
from hostile_words import PAYLOADS

from tacit.events.schema import counted

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(devtools.chromium() is None, reason="there is no Chromium here (Debian: apt install chromium)"),
]

WITHIN_MS = 200.0
FIRST, LAST = FILMS[0][0], FILMS[-1][0]
AXE = "https://registry.npmjs.org/axe-core/-/axe-core-4.10.3.tgz"
HOSTILE = '<img src=x onerror="document.title=1"><script>document.title=2</script>'
IN_FRONT = "document.visibilityState === 'visible'"


@pytest.fixture
def world() -> Iterator[World]:
    with chat_server.serving() as running:
        yield running


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with devtools.browsing(tmp_path_factory.mktemp("profile")) as running:
        yield running


class Clock:
    """Seconds of one state of affairs, between two bounds: an action took place between its call and its return."""

    def __init__(self) -> None:
        self.least = self.most = 0.0
        self._on: tuple[float, float] | None = None

    def start(self, before: float, after: float) -> None:
        self._on = (before, after)

    def stop(self, before: float, after: float, at_least_s: float = 0.0) -> None:
        """``at_least_s``: a shorter stretch counts for nothing."""
        assert self._on is not None
        least, most = before - self._on[1], after - self._on[0]
        self.least += least if least >= at_least_s + WITHIN_MS / 1000 else 0.0
        self.most += most if most >= at_least_s - WITHIN_MS / 1000 else 0.0
        self._on = None

    def agrees(self, ms: float) -> bool:
        return self.least * 1000 - WITHIN_MS <= ms <= self.most * 1000 + WITHIN_MS


class Moment:
    """When an action began and ended, by the test's clock."""

    def __enter__(self) -> Moment:
        self.before = time.monotonic()
        return self

    def __exit__(self, *_: object) -> None:
        self.after = time.monotonic()

    @property
    def bounds(self) -> tuple[float, float]:
        return self.before, self.after


def visit(browser: Browser, world: World, consent: str = "train", path: str = "/", **media: str) -> Tab:
    tab = browser.open(world.url + path, prefers_reduced_motion="reduce", **media)
    tab.until("document.querySelector('#status') && !document.querySelector('#status').hidden")
    if consent:
        tab.click(f"#consent button[value={consent}]")
        tab.until("document.querySelector('#consent').hidden")
    return tab


def ask(tab: Tab, text: str) -> Moment:
    """Types and sends; the moment is that in which the reply is whole, as the page shows it."""
    shown = tab.run("document.querySelectorAll('.slate').length")
    tab.click("#text")
    tab.write(text)
    tab.key("Enter")
    moment = Moment()
    moment.before = time.monotonic()
    while tab.run("document.querySelectorAll('.slate').length") == shown:
        moment.before = time.monotonic()
        time.sleep(0.01)
    moment.after = time.monotonic()
    return moment


def test_the_counters_are_what_the_person_did(browser: Browser, world: World) -> None:
    tab = visit(browser, world)
    tab.size(1200, 480)  # so low that the first and the last card are never in view together
    seen, hidden = Clock(), Clock()  # of the first card
    latency = Clock()
    whole = ask(tab, "like Heat")
    seen.start(*whole.bounds)
    latency.start(*whole.bounds)
    time.sleep(1.6)
    with Moment() as away:  # down to the end: the first card leaves, the last one comes
        tab.run("document.querySelector('#panel').scrollTo(0, 1e6)")
    seen.stop(*away.bounds)
    time.sleep(1.2)
    with Moment() as back:
        tab.run("document.querySelector('#panel').scrollTo(0, 0)")
    seen.start(*back.bounds)
    time.sleep(0.5)
    with Moment() as glanced:
        tab.run("document.querySelector('#panel').scrollTo(0, 1e6)")
    seen.stop(*glanced.bounds, at_least_s=1.0)  # half a second is not seen at all
    time.sleep(0.3)
    with Moment() as again:
        tab.run("document.querySelector('#panel').scrollTo(0, 0)")
    seen.start(*again.bounds)
    time.sleep(1.3)
    with Moment() as hiding:
        other = browser.open("about:blank")
        until(lambda: not tab.run(IN_FRONT), "the tab is hidden")
    seen.stop(*hiding.bounds)
    hidden.start(*hiding.bounds)
    latency.stop(*hiding.bounds)
    time.sleep(1.5)
    with Moment() as showing:
        other.close()
        tab.front()
        tab.until(IN_FRONT)
    seen.start(*showing.bounds)
    hidden.stop(*showing.bounds)
    latency.start(*showing.bounds)
    time.sleep(1.2)
    tab.click(".card:first-child .title")
    tab.click(".card:first-child button[value=not_for_me]")
    tab.click("#text")
    with Moment() as typing:
        tab.key("s")
    latency.stop(*typing.bounds)
    time.sleep(0.5)
    with Moment() as sending:
        tab.key("Enter")
    seen.stop(*sending.bounds)
    exposure = until(lambda: next((e.exposure_id for e in world.of("reply")), None), "the reply is reported")
    until(lambda: not any(e.censored for e in world.of("visible", FIRST)[-1:]), "the last word on the first card")

    mine = [event for event in world.events.values() if event.exposure_id == exposure]
    largest = counted(mine)
    assert seen.agrees(largest[FIRST]["visible_ms"]), (seen.least, seen.most, largest[FIRST])
    assert hidden.agrees(largest[FIRST]["hidden_ms"]), (hidden.least, hidden.most, largest[FIRST])
    assert latency.agrees(largest[None]["latency_ms"]), (latency.least, latency.most, largest[None])
    assert largest[FIRST]["idle_ms"] == 0 and largest[FIRST]["max_ratio"] == 1.0
    assert largest[FIRST]["toggles"] == 4 and largest[None]["scroll_depth"] == 1.0
    assert [event.item_id for event in mine if event.kind == "click"] == [FIRST]
    assert [event.item_id for event in mine if event.kind == "not_for_me"] == [FIRST]
    assert not any(verdict.status == "rejected" for verdict in world.verdicts)
    assert [event.seq for event in sorted(mine, key=lambda event: event.seq)] == list(range(len(mine)))
    assert tab.complaints() == []
    tab.close()


def test_a_page_that_is_closed_says_what_was_seen_until_then(browser: Browser, world: World) -> None:
    tab = visit(browser, world)
    seen = Clock()
    seen.start(*ask(tab, "like Heat").bounds)
    time.sleep(1.5)
    with Moment() as closing:
        tab.close()
        until(lambda: world.of("session_end"), "the end is reported")
    seen.stop(*closing.bounds)
    last = until(lambda: world.of("visible", FIRST)[-1:], "the first card is reported")[0]
    assert seen.agrees(last.visible_ms or 0), (seen.least, seen.most, last)
    assert last.censored and last.reason == "closed"


def test_time_without_a_sign_of_life_is_idle_not_seen(browser: Browser, world: World) -> None:
    """Thirty seconds are jumped over: the page's clock is moved, its timers run as they do."""
    tab = browser.open("about:blank", prefers_reduced_motion="reduce")
    jump = "const real = performance.now.bind(performance); let skip = 0; performance.now = () => real() + skip;"
    tab.call("Page.addScriptToEvaluateOnNewDocument", source=f"{jump} window.jump = (ms) => {{ skip += ms; }};")
    tab.call("Page.navigate", url=world.url + "/")
    tab.until("document.querySelector('#status') && !document.querySelector('#status').hidden")
    tab.click("#consent button[value=store]")
    tab.until("document.querySelector('#consent').hidden")
    ask(tab, "like Heat")
    time.sleep(0.3)
    tab.run("jump(100000)")
    until(lambda: any(e.reason == "idle" for e in world.of("visible", FIRST)), "the page dozes off")
    tab.run("jump(7000)")
    tab.key("a")
    tab.key("Enter")
    until(lambda: world.of("reply"), "the reply is reported")
    last = until(lambda: [e for e in world.of("visible", FIRST) if not e.censored], "the last word")[0]
    assert 30_000 - 2_000 <= (last.visible_ms or 0) <= 30_000 + 3_000  # since the key that sent the wish, at most
    assert (last.idle_ms or 0) >= 77_000 - 2_000
    tab.close()


def test_without_consent_nothing_is_stored_here_or_there(browser: Browser, world: World) -> None:
    tab = visit(browser, world, consent="")
    ask(tab, "like Heat")
    time.sleep(1.2)
    tab.click(".card:first-child button[value=seen_it]")
    tab.click("#consent button[value='']")
    assert tab.run("[localStorage.length, sessionStorage.length, document.cookie]") == [0, 0, ""]
    assert world.asked and not world.sent and not world.exposures and not world.consents
    tab.close()


def test_global_privacy_control_means_no_training(browser: Browser, world: World) -> None:
    tab = browser.open("about:blank")
    signal = "Object.defineProperty(navigator, 'globalPrivacyControl', { value: true })"
    tab.call("Page.addScriptToEvaluateOnNewDocument", source=signal)
    tab.call("Page.navigate", url=world.url + "/")
    tab.until("document.querySelector('#status') && !document.querySelector('#status').hidden")
    assert tab.run("document.querySelector('#consent [value=train]').hidden && !document.querySelector('#gpc').hidden")
    tab.click("#consent button[value=store]")
    tab.until("document.querySelector('#consent').hidden")
    assert list(world.consents.values()) == ["store"]
    tab.run("localStorage.clear()")
    tab.close()


def test_what_was_refused_goes_again_under_the_same_id(browser: Browser, world: World) -> None:
    tab = visit(browser, world)
    world.refuse_events = 1
    ask(tab, "like Heat")
    tab.click(".card:first-child button[value=seen_it]")
    until(lambda: world.sent, "the first request")
    first = world.sent[0]
    until(lambda: "session_end" not in first and set(first) <= set(world.events), "it is sent again")
    assert len(world.of("seen_it", FIRST)) == 1
    tab.close()


def test_back_from_another_page_the_clock_goes_on(browser: Browser, world: World) -> None:
    tab = visit(browser, world)
    ask(tab, "like Heat")
    time.sleep(1.3)
    tab.call("Page.navigate", url=world.url + "/privacy")
    tab.until("location.pathname === '/privacy' && document.readyState === 'complete'")
    until(lambda: any(e.reason == "closed" for e in world.of("visible", FIRST)), "leaving is reported")
    tab.run("history.back()")
    tab.until("location.pathname === '/' && document.querySelector('.you')")
    assert "like Heat" in tab.run("document.querySelector('.you').textContent")
    time.sleep(1.2)
    ask(tab, "more")
    until(lambda: len(world.asked) == 2, "the second wish")
    assert [message["role"] for message in world.asked[1]["messages"]] == ["user", "assistant", "user"]
    tab.close()


def test_two_answers_and_a_vote(browser: Browser, world: World) -> None:
    tab = visit(browser, world)
    tab.click("#beside input")
    ask(tab, "like Heat")
    tab.until("document.querySelector('.vote button')")
    assert sorted(str(request["model"]) for request in world.asked) == ["tacit", "tacit-beside"]
    tab.run("document.querySelector('.vote').scrollIntoView()")
    tab.click(".vote button:last-of-type")
    vote = until(lambda: world.of("vote"), "the vote")[0]
    assert vote.value == -1 and {vote.exposure_id, vote.against} == set(world.exposures)
    tab.close()


def test_everything_can_be_done_by_keys(browser: Browser, world: World) -> None:
    tab = visit(browser, world, consent="")
    tab.run("document.activeElement.blur()")
    reached = list[str]()
    for _ in range(30):
        tab.key("Tab")
        name = str(
            tab.run("document.activeElement.value || document.activeElement.id || document.activeElement.tagName")
        )
        if name == "BODY":
            break
        reached.append(name)
    assert {"train", "store", "text", "send", "new", "panel"} <= set(reached)
    tab.run("document.querySelector('#wishes button').focus()")
    tab.key("Enter")
    tab.until("document.querySelector('.slate')")
    tab.run("document.querySelector('.card .title').focus()")
    tab.key("Enter")
    tab.until("document.querySelector('.title[aria-expanded=true]')")
    tab.key("/")
    assert tab.run("document.activeElement.id") == "text" and not tab.run("document.activeElement.value")
    tab.close()


def test_an_answer_can_be_stopped(browser: Browser, world: World) -> None:
    world.pause_s = 0.5
    tab = visit(browser, world, consent="")
    tab.click("#text")
    tab.write("slow")
    tab.key("Enter")
    tab.until("document.querySelector('.words').textContent")
    tab.key("Escape")
    tab.until("document.querySelector('.fault')")
    assert tab.run("document.querySelector('#text').value") == "slow"
    tab.close()


def test_titles_words_and_reasons_are_shown_as_text(browser: Browser, world: World) -> None:
    world.said = f"See {HOSTILE} now"
    world.films = [("x", f"{HOSTILE} (1999)", 1999, [HOSTILE], HOSTILE)]
    tab = visit(browser, world, consent="")
    ask(tab, HOSTILE)
    assert tab.run("document.querySelectorAll('#turns img, #turns script').length") == 0
    assert tab.run("document.title").startswith("Tacit") and HOSTILE in tab.run(
        "document.querySelector('.title').textContent"
    )
    tab.close()


def test_fifty_hostile_titles_and_turns_are_shown_letter_by_letter(browser: Browser, world: World) -> None:
    world.said = " ".join(PAYLOADS)
    world.films = [(f"x{k}", text, 1999, [text], text) for k, text in enumerate(PAYLOADS)]
    tab = visit(browser, world, consent="")
    for text in PAYLOADS[9:12]:
        ask(tab, " ".join(text.split()))
    made = "script, img, svg, iframe, style, math, base, meta, link, form form, a[href^='javascript']"
    assert tab.run(f"document.querySelectorAll(`#turns :is({made})`).length") == 0
    shown = tab.run("[...document.querySelectorAll('.title')].map(title => title.textContent)")
    assert [" ".join(text.split()) for text in shown] == [" ".join(text.split()) for text in PAYLOADS] * 3
    assert tab.run("document.title").startswith("Tacit") and tab.complaints() == []
    tab.close()


def test_what_is_stored_is_shown_and_deleted(browser: Browser, world: World) -> None:
    tab = visit(browser, world)
    ask(tab, "like Heat")
    tab.call("Page.navigate", url=world.url + "/privacy")
    tab.until("document.querySelector('#counts li')")
    assert "like Heat" in tab.run("document.querySelector('#raw').textContent")
    tab.click("#delete")
    tab.click("#sure button[value=yes]")
    tab.until("document.querySelector('#stored').hidden")
    assert not world.exposures and not world.consents
    assert tab.run("[localStorage.length, sessionStorage.length]") == [0, 0]
    assert tab.complaints() == []
    tab.close()


def test_the_dashboard_draws_what_the_server_counted(browser: Browser, world: World) -> None:
    world.hours = chat_server.a_week(time.time_ns() // 1_000_000)
    tab = browser.open(world.url + "/dashboard")
    tab.until("document.querySelectorAll('.charts svg').length === 8")
    day = [row for row in world.hours if row["hour_ms"] > time.time_ns() // 1_000_000 - 24 * chat_server.HOUR_MS]
    assert tab.run("document.querySelector('.figure').textContent") == f"{sum(row['conversations'] for row in day):,}"
    assert tab.complaints() == []
    tab.close()


@pytest.fixture(scope="module")
def axe() -> str:
    """The source of axe-core, from npm's registry; it is run in the page, and kept nowhere."""
    try:
        got = httpx.get(AXE, timeout=20, follow_redirects=True)
        got.raise_for_status()
    except httpx.HTTPError as error:
        pytest.skip(f"axe-core cannot be fetched here: {type(error).__name__}")
    with tarfile.open(fileobj=io.BytesIO(got.content)) as archive:
        source = archive.extractfile("package/axe.min.js")
        assert source is not None
        return source.read().decode()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("path", ["/", "/privacy", "/dashboard"])
def test_axe_finds_no_serious_fault(browser: Browser, world: World, axe: str, path: str, scheme: str) -> None:
    world.hours = chat_server.a_week(time.time_ns() // 1_000_000)
    tab = visit(browser, world, prefers_color_scheme=scheme)
    check(tab, axe)
    tab.click("#beside input")
    ask(tab, "like Heat")
    tab.click(".card:first-child .title")
    tab.click(".card:first-child button[value=not_for_me]")
    if path != "/":
        tab.call("Page.navigate", url=world.url + path)
        tab.until("document.querySelector('#counts li, .charts svg')")
    check(tab, axe)
    tab.size(390, 800, phone=True)
    check(tab, axe)
    tab.run("localStorage.clear()")
    tab.close()


def check(tab: Tab, axe: str) -> None:
    tab.run(f"{axe}; true")
    passed, found = json.loads(tab.run("axe.run().then((r) => JSON.stringify([r.passes.length, r.violations]))"))
    assert passed > 10  # it looked
    grave = [
        (one["id"], [node["html"] for node in one["nodes"]])
        for one in found
        if one["impact"] in ("serious", "critical")
    ]
    assert grave == []
