// This is what plugins in the field do: authorize, open, poll on a timer, keep the tokens, refresh, revoke.
const backend = "{{.Backend}}";
const pollInterval = 2500;
const element = id => document.getElementById(id);

function show(text, bad = false) {
	const tokens = JSON.parse(localStorage.getItem("tokens"));
	element("status").textContent = text;
	element("status").className = bad ? "bad" : "";
	element("profile").hidden = element("refresh").hidden = element("signOut").hidden = !tokens;
	element("signIn").hidden = Boolean(tokens);
	if (!tokens) return;
	const claims = JSON.parse(atob(tokens.id_token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/")));
	element("person").textContent = claims.sub;
	element("ends").textContent = new Date(tokens.stored + tokens.expires_in * 1000).toLocaleTimeString();
}

function store(tokens, old = {}) {
	localStorage.setItem("tokens", JSON.stringify({ ...old, ...tokens, stored: Date.now() }));
}

element("signIn").onclick = async () => {
	element("signIn").disabled = true;
	const page = window.open("about:blank"); // in the click itself: after an await Safari blocks it
	try {
		const response = await fetch(`${backend}/authorize`, { method: "POST" });
		if (response.status !== 200) throw new Error("The backend is not ready.");
		const { url, readKey } = await response.json();
		if (page) {
			page.location.href = url;
			page.opener = null; // only now: before, Safari would not set the address
		}
		element("again").href = url; // for whom no window came, or who has closed it
		element("again").hidden = false;
		show("Finish the sign-in in the other window …");
		store(await waitForTokens(readKey));
		show("You are signed in.");
	} catch (error) {
		if (element("again").hidden) page?.close();
		show(error.message, true);
	}
	element("again").hidden = true;
	element("signIn").disabled = false;
};

function waitForTokens(readKey) {
	return new Promise((resolve, reject) => {
		const timer = setInterval(async () => {
			const response = await fetch(`${backend}/poll?readKey=${encodeURIComponent(readKey)}`, { method: "POST" }).catch(() => null);
			if (!response || response.status === 404 || response.status >= 500) return; // not yet, or a passing fault
			clearInterval(timer);
			const answer = await response.json();
			if (response.status === 200) resolve(answer);
			else reject(new Error(answer.error_description));
		}, pollInterval);
	});
}

element("refresh").onclick = async () => {
	const old = JSON.parse(localStorage.getItem("tokens"));
	const response = await fetch(`${backend}/refresh?code=${encodeURIComponent(old.refresh_token)}`, { method: "POST" });
	const answer = await response.text();
	if (response.status < 429 && answer.startsWith("invalid_grant")) {
		localStorage.removeItem("tokens");
		return show("Please sign in again.", true);
	}
	if (response.status !== 200) return show(answer, true); // a passing fault, or the backend's settings
	store(JSON.parse(answer), old);
	show("The tokens are fresh.");
};

element("signOut").onclick = async () => {
	const { refresh_token } = JSON.parse(localStorage.getItem("tokens"));
	localStorage.removeItem("tokens");
	const response = await fetch(`${backend}/revoke?token=${encodeURIComponent(refresh_token)}`, { method: "POST" });
	if (response.status === 200) show("You are signed out.");
	else show("You are signed out here, but the provider did not end the access.", true);
};

show(localStorage.getItem("tokens") ? "You are signed in." : "Sign in to see who you are.");
