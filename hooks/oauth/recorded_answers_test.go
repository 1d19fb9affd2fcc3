package oauth_test

import (
	"cmp"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"plugin-oauth/hooks/oauth"
)

// recordedAnswer is an answer of a provider's token endpoint, as its documentation or a public report has its
// shape. To add one, add a row to recordedAnswers.
type recordedAnswer struct {
	provider string
	grant    string // code or refresh
	status   int    // zero: 400
	content  string // its content type; blank: application/json
	body     string
	want     string // tokens, or the code that the plugin gets; server_error: the provider named none
	source   string // where the shape was seen
}

const (
	code    = "code"
	refresh = "refresh"
	tokens  = "tokens"
	dead    = "invalid_grant"
	other   = "server_error"
)

var recordedAnswers = []recordedAnswer{
	// A refresh token that is dead, in words of the provider's own.
	{
		provider: "Strava", grant: refresh, want: dead,
		body: `{"message":"Bad Request",` +
			`"errors":[{"resource":"RefreshToken","field":"refresh_token","code":"invalid"}]}`,
		source: "https://github.com/dreeveapp/dreeve/issues/1449",
	},
	{
		provider: "Strava, as 401", grant: refresh, status: 401, want: dead,
		body: `{"message":"Authorization Error",` +
			`"errors":[{"code":"invalid","field":"refresh_token","resource":"RefreshToken"}]}`,
		source: "the shape of the row above, under another status",
	},
	{
		provider: "Fitbit", grant: refresh, want: dead,
		body: `{"errors":[{"errorType":"invalid_grant","message":"Refresh token invalid: x. Visit ` +
			`https://dev.fitbit.com/docs/oauth2 for more information"}],"success":false}`,
		source: "https://github.com/lukasolson/fitbit-node/issues/14",
	},
	{
		provider: "DeviantArt", grant: refresh, want: dead,
		body: `{"error":"invalid_request","error_description":"The refresh_token is invalid.",` +
			`"status":"error"}`,
		source: "https://github.com/wix-incubator/DeviantArt-API/issues/58",
	},
	{
		provider: "Reddit", grant: refresh, want: dead, body: `{"message": "Bad Request", "error": 400}`,
		source: "https://github.com/praw-dev/praw/issues/677",
	},
	{
		provider: "Laravel Passport", grant: refresh, status: 401, want: dead,
		body: `{"error":"invalid_request","error_description":"The refresh token is invalid.",` +
			`"hint":"Token has been revoked","message":"The refresh token is invalid."}`,
		source: "https://github.com/laravel/passport/issues/1605",
	},
	{
		provider: "league/oauth2-server, another key", grant: refresh, status: 401, want: dead,
		body: `{"error":"invalid_request","message":"The refresh token is invalid.",` +
			`"hint":"Cannot decrypt the refresh token"}`,
		source: "https://github.com/laravel/passport/issues/1162",
	},
	{
		provider: "jmondi", grant: refresh, want: dead,
		body:   `{"status":400,"message":"The authorization grant is invalid: Token has been revoked"}`,
		source: "https://github.com/jasonraimondi/ts-oauth2-server",
	},
	{
		provider: "glewlwyd", grant: refresh, content: "text/plain", want: dead, body: "",
		source: "https://github.com/babelouest/glewlwyd",
	},
	{
		provider: "Twitch", grant: refresh, want: dead,
		body:   `{"status":400,"message":"Invalid refresh token"}`,
		source: "https://github.com/Teekeks/pyTwitchAPI/issues/37",
	},
	{
		provider: "Twitch, revoked", grant: refresh, want: dead,
		body:   `{"status": 400, "message": "Invalid grant"}`,
		source: "https://github.com/twitchdev/issues/issues/1042",
	},
	{
		provider: "HubSpot", grant: refresh, want: dead,
		body: `{"status":"BAD_REFRESH_TOKEN","message":"missing or unknown refresh token",` +
			`"correlationId":"x"}`,
		source: "https://github.com/HGData/mk-node-hubspot/issues/64",
	},
	{
		provider: "Atlassian", grant: refresh, status: 403, want: dead,
		body:   `{"error":"unauthorized_client","error_description":"refresh_token is invalid"}`,
		source: "https://github.com/raycast/extensions/issues/11836",
	},
	{
		provider: "Atlassian, documented", grant: refresh, status: 403, want: dead,
		body:   `{"error":"invalid_grant","error_description":"Unknown or invalid refresh token."}`,
		source: "https://developer.atlassian.com/cloud/jira/platform/oauth-2-3lo-apps/",
	},
	{
		provider: "Bitbucket", grant: refresh, want: dead,
		body:   `{"error_description":"Invalid refresh_token","error":"invalid_request"}`,
		source: "https://github.com/readthedocs/readthedocs.org/issues/2992",
	},
	{
		provider: "Zoom", grant: refresh, status: 401, want: dead,
		body:   `{"reason":"Invalid Token!","error":"invalid_request"}`,
		source: "https://developers.zoom.us/docs/integrations/oauth-error-messages/",
	},
	{
		provider: "Zoom, code 4711", grant: refresh, want: dead,
		body:   `{"reason":"Refresh token invalid.","error":"invalid_request"}`,
		source: "https://developers.zoom.us/docs/integrations/oauth-error-messages/",
	},
	{
		provider: "Authlib", grant: refresh, want: dead,
		body:   `{"error":"invalid_request","error_description":"Invalid \"refresh_token\" in request."}`,
		source: "https://github.com/authlib/authlib/issues/112",
	},
	{
		provider: "better-auth", grant: refresh, want: dead,
		body:   `{"error":"invalid_request","error_description":"session not found"}`,
		source: "https://github.com/better-auth/better-auth/pull/8103",
	},
	{
		provider: "FlowFuse", grant: refresh, want: dead,
		body:   `{"error":"invalid_request","error_description":"Refresh token expired"}`,
		source: "https://github.com/FlowFuse/flowfuse/pull/8547",
	},
	{
		provider: "LinkedIn", grant: refresh, status: 401, want: dead,
		body: `{"status":401,"serviceErrorCode":65601,"code":"REVOKED_ACCESS_TOKEN",` +
			`"message":"The token used in the request has been revoked by the user"}`,
		source: "https://github.com/decioferreira/omniauth-linkedin-oauth2/issues/81",
	},
	{
		provider: "simplejwt", grant: refresh, status: 401, want: dead,
		body:   `{"detail":"Token is invalid or expired","code":"token_not_valid"}`,
		source: "https://github.com/jazzband/djangorestframework-simplejwt/issues/925",
	},
	{
		provider: "Facebook", grant: refresh, want: dead,
		body: `{"error":{"error_subcode":463,"type":"OAuthException","code":190,"message":` +
			`"Error validating access token: Session has expired on Feb 7. The current time is Feb 8."}}`,
		source: "https://github.com/snarfed/bridgy/issues/59",
	},
	{
		provider: "Facebook, unused for long", grant: refresh, want: dead,
		body: `{"error":{"message":"The access token is invalid since the user hasn't engaged the app in ` +
			`longer than 90 days.","type":"OAuthException","code":190,"error_subcode":493}}`,
		source: "https://github.com/MrSwitch/hello.js/issues/548",
	},
	{
		provider: "Microsoft Entra, a second factor", grant: refresh, want: dead,
		body: `{"error":"interaction_required","error_description":"AADSTS50076: you must use ` +
			`multi-factor authentication","error_codes":[50076]}`,
		source: "https://learn.microsoft.com/en-us/entra/identity-platform/reference-error-codes",
	},
	{
		provider: "Microsoft Entra, no consent", grant: refresh, want: dead,
		body:   `{"error":"consent_required","error_description":"AADSTS65001: x","error_codes":[65001]}`,
		source: "https://learn.microsoft.com/en-us/entra/identity-platform/reference-error-codes",
	},
	{
		provider: "Microsoft Entra, no session", grant: refresh, want: dead,
		body:   `{"error":"login_required","error_description":"AADSTS50058: x","error_codes":[50058]}`,
		source: "https://learn.microsoft.com/en-us/entra/identity-platform/reference-error-codes",
	},
	{
		provider: "Azure B2C", grant: refresh, want: dead,
		body: `{"error":"invalid_request","error_description":"AADB2C90129: The provided grant has been ` +
			`revoked. Please reauthenticate and try again."}`,
		source: "https://github.com/Azure-Samples/active-directory-b2c-dotnetcore-webapp/issues/36",
	},
	{
		provider: "WeChat", grant: refresh, status: 200, content: "text/plain", want: dead,
		body:   `{"errcode":40030,"errmsg":"invalid refresh_token, hints: [ req_id: x ]"}`,
		source: "developers.weixin.qq.com/doc/oplatform/Return_codes/Return_code_descriptions_new.html",
	},
	{
		provider: "WeChat, third party", grant: refresh, status: 200, want: dead,
		body:   `{"errcode":61023,"errmsg":"refresh_token is invalid hint: [x]"}`,
		source: "https://github.com/binarywang/WxJava/issues/1533",
	},
	{
		provider: "WeChat, expired", grant: refresh, status: 200, want: dead,
		body:   `{"errcode":42002,"errmsg":"refresh_token expired"}`,
		source: "developers.weixin.qq.com/doc/oplatform/Return_codes/Return_code_descriptions_new.html",
	},
	{
		provider: "Withings", grant: refresh, status: 200, want: dead,
		body:   `{"status":503,"error":"Invalid Params: invalid refresh_token"}`,
		source: "https://github.com/home-assistant/home-assistant.io/issues/34285",
	},
	{
		provider: "Zoho", grant: refresh, status: 200, want: dead, body: `{"error":"invalid_code"}`,
		source: "https://github.com/asciisd/zoho-v3/issues/14",
	},
	{
		provider: "Slack", grant: refresh, status: 200, want: dead,
		body:   `{"ok":false,"error":"invalid_refresh_token"}`,
		source: "https://docs.slack.dev/reference/methods/oauth.v2.access",
	},
	{
		provider: "Slack, expired", grant: refresh, status: 200, want: dead,
		body:   `{"ok":false,"error":"token_expired"}`,
		source: "https://docs.slack.dev/reference/methods/oauth.v2.access",
	},
	{
		provider: "GitHub", grant: refresh, status: 200, want: dead,
		body: `{"error":"bad_refresh_token","error_description":"The refresh token passed is incorrect or ` +
			`expired."}`,
		source: "https://docs.github.com/en/apps/creating-github-apps/authenticating-with-a-github-app/" +
			"refreshing-user-access-tokens",
	},
	{
		provider: "GitHub, as a form", grant: refresh, status: 200, want: dead,
		content: "application/x-www-form-urlencoded",
		body:    "error=bad_refresh_token&error_description=The+refresh+token+passed+is+incorrect",
		source:  "https://docs.github.com/en/apps/oauth-apps/maintaining-oauth-apps",
	},
	{
		provider: "Django REST framework", grant: refresh, status: 401, want: dead,
		body:   `{"refresh_token":["is invalid"]}`,
		source: "https://www.django-rest-framework.org/api-guide/exceptions/",
	},
	{
		provider: "in plain text", grant: refresh, status: 401, content: "text/plain", want: dead,
		body: "Refresh token is not valid", source: "https://github.com/big-neon/bn-api/issues/99",
	},
	{
		provider: "Spring Boot", grant: refresh, want: dead,
		body:   `{"timestamp":1,"status":400,"error":"Bad Request","path":"/oauth/token"}`,
		source: "https://docs.spring.io/spring-boot/reference/web/servlet.html",
	},
	{
		provider: "a name in place of a code", grant: refresh, want: dead,
		body: `{"error":"BadRequest","message":"x"}`, source: "https://www.npmjs.com/package/http-errors",
	},
	{
		provider: "RFC 6750's word", grant: refresh, status: 401, want: dead,
		body:   `{"error":"invalid_token","error_description":"x"}`,
		source: "https://www.rfc-editor.org/rfc/rfc6750#section-3.1",
	},

	// A refresh token that is dead, in OAuth's words.
	{
		provider: "QuickBooks", grant: refresh, want: dead,
		body:   `{"error_description":"Incorrect or invalid refresh token","error":"invalid_grant"}`,
		source: "https://github.com/intuit/QuickBooks-V3-PHP-SDK/issues/308",
	},
	{
		provider: "Salesforce", grant: refresh, want: dead,
		body:   `{"error":"invalid_grant","error_description":"expired access/refresh token"}`,
		source: "https://github.com/restforce/restforce/issues/81",
	},
	{
		provider: "Keycloak", grant: refresh, want: dead,
		body:   `{"error":"invalid_grant","error_description":"Token is not active"}`,
		source: "https://github.com/keycloak/keycloak/issues/39266",
	},
	{
		provider: "Keycloak, no session", grant: refresh, want: dead,
		body:   `{"error":"invalid_grant","error_description":"Session not active"}`,
		source: "https://github.com/s3pweb/keycloak-admin-client-cjs/issues/15",
	},
	{
		provider: "Auth0", grant: refresh, status: 403, want: dead,
		body:   `{"error":"invalid_grant","error_description":"Unknown or invalid refresh token."}`,
		source: "https://github.com/auth0/Auth0.swift/issues/819",
	},
	{
		provider: "Xero", grant: refresh, want: dead, body: `{"error":"invalid_grant"}`,
		source: "https://github.com/XeroAPI/xero-node/issues/572",
	},
	{
		provider: "Kick", grant: refresh, status: 401, want: dead,
		body: `{"error":"invalid_grant","error_description":"The provided authorization grant or refresh ` +
			`token is invalid, expired, revoked"}`,
		source: "https://github.com/KickEngineering/KickDevDocs/issues/239",
	},
	{
		provider: "Bluesky", grant: refresh, want: dead,
		body:   `{"error":"invalid_grant","error_description":"Refresh token exceeded inactivity timeout"}`,
		source: "https://github.com/ChimeHQ/OAuthenticator/issues/23",
	},
	{
		provider: "Google", grant: refresh, want: dead,
		body:   `{"error":"invalid_grant","error_description":"Token has been expired or revoked."}`,
		source: "https://developers.google.com/identity/protocols/oauth2/web-server",
	},
	{
		provider: "Google, again", grant: refresh, want: dead,
		body: `{"error":"invalid_grant","error_subtype":"invalid_rapt",` +
			`"error_description":"reauth related"}`,
		source: "https://github.com/NVIDIA/OpenShell/issues/2886",
	},

	// A refresh that fails for another reason: the person stays signed in.
	{
		provider: "wrong secret", grant: refresh, status: 401, want: "invalid_client",
		body:   `{"error":"invalid_client","error_description":"the refresh token is invalid"}`,
		source: "https://www.rfc-editor.org/rfc/rfc6749#section-5.2",
	},
	{
		provider: "Strava, wrong client", grant: refresh, want: other,
		body: `{"message":"Bad Request",` +
			`"errors":[{"resource":"Application","field":"client_id","code":"invalid"}]}`,
		source: "https://github.com/dreeveapp/dreeve/issues/372",
	},
	{
		provider: "Fitbit, wrong client", grant: refresh, status: 400, want: other,
		body: `{"errors":[{"errorType":"invalid_client","message":"Invalid token for the client"}],` +
			`"success":false}`,
		source: "https://dev.fitbit.com/build/reference/web-api/troubleshooting-guide/error-messages/",
	},
	{
		provider: "HubSpot, wrong secret", grant: refresh, want: other,
		body:   `{"status":"BAD_CLIENT_SECRET","message":"missing or invalid client secret"}`,
		source: "https://developers.hubspot.com/docs/guides/apps/authentication/oauth-quickstart-guide",
	},
	{
		provider: "Twitch, wrong secret", grant: refresh, status: 403, want: other,
		body:   `{"status":403,"message":"invalid client secret"}`,
		source: "https://dev.twitch.tv/docs/authentication/refresh-tokens/",
	},
	{
		provider: "Twitch, wrong client", grant: refresh, want: other,
		body:   `{"status":400,"message":"invalid client"}`,
		source: "https://dev.twitch.tv/docs/authentication/refresh-tokens/",
	},
	{
		provider: "a client that is invalid or expired", grant: refresh, status: 401, want: other,
		body:   `{"message":"The client is invalid or expired"}`,
		source: "a sentence about something else",
	},
	{
		provider: "a scope that is invalid", grant: refresh, want: "invalid_request",
		body:   `{"error":"invalid_request","error_description":"invalid scope for this token"}`,
		source: "a sentence about something else",
	},
	{
		provider: "a rate limit", grant: refresh, status: 403, want: other,
		body:   `{"message":"rate limit for this token exceeded"}`,
		source: "a sentence about something else",
	},
	{
		provider: "an endpoint", grant: refresh, status: 401, want: other,
		body:   `{"message":"token endpoint is unknown"}`,
		source: "a sentence about something else",
	},
	{
		provider: "a grant type", grant: refresh, want: "invalid_request",
		body: `{"error":"invalid_request","error_description":"Invalid value 'refresh_token' for the ` +
			`parameter grant_type"}`,
		source: "a sentence about something else",
	},
	{
		provider: "a token type", grant: refresh, want: "invalid_request",
		body:   `{"error":"invalid_request","error_description":"Invalid token type"}`,
		source: "a sentence about something else",
	},
	{
		provider: "a header", grant: refresh, status: 401, want: "invalid_request",
		body:   `{"error":"invalid_request","error_description":"Invalid authorization header"}`,
		source: "a sentence about something else",
	},
	{
		provider: "a client's token", grant: refresh, status: 401, want: other,
		body: `{"message":"Client token has expired"}`, source: "a sentence about something else",
	},
	{
		provider: "a token that is good", grant: refresh, status: 401, want: other,
		body:   `{"message":"The token has not expired. The address is unknown."}`,
		source: "a sentence about something else",
	},
	{
		provider: "missing", grant: refresh, want: "invalid_request",
		body: `{"error":"invalid_request",` +
			`"error_description":"A required parameter \"refresh_token\" is missing"}`,
		source: "https://github.com/linkedin-developers/java-sample-application/issues/6",
	},
	{
		provider: "not allowed", grant: refresh, status: 403, want: "unauthorized_client",
		body: `{"error":"unauthorized_client",` +
			`"error_description":"Grant type 'refresh_token' not allowed for the client."}`,
		source: "https://github.com/auth0/nextjs-auth0/issues/498",
	},
	{
		provider: "wrong scope", grant: refresh, want: "invalid_scope",
		body:   `{"error":"invalid_scope","error_description":"The token is invalid for this scope"}`,
		source: "https://www.rfc-editor.org/rfc/rfc6749#section-5.2",
	},
	{
		provider: "unsupported", grant: refresh, want: "unsupported_grant_type",
		body:   `{"error":"unsupported_grant_type","error_description":"invalid grant"}`,
		source: "https://www.rfc-editor.org/rfc/rfc6749#section-5.2",
	},
	{
		provider: "Zoho, too many", grant: refresh, want: other,
		body: `{"error_description":"You have made too many requests continuously. Please try again after ` +
			`some time.","error":"Access Denied","status":"failure"}`,
		source: "https://www.zoho.com/accounts/protocol/oauth/web-apps/access-token-expiry.html",
	},
	{
		provider: "slow down", grant: refresh, want: other,
		body: `{"error":"slow_down","error_description":"the refresh token is invalid"}`, source: "RFC 8628",
	},
	{
		provider: "429", grant: refresh, status: 429, want: "invalid_request",
		body:   `{"error":"invalid_request","error_description":"the refresh token is invalid"}`,
		source: "https://www.rfc-editor.org/rfc/rfc6585#section-4",
	},
	{
		provider: "429 with the code of a dead grant", grant: refresh, status: 429,
		want: "temporarily_unavailable",
		body: `{"error":"invalid_grant"}`, source: "https://www.rfc-editor.org/rfc/rfc6585#section-4",
	},
	{
		provider: "500 with the code of a dead grant", grant: refresh, status: 500, want: other,
		body: `{"error":"invalid_grant"}`, source: "RFC 9110",
	},
	{
		provider: "503", grant: refresh, status: 503, want: other,
		body: `{"message":"the refresh token is invalid"}`, source: "RFC 9110",
	},
	{
		provider: "404", grant: refresh, status: 404, want: other,
		body: `{"message":"the refresh token is not found"}`, source: "RFC 9110",
	},
	{
		provider: "HTML", grant: refresh, content: "text/html", want: other,
		body: "<h1>Bad Request</h1> The refresh token is invalid.", source: "a proxy's page",
	},
	{
		provider: "HTML, 401", grant: refresh, status: 401, content: "text/html", want: other,
		body: "\n<!doctype html><p>The token is invalid.</p>", source: "a proxy's page",
	},
	{
		provider: "401, empty", grant: refresh, status: 401, content: "text/plain", want: other, body: "",
		source: "RFC 9110",
	},
	{
		provider: "403, no words", grant: refresh, status: 403, want: other, body: `{"message":"Forbidden"}`,
		source: "RFC 9110",
	},
	{
		provider: "400, a list", grant: refresh, want: other, body: `[1]`, source: "no shape of OAuth",
	},
	{
		provider: "400, a code of its own", grant: refresh, want: "some_new_error",
		body: `{"error":"some_new_error"}`, source: "RFC 6749 section 8.5",
	},

	// Errors under 200, and successes that look like one.
	{
		provider: "WeChat", grant: code, status: 200, want: other,
		body:   `{"errcode":40029,"errmsg":"invalid code"}`,
		source: "https://developers.weixin.qq.com/doc/oplatform/Website_App/WeChat_Login/Wechat_Login.html",
	},
	{
		provider: "WeChat, busy", grant: refresh, status: 200, want: other,
		body: `{"errcode":-1,"errmsg":"system error"}`, source: "as above",
	},
	{
		provider: "Composio", grant: code, status: 200, want: other, body: `{"status":"error"}`,
		source: "a public report of an MCP client",
	},
	{provider: "{}", grant: code, status: 200, want: other, body: `{}`, source: "a public report"},
	{provider: "{}", grant: refresh, status: 200, want: other, body: `{}`, source: "a public report"},
	{
		provider: "TikTok", grant: code, status: 200, want: other,
		body:   `{"data":{"access_token":"","error_code":10010,"description":"x"},"message":"error"}`,
		source: "https://developers.tiktok.com/doc/oauth-error-handling/",
	},
	{
		provider: "Withings, too many", grant: refresh, status: 200, want: other,
		body:   `{"status":601,"body":{"wait_seconds":20},"error":"Too Many Requests"}`,
		source: "https://developer.withings.com/api-reference/#section/Response-status",
	},
	{
		provider: "Withings", grant: code, status: 200, want: tokens,
		body: `{"status":0,"body":{"userid":"1","access_token":"x",` +
			`"refresh_token":"y","expires_in":10800}}`,
		source: "https://developer.withings.com/api-reference/#tag/oauth2/operation/oauth2-getaccesstoken",
	},
	{
		provider: "Slack", grant: code, status: 200, want: tokens,
		body:   `{"ok":true,"authed_user":{"id":"U1","access_token":"xoxp-1"}}`,
		source: "https://docs.slack.dev/reference/methods/oauth.v2.access",
	},
	{
		provider: "Azure B2C", grant: refresh, status: 200, want: tokens,
		body:   `{"id_token":"x","token_type":"Bearer","not_before":1,"refresh_token":"y"}`,
		source: "https://learn.microsoft.com/en-us/azure/active-directory-b2c/openid-connect",
	},
	{
		provider: "an error of false", grant: code, status: 200, want: tokens,
		body: `{"error":false,"access_token":"x"}`, source: "a public report",
	},

	// With a code, a refusal stays what the provider calls it.
	{
		provider: "DeviantArt", grant: code, want: "invalid_request",
		body:   `{"error":"invalid_request","error_description":"The refresh_token is invalid."}`,
		source: "the shape of a refresh",
	},
	{
		provider: "Strava", grant: code, want: other,
		body: `{"message":"Bad Request",` +
			`"errors":[{"resource":"AuthorizationCode","field":"code","code":"invalid"}]}`,
		source: "https://github.com/yihong0618/running_page/issues/523",
	},
	{
		provider: "Reddit", grant: code, want: other, body: `{"message": "Bad Request", "error": 400}`,
		source: "https://github.com/praw-dev/praw/issues/677",
	},
	{
		provider: "GitHub", grant: code, status: 200, want: "bad_verification_code",
		body: `{"error":"bad_verification_code",` +
			`"error_description":"The code passed is incorrect or expired."}`,
		source: "https://docs.github.com/en/apps/oauth-apps/maintaining-oauth-apps",
	},
	{
		provider: "Zoho", grant: code, status: 200, want: "invalid_code", body: `{"error":"invalid_code"}`,
		source: "https://github.com/zoho/zcrm-csharp-sdk/issues/7",
	},
	{
		provider: "Entra", grant: code, want: "interaction_required",
		body:   `{"error":"interaction_required"}`,
		source: "https://learn.microsoft.com/en-us/entra/identity-platform/reference-error-codes",
	},
	{provider: "empty", grant: code, content: "text/plain", want: other, body: "", source: "RFC 9110"},
}

