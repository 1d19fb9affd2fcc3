import { copyable, h, show } from "./dom.js"
import { testSignIn } from "./trial.js"

const api = "/api/plugin-oauth/"

// snippet is what an author pastes into a plugin.
const snippet = (backend, tenant) => `import { createAuth } from "${backend}/client.js"

const auth = createAuth({ backend: "${backend}"${tenant && !tenant.default ? `, parameters: { ${tenant.name}: "${tenant.example}" }` : ""} })

await auth.signIn()                       // in a click: opens the provider's page, waits, keeps the tokens
const response = await auth.fetch(url)    // fetch with the access token, which is refreshed in time
await auth.signOut()                      // has the provider end the tokens where it can, and forgets them`

// load returns { base, plugins }: where the world reaches the service, and what there is to know of each plugin.
const load = () => app.pb.send(api + "plugins", { requestKey: null })

// pluginHelp fills a part of the page with what to paste where, for each plugin, and with the check of it all. Its refresh shows
// what has changed.
export function pluginHelp(part) {
    const findings = h("div", { role: "status" })
    const check = h("button.btn.sm.outline", { type: "button", onclick: () => runCheck(check, findings) }, "Check the set-up")
    const list = h("div")
    part.append(h("div.po-head", null, h("h5", null, "Plugins"), check), findings, list)
    let shown = ""
    async function refresh() {
        const { plugins } = await load().catch(() => ({}))
        if (!plugins || JSON.stringify(plugins) == shown) return
        shown = JSON.stringify(plugins)
        const opened = [...list.querySelectorAll("details[open]")].map(details => details.dataset.slug)
        show(list, plugins.length ? plugins.map(plugin => card(plugin, opened.includes(plugin.slug))) : h("p", null, "There is no plugin yet. ",
            h("a", { href: "#/collections?collection=plugins" }, "Add one"), " in the collection plugins, or set one up in the environment."))
    }
    return { refresh }
}

async function runCheck(button, findings) {
    button.disabled = true
    button.textContent = "Checking…"
    show(findings, h("p.txt-hint", null, "The providers are asked. This takes up to a minute."))
    try {
        const found = await app.pb.send(api + "doctor", { requestKey: null })
        show(findings, found.length
            ? h("ul.po-list", null, found.map(finding => h("li", null,
                h("div.po-failure-head", null, h("span.label." + (finding.level == "error" ? "danger" : "warning"), null, finding.level), finding.plugin && h("strong", null, finding.plugin)),
                h("p", null, finding.what + " " + finding.why), h("p.po-mend", null, h("b", null, "To mend it: "), finding.mend))))
            : h("p.alert.success", null, "Nothing wrong was found. Test sign-in proves it."))
    } catch (err) {
        if (err?.status == 401) app.checkApiError?.(err)
        show(findings, h("p.txt-danger", null, "The check did not finish. Try again in a moment."))
    }
    button.disabled = false
    button.textContent = "Check the set-up"
}

// card has the addresses of one plugin.
function card(plugin, open) {
    const test = h("button.btn.sm", { type: "button", disabled: !!plugin.problem, onclick: () => testSignIn(plugin) }, "Test sign-in")
    const change = h("a.btn.sm.outline", { href: "#/collections?collection=plugins" }, "Change it")
    const collection = app.store?.collections?.find(collection => collection.name == "plugins")
    if (app.modals?.openRecordUpsert && collection) {
        change.addEventListener("click", event => {
            event.preventDefault()
            app.modals.openRecordUpsert(collection, plugin.id)
        })
    }
    return h("details.po-plugin", { "data-slug": plugin.slug, open },
        h("summary", null, h("strong", null, plugin.slug), plugin.slug == "/" && h("span.txt-hint", null, "from the environment"), h("span.txt-hint", null, [plugin.name, plugin.provider].filter(Boolean).join(", ")), plugin.problem && h("span.label.warning", null, plugin.enabled ? "cannot be used" : "switched off")),
        plugin.problem && h("p.txt-danger", null, plugin.problem),
        addresses(plugin),
        h("h6", null, "In the plugin"),
        copyable(snippet(plugin.backend, plugin.tenant), "pre"),
        h("div.po-buttons", null, test, plugin.id && change))
}

function addresses(plugin) {
    return h("div", null,
        h("h6", null, "Redirect URI, to enter at the provider exactly so"),
        plugin.redirectUri ? copyable(plugin.redirectUri) : h("p.txt-danger", null, "Not known: set PUBLIC_URL."),
        plugin.console && h("p", null, h("a", { href: plugin.console, target: "_blank", rel: "noopener noreferrer" }, "Open the provider's console")),
        h("h6", null, "Backend, for the plugin"),
        copyable(plugin.backend),
        plugin.origins && h("h6", null, "Origins that may call"),
        plugin.origins && h("ul.po-origins", null, plugin.origins.map(origin => h("li", null, h("code", null, origin)))))
}

// helpAtForm puts a plugin's addresses above the fields of its record. Those of a new one follow its slug.
export async function helpAtForm(form) {
    const [slug, known] = await Promise.all([slugField(form), load().catch(() => null)])
    const fields = slug?.closest(".modal-content")
    if (!fields || !known) return
    const help = h("div.po.po-form")
    const update = () => {
        const saved = known.plugins.find(plugin => plugin.slug == slug.value)
        const backend = known.base + "/" + slug.value
        if (saved) {
            show(help, addresses(saved), h("div.po-buttons", null,
                h("button.btn.sm.outline", { type: "button", disabled: !!saved.problem, onclick: () => testSignIn(saved) }, "Test sign-in"), h("span.txt-hint", null, "with what was saved last")))
        } else if (!known.base) {
            show(help, h("p.txt-hint", null, "Set PUBLIC_URL in the environment: then the redirect URI for the provider stands here."))
        } else if (/^[a-z0-9-]+$/.test(slug.value)) {
            show(help, addresses({ backend, redirectUri: backend + "/redirect" }))
        } else {
            show(help, h("p.txt-hint", null, "Fill in the slug, of a-z, 0-9 and -: then the redirect URI for the provider stands here."))
        }
    }
    update()
    slug.addEventListener("input", update)
    fields.prepend(help)
}

// slugField waits for the field: the form has its values a moment after it opened.
async function slugField(form) {
    for (let i = 0; i < 40; i++) {
        const field = form.querySelector('[name="slug"]')
        if (field && (field.value || i > 5)) return field
        await new Promise(resume => setTimeout(resume, 50))
    }
}
