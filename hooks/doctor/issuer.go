package doctor

import (
	"context"
	"encoding/json/v2"
	"net/http"
	"strings"

	"plugin-oauth/hooks/oauth"
	"plugin-oauth/hooks/plugins"
)

// checkIssuer compares the plugin's issuer with the one in the provider's metadata (RFC 8414, OpenID Connect
// Discovery), if that is where it is expected. A wrong one makes each login fail whose redirect has iss (RFC
// 9207).
func checkIssuer(
	ctx context.Context, providers *oauth.Endpoint, p *plugins.Plugin, client *oauth.Client,
) []Finding {
	preset, _ := oauth.FindPreset(p.Provider)
	if p.Issuer == "" || p.Issuer == preset.Issuer {
		return nil
	}
	origin := oauth.HostOf(client.AuthorizeEndpoint)
	for _, address := range []string{
		strings.TrimSuffix(client.Issuer, "/") + "/.well-known/openid-configuration",
		origin + "/.well-known/oauth-authorization-server",
		origin + "/.well-known/openid-configuration",
	} {
		issuer := readIssuer(ctx, providers, address, client)
		switch {
		case issuer == client.Issuer:
			return nil
		case issuer != "":
			return []Finding{{
				Level:  LevelError,
				Plugin: label(p),
				What:   "The provider's metadata has the issuer " + issuer + ", not " + client.Issuer + ".",
				Why:    "A login whose redirect names another issuer is refused.",
				Fix:    "Set " + p.Where("issuer") + " to " + issuer + ".",
			}}
		}
	}
	return nil
}

// readIssuer returns the issuer in a provider's metadata. It is blank if there is none, or if the metadata is
// of another authorization endpoint.
func readIssuer(
	ctx context.Context, providers *oauth.Endpoint, address string, client *oauth.Client,
) string {
	answer, err := get(ctx, providers, address)
	if err != nil || answer.Status != http.StatusOK {
		return ""
	}
	var metadata struct {
		Issuer   string `json:"issuer"`
		Endpoint string `json:"authorization_endpoint"`
	}
	if json.Unmarshal(answer.Body, &metadata) != nil ||
		withoutQuery(metadata.Endpoint) != withoutQuery(client.AuthorizeEndpoint) {
		return ""
	}
	if _, err := oauth.ParseAbsoluteURL(metadata.Issuer); err != nil || len(metadata.Issuer) > 200 {
		return ""
	}
	return metadata.Issuer
}
