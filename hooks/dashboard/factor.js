import { h, show } from "./dom.js"

/**
 * Says how to turn on a second factor for admins, unless it is on.
 * @param {HTMLElement} part
 */
export async function secondFactor(part) {
	try {
		const { mfa } = await app.pb.send("/api/collections/_superusers/auth-methods", {
			method: "GET", requestKey: null,
		})
		if (mfa?.enabled) return
	} catch {
		return // the rest of the page says that the service does not answer
	}
	show(part, h("p.txt-hint", null,
		"Admins sign in with only a password. For a second factor by email, set up ",
		h("a", { href: "#/settings/mail" }, "a mail server"), ", then open the settings of ",
		h("a", { href: "#/collections?collection=_superusers" }, "_superusers"),
		" and enable One-time password (OTP) and Multi-factor authentication (MFA) under Options."))
}
