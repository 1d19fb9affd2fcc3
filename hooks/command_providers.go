package hooks

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"plugin-oauth/hooks/oauth"
)

// NewProvidersCommand returns the command that lists the providers that plugin-oauth knows, or shows what to
// paste where for one of them.
func NewProvidersCommand() *cobra.Command {
	return &cobra.Command{
		Use:          "providers [name]",
		Short:        "Lists the providers that plugin-oauth knows, or shows one with what to paste where",
		Example:      "plugin-oauth providers google",
		Args:         cobra.MaximumNArgs(1),
		SilenceUsage: true,
		RunE: func(command *cobra.Command, args []string) error {
			if len(args) == 0 {
				return listPresets(command.OutOrStdout())
			}
			name := strings.ToLower(args[0])
			preset, found := oauth.FindPreset(name)
			if found {
				return showPreset(command.OutOrStdout(), preset)
			}
			fix := "plugin-oauth providers lists those that are known; any other works with " +
				"AUTHORIZE_ENDPOINT and TOKEN_ENDPOINT"
			if similar := oauth.SimilarPresets(name); len(similar) > 0 {
				fix = "did you mean " + strings.Join(similar, " or ") + "?"
			}
			return fmt.Errorf("%q is unknown; %s", args[0], fix)
		},
	}
}

// maxColumns bounds the lines for a terminal.
const maxColumns = 100

func listPresets(out io.Writer) error {
	presets := oauth.Presets()
	longest := 0
	for _, preset := range presets {
		longest = max(longest, len(preset.Name))
	}
	var b strings.Builder
	row := func(first, text string) {
		for _, line := range wrap(text, maxColumns-longest-2) {
			fmt.Fprintf(&b, "%-*s  %s\n", longest, first, line)
			first = ""
		}
	}
	row("PROVIDER", "NAME, AND WHAT IS GOOD TO KNOW")
	for _, preset := range presets {
		row(preset.Name, strings.TrimSuffix(preset.Title+": "+preset.Hint, ": "))
	}
	fmt.Fprintf(&b, "\n%d providers. What to paste where: plugin-oauth providers NAME\n"+
		"Any other provider works too: set AUTHORIZE_ENDPOINT and TOKEN_ENDPOINT.\n", len(presets))
	_, err := io.WriteString(out, b.String())
	return err
}

// showPreset says what to do at the provider and here, and what the preset sets.
func showPreset(out io.Writer, preset oauth.Preset) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n", preset.Title)
	writeWrapped(&b, "", preset.Hint)
	fmt.Fprintf(&b, "\n1. Make an app at %s\n", cmp.Or(preset.Console, "the provider, in its developer "+
		"console."))
	b.WriteString("   Its redirect URI is http://localhost:8787/redirect while you develop, and later\n" +
		"   https://YOUR-HOST/redirect. A plugin of the dashboard has /SLUG/redirect in place of " +
		"/redirect.\n\n")
	if err := writeVariables(&b, preset); err != nil {
		return err
	}
	b.WriteString("\n3. These come with the provider's name. One that you set yourself wins.\n")
	b.WriteString("   With a TOKEN_ENDPOINT of your own, REVOKE_ENDPOINT, ISSUER and what has no name are " +
		"left out.\n\n")
	if err := writePresetTable(&b, preset); err != nil {
		return err
	}
	_, err := io.WriteString(out, b.String())
	return err
}

// writeVariables lists what an author must fill in.
func writeVariables(b *strings.Builder, preset oauth.Preset) error {
	b.WriteString("2. Put this into .env, or into the fields of the dashboard (clientId is CLIENT_ID, and " +
		"so on):\n\n")
	fmt.Fprintf(b, "   PROVIDER=%s\n   CLIENT_ID=\n   CLIENT_SECRET=\n", preset.Name)
	if preset.HasScopes() {
		b.WriteString("   SCOPE=\n")
	}
	if preset.SignedSecret != nil {
		b.WriteString("   TEAM_ID=\n   KEY_ID=\n")
	}
	if preset.Tenant != nil {
		b.WriteString("   TENANT=\n")
	}
	if preset.RedirectName != "" {
		fmt.Fprintf(b, "   REDIRECT_NAME=%s\n", preset.RedirectName)
	}
	if preset.CORS == oauth.CORSNo {
		fmt.Fprintf(b, "   API_HOSTS=%s\n", presetHosts(preset))
	}
	b.WriteString("\n")
	if preset.HasScopes() {
		writeWrapped(b, "   ", explainScope(preset))
	}
	if err := writeScopes(b, preset.Scopes); err != nil {
		return err
	}
	if preset.RefreshNote != "" {
		writeWrapped(b, "   ", "Refresh tokens: "+preset.RefreshNote)
	}
	if preset.Tenant != nil {
		writeWrapped(b, "   ", "TENANT: "+explainTenant(preset.Tenant)+".")
	}
	writeWrapped(b, "   ", explainAPI(preset))
	switch {
	case preset.RevokeEndpoint == "":
		b.WriteString("   /revoke: not known for this provider.\n")
	case preset.RevokeToken != "":
		fmt.Fprintf(b, "   /revoke: send the %s token.\n", preset.RevokeToken)
	}
	return nil
}

