package docs

import (
	"regexp"
	"strconv"
	"testing"
)

// A poll waits for up to 30 seconds, and its answer takes a while. No proxy of the page cuts it.
func TestProxiesWaitLongEnough(t *testing.T) {
	t.Parallel()
	waits := regexp.MustCompile(
		`(?m)^\t+(proxy_read_timeout|timeout client|timeout server|ProxyTimeout) (\d+)`)
	found := waits.FindAllStringSubmatch(find(t, "docs/proxies.md").text, -1)
	if len(found) != 5 { // Caddy has none
		t.Errorf("the page has the time-outs %q", found)
	}
	for _, timeout := range found {
		if seconds, err := strconv.Atoi(timeout[2]); err != nil || seconds <= 35 {
			t.Errorf("%s is only %s seconds", timeout[1], timeout[2])
		}
	}
}
