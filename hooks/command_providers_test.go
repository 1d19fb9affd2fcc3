package hooks

import (
	"os"
	"strings"
	"testing"
	"unicode/utf8"

	"plugin-oauth/hooks/oauth"
	"plugin-oauth/internal/testkit"
)

// The list of providers needs no data folder, and makes none.
func TestProvidersCommand(t *testing.T) {
	t.Parallel()
	p := testkit.NewProcess(t)
	out, code := p.Run("providers")
	if code != 0 {
		t.Errorf("exit %d\n%s", code, out)
	}
	expectColumns(t, out)
	listed := strings.Join(strings.Fields(out), " ")
	for _, preset := range oauth.Presets() {
		words := strings.Fields(preset.Name + " " + preset.Title + ": " + preset.Hint)
		row := strings.TrimSuffix(strings.Join(words, " "), ":")
		if !strings.Contains(out, "\n"+preset.Name+" ") || !strings.Contains(listed, row) {
			t.Errorf("%s is not listed", preset.Name)
		}
	}
	out, code = p.Run("providers", "GOOGLE")
	if code != 0 || !strings.HasPrefix(out, "Google\n") {
		t.Errorf("exit %d\n%s", code, out)
	}
	out, code = p.Run("providers", "google-sheets")
	if code != 1 || out != "plugin-oauth: \"google-sheets\" is unknown; did you mean google?\n" {
		t.Errorf("exit %d\n%s", code, out)
	}
	out, code = p.Run("providers", "gogle")
	if code != 1 || out != "plugin-oauth: \"gogle\" is unknown; did you mean google?\n" {
		t.Errorf("exit %d\n%s", code, out)
	}
	out, code = p.Run("providers", "acme")
	if code != 1 || !strings.Contains(out, "plugin-oauth providers lists") {
		t.Errorf("exit %d\n%s", code, out)
	}
	if entries, err := os.ReadDir(p.Dir); err != nil || len(entries) != 0 {
		t.Errorf("the folder holds %v, %v", entries, err)
	}
}

// A provider is shown with everything that its preset says.
func TestProviderShown(t *testing.T) {
	t.Parallel()
	for _, preset := range oauth.Presets() {
		t.Run(preset.Name, func(t *testing.T) {
			t.Parallel()
			var out strings.Builder
			command := NewProvidersCommand()
			command.SetOut(&out)
			command.SetArgs([]string{strings.ToUpper(preset.Name)})
			if err := command.Execute(); err != nil {
				t.Fatal(err)
			}
			// Sentences are wrapped.
			shown := strings.Join(strings.Fields(out.String()), " ")
			for _, fact := range []string{
				preset.Title, "PROVIDER=" + preset.Name + " ", preset.AuthorizeEndpoint,
				preset.TokenEndpoint, preset.RefreshEndpoint, preset.RevokeEndpoint, preset.AuthorizeParams,
				preset.TokenParams, preset.RefreshScope, preset.Console, preset.Hint, preset.Issuer,
				"redirect URI is http://localhost:8787/redirect", "/SLUG/redirect", preset.RefreshNote,
				preset.CodeParams, string(preset.TokenFormat),
				preset.RedirectName, strings.Join(preset.LoginParams, ","),
				strings.Join(preset.RedirectParams, ","), strings.Join(preset.APIHosts, ", "),
				preset.DescribeAPI(),
			} {
				if !strings.Contains(shown, fact) {
					t.Errorf("%q is not shown\n%s", fact, out.String())
				}
			}
			for _, scope := range preset.Scopes {
				if !strings.Contains(shown, " "+scope.Scope+" "+scope.Allows) {
					t.Errorf("%s is not shown\n%s", scope.Scope, out.String())
				}
			}
			expectNothingElse(t, preset, out.String())
		})
	}
}

// expectNothingElse checks that nothing is said of what the preset has not, and that it fits a terminal.
func expectNothingElse(t *testing.T, preset oauth.Preset, out string) {
	t.Helper()
	for _, said := range []struct {
		text string
		want bool
	}{
		{text: "SCOPE", want: preset.HasScopes()},
		{text: "Some to copy", want: len(preset.Scopes) > 0},
		{text: "refuses a login without one", want: preset.ScopeRequired},
		{text: "Refresh tokens:", want: preset.RefreshNote != ""},
		{text: "TENANT:", want: preset.Tenant != nil},
		{text: "   TENANT=\n", want: preset.Tenant != nil},
		{text: "   TEAM_ID=\n   KEY_ID=\n", want: preset.SignedSecret != nil},
		{text: "   REDIRECT_NAME=", want: preset.RedirectName != ""},
		{text: "   API_HOSTS=on\n", want: preset.CORS == oauth.CORSNo && len(preset.APIHosts) > 0},
		{text: "   API_HOSTS=\n", want: preset.CORS == oauth.CORSNo && len(preset.APIHosts) == 0},
		{text: "/fetch", want: preset.CORS != oauth.CORSYes},
	} {
		if strings.Contains(out, said.text) != said.want {
			t.Errorf("%q is said: %t\n%s", said.text, !said.want, out)
		}
	}
	expectColumns(t, out)
}

// expectColumns checks that no line is wider than 100 columns.
func expectColumns(t *testing.T, out string) {
	t.Helper()
	for line := range strings.Lines(out) {
		if utf8.RuneCountInString(strings.TrimSuffix(line, "\n")) > 100 {
			t.Errorf("longer than 100 columns: %s", line)
		}
	}
}
