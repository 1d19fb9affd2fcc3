// The Sign-ins page of plugin-oauth in PocketBase's dashboard. PocketBase calls its extension API experimental, so whatever is
// missing is left out: the collections serve without it.
const app = window.app
const folder = new URL("/_/extensions/sign-ins/", location.href)

if (app?.pb?.send && app.routes?.superuserOnly && app.store?.headerLinks?.unshift) {
    const style = document.createElement("link")
    style.rel = "stylesheet"
    style.href = new URL("style.css", folder)
    document.head.append(style)

    app.routes.superuserOnly("#/sign-ins", async route => {
        app.store.title = "Sign-ins"
        const { signInsPage } = await import(new URL("page.js", folder))
        return signInsPage(route?.query ?? {})
    })
    app.routes.fallbackPath = "#/sign-ins"
    app.store.headerLinks.unshift({ href: "#/sign-ins", icon: "ri-login-circle-line", label: "Sign-ins" })
}

// The form of a plugin's record gets the addresses to paste, and a new plugin is switched on.
const openRecord = app?.modals?.openRecordUpsert
if (openRecord) {
    app.modals.openRecordUpsert = (collection, record, settings, ...more) => {
        if (collection?.name != "plugins") {
            return openRecord(collection, record, settings, ...more)
        }
        if (typeof record != "string" && !record?.id) {
            record = { enabled: true, ...record }
        }
        const onafteropen = form => {
            settings?.onafteropen?.(form)
            import(new URL("plugins.js", folder)).then(module => module.helpAtForm(form))
        }
        return openRecord(collection, record, { ...settings, onafteropen }, ...more)
    }
}
