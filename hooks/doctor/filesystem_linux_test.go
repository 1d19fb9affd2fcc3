package doctor

import "testing"

// Linux says of its own folders what they are in.
func TestFleetingFileSystem(t *testing.T) {
	t.Parallel()
	for folder, want := range map[string]string{"/dev": "memory (tmpfs)", "/proc": "", "/missing": ""} {
		if got := fleetingFileSystem(folder); got != want {
			t.Errorf("%s is in %q, not %q", folder, got, want)
		}
	}
}
