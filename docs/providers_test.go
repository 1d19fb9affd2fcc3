package docs

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"plugin-oauth/hooks/oauth"
)

// generatedMark divides providers.md: what stands behind it is written by TestProvidersAreCurrent.
const generatedMark = "<!-- From here on generated: UPDATE_DOCS=1 go test ./docs -->\n"

// The lists of providers.md say what presets.json says. With UPDATE_DOCS=1 they are written anew.
func TestProvidersAreCurrent(t *testing.T) {
	t.Parallel()
	written, generated, found := strings.Cut(find(t, "docs/providers.md").text, generatedMark)
	if !found {
		t.Fatal("providers.md has lost its mark")
	}
	if want := fmt.Sprintf("knows %d providers", len(oauth.Presets())); !strings.Contains(written, want) {
		t.Errorf("providers.md does not say: %s", want)
	}
	current := listProviders(written)
	if generated == current {
		return
	}
	if os.Getenv("UPDATE_DOCS") != "1" {
		t.Fatal("providers.md is not current: run UPDATE_DOCS=1 go test ./docs, and commit what it writes")
	}
	if err := os.WriteFile("providers.md", []byte(written+generatedMark+current), 0o644); err != nil {
		t.Fatal(err)
	}
}

// listProviders returns a table and a paragraph for each provider. Those that have a section of their own in
// what is written by hand get a link to it.
func listProviders(written string) string {
	var table, paragraphs strings.Builder
	table.WriteString("\n| Provider | `PROVIDER` | Between scopes | For a refresh token | `/revoke` | " +
		"Browsers may call |\n" +
		"| --- | --- | --- | --- | --- | --- |\n")
	for _, preset := range oauth.Presets() {
		fmt.Fprintf(&table, "| [%s](#%s) | `%s` | %s | %s | %s | %s |\n", preset.Title,
			anchor(preset.Title), preset.Name, betweenScopes(preset), forRefresh(preset), revocation(preset),
			preset.CORS)
		fmt.Fprintf(&paragraphs, "\n### %s\n\n%s\n", preset.Title,
			strings.Join(describe(preset, written), "\n"))
	}
	return table.String() + paragraphs.String()
}

func betweenScopes(preset oauth.Preset) string {
	return map[string]string{" ": "spaces", ",": "commas"}[preset.ScopeSeparator]
}

func forRefresh(preset oauth.Preset) string {
	if preset.RefreshScope == "" {
		return ""
	}
	return "`" + preset.RefreshScope + "`"
}

func revocation(preset oauth.Preset) string {
	switch {
	case preset.RevokeEndpoint == "":
		return "–"
	case preset.RevokeToken != "":
		return preset.RevokeToken + " token"
	default:
		return "yes"
	}
}

// describe returns the lines of a provider's paragraph.
func describe(preset oauth.Preset, written string) (lines []string) {
	add := func(line string) {
		if line != "" {
			lines = append(lines, line)
		}
	}
	first := fmt.Sprintf("`PROVIDER=%s`.", preset.Name)
	if preset.Console != "" {
		first += fmt.Sprintf(" Make an app at <%s>.", preset.Console)
	}
	if heading := preset.Title + ": step by step"; strings.Contains(written, "\n### "+heading+"\n") {
		first += fmt.Sprintf(" [Step by step](#%s).", anchor(heading))
	}
	add(first)
	add(escape(preset.Hint))
	add(describeScopes(preset))
	add(escape(preset.RefreshNote))
	add(describeTenant(preset.Tenant))
	if preset.SignedSecret != nil {
		add("`CLIENT_SECRET` is the content of a key's file; `TEAM_ID` and `KEY_ID` belong to it.")
	}
	if preset.RedirectName != "" {
		add(fmt.Sprintf("It knows the redirect URI by a name: `REDIRECT_NAME`, such as `%s`.",
			preset.RedirectName))
	}
	if preset.RevokeToken != "" && preset.RevokeEndpoint != "" {
		add(fmt.Sprintf("For `/revoke`, send the %s token.", preset.RevokeToken))
	}
	api := escape(preset.DescribeAPI())
	if preset.CORS == oauth.CORSNo {
		api = strings.Replace(api, "/fetch", "[`/fetch`](api-calls.md)", 1)
	}
	add(api)
	add(fmt.Sprintf("Endpoints: `%s` and `%s`.", preset.AuthorizeEndpoint, preset.TokenEndpoint))
	return lines
}

func describeScopes(preset oauth.Preset) string {
	var sentences []string
	if len(preset.Scopes) > 0 {
		var scopes []string
		for _, scope := range preset.Scopes {
			scopes = append(scopes, fmt.Sprintf("`%s` (%s)", scope.Scope, escape(lowerFirst(scope.Allows))))
		}
		sentences = append(sentences, "Scopes to copy: "+strings.Join(scopes, ", ")+".")
	}
	if between := betweenScopes(preset); between != "" {
		sentences = append(sentences, "In `SCOPE`, put "+between+" between.")
	}
	if preset.ScopeRequired {
		sentences = append(sentences, "A login without a scope is refused.")
	}
	return strings.Join(sentences, " ")
}

func describeTenant(t *oauth.Tenant) string {
	switch {
	case t == nil:
		return ""
	case t.Fixed:
		return fmt.Sprintf("`TENANT` is yours, such as `%s`.", t.Example)
	case t.Default != "":
		return fmt.Sprintf("`TENANT` is the %s, such as `%s`. If it is blank, it is `%s`, unless the plugin "+
			"sends `%s`.",
			t.Name, t.Example, t.Default, t.Name)
	default:
		return fmt.Sprintf("`TENANT` is the %s, such as `%s`. If it is blank, the plugin sends `%s`.",
			t.Name, t.Example, t.Name)
	}
}

// lowerFirst makes the first letter small, but for words such as PDF.
func lowerFirst(text string) string {
	if len(text) > 1 && text[1] >= 'a' && text[1] <= 'z' || strings.HasPrefix(text, "A ") {
		return strings.ToLower(text[:1]) + text[1:]
	}
	return text
}

// escape keeps Markdown from reading signs in a text as its own.
func escape(text string) string {
	return strings.NewReplacer("*", `\*`, "_", `\_`, "<", "&lt;", "|", `\|`, "`", "\\`").Replace(text)
}
