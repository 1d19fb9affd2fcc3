package main

import (
	"testing"

	"plugin-oauth/internal/browser"
)

// A plugin says everything in the words that its author gives, and in ours where there are none.
func testMessages(t *testing.T, p *plugin) {
	p.run(`answering = body => fetch = async () => new Response(body, { status: 400 }),
		signInWith = messages => {
			told = createAuth({ backend: query.get("backend"), open() {}, messages })
			told.onChange(({ error }) => error && (shown = error.message))
			watch(told.signIn())
		}, shown = ""`)
	const described = `{"error":"invalid_scope","error_description":"From the backend."}`
	for _, test := range []struct{ name, answer, messages, want string }{
		{
			name: "by code", answer: `{"error":"access_denied","error_description":"From the backend."}`,
			messages: `{ access_denied: "Abgebrochen.", other: "Sonst." }`,
			want:     "access_denied: Abgebrochen.",
		},
		{
			name: "another code", answer: described, messages: `{ access_denied: "x", other: "Sonst." }`,
			want: "invalid_scope: Sonst.",
		},
		{
			name: "the backend's code", answer: described,
			messages: `{ invalid_scope: "Genau.", other: "Sonst." }`, want: "invalid_scope: Genau.",
		},
		{
			name: "not other", answer: `{"error":"expired_token"}`, messages: `{ other: "Sonst." }`,
			want: "expired_token: The sign-in took too long. Please start again.",
		},
		{name: "none", answer: described, messages: "{}", want: "invalid_scope: From the backend."},
		{
			name: "inherited", answer: `{"error":"toString"}`, messages: "{}",
			want: "toString: The sign-in failed. Please try again.",
		},
		{
			name: "blank", answer: `{"error":"access_denied"}`, messages: `{ access_denied: "" }`,
			want: "access_denied: The sign-in was cancelled.",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := p.in(t)
			p.run("answering('" + test.answer + "'), signInWith(" + test.messages + ")")
			p.ends(test.want)
			const isSame = "outcome === told.state.error.code + ': ' + shown"
			if !browser.Evaluate[bool](t, p.tab, isSame) {
				t.Error("the state has another message")
			}
		})
	}
	// All of the client's errors are made alike.
	p.run(`watch(createAuth({
		backend: query.get("backend"), messages: { wrong_address: "Nicht dorthin." },
	}).fetch("http://api.example"))`)
	p.ends("wrong_address: Nicht dorthin.")
	p.run(`watch(createAuth({
		backend: query.get("backend"), messages: { signed_out: "Bitte anmelden." },
	}).accessToken())`)
	p.ends("signed_out: Bitte anmelden.")
	p.run(`watch(createAuth({
		backend: query.get("backend"), messages: { unavailable: "Nicht lesbar." },
		storage: { getItem: async () => { throw Error("broken") }, setItem() {}, removeItem() {} },
	}).accessToken())`)
	p.ends("unavailable: Nicht lesbar.")
}
