"""What a page makes of notifications, run in a real browser without a server."""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest

from alphapulse_nb.actions import ACTIONS
from alphapulse_nb.server.api import ENDPOINTS
from tests.conftest import wait_until

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser

MODEL = """() => {
globalThis.until = async (met) => {
    const end = performance.now() + 20e3;
    while (!met()) {
        if (performance.now() > end) throw new Error(`never: ${met}`);
        await new Promise((done) => setTimeout(done, 5));
    }
};
globalThis.notice = (id, more = {}) => ({ id, key: `k${id}`, type: "info", priority: "low",
    title: `Title ${id}`, message: "Words", at: "2026-11-22T03:00:00Z", symbol: null, rule: null,
    labels: {}, confidence: null, risk_reward_ratio: null, late: false, alert: null,
    resolved: false, read_at: null, acknowledged_by: null, ...more });
/** A server: what is there can be changed, and what was asked is kept. */
globalThis.Fake = class {
    constructor(found = []) {
        Object.assign(this, { found, asked: [], watchers: new Set(), fails: new Set() });
        this.role = "viewer";
        this.wishes = { max_on_screen: 100, auto_dismiss_seconds: 5, sounds: {}, sound: false };
    }
    watch(call) { this.watchers.add(call); return () => this.watchers.delete(call); }
    names() { return this.asked.map(([name]) => name); }
    async ask(name, values = {}, body = {}) {
        this.asked.push([name, values, body]);
        if (this.fails.has(name)) throw new Error(`no ${name}`);
        const answer = this.answer(name, values, body);
        for (const call of [...this.watchers]) call(name, body, answer);
        return answer;
    }
    answer(name, values, body) {
        const { found } = this;
        const newest = Math.max(0, ...found.map(({ id }) => id));
        const unread = found.filter(({ read_at }) => !read_at).length;
        if (name === "inbox") return { total: found.length, unread, last_hour: found.length,
            newest, person: "ann", shared: false, role: this.role };
        if (name === "notifications") return { next: null,
            notifications: [...found].sort((a, b) => b.id - a.id).slice(0, values.limit) };
        if (name === "preferences") return this.wishes;
        if (name === "show") return { ids: body.ids.filter((id) => !this.taken?.includes(id)) };
        if (name === "acknowledge") return { by: "bob" };
        if (name === "read") this.found = found.map((one) =>
            body.ids?.includes(one.id) ? { ...one, read_at: "2026-11-22T04:00:00Z" } : one);
        return { changed: body.ids?.length ?? found.length, undo: "then" };
    }
};
globalThis.FakeStream = class {
    constructor() { Object.assign(this, { state: "open", silent: false }); }
    subscribe(types, take) {
        Object.assign(this, { types, take });
        return () => { this.take = null; };
    }
    subscribed() { this.take({ type: "subscribed", data: { types: this.types } }); }
    tell(data) { this.take({ type: "notification", data }); }
};
}"""


@pytest.fixture
def model(scripts: Page) -> Page:
    scripts.evaluate(MODEL)
    return scripts


def test_every_action_is_asked_for_where_the_server_has_it(scripts: Page) -> None:
    declared = {
        one.name: [one.method, re.sub(r"\{[^}]*\}", "a%2Fb", one.path).removeprefix("/")]
        for one in ENDPOINTS
        if one.name in ACTIONS
    }
    asked = scripts.evaluate(
        """async (names) => {
            const { Api } = await import("/api.js");
            document.cookie = "_xsrf=2|a|b; path=/";
            const api = new Api("ws://widgets.test/desk/one/stream");
            const found = {};
            globalThis.fetch = async (url, { method, headers, body }) => {
                found[name] = [method, url.href, headers["X-XSRFToken"] ?? null, body ?? null];
                return new Response("{}");
            };
            let name;
            for (name of names) await api.ask(name, { name: "a/b", id: "a/b" }, { x: 1 });
            return found;
        }""",
        [*ACTIONS],
    )
    assert set(asked) == set(ACTIONS)
    for name, (method, address, token, body) in asked.items():
        path = address.removeprefix("http://widgets.test/desk/one/").partition("?")[0]
        assert [method, path] == declared[name], name
        assert (token == "2|a|b") is (method != "GET"), name
        assert (body == '{"x":1}') is (method in {"POST", "PUT"}), name


