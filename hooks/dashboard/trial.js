import { duration, h } from "./dom.js"

// testSignIn goes through a whole sign-in as a plugin would, in a window of its own, and says how each step went. Tokens are
// neither shown nor kept: only what there is of them.
export function testSignIn(plugin) {
    // Some providers have an address for each customer. Blank: the preset has a default.
    const tenant = plugin.tenant ? prompt(`The ${plugin.tenant.name} to sign in to, such as ${plugin.tenant.example}`, plugin.tenant.default ?? "") : ""
    if (tenant === null) return
    const ended = new AbortController()
    const steps = h("ol.po-steps", { "aria-live": "polite" })
    const close = h("button.btn.sm.outline", { type: "button", onclick: () => dialog.close() }, "Close")
    const buttons = h("div.po-buttons", null, close)
    const dialog = h("dialog.po.po-dialog", { "aria-label": "Test sign-in", onclose: () => { ended.abort(); dialog.remove() } },
        h("h5", null, "Test sign-in: " + plugin.slug), steps, buttons)
    document.body.append(dialog)
    dialog.showModal()
    // Now, in the click: later a browser would take it for a pop-up.
    const opened = window.open("about:blank", "_blank")
    run(plugin, tenant, opened, steps, buttons, ended.signal)
}

async function run(plugin, tenant, opened, steps, buttons, signal) {
    // In the body, since an address may be logged on its way. Null: no answer.
    const call = (route, parameters = {}) => fetch((plugin.slug == "/" ? "" : "/" + plugin.slug) + route, {
        method: "POST", headers: { Accept: "application/json" }, signal,
        body: new URLSearchParams(tenant ? { [plugin.tenant.name]: tenant, ...parameters } : parameters),
    }).catch(() => null)
    const step = words => {
        const began = performance.now(), result = h("span", null, "…"), line = h("li.po-running", null, h("b", null, words), result)
        steps.append(line)
        const end = tone => text => {
            line.className = "po-" + tone
            result.textContent = `${text} (${duration((performance.now() - began) / 1000)})`
        }
        return { note: text => result.textContent = text, good: end("good"), bad: end("bad") }
    }

    const start = step("Start the sign-in")
    const started = await call("/authorize")
    const login = await started?.json().catch(() => null)
    if (started?.status != 200) {
        opened?.close()
        return start.bad(login?.error_description ?? "The service does not answer.")
    }
    start.good("The service made an address for the provider, and a read key.")

    const signIn = step("Sign in at the provider")
    if (opened) {
        opened.opener = null
        opened.location = login.url
        signIn.note("Sign in in the window that has just opened. This page waits until then.")
    } else {
        const link = h("a.btn.sm", { href: login.url, target: "_blank", rel: "noopener noreferrer" }, "Open the provider")
        buttons.prepend(link)
        signIn.note("The browser did not let a window open. Use the button below. This page waits.")
    }
    let response, answer
    do {
        response = await call("/poll", { readKey: login.readKey, wait: 25 })
        answer = await response?.json().catch(() => null)
        if (!signal.aborted && (!response || response.status >= 500)) await new Promise(resume => setTimeout(resume, 2000))
    } while (!signal.aborted && (!response || response.status >= 500 || answer?.error == "authorization_pending"))
    if (signal.aborted) return
    if (response.status != 200) {
        return signIn.bad(answer?.error == "not_found" ? "The sign-in was ended." : `${answer?.error}: ${answer?.error_description}`)
    }
    signIn.good("The browser came back, and the code was exchanged.")

    step("Tokens").good(describe(answer))
    if (!answer.refresh_token) {
        step("Refresh").bad("There is no refresh token: people must sign in again when the access token ends. That may be as you want it.")
    } else {
        const refresh = step("Refresh")
        const refreshed = await call("/refresh", { refresh_token: answer.refresh_token })
        const renewed = await refreshed?.json().catch(() => null)
        if (refreshed?.status != 200) {
            refresh.bad(renewed?.error_description ?? "The service does not answer.")
        } else {
            refresh.good(renewed.refresh_token && renewed.refresh_token != answer.refresh_token
                ? "A new access token came, and a new refresh token in place of the old." : "A new access token came. The refresh token stays as it is.")
            answer = { ...answer, ...renewed }
        }
    }
    offerRevocation(plugin, answer, call, step, buttons)
}

// describe says what a token response has, without the values that are secret.
function describe(tokens) {
    const words = Object.entries(tokens).map(([name, value]) =>
        ["expires_in", "token_type"].includes(name) && ["number", "string"].includes(typeof value) ? `${name} ${value}` : name)
    return "The plugin would get: " + words.join(", ") + "."
}

// offerRevocation leaves it to the admin to end the access: at some providers that ends the plugin's for this account, too.
function offerRevocation(plugin, tokens, call, step, buttons) {
    if (!plugin.revoke) return
    const token = plugin.revoke == "access" ? tokens.access_token : tokens.refresh_token ?? tokens.access_token
    const button = h("button.btn.sm.outline", { type: "button" }, "End this access at the provider")
    button.addEventListener("click", async () => {
        button.remove()
        const revoke = step("Revoke")
        const revoked = await call("/revoke", { token })
        if (revoked?.status == 200) {
            revoke.good("The provider has ended it.")
        } else {
            revoke.bad((await revoked?.json().catch(() => null))?.error_description ?? "The service does not answer.")
        }
    })
    buttons.prepend(button)
}
