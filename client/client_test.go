package client

import (
	"bytes"
	"testing"
)

// The build has several source files, and plugins copy one file of each kind: neither loads another.
func TestFilesStandAlone(t *testing.T) {
	t.Parallel()
	for name, content := range map[string][]byte{"client.js": JavaScript, "client.d.ts": Types} {
		for _, word := range []string{"import ", "import{", "import(\"", "from\"", "from \""} {
			if bytes.Contains(content, []byte(word)) {
				t.Errorf("%s has %s", name, word)
			}
		}
		for _, export := range []string{"AuthError", "createAuth"} {
			if !bytes.Contains(content, []byte(export)) {
				t.Errorf("%s has no %s", name, export)
			}
		}
	}
}