def test_why_something_was_not_done_is_told_whatever_the_server_says(scripts: Page) -> None:
    got = scripts.evaluate(
        """async () => {
            const { Api } = await import("/api.js");
            const api = new Api("http://widgets.test/");
            const found = [];
            const body = { error: { status: 422, code: "bad_rule", message: "No.",
                problems: [{ place: "where", message: "what?" }] } };
            for (const answer of [
                () => new Response(JSON.stringify(body), { status: 422 }),
                () => new Response("<h1>Bad gateway</h1>", { status: 502 }),
                () => new Response("no JSON"),
                () => { throw new TypeError("Failed to fetch"); },
            ]) {
                globalThis.fetch = async () => answer();
                await api.ask("inbox").catch((error) => found.push([error.name,
                    error.code, error.message, error.problems?.[0].place ?? null]));
            }
            return found;
        }"""
    )
    assert got == [
        ["ApiError", "bad_rule", "No.", "where"],
        ["ApiError", "", "The server answered with 502.", None],
        ["ApiError", "", "The server's answer cannot be read.", None],
        ["ApiError", "unreachable", "The server cannot be reached.", None],
    ]


def test_through_a_kernel_each_question_gets_its_own_answer(scripts: Page) -> None:
    got = scripts.evaluate(
        """async () => {
            const { CommApi } = await import("/api.js");
            const takers = new Set();
            const sent = [];
            const model = { send: (said) => sent.push(said),
                on: (_, take) => takers.add(take), off: (_, take) => takers.delete(take) };
            const say = (said) => [...takers].forEach((take) => take(said, []));
            const api = new CommApi(model);
            const done = [];
            api.watch((name, body, answer) => done.push([name, body, answer]));
            const one = api.ask("read", { type: ["a", "b"], none: "" }, { ids: [1] });
            const two = api.ask("inbox").catch((error) => [error.code, error.message]);
            say({ kind: "answer", id: "another page's", body: { wrong: 1 } });
            say({ kind: "answer", id: sent[1].id, error: { code: "refused", message: "No." } });
            say({ kind: "answer", id: sent[0].id, body: { changed: 1 } });
            return { one: await one, two: await two, done, left: takers.size,
                sent: sent.map(({ kind, name, values, body }) => [kind, name, values, body]) };
        }"""
    )
    assert got["sent"] == [
        ["ask", "read", {"type": "a,b"}, {"ids": [1]}],
        ["ask", "inbox", {}, None],
    ]
    assert got["one"] == {"changed": 1}
    assert got["two"] == ["refused", "No."]
    assert got["done"] == [["read", {"ids": [1]}, {"changed": 1}]]
    assert got["left"] == 0


MORNINGS = [
    ("Europe/Berlin", (2026, 6, 1, 23, 30), "2026-06-02T08:00:00+02:00"),
    ("Europe/Berlin", (2026, 6, 1, 3, 0), "2026-06-02T08:00:00+02:00"),
    ("Europe/Berlin", (2026, 3, 28, 12, 0), "2026-03-29T08:00:00+02:00"),
    ("Europe/Berlin", (2026, 10, 24, 12, 0), "2026-10-25T08:00:00+01:00"),
    ("Asia/Kolkata", (2026, 12, 31, 23, 59), "2027-01-01T08:00:00+05:30"),
    ("Pacific/Apia", (2011, 12, 29, 12, 0), "2011-12-31T08:00:00+14:00"),
]
SNOOZES = [
    ({"rule": "r", "labels": {"symbol": "A"}, "alert": "k"}, 0, ["rule", "labels", "until"]),
    ({"alert": "k"}, 0, ["alert", "until"]),
    ({"rule": "r", "alert": "k"}, None, ["alert"]),
]
OWNERS = [
    ({"alert": "k"}, "operator", True),
    ({"alert": "k"}, "admin", True),
    ({"alert": "k"}, "viewer", False),
    ({"alert": None}, "operator", False),
    ({"alert": "k", "acknowledged_by": "bob"}, "operator", False),
    ({"alert": "k", "resolved": True}, "operator", False),
]
FOREMOST = [
    (["low"] * 7, [7, 6, 5, 4, 3]),
    (["low", "medium", "low", "medium", "low", "medium"], [6, 5, 4, 3, 2]),
    (["urgent", "low", "low", "low", "low", "low"], [6, 5, 4, 3, 1]),
    (["high", "urgent", *["high"] * 5], [7, 6, 5, 4, 2]),
    (["low", "high"], [2, 1]),
]
STAYS = [
    ("low", 5, 5_000),
    ("medium", 5, 10_000),
    ("low", 0, None),
    ("medium", 0, None),
    ("high", 5, None),
    ("urgent", 5, None),
]
SOUNDS = {"low": "none", "medium": "soft", "urgent": "alarm"}
RINGS = [
    (["low", "urgent", "high"], True, "alarm"),
    (["low", "medium"], True, "soft"),
    (["low"], True, "none"),
    (["urgent"], False, "none"),
    ([], True, "none"),
]


