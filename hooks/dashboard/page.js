import { duration, h, plural, show } from "./dom.js"
import { pluginHelp } from "./plugins.js"

const api = "/api/plugin-oauth/"
const refreshEvery = 5000 // milliseconds, while the page is seen
const spans = { hour: "Hour", day: "Day", week: "Week" }

// How a login can end, in the order of the chart's stack, and what it is called.
const ends = [
    ["claimed", "Signed in"],
    ["open", "Under way"],
    ["denied", "Cancelled"],
    ["expired", "Too late"],
    ["failed", "Failed"],
]
const stages = {
    started: "At the provider",
    redirected: "Tokens are fetched",
    finished: "Waits for the plugin",
}

// signInsPage is the page. It asks anew every few seconds until it is left. The address keeps what was chosen.
export function signInsPage(query) {
    const chosen = { span: spans[query.span?.[0]] ? query.span[0] : "day", plugin: query.plugin?.[0] ?? "" }
    const part = (name, label) => h("section.po-part.po-" + name, { "aria-label": label })
    const parts = {
        verdict: h("div.po-verdict", { role: "status" }), tiles: h("div.po-tiles"), chart: part("chart", "Sign-ins per hour"), live: part("live", "Under way"),
        funnel: part("funnel", "How far they came"), failures: part("failures", "Latest failures"), plugins: part("plugins", "Plugins"),
    }
    const fresh = h("span.po-fresh", { role: "status" })
    const help = pluginHelp(parts.plugins)

    const spanButtons = Object.entries(spans).map(([span, label]) =>
        h("button.btn.sm", { type: "button", "data-span": span, onclick: () => choose({ span }) }, label))
    const pluginSelect = h("select", { "aria-label": "Plugin", onchange: () => choose({ plugin: pluginSelect.value }) })

    let asked = 0
    async function refresh() {
        const asking = ++asked
        try {
            const answer = await app.pb.send(api + "sign-ins?" + new URLSearchParams(chosen), { requestKey: null })
            if (asking != asked) return // another choice was made meanwhile
            render(answer)
            help.refresh()
            say("Live", false)
        } catch (err) {
            if (asking != asked) return
            if (err?.status == 401) app.checkApiError?.(err) // PocketBase asks the admin to sign in again
            say("The service does not answer. Trying again…", true)
        }
    }

    function say(text, stale) {
        if (fresh.textContent != text) fresh.textContent = text
        page.classList.toggle("po-stale", stale)
    }

    function choose(choice) {
        Object.assign(chosen, choice)
        for (const button of spanButtons) {
            button.classList.toggle("outline", button.dataset.span != chosen.span)
            button.setAttribute("aria-pressed", button.dataset.span == chosen.span)
        }
        history.replaceState(null, "", "#/sign-ins" + (chosen.span == "day" && !chosen.plugin ? "" : "?" + new URLSearchParams(chosen)))
        refresh()
    }

    function render(answer) {
        fillSelect(pluginSelect, answer.funnel.map(row => row.plugin), chosen.plugin)
        const rows = answer.funnel.filter(row => !chosen.plugin || row.plugin == chosen.plugin)
        const sum = total(rows), words = verdict(rows, sum, chosen.span)
        if (parts.verdict.textContent != words.textContent) show(parts.verdict, words) // or it would be read out each time
        show(parts.tiles, tiles(sum, answer))
        show(parts.chart, chart(answer.hours))
        show(parts.live, liveList(answer, refresh))
        show(parts.funnel, funnelTable(answer.funnel, chosen, plugin => choose({ plugin })))
        show(parts.failures, failureList(answer, chosen.span))
    }

    const page = h("div.page", null, h("div.page-content.full-height.po", null,
        h("header.page-header", null,
            h("nav.breadcrumbs", null, h("div.breadcrumb-item", null, "Sign-ins")),
            h("div.po-controls", null, h("div.po-spans", { role: "group", "aria-label": "Time" }, spanButtons), pluginSelect, fresh)),
        Object.values(parts)))

    choose({})
    // The next one waits for the answer, however slow that is.
    async function repeat() {
        if (!document.hidden) await refresh()
        if (page.isConnected) setTimeout(repeat, refreshEvery)
    }
    setTimeout(repeat, refreshEvery)
    return page
}

