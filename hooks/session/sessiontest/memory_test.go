package sessiontest_test

import (
	"testing"

	"plugin-oauth/hooks/session/sessiontest"
)

func TestMemory(t *testing.T) {
	t.Parallel()
	sessiontest.Run(t, func(*testing.T) sessiontest.Store { return sessiontest.NewMemory() })
}