def test_small_decisions_are_right(model: Page) -> None:
    """Until when something is snoozed and what of it, whose it is, what stays, what rings."""
    mornings = [
        [zone, datetime(*now, tzinfo=ZoneInfo(zone)).timestamp() * 1e3] for zone, now, _ in MORNINGS
    ]
    got = model.evaluate(
        """async ([mornings, snoozes, owners, foremosts, stays, rings, sounds]) => {
            const { mayAcknowledge, snoozeOf, tomorrow } = await import("/notice.js");
            const { foremost, stayOf } = await import("/toasts.js");
            const { soundOf } = await import("/sound.js");
            const toast = (priority, n) => ({ notice: notice(n + 1, { priority }) });
            return {
                mornings: mornings.map(([zone, now]) => tomorrow(zone, now)),
                snoozes: snoozes.map(([more, end]) => Object.keys(snoozeOf(notice(1, more), end))),
                owners: owners.map(([more, role]) => mayAcknowledge(notice(1, more), { role })),
                foremosts: foremosts.map(([priorities]) =>
                    foremost(priorities.map(toast), 5).map(({ notice }) => notice.id)),
                stays: stays.map(([priority, seconds]) => stayOf(priority, seconds))
                    .map((stay) => stay === Infinity ? null : stay),
                rings: rings.map(([all, sound]) =>
                    soundOf(all.map((priority) => ({ priority })), { sound, sounds })),
            };
        }""",
        [mornings, SNOOZES, OWNERS, FOREMOST, STAYS, RINGS, SOUNDS],
    )
    for (zone, now, wanted), found in zip(MORNINGS, got["mornings"], strict=True):
        assert found / 1e3 == datetime.fromisoformat(wanted).timestamp(), (zone, now)
    tables: dict[str, list[Any]] = {"snoozes": SNOOZES, "owners": OWNERS, "foremosts": FOREMOST}
    for name, table in {**tables, "stays": STAYS, "rings": RINGS}.items():
        for row, found in zip(table, got[name], strict=True):
            assert found == row[-1], row


def test_a_burst_arrives_at_once_and_is_summed_up_once(model: Page) -> None:
    got = model.evaluate(
        """async () => {
            const { Notices } = await import("/notices.js");
            const api = new Fake([notice(1), notice(2)]);
            const stream = new FakeStream();
            const notices = new Notices(api, stream);
            const arrived = [];
            notices.arrive((found) => arrived.push(found.map(({ id }) => id)));
            stream.subscribed();
            await until(() => api.names().includes("preferences"));
            const first = api.asked.splice(0).map(([name]) => name);
            for (let id = 3; id <= 202; id += 1) {
                api.found.push(notice(id));
                stream.tell(notice(id));
                stream.tell(notice(id));
            }
            await until(() => arrived.flat().length >= 200);
            const at = { ...notices.summary, asked: api.names() };
            await until(() => api.asked.length);
            stream.tell(notice(203));
            api.found.push(notice(203));
            await until(() => api.asked.length > 1);
            notices.close();
            return { first, at, later: api.names(), batches: arrived.length,
                ids: arrived.flat(), kept: notices.entries.length, newest: notices.entries[0].id };
        }"""
    )
    assert got["first"] == ["inbox", "notifications", "preferences"]
    assert got["at"] == {"total": 202, "unread": 202, "last_hour": 202, "newest": 202, "asked": []}
    assert got["later"] == ["inbox", "inbox"]
    assert got["batches"] == 2
    assert got["ids"] == [*range(3, 204)]
    assert (got["kept"], got["newest"]) == (200, 203)


