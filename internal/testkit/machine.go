package testkit

import (
	"net"
	"os"
	"testing"
)

// NeedIPv6 skips a test on a machine without the loopback address of IPv6. With IPV6_TEST=required the test
// fails there.
func NeedIPv6(t testing.TB) {
	t.Helper()
	listener, err := net.Listen("tcp", "[::1]:0")
	if err == nil {
		listener.Close()
		return
	}
	if os.Getenv("IPV6_TEST") == "required" {
		t.Fatalf("there is no IPv6, and IPV6_TEST=required: %v", err)
	}
	t.Skipf("this machine has no IPv6: %v", err)
}
