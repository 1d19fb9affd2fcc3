package views_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/a-h/templ"

	"plugin-oauth/views"
)

const nonce = "nonce-of-the-test"

// render returns the HTML of a page.
func render(t *testing.T, page templ.Component) string {
	t.Helper()
	var html strings.Builder
	if err := page.Render(templ.WithNonce(t.Context(), nonce), &html); err != nil {
		t.Fatal(err)
	}
	return html.String()
}

// expectParts fails if a page lacks one of the wanted parts, or has one of the unwanted.
func expectParts(t *testing.T, html string, wanted, unwanted []string) {
	t.Helper()
	for _, part := range wanted {
		if !strings.Contains(html, part) {
			t.Errorf("%q is missing in\n%s", part, html)
		}
	}
	for _, part := range unwanted {
		if strings.Contains(html, part) {
			t.Errorf("%q is in\n%s", part, html)
		}
	}
}

// english is the first language.
var english = views.Languages()[0]

func TestShowResult(t *testing.T) {
	t.Parallel()
	const (
		closeIt = `<p class="next">You can close this window and return to <bdi>Framer</bdi>.</p>`
		again   = `<p class="next">Close this window, return to <bdi>Framer</bdi> and start the sign-in ` +
			`again.</p>`
		waits = `<p class="next">If the plugin still seems to wait, close it and open it again.</p>`
		text  = `<p>There is no such address.</p>`
	)
	said := []views.Sentence{views.Words.NoSuchAddress}
	for name, test := range map[string]struct {
		result   views.Result
		title    string
		wanted   []string
		unwanted []string
	}{
		"success": {
			result: views.Result{
				Kind: views.Success, Title: views.Words.SignedIn, Plugin: "Sheets", Provider: "Google",
			},
			title: "You are signed in",
			wanted: []string{
				`<main class="success">`,
				"</h1><p><bdi>Sheets</bdi> is connected to <bdi>Google</bdi>.</p>" + closeIt,
			},
			unwanted: []string{`class="plugin"`, `class="code"`, again, waits, `class="back"`},
		},
		"success without a name": {
			result: views.Result{
				Kind: views.Success, Title: views.Words.SignedIn, Provider: "127.0.0.1",
			},
			title:    "You are signed in",
			wanted:   []string{"<p>The plugin is connected to <bdi>127.0.0.1</bdi>.</p>" + closeIt},
			unwanted: []string{`class="plugin"`},
		},
		"denied": {
			result: views.Result{
				Kind: views.Denied, Title: views.Words.Cancelled, Text: said, Plugin: "Sheets",
			},
			title: "Sign-in cancelled",
			wanted: []string{
				`<main class="denied">`, `><bdi>Sheets</bdi></p>` + text + closeIt + waits,
			},
			unwanted: []string{`class="code"`, again, "connected"},
		},
		"failed": {
			result: views.Result{
				Kind: views.Failed, Title: views.Words.Failed, Text: said, Code: "invalid_scope",
				Author: "Check SCOPE.", ReturnURL: "framer://open?a=b&c=d",
			},
			title: "Sign-in failed",
			wanted: []string{
				`<main class="failed">`, text + closeIt + waits,
				`<p class="code" lang="en" dir="ltr">For the plugin’s author: <code>invalid_scope</code>. ` +
					`Check SCOPE.</p>`,
				`<p class="back"><a href="framer://open?a=b&amp;c=d" rel="noreferrer">` +
					`Return to <bdi>Framer</bdi></a></p>`,
			},
			unwanted: []string{`class="plugin"`, again},
		},
		"expired": {
			result:   views.Result{Kind: views.Expired, Title: views.Words.TookTooLong},
			title:    "This sign-in took too long",
			wanted:   []string{`<main class="expired">`, again + waits},
			unwanted: []string{closeIt, `class="plugin"`, `class="code"`},
		},
		"notice": {
			result:   views.Result{Kind: views.Notice, Title: views.Words.NothingHere},
			title:    "Nothing here",
			wanted:   []string{`<main class="notice">`, closeIt},
			unwanted: []string{again, waits},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test.result.ReturnApp = "Framer"
			html := render(t, views.ShowResult(english, test.result))
			wanted := append(test.wanted, "<title>"+test.title+"<", "<h1>"+test.title+"</h1>",
				`history.replaceState(null, "", location.origin + location.pathname)`,
				`<html lang="en" dir="ltr">`)
			expectParts(t, html, wanted, append(test.unwanted, `http-equiv="refresh"`, "<form",
				`name="referrer"`))
		})
	}
}