def test_what_came_while_nobody_listened_arrives_afterwards_and_nothing_twice(model: Page) -> None:
    got = model.evaluate(
        """async () => {
            const { Notices } = await import("/notices.js");
            const api = new Fake([notice(10)]);
            const stream = new FakeStream();
            const notices = new Notices(api, stream, { poll: 40, rest: 20 });
            const arrived = [];
            notices.arrive((found) => arrived.push(...found.map(({ id }) => id)));
            const steps = [];
            /** What arrived by the time at which this one is known. */
            const known = async (id) => {
                await until(() => notices.entries.some((one) => one.id === id));
                steps.push(arrived.splice(0));
            };
            stream.subscribed();
            await known(10);                                  // what was there is nothing new
            await until(() => notices.person);
            api.found.push(notice(7));
            stream.tell(notice(7));                           // kept at night, told in the morning
            await known(7);
            api.found.push(notice(11), notice(12, { read_at: "2026-11-22T03:00:00Z" }));
            stream.subscribed();                              // missed, and one was read elsewhere
            await known(12);
            stream.state = "lost";
            api.found.push(notice(13));
            await known(13);                                  // asked for while there is no stream
            stream.state = "open";
            await until(() => !notices.asking);
            api.found.push(notice(14));
            await api.ask("import", {}, {});
            await known(14);                                  // what is imported is no news
            await until(() => !notices.asking);
            api.asked = [];
            await api.ask("import", {}, {});                  // and where nothing was,
            const soon = api.names().includes("inbox");       // what comes then is news
            await until(() => !notices.asking);
            stream.state = "lost";
            api.fails.add("inbox");
            await until(() => notices.fault);
            const fault = notices.fault.message;
            api.fails.clear();
            api.found.push(notice(15));
            await known(15);
            notices.close();
            return { steps, fault, soon };
        }"""
    )
    assert got["steps"] == [[], [7], [11], [13], [], [15]]
    assert got["fault"] == "no inbox"
    assert got["soon"], "what is asked later brings news besides"


def test_what_is_done_here_holds_at_once(model: Page) -> None:
    got = model.evaluate(
        """async () => {
            const { Notices } = await import("/notices.js");
            const api = new Fake([notice(1), notice(2, { alert: "a" }), notice(3)]);
            const notices = new Notices(api, null, { poll: 1e6, rest: 1e6 });
            await until(() => api.names().includes("preferences"));
            const states = [];
            const see = () => states.push([notices.summary.unread,
                notices.entries.map(({ id, read_at, acknowledged_by }) =>
                    [id, Boolean(read_at), acknowledged_by])]);
            await api.ask("read", {}, { ids: [3], read: true });
            see();
            await api.ask("acknowledge", {}, { alert: "a" });
            see();
            await api.ask("remove", {}, { ids: [1] });
            see();
            api.wishes = { ...api.wishes, max_on_screen: 7 };
            await api.ask("preferences");
            notices.close();
            return { states, most: notices.preferences.max_on_screen };
        }"""
    )
    assert got["states"] == [
        [2, [[3, True, None], [2, False, None], [1, False, None]]],
        [2, [[3, True, None], [2, False, "bob"], [1, False, None]]],
        [2, [[3, True, None], [2, False, "bob"]]],
    ]
    assert got["most"] == 7


TOASTS = """() => {
globalThis.toasts = async (found = []) => {
    const { Notices } = await import("/notices.js");
    const { Toasts } = await import("/toasts.js");
    const api = new Fake(found);
    const stream = new FakeStream();
    const opened = [];
    const attention = { api, stream, opened, notices: new Notices(api, stream, { rest: 50 }),
        open: (place) => opened.push(place) };
    attention.toasts = new Toasts(attention, { hiddenWait: 400 });
    stream.subscribed();
    await until(() => attention.notices.person);
    return attention;
};
globalThis.seen = () =>
    [...document.querySelectorAll(".ap-toast")].map((one) => Number(one.dataset.id));
globalThis.hide = (hidden) => {
    Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
    document.dispatchEvent(new Event("visibilitychange"));
};
}"""