function fillSelect(select, plugins, chosen) {
    const options = ["", ...new Set([...plugins, chosen].filter(Boolean))]
    select.hidden = options.length < 3 && !chosen
    if (options.join() == [...select.options].map(option => option.value).join()) {
        select.value = chosen
        return
    }
    select.replaceChildren(...options.map(plugin => h("option", { value: plugin, selected: plugin == chosen }, plugin == "/" ? "/ (environment)" : plugin || "All plugins")))
}

const open = row => Math.max(0, row.started - row.claimed - row.denied - row.failed - row.expired)

function total(rows) {
    const sum = { started: 0, redirected: 0, finished: 0, claimed: 0, denied: 0, failed: 0, expired: 0 }
    for (const row of rows) {
        for (const name in sum) sum[name] += row[name]
    }
    return sum
}

// verdict says at a glance whether people can sign in, and where they cannot.
function verdict(rows, sum, span) {
    const time = span == "week" ? "the last 7 days" : span == "day" ? "the last 24 hours" : "the last hour"
    const neverBack = Math.min(sum.expired, sum.started - sum.redirected)
    const ended = sum.started - open(sum)
    const dead = rows.filter(row => row.failed && !row.claimed).map(row => row.plugin)
    const say = (tone, ...words) => h("p.alert." + tone, null, words.join(" "))
    if (!sum.started) return say("info", `Nobody has started to sign in during ${time}.`)
    if (!ended) return say("info", `${plural(sum.started, "sign-in")} under way, none has ended during ${time}.`)
    const worked = `${sum.claimed} of ${plural(ended, "sign-in")} worked during ${time}.`
    const below = "Below is what went wrong, and what usually mends it."
    if (dead.length) return say("danger", worked, rows.length > 1 ? `At ${dead.join(", ")} none did.` : "", below)
    if (neverBack >= 3 && neverBack >= ended / 2) {
        return say("warning", worked, `${neverBack} people did not come back from the provider. Does it show them an error page? It must know the redirect URI below, letter for letter.`)
    }
    if (sum.failed >= ended / 5) return say("warning", worked, below)
    return say(sum.claimed ? "success" : "info", worked)
}

function tiles(sum, answer) {
    const tile = (value, label, note) => h("div.po-tile", null, h("strong", null, value), h("span", null, label), note && h("small.txt-hint", null, note))
    const { count, median, p95 } = answer.toClaim
    const ended = sum.started - open(sum)
    return [
        tile(String(answer.liveCount), "under way"),
        tile(String(sum.claimed), "signed in", ended ? Math.round(100 * sum.claimed / ended) + " % of those that ended" : ""),
        tile(count ? duration(median) : "–", "to sign in (median)", count ? `95 of 100 within ${duration(p95)}` : ""),
        tile(String(sum.failed), "failed", `${sum.denied} cancelled, ${sum.expired} too late`),
    ]
}

// chart stacks the sign-ins of each hour by how they ended.
function chart(hours) {
    const highest = Math.max(1, ...hours.map(hour => hour.started))
    const at = hour => new Date(hour.hour)
    const byDay = hours.length > 24
    const bars = hours.map(hour => {
        const counts = { ...hour, open: open(hour) }
        const words = ends.filter(([end]) => counts[end]).map(([end, label]) => `${label}: ${counts[end]}`)
        const when = at(hour).toLocaleString([], { weekday: "short", hour: "2-digit", minute: "2-digit" })
        return h("div.po-bar", { title: [when, ...words].join("\n") },
            ends.filter(([end]) => counts[end]).map(([end]) => {
                const segment = h("i.po-end-" + end)
                segment.style.height = 100 * counts[end] / highest + "%"
                return segment
            }))
    })
    const labels = hours.map((hour, i) => {
        const time = at(hour)
        const wanted = byDay ? time.getHours() == 0 : i % 6 == 3
        const text = byDay ? time.toLocaleDateString([], { weekday: "short", day: "numeric" }) : time.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" })
        return h("span", null, wanted ? h("b", null, text) : "")
    })
    const sum = total(hours)
    return [
        h("h5", null, "Sign-ins per hour"),
        h("div.po-plot", { role: "img", "aria-label": `${plural(sum.started, "sign-in")} in ${hours.length} hours, ${highest} at most in one of them: ${sum.claimed} signed in, ${open(sum)} under way, ${sum.denied} cancelled, ${sum.expired} too late, ${sum.failed} failed` },
            h("div.po-scale", null, h("span", null, String(highest)), h("span", null, "0")),
            h("div.po-bars", null, bars), h(byDay ? "div.po-hours.po-days" : "div.po-hours", null, labels)),
        h("div.po-legend", null, ends.map(([end, label]) => h("span", null, h("i.po-end-" + end), label))),
    ]
}