// presetHosts is what stands for the preset's hosts in API_HOSTS. It is blank if the preset knows none.
func presetHosts(preset oauth.Preset) string {
	if len(preset.APIHosts) == 0 {
		return ""
	}
	return oauth.APIHostsOfPreset
}

// explainAPI says whether a plugin needs API_HOSTS, and what to write into it.
func explainAPI(preset oauth.Preset) string {
	explained := preset.DescribeAPI()
	switch {
	case preset.CORS == oauth.CORSYes:
		return explained
	case presetHosts(preset) == "":
		return explained + " API_HOSTS: the hosts of your API, with commas between."
	default:
		return explained + " API_HOSTS=" + presetHosts(preset) + " allows these hosts there."
	}
}

// explainScope says what to write into SCOPE.
func explainScope(preset oauth.Preset) string {
	explained := "SCOPE: what the plugin may do."
	if preset.ScopeSeparator != "" {
		separator := map[string]string{" ": "spaces", ",": "commas"}[preset.ScopeSeparator]
		explained += fmt.Sprintf(" Put %s between.", separator)
	}
	if preset.ScopeRequired {
		explained += " The provider refuses a login without one."
	}
	if preset.RefreshScope != "" {
		explained += fmt.Sprintf(" For a refresh token, %s is one of them.", preset.RefreshScope)
	}
	return explained
}

// writeScopes lists scopes to copy.
func writeScopes(b *strings.Builder, scopes []oauth.PresetScope) error {
	if len(scopes) == 0 {
		return nil
	}
	b.WriteString("   Some to copy; the provider's documentation has them all:\n\n")
	table := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	for _, scope := range scopes {
		fmt.Fprintf(table, "     %s\t%s\n", scope.Scope, scope.Allows)
	}
	err := table.Flush()
	b.WriteString("\n")
	return err
}

// writeWrapped writes a text in lines of at most 100 columns, each after an indent. A blank text writes
// nothing.
func writeWrapped(b *strings.Builder, indent, text string) {
	if text == "" {
		return
	}
	for _, line := range wrap(text, maxColumns-len(indent)) {
		b.WriteString(indent + line + "\n")
	}
}

// wrap returns the lines of a text, each as wide as it may be or as a single word is. There is at least one.
func wrap(text string, width int) []string {
	lines := []string{""}
	for _, word := range strings.Fields(text) {
		last := &lines[len(lines)-1]
		switch {
		case *last == "":
			*last = word
		case utf8.RuneCountInString(*last)+1+utf8.RuneCountInString(word) > width:
			lines = append(lines, word)
		default:
			*last += " " + word
		}
	}
	return lines
}

// writePresetTable lists what the preset sets.
func writePresetTable(b *strings.Builder, preset oauth.Preset) error {
	table := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	for _, line := range []struct{ name, value string }{
		{name: "AUTHORIZE_ENDPOINT", value: preset.AuthorizeEndpoint},
		{name: "TOKEN_ENDPOINT", value: preset.TokenEndpoint},
		{name: "(to refresh)", value: preset.RefreshEndpoint},
		{name: "(with the code)", value: preset.CodeParams},
		{name: "TOKEN_PARAMS", value: preset.TokenParams},
		{name: "TOKEN_FORMAT", value: string(preset.TokenFormat)},
		{name: "REVOKE_ENDPOINT", value: preset.RevokeEndpoint},
		{name: "ISSUER", value: preset.Issuer},
		{name: "AUTHORIZE_PARAMS", value: preset.AuthorizeParams},
		{name: "LOGIN_PARAMS", value: strings.Join(preset.LoginParams, ",")},
		{name: "REDIRECT_PARAMS", value: strings.Join(preset.RedirectParams, ",")},
		{name: "TOKEN_AUTH", value: string(preset.TokenAuth)},
		{name: "PKCE", value: cmp.Or(preset.PKCE, "on")},
	} {
		if line.value != "" {
			fmt.Fprintf(table, "   %s\t%s\n", line.name, line.value)
		}
	}
	return table.Flush()
}

// explainTenant says what to write for a tenant.
func explainTenant(t *oauth.Tenant) string {
	switch {
	case t.Fixed:
		return fmt.Sprintf("yours, such as %s", t.Example)
	case t.Default != "":
		return fmt.Sprintf("the %s, such as %s. Blank: %s, unless the plugin sends %s=…", t.Name,
			t.Example, t.Default, t.Name)
	default:
		return fmt.Sprintf("the %s, such as %s. Blank: the plugin sends %s=… with /authorize, /refresh "+
			"and /revoke",
			t.Name, t.Example, t.Name)
	}
}