@pytest.fixture
def toasts(model: Page) -> Page:
    model.add_style_tag(url="/page.css")
    model.evaluate(TOASTS)
    return model


def test_five_are_on_screen_and_the_others_are_a_number(toasts: Page) -> None:
    toasts.evaluate(
        """async () => {
            globalThis.all = await toasts();
            for (let id = 1; id <= 200; id += 1) all.stream.tell(notice(id, id === 3
                ? { priority: "urgent", type: "error", title: "<img src=x onerror=bad()>" } : {}));
        }"""
    )
    wait_until(lambda: toasts.locator(".ap-toast").count())
    assert toasts.evaluate("seen()") == [200, 199, 198, 197, 3]
    rest = toasts.get_by_role("button", name="and 195 more")
    asked = toasts.evaluate("all.api.asked.filter(([name]) => name === 'show')")
    assert [len(body["ids"]) for _, _, body in asked] == [200]
    page_name = asked[0][2]["page"]
    assert re.fullmatch(r"[A-Za-z0-9_-]{8,64}", page_name)
    assert toasts.evaluate("localStorage.getItem('alphapulse.page')") == page_name
    alert = toasts.get_by_role("alert")
    assert "<img src=x onerror=bad()>" in alert.inner_text()
    assert "Urgent priority · error" in alert.inner_text()
    assert toasts.get_by_role("status").filter(has_text="Title 200").count() == 1
    assert toasts.evaluate("document.activeElement === document.body")
    rest.click()
    assert toasts.evaluate("all.opened") == [{"tab": "history"}]
    toasts.locator(".ap-toast").first.get_by_role("button", name="Open").click()
    assert toasts.evaluate("all.opened.at(-1)") == {"tab": "history", "id": 200}
    toasts.get_by_role("button", name="Close all").click()
    assert toasts.evaluate("seen()") == []


def test_time_passes_only_for_what_is_seen_and_not_pointed_at(toasts: Page) -> None:
    toasts.evaluate(
        """async () => {
            globalThis.all = await toasts();
            all.stream.tell(notice(1));
            all.stream.tell(notice(2, { priority: "medium" }));
            all.stream.tell(notice(3, { priority: "high" }));
            await until(() => seen().length === 3);
            clearInterval(all.toasts.timer);
            globalThis.goOn = () => {
                for (let n = 0; n < 6; n += 1) all.toasts.pass(1e3);
                return seen();
            };
        }"""
    )
    toasts.locator(".ap-toast").first.hover()
    assert toasts.evaluate("goOn()") == [3, 2, 1]
    toasts.mouse.move(900, 5)
    toasts.locator(".ap-toast-close").last.focus()
    assert toasts.evaluate("goOn()") == [3, 2, 1]
    toasts.evaluate("document.activeElement.blur(), hide(true)")
    assert toasts.evaluate("goOn()") == [3, 2, 1]
    toasts.evaluate("hide(false)")
    assert toasts.evaluate("goOn()") == [3, 2]
    assert toasts.evaluate("goOn()") == [3]
    assert toasts.evaluate("goOn()") == [3]
    toasts.locator(".ap-toast-close").focus()
    toasts.keyboard.press("Escape")
    assert toasts.evaluate("seen()") == []


def test_each_is_shown_by_the_page_that_claims_it_or_by_all_where_that_fails(toasts: Page) -> None:
    got = toasts.evaluate(
        """async () => {
            const all = await toasts();
            const claims = () => all.api.asked.filter(([name]) => name === "show").length;
            const steps = [];
            const shown = async (id) => {
                await until(() => seen().includes(id));
                steps.push([claims(), seen()]);
                all.toasts.clear();
            };
            all.api.taken = [1];
            all.stream.tell(notice(1));
            all.stream.tell(notice(2));
            await shown(2);                  // another page shows the first
            all.toasts.hiddenWait = 300;
            hide(true);
            const before = performance.now();
            all.stream.tell(notice(3));
            await shown(3);                  // a page that nobody sees waits for others
            const waited = performance.now() - before;
            all.toasts.hiddenWait = 1e6;
            all.stream.tell(notice(4));
            await until(() => all.toasts.later !== undefined);
            hide(false);
            await shown(4);                  // and no longer once it is seen
            all.api.fails.add("show");
            all.stream.tell(notice(5));
            await shown(5);
            return { steps, waited };
        }"""
    )
    assert got["steps"] == [[1, [2]], [2, [3]], [3, [4]], [4, [5]]]
    assert got["waited"] >= 300