function liveList(answer, refresh) {
    const end = session => {
        const doEnd = async () => {
            await app.pb.send(`${api}sign-ins/${session.id}/end`, { method: "POST", requestKey: null }).catch(err => {
                if (err?.status != 404) app.checkApiError?.(err) // ended meanwhile
            })
            refresh()
        }
        const question = `End this sign-in at ${session.plugin}? The person must start again.`
        if (app.modals?.confirm) {
            app.modals.confirm(question, doEnd, null, { yesButton: "End it", noButton: "Keep it" })
        } else if (confirm(question)) {
            doEnd()
        }
    }
    const rows = answer.live.map(session => h("tr", null,
        h("td", null, session.plugin),
        h("td", null, h("span.label", null, stages[session.stage])),
        h("td.po-wide.txt-hint", null, session.origin || "–"),
        h("td.po-wide", null, duration(session.age)),
        h("td", null, duration(session.left)),
        h("td.min-width", null, h("button.btn.sm.outline", { type: "button", "data-key": session.id, "aria-label": `End the sign-in of ${duration(session.age)} ago at ${session.plugin}`, onclick: () => end(session) }, "End"))))
    return [
        h("h5", null, "Under way"),
        rows.length
            ? table(["Plugin", "Stage", "Origin", "Since", "Left", ""], rows, ["Origin", "Since"])
            : h("p.txt-hint", null, "Nobody is signing in just now."),
        answer.liveCount > rows.length && h("p.txt-hint", null, `These are the newest ${rows.length} of ${answer.liveCount}.`),
    ]
}

// table leaves out some columns where there is little room.
function table(heads, rows, wide = []) {
    return h("div.po-scroll", null, h("table", null,
        h("thead", null, h("tr", null, heads.map(head => h(wide.includes(head) ? "th.po-wide" : "th", { scope: "col" }, head)))),
        h("tbody", null, rows)))
}

// funnelTable shows how far people came, at each plugin. The bar in a cell is its share of those who started.
function funnelTable(rows, chosen, choosePlugin) {
    const columns = [["started", "Started"], ["redirected", "Came back"], ["finished", "Got tokens"], ["claimed", "Signed in"], ["denied", "Cancelled"], ["failed", "Failed"], ["expired", "Too late"]]
    const line = row => h("tr", { class: row.plugin == chosen.plugin ? "po-chosen" : "" },
        h("th", { scope: "row" }, h("button.po-link", { type: "button", "data-key": "row " + row.plugin, title: "Show only " + row.plugin, onclick: () => choosePlugin(row.plugin == chosen.plugin ? "" : row.plugin) }, row.plugin)),
        columns.map(([name]) => {
            const cell = h("td.po-share.po-share-" + name, null, String(row[name]))
            cell.style.setProperty("--share", row.started ? row[name] / row.started : 0)
            return cell
        }))
    return [
        h("h5", null, "How far they came"),
        rows.length
            ? table(["Plugin", ...columns.map(([, label]) => label)], rows.map(line))
            : h("p.txt-hint", null, "No sign-ins in this time."),
    ]
}

// failureList has the newest failure of each kind, and how many there are of it.
function failureList(answer, span) {
    const kinds = Map.groupBy(answer.failures, failure => failure.plugin + " " + failure.error)
    return [
        h("h5", null, "Latest failures"),
        kinds.size
            ? h("ul.po-list", null, [...kinds.values()].map(failures => {
                const [{ plugin, error, description, cause, mend, ago, id }] = failures
                return h("li", null,
                    h("div.po-failure-head", null,
                        h("span.label.danger", null, error), h("strong", null, plugin),
                        h("span.txt-hint", null, `${failures.length > 1 ? failures.length + " times, the last " : ""}${duration(ago)} ago, session ${id}`)),
                    cause && h("p", null, h("b", null, "The cause: "), cause),
                    h("p", null, h("b", null, "The person read: "), description),
                    h("p.po-mend", null, h("b", null, "What usually helps: "), mend))
            }))
            : h("p.txt-hint", null, "None."),
        answer.failures.length >= 50 && h("p.txt-hint", null, "These are the kinds of the newest 50 failures."),
        span != "hour" && answer.retention < (span == "day" ? 86400 : 604800)
            && h("p.txt-hint", null, `Failures and times are known for ${duration(answer.retention)} only (SESSION_RETENTION).`),
    ]
}
