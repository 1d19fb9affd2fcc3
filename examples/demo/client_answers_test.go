package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"plugin-oauth/hooks/oauth"
	"plugin-oauth/internal/browser"
)

// Who is busy is asked again only when it says so, or after five minutes.
func testBusy(t *testing.T, p *plugin) {
	p.provider.keeps.Store(true) // each case begins with the same refresh token
	p.signIn()
	kept := browser.Evaluate[string](t, p.tab, "Object.values(localStorage)[0]")
	const busy, page = `{"error":"temporarily_unavailable"}`, "<h1>The machine is starting.</h1>"
	const past, future = "Wed, 21 Oct 2015 07:28:00 GMT", "Mon, 21 Oct 2199 07:28:00 GMT"
	p.run("passed = 0, now = performance.now.bind(performance), performance.now = () => now() + passed")
	for _, test := range []struct {
		name  string
		with  answer
		early int // seconds after which it is still left alone; 0: it never is
		late  int // seconds after which it is asked again
	}{
		{name: "seconds", with: answer{status: 429, body: busy, retryAfter: "120"}, early: 110, late: 120},
		{name: "a restart", with: answer{status: 503, body: busy, retryAfter: "30"}, early: 20, late: 30},
		{name: "a proxy", with: answer{status: 503, body: page, retryAfter: "30"}, early: 20, late: 30},
		{name: "a day", with: answer{status: 429, body: busy, retryAfter: "86400"}, early: 280, late: 300},
		{name: "a date", with: answer{status: 429, body: busy, retryAfter: future}, early: 280, late: 300},
		{name: "a date of the past", with: answer{status: 429, body: busy, retryAfter: past}},
		{name: "at once", with: answer{status: 429, body: busy, retryAfter: "0"}},
		{name: "nonsense", with: answer{status: 429, body: busy, retryAfter: "soon"}},
		{name: "nothing", with: answer{status: 503, body: busy}},
		{name: "another status", with: answer{status: 502, body: busy, retryAfter: "30"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := p.in(t)
			p.store(kept)
			p.expireIn(-1000)
			p.front.refreshAnswer.Store(&test.with)
			before := p.front.refreshes.Load()
			ask := func(later int, want string) (times int64) {
				p.run(fmt.Sprintf("passed += %d * 1000, watch(auth.accessToken())", later))
				p.ends(want)
				return p.front.refreshes.Load() - before
			}
			ask(0, "unavailable: ")
			asked := ask(test.early, "unavailable: ")
			if leftAlone := asked == 1; leftAlone != (test.early > 0) {
				t.Errorf("after %d s it was asked %d times", test.early, asked)
			}
			p.front.refreshAnswer.Store(nil)
			if now := ask(test.late-test.early, `"`); now != asked+1 {
				t.Errorf("after %d s it was asked %d times", test.late, now)
			}
		})
	}
}

// Tokens are found where the backend finds them, and the client works with those.
func testTokensAtAnyDepth(t *testing.T, p *plugin) {
	p.run(`answer = null, sent = "", fetch = async (address, init) => {
		if (address.headers) sent = address.headers.get("Authorization")
		return new Response(address.url ? "" : address.endsWith("/authorize")
			? '{"url":"https://provider.example","readKey":"RK"}' : answer)
	}, attempts = 0, signInWith = json => {
		answer = json
		nested = createAuth({ backend: query.get("backend"), open() {}, storageKey: "" + ++attempts })
		watch(nested.signIn().then(async tokens => {
			await nested.fetch("https://api.example")
			return [sent, tokens.refresh_token, tokens.expires_in, tokens.kept].join()
		}))
	}`)
	const none = "server_error: The sign-in failed."
	for _, test := range []struct{ name, answer, want string }{
		{
			name:   "flat",
			answer: `{"access_token":"a","refresh_token":"r","expires_in":60,"kept":1}`,
			want:   `"Bearer a,r,60,1"`,
		},
		{
			name:   "TikTok's data",
			answer: `{"data":{"access_token":"a","refresh_token":"r","expires_in":60},"kept":1}`,
			want:   `"Bearer a,r,60,1"`,
		},
		{
			name:   "Slack's person",
			answer: `{"kept":1,"authed_user":{"access_token":"a","refresh_token":"r"}}`,
			want:   `"Bearer a,r,,1"`,
		},
		{
			name:   "Slack's bot and person",
			answer: `{"access_token":"b","authed_user":{"access_token":"a"}}`,
			want:   `"Bearer b,,,"`,
		},
		{
			name:   "in a list",
			answer: `{"accounts":[null,{"name":"x"},{"access_token":"a"}]}`,
			want:   `"Bearer a,,,"`,
		},
		{name: "deep", answer: `{"a":{"b":[[{"c":{"access_token":"a"}}]]}}`, want: `"Bearer a,,,"`},
		{
			name:   "blank above",
			answer: `{"access_token":" ","data":{"access_token":"a"}}`,
			want:   `"Bearer a,,,"`,
		},
		{
			name:   "refresh token between two levels",
			answer: `{"kept":1,"data":{"refresh_token":"r","expires_in":60,"token":{"access_token":"a"}}}`,
			want:   `"Bearer a,r,60,1"`,
		},
		{
			name:   "refresh tokens at two levels",
			answer: `{"refresh_token":"far","data":{"refresh_token":"near","token":{"access_token":"a"}}}`,
			want:   `"Bearer a,near,,"`,
		},
		{name: "ID token alone", answer: `{"id_token":"i","refresh_token":"r"}`, want: `"Bearer i,r,,"`},
		{
			name:   "ID token alone, nested",
			answer: `{"data":{"id_token":"i"},"kept":1}`,
			want:   `"Bearer i,,,1"`,
		},
		{
			name:   "ID token above an access token",
			answer: `{"id_token":"i","data":{"access_token":"a"}}`,
			want:   `"Bearer a,,,"`,
		},
		{name: "nothing", answer: `{}`, want: none},
		{name: "blank", answer: `{"access_token":"","id_token":"\n"}`, want: none},
		{name: "numbers", answer: `{"access_token":1,"data":{"id_token":2}}`, want: none},
		{name: "lists", answer: `{"access_token":["a"]}`, want: none},
		{name: "only words", answer: `{"data":"access_token","list":["id_token"]}`, want: none},
		{
			name:   "an error of the provider",
			answer: `{"error":"bad_verification_code"}`,
			want:   "bad_verification_code: ",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := p.in(t)
			p.run("signInWith(" + strconv.Quote(test.answer) + ")")
			p.ends(test.want)
			wanted := strings.HasPrefix(test.want, `"Bearer `)
			if got := backendTakes(t, test.answer); got != wanted {
				t.Errorf("for the backend it is a success: %t", got)
			}
		})
	}
}