def test_a_toast_can_be_acknowledged_and_its_kind_snoozed(toasts: Page) -> None:
    toasts.evaluate(
        """async () => {
            const all = globalThis.all = await toasts();
            all.api.role = "operator";
            await all.notices.look();
            all.stream.tell(notice(1, { priority: "high", rule: "r", alert: "k" }));
        }"""
    )
    toast = toasts.locator(".ap-toast")
    toast.get_by_role("button", name="Acknowledge").click()
    toast.get_by_text("Acknowledged by bob").wait_for()
    assert toasts.evaluate("all.api.asked.filter(([name]) => name === 'read').length") == 1
    toast.get_by_role("button", name="Snooze").click()
    names = toast.locator(".ap-acts-row button").all_inner_texts()
    assert names == ["1 h", "until it clears", "Cancel"]
    toast.get_by_role("button", name="until it clears").click()
    toast.get_by_text("Snoozed until it clears.").wait_for()
    asked = toasts.evaluate("all.api.asked.filter(([name]) => name === 'snooze').at(-1)[2]")
    assert asked == {"alert": "k"}
    toasts.evaluate("all.api.fails.add('snooze')")
    toast.get_by_role("button", name="Snooze").click()
    toast.get_by_role("button", name="1 h").click()
    toast.get_by_text("no snooze").wait_for()


DRAWER = """async () => {
    const { Drawer } = await import("/drawer.js");
    const log = globalThis.log = [];
    const tab = (key, more = {}) => ({ key, title: key, tab: (el, context) => {
        log.push(["open", key, context.person.role]);
        el.append(Object.assign(document.createElement("input"), { type: "search" }));
        return Object.assign(() => log.push(["end", key]), more);
    } });
    globalThis.mayGo = true;
    const fails = () => { throw new Error("no such thing"); };
    const broken = { key: "broken", title: "broken", tab: fails };
    const attention = { api: new Fake(), zone: () => "UTC", toasts: { clear() {} },
        notices: { person: { person: "ann", shared: false, role: "viewer" } } };
    const opener = document.body.appendChild(document.createElement("button"));
    opener.id = "opener";
    opener.focus();
    globalThis.drawer = new Drawer(attention, [
        tab("history", { show: (place) => log.push(["show", place.id ?? null]) }),
        tab("rules", { mayLeave: () => mayGo }),
        broken, { ...tab("channels"), operators: true },
    ]);
    await drawer.open({}, opener);
}"""


def test_the_drawer_goes_from_tab_to_tab_and_gives_the_focus_back(model: Page) -> None:
    model.add_style_tag(url="/page.css")
    model.evaluate(DRAWER)

    def log() -> list[list[str | int | None]]:
        """What happened since the last look."""
        found: list[list[str | int | None]] = model.evaluate("log.splice(0)")
        return found

    tabs = model.get_by_role("tab")
    assert tabs.all_inner_texts() == ["history", "rules", "broken"]
    assert log() == [["open", "history", "viewer"], ["show", None]]
    assert model.evaluate("document.activeElement.textContent") == "history"
    model.keyboard.press("ArrowRight")
    wait_until(lambda: model.evaluate("document.activeElement.textContent") == "rules")
    assert log() == [["end", "history"], ["open", "rules", "viewer"]]
    model.evaluate("mayGo = false")
    model.keyboard.press("ArrowLeft")
    model.keyboard.press("Escape")
    assert model.evaluate("[drawer.isOpen, drawer.tab.key]") == [True, "rules"]
    assert log() == []
    model.evaluate("mayGo = true")
    model.get_by_role("searchbox").fill("words")
    model.keyboard.press("Escape")
    assert model.evaluate("drawer.isOpen")
    model.get_by_role("searchbox").fill("")
    model.keyboard.press("Escape")
    wait_until(lambda: not model.evaluate("drawer.isOpen"))
    assert model.evaluate("document.activeElement.id") == "opener"
    assert log() == [["end", "rules"]]
    model.evaluate("drawer.open({}, document.activeElement)")
    assert log() == [["open", "rules", "viewer"]]
    tabs.filter(has_text="broken").click()
    assert "no such thing" in model.get_by_role("alert").inner_text()
    model.evaluate("drawer.open({ tab: 'history', id: 7 }, null)")
    assert log()[-2:] == [["open", "history", "viewer"], ["show", 7]]


