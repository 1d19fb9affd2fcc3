package testkit

import (
	"net"
	"os"
	"testing"
)

// Missing ends a test on a machine that lacks what the test needs: it is skipped, or it fails where the
// variable, such as BROWSER_TEST, is "required". The words say what is missing.
func Missing(t testing.TB, variable, words string) {
	t.Helper()
	if os.Getenv(variable) == "required" {
		t.Fatalf("%s, and %s=required", words, variable)
	}
	t.Skip(words)
}

// NeedIPv6 skips a test on a machine without the loopback address of IPv6, as [Missing] does with IPV6_TEST.
func NeedIPv6(t testing.TB) {
	t.Helper()
	listener, err := net.Listen("tcp", "[::1]:0")
	if err == nil {
		listener.Close()
		return
	}
	Missing(t, "IPV6_TEST", "this machine has no IPv6")
}