// backendTakes reports whether the answer of a token endpoint is a success for the backend.
func backendTakes(t *testing.T, answer string) bool {
	t.Helper()
	tokenEndpoint := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, answer)
	}))
	client := oauth.Client{
		ClientID: clientID, ClientSecret: clientSecret, TokenEndpoint: tokenEndpoint,
	}.Complete()
	endpoint := oauth.Endpoint{HTTP: oauth.NewHTTPClient(oauth.DefaultTimeout)}
	_, err := endpoint.Refresh(t.Context(), &client, "RT")
	return err == nil
}

// The parameters of one sign-in are sent in a form, which needs no preflight, and not with the next.
func testParametersOfASignIn(t *testing.T, p *plugin) {
	requests := make(chan string, 10)
	at := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if r.URL.Path == "/authorize" {
			requests <- r.Method + " " + r.URL.RawQuery + " " + string(body)
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		newFront(p.backend, false).ServeHTTP(w, r)
	}))
	p.run("auth = createAuth({ backend: '" + at + "', parameters: { shop: 'my store', prompt: 'none' } })")
	for _, test := range []struct{ options, want string }{
		{
			options: "{ parameters: { prompt: 'select_account', login_hint: 'a+b@example.com' } }",
			want:    "POST  shop=my+store&prompt=select_account&login_hint=a%2Bb%40example.com",
		},
		{options: "{}", want: "POST  shop=my+store&prompt=none"},
	} {
		p.run("options = " + test.options)
		p.submit(p.click())
		p.ends(`{"`)
		if got := <-requests; got != test.want {
			t.Errorf("sent is %s, want %s", got, test.want)
		}
	}
	if len(requests) != 0 {
		t.Errorf("there is one more: %s", <-requests)
	}
}

// A provider may know how to revoke only one type of token.
func testBothTokensAreRevoked(t *testing.T, p *plugin) {
	p.run(`ended = [], send = fetch, unsupported = "", fetch = (address, init) => {
		if (!address.endsWith?.("/revoke")) return send(address, init)
		const type = init.body.get("token_type_hint")
		ended.push(type + " " + init.body.get("token"))
		return type !== unsupported ? send(address, init)
			: Promise.resolve(new Response('{"error":"unsupported_token_type"}', { status: 400 }))
	}`)
	for _, unsupported := range []string{"refresh_token", "access_token"} {
		p.signIn()
		p.run("ended = [], unsupported = '" + unsupported + "'")
		kept := p.stored().Tokens
		p.run("watch(auth.signOut())")
		p.ends(`"done"`)
		p.status("signedOut")
		got := browser.Evaluate[string](t, p.tab, "ended.join()")
		want := "refresh_token " + kept.RefreshToken + ",access_token " + kept.AccessToken
		if got != want {
			t.Errorf("without %s it ends %s, want %s", unsupported, got, want)
		}
	}
	// An ID token cannot be revoked.
	p.store(`{"tokens":{"access_token":"i","id_token":"i","refresh_token":"r"},"expires":0}`)
	p.run("ended = [], watch(auth.signOut())")
	p.ends(`"done"`)
	if got := browser.Evaluate[string](t, p.tab, "ended.join()"); got != "refresh_token r" {
		t.Errorf("it ends %s", got)
	}
}