def test_the_area_says_how_much_there_is_and_lists_the_newest_unread(toasts: Page) -> None:
    toasts.evaluate(
        """async () => {
            const { Alerts, followNotices } = await import("/alerts.js");
            const all = globalThis.all = await toasts([1, 2, 3, 4, 5].map((id) =>
                notice(id, { rule: "r", read_at: id === 5 ? "2026-11-22T03:00:00Z" : null })));
            const area = new Alerts(document.body.appendChild(document.createElement("div")));
            area.show([1, 2, 3].map((n) => ({ key: `a${n}`, type: "error", priority: "high",
                title: `Breach ${n}`, message: "now", at: 0 })));
            followNotices(all, area);
        }"""
    )
    area = toasts.locator(".ap-alerts")
    rows = area.locator(".ap-unread-row .ap-link")
    assert area.locator(".ap-alert-figures").inner_text() == "4 unread · 5 last hour · 5 total"
    assert rows.all_inner_texts() == ["Title 4", "Title 3", "Title 2"]
    assert area.get_by_text("Breach").count() == 3
    area.get_by_role("button", name="1 more in the history").click()
    rows.first.click()
    area.get_by_role("button", name="History", exact=True).click()
    assert toasts.evaluate("all.opened.map(({ id }) => id ?? 0)") == [0, 4, 0]
    toasts.evaluate(
        "all.api.wishes = { ...all.api.wishes, max_on_screen: 2 }, all.api.ask('preferences')"
    )
    wait_until(lambda: rows.count() == 2)
    assert area.get_by_text("Breach").count() == 2
    area.get_by_role("button", name="Mark read").first.click()
    wait_until(lambda: rows.all_inner_texts() == ["Title 3", "Title 2"])
    toasts.evaluate("all.api.fails.add('inbox'), all.notices.look()")
    area.get_by_text("No new notifications: no inbox").wait_for()
    assert area.get_by_text("Breach").count() == 2


def test_a_stream_subscribes_anew_after_each_connection(scripts: Page) -> None:
    got = scripts.evaluate(
        """async () => {
            const made = [];
            globalThis.WebSocket = class {
                constructor() { this.said = []; made.push(this); }
                send(text) { this.said.push(JSON.parse(text)); }
                close() {}
                hear(said) { this.onmessage({ data: JSON.stringify(said) }); }
            };
            const { Stream } = await import("/stream.js");
            const stream = new Stream("/stream");
            const heard = [];
            const take = ({ type, data }) => heard.push([type, data.id ?? 0]);
            const end = stream.subscribe(["notification"], take);
            made[0].onopen();
            made[0].hear({ type: "subscribed", data: { types: ["notification"] } });
            made[0].hear({ type: "notification", data: { id: 1 } });
            made[0].hear({ type: "signal", data: { id: 2 } });
            made[0].onclose();
            stream.connect();
            made[1].onopen();
            made[1].hear({ type: "subscribed", data: { types: ["notification"] } });
            end();
            made[1].hear({ type: "notification", data: { id: 3 } });
            const said = made.map((one) => one.said.map(({ type, data }) => [type, data.types]));
            return { heard, said };
        }"""
    )
    assert got["heard"] == [["subscribed", 0], ["notification", 1], ["subscribed", 0]]
    assert got["said"] == [
        [["subscribe", ["notification"]]],
        [["subscribe", ["notification"]], ["unsubscribe", ["notification"]]],
    ]