func TestShowQuestion(t *testing.T) {
	t.Parallel()
	started := time.Date(2026, 5, 4, 12, 30, 0, 0, time.FixedZone("", 2*60*60))
	for name, test := range map[string]struct {
		question views.Question
		wanted   []string
		unwanted []string
	}{
		"here": {
			question: views.Question{Plugin: "Sheets", Ago: 59 * time.Second},
			wanted: []string{
				`<p class="plugin"><bdi>Sheets</bdi></p>`,
				`<time datetime="2026-05-04T10:30:00Z">less than a minute ago</time>.</p><p>If you continue`,
				"whoever started it gets into your <bdi>Google</bdi> account through <bdi>Sheets</bdi>.",
			},
			unwanted: []string{"another network"},
		},
		"elsewhere, without a name": {
			question: views.Question{Elsewhere: true, Ago: 119 * time.Second},
			wanted: []string{
				">a minute ago</time>, on another network than yours.",
				"into your <bdi>Google</bdi> account through this plugin.",
			},
			unwanted: []string{`class="plugin"`},
		},
		"once more": {
			question: views.Question{Again: views.Words.ChooseLater, Ago: 2 * time.Minute},
			wanted: []string{
				">2 minutes ago</time>.",
				"</script><p>Many people are signing in. Please choose in a moment.</p></main>",
			},
		},
		"with fields": {
			question: views.Question{
				Fields: []views.Field{{Name: "state", Value: "s-1"}, {Name: "code", Value: "c-2"}},
			},
			wanted: []string{`<form method="post" class="waits">` +
				`<input type="hidden" name="state" value="s-1"> ` +
				`<input type="hidden" name="code" value="c-2"> ` +
				`<button name="choice" value="cancel">Cancel</button> ` +
				`<button name="choice" value="continue">Continue</button></form>`},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			question := test.question
			question.Provider, question.ReturnApp, question.Started = "Google", "Framer", started
			html := render(t, views.ShowQuestion(english, question))
			wanted := append(test.wanted, `<main class="question">`, "<h1>Did you start this sign-in?</h1>",
				"Continue only if that was you, in <bdi>Framer</bdi>.", "history.replaceState",
				"event.preventDefault()",
				".waits button { animation: wait 1s; }", `<meta name="referrer" content="strict-origin">`)
			unwanted := append(test.unwanted, `http-equiv="refresh"`, `class="next"`, `class="code"`)
			expectParts(t, html, wanted, unwanted)
		})
	}
}

func TestShowRestarting(t *testing.T) {
	t.Parallel()
	html := render(t, views.ShowRestarting(english, views.Restarting{
		Text: views.Words.BeingFinished, Plugin: "Sheets",
	}))
	expectParts(t, html,
		[]string{
			`setTimeout(() => location.reload(), 5000)`, `<main class="expired">`,
			`<noscript><meta http-equiv="refresh" content="5"></noscript>`,
			"<h1>One moment, please</h1>",
			`<p class="plugin"><bdi>Sheets</bdi></p><p>Your sign-in is being finished.</p>` +
				`<p class="next">This page loads again by itself.`,
		},
		// The address must keep the code and the state that the page is loaded again with.
		[]string{"replaceState", "<form", "close this window"})
}

// Whatever a page is told appears as text, and only what has the nonce is run or applied.
func TestEveryPage(t *testing.T) {
	t.Parallel()
	const hostile = `"'><script>alert(1)</script><style>*{}</style>&{app}{plugin}`
	for name, page := range map[string]templ.Component{
		"result": views.ShowResult(english, views.Result{
			Kind: views.Kind(hostile), Title: views.Words.Failed, Code: hostile, Plugin: hostile,
			ReturnApp: hostile, Author: hostile, ReturnURL: hostile,
		}),
		"success": views.ShowResult(english, views.Result{
			Kind: views.Success, Title: views.Words.SignedIn, Plugin: hostile, ReturnApp: hostile,
			Provider: hostile,
		}),
		"question": views.ShowQuestion(english, views.Question{
			Plugin: hostile, ReturnApp: hostile, Provider: hostile,
			Fields: []views.Field{{Name: hostile, Value: hostile}},
		}),
		"restarting": views.ShowRestarting(english, views.Restarting{Plugin: hostile}),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			html := render(t, page)
			wanted := []string{"<!doctype html>", "&lt;script&gt;alert(1)"}
			expectParts(t, html, wanted, []string{"<script>", "<style>", `"'>`})
			tags := regexp.MustCompile(`<(?:script|style)\b[^>]*>`).FindAllString(html, -1)
			for _, tag := range tags {
				if !strings.Contains(tag, `nonce="`+nonce+`"`) {
					t.Errorf("%s has no nonce", tag)
				}
			}
			if len(tags) == 0 {
				t.Error("there is no style")
			}
			// A page loads nothing, so that it works wherever the person is, and tells nobody.
			loads := regexp.MustCompile(`<link[^>]*>|src="[^"]*"`).FindAllString(html, -1)
			if !slices.Equal(loads, []string{`<link rel="icon" href="data:,">`}) {
				t.Errorf("the page loads %q", loads)
			}
		})
	}
}