// What providers really answer means to a plugin what it must.
func TestRecordedAnswers(t *testing.T) {
	t.Parallel()
	for _, row := range recordedAnswers {
		t.Run(row.grant+"/"+row.provider, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, nil)
			f.Provider.Answers(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", cmp.Or(row.content, "application/json"))
				w.WriteHeader(cmp.Or(row.status, http.StatusBadRequest))
				_, _ = io.WriteString(w, row.body)
			})
			var got []byte
			var err error
			if row.grant == code {
				got, err = f.exchange()
			} else {
				got, err = f.endpoint.Refresh(t.Context(), &f.client, "RT")
			}
			row.expect(t, got, err)
		})
	}
}

func (r recordedAnswer) expect(t *testing.T, got []byte, err error) {
	t.Helper()
	if r.source == "" {
		t.Error("nobody knows where this was seen")
	}
	if r.want == tokens {
		if err != nil || string(got) != r.body {
			t.Errorf("got %q, %v", got, err)
		}
		return
	}
	refusal, ok := errors.AsType[*oauth.Error](err)
	if !ok || refusal.Code != r.want || got != nil {
		t.Fatalf("got %q, %#v", got, err)
	}
	if (refusal.Meaning == oauth.InvalidGrant) != (oauth.MeaningOf(r.want) == oauth.InvalidGrant) {
		t.Errorf("it means %d", refusal.Meaning)
	}
	for _, words := range []string{"Bad Request", "invalid", "revoked", "Session"} {
		if strings.Contains(refusal.Error(), " "+words+" ") {
			t.Errorf("the log quotes the provider: %v", refusal)
		}
	}
}
