package main

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
)

// The stand-in for Notion's API refuses what Notion refuses, in the same form.
func TestNotion(t *testing.T) {
	t.Parallel()
	issuer := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer AT" {
			w.WriteHeader(http.StatusForbidden)
		}
	}))
	for _, test := range []struct {
		name, target, body string
		header             http.Header
		want               string
	}{
		{
			name: "no token", target: "POST /v1/search", body: "{}",
			header: http.Header{"Notion-Version": {"2022-06-28"}}, want: "unauthorized",
		},
		{
			name: "no version", target: "POST /v1/search", body: "{}",
			header: http.Header{"Authorization": {"Bearer AT"}}, want: "missing_version",
		},
		{name: "no JSON", target: "POST /v1/search", want: "invalid_json"},
		{name: "other method", target: "GET /v1/search", want: "invalid_request_url"},
		{name: "other path", target: "POST /v1/pages", body: "{}", want: "invalid_request_url"},
		{name: "other database", target: "POST /v1/databases/x/query", body: "{}", want: "object_not_found"},
		{
			name: "other cursor", target: "POST /v1/search", body: `{"start_cursor":"x"}`,
			want: "validation_error",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			method, path, _ := strings.Cut(test.target, " ")
			address, body := serve(t, newNotion(issuer))+path, strings.NewReader(test.body)
			request, err := http.NewRequestWithContext(t.Context(), method, address, body)
			if err != nil {
				t.Fatal(err)
			}
			request.Header = test.header
			if request.Header == nil {
				request.Header = http.Header{"Authorization": {"Bearer AT"}, "Notion-Version": {"2022-06-28"}}
			}
			response, err := http.DefaultClient.Do(request)
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			var answer struct {
				Status int
				Code   string
			}
			if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
				t.Fatal(err)
			}
			if answer.Code != test.want || answer.Status != response.StatusCode {
				t.Errorf("it answers %d: %+v, want %s", response.StatusCode, answer, test.want)
			}
		})
	}
}
