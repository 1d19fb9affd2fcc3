package session

// Report is what the dashboard's page shows about the sign-ins in a span of time. Durations are in seconds. A
// plugin is named by its slug, or "/" for the one at the root.
type Report struct {
	// Retention is how long rows are kept, and with them Failures and ToClaim. The dashboard fills it in.
	Retention float64 `json:"retention"`
	// Root is what people call the plugin at the root. The dashboard fills it in.
	Root string `json:"root"`
	// Ever says whether anybody has started a login within the last year, whatever was asked for.
	Ever bool `json:"ever"`
	// Succeeded says whether the plugin of any has got its tokens within the last year.
	Succeeded bool `json:"succeeded"`
	// Live are the logins under way, at most 50, the newest first.
	Live []Live `json:"live"`
	// LiveCount counts all of them.
	LiveCount int `json:"liveCount"`
	// Funnel has one entry for each plugin that had logins, whatever plugin was asked for.
	Funnel []Funnel `json:"funnel"`
	// Hours has one entry for each hour, the oldest first and the current one last.
	Hours []Hour `json:"hours"`
	// ToClaim says how long people took.
	ToClaim ToClaim `json:"toClaim"`
	// Failures are the kinds of logins that failed, at most 50, the one with the newest first.
	Failures []FailureKind `json:"failures"`
}

// Live is a login under way.
type Live struct {
	// ID is the session's.
	ID string `json:"id"`
	// Plugin is its plugin.
	Plugin string `json:"plugin"`
	// Stage is started, redirected or finished.
	Stage string `json:"stage"`
	// Origin is the origin of the page that started it.
	Origin string `json:"origin"`
	// Age is how long ago that was.
	Age float64 `json:"age"`
	// Left is the time until it expires.
	Left float64 `json:"left"`
}

// Funnel counts logins by how far they got.
type Funnel struct {
	// Plugin is the plugin that they belong to. It is empty in an [Hour].
	Plugin string `json:"plugin"`
	// Started counts all of them.
	Started int `json:"started"`
	// Redirected counts those whose browser came back from the provider.
	Redirected int `json:"redirected"`
	// Finished counts those that got tokens from the provider.
	Finished int `json:"finished"`
	// Claimed counts those whose plugin fetched the tokens.
	Claimed int `json:"claimed"`
	// Denied counts those that the person or the admin ended.
	Denied int `json:"denied"`
	// Failed counts those that failed.
	Failed int `json:"failed"`
	// Expired counts those that took too long.
	Expired int `json:"expired"`
}

// Hour counts the logins that began in one hour.
type Hour struct {
	// Hour is when the hour began (RFC 3339).
	Hour string `json:"hour"`
	Funnel
}

// ToClaim says how long people took, from the start of a login until the plugin had the tokens. It is taken
// from the latest claims.
type ToClaim struct {
	// Count is how many claims it is taken from, at most 1000.
	Count int `json:"count"`
	// Median is the time that half of them did not exceed.
	Median float64 `json:"median"`
	// P95 is the time that 95 of 100 did not exceed.
	P95 float64 `json:"p95"`
}

// FailureKind is the logins of one plugin that failed with one error, with what usually fixes it. What has no
// number of its own is that of the newest.
type FailureKind struct {
	// ID is the session's.
	ID string `json:"id"`
	// Plugin is their plugin.
	Plugin string `json:"plugin"`
	// Error is OAuth's error code.
	Error string `json:"error"`
	// Count is how many there are. Those whose row is gone are not among them.
	Count int `json:"count"`
	// Description is what the person and the plugin were told.
	Description string `json:"description"`
	// Cause is why it failed, for the admin.
	Cause string `json:"cause"`
	// Fix is what usually helps. The dashboard fills it in.
	Fix string `json:"fix"`
	// Ago is how long ago the login failed.
	Ago float64 `json:"ago"`
}
