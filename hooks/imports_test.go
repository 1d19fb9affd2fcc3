package hooks

import (
	"encoding/json"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// rooms say which other packages of this project each package may import, directly or not, and whether it may
// import PocketBase. Imports run one way, and no package knows those above it.
var rooms = map[string]struct {
	may        []string
	pocketBase bool
}{
	"hooks/oauth":               {may: []string{"internal/tries", "internal/typo"}},
	"hooks/session":             {may: []string{"internal/fair"}},
	"hooks/session/etcd":        {may: []string{"hooks/session", "internal/fair", "internal/etcdtry"}},
	"hooks/session/sessiontest": {may: []string{"hooks/session", "internal/fair"}},
	"hooks/session/sqlite":      {may: []string{"hooks/session", "internal/fair"}, pocketBase: true},
	"hooks/session/shared": {
		may: []string{
			"hooks/session", "hooks/session/etcd", "hooks/session/sqlite", "internal/fair",
			"internal/etcdtry",
		},
		pocketBase: true,
	},
	"hooks/plugins": {may: []string{"hooks/oauth", "internal/tries", "internal/typo"}, pocketBase: true},
	"hooks/doctor": {
		may: []string{
			"hooks/plugins", "hooks/oauth", "hooks/relay", "internal/tries", "internal/typo",
		},
		pocketBase: true,
	},
	"hooks/relay":    {may: []string{"internal/tries"}},
	"hooks/alert":    {may: []string{"internal/tries"}},
	"hooks/cluster":  {may: []string{"internal/typo"}},
	"hooks/replica":  {may: []string{"internal/etcdtry"}, pocketBase: true},
	"hooks/rotation": {may: []string{"internal/etcdtry"}},
	"hooks/dashboard": {
		may: []string{
			"hooks/doctor", "hooks/plugins", "hooks/session", "hooks/oauth", "hooks/relay", "internal/fair",
			"internal/tries", "internal/typo",
		},
		pocketBase: true,
	},
	"internal/browser": {
		may: []string{
			"internal/testkit", "hooks/oauth", "internal/tries", "internal/typo", "pb_migrations",
		},
		pocketBase: true,
	},
	"internal/typo": {},
	"internal/testkit": {
		may:        []string{"hooks/oauth", "internal/tries", "internal/typo", "pb_migrations"},
		pocketBase: true,
	},
	"views":             {may: []string{"hooks/oauth", "internal/tries", "internal/typo"}},
	"client":            {},
	"pb_migrations":     {pocketBase: true},
	"internal/fair":     {},
	"internal/etcdtest": {},
	"internal/etcdtry":  {},
	"internal/goaway":   {},
	"internal/tries":    {},
}

// Each package imports only what it may, and each package below hooks has a rule.
func TestRooms(t *testing.T) {
	t.Parallel()
	const project = "plugin-oauth/"
	list := exec.Command("go", "list", "-json=ImportPath,Imports,Deps", "plugin-oauth/...")
	output, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	ruled := 0
	for decoder := json.NewDecoder(strings.NewReader(string(output))); decoder.More(); {
		var listed struct {
			ImportPath    string
			Imports, Deps []string
		}
		if err := decoder.Decode(&listed); err != nil {
			t.Fatal(err)
		}
		name := strings.TrimPrefix(listed.ImportPath, project)
		rule, found := rooms[name]
		if !found {
			if strings.HasPrefix(name, "hooks/") || strings.HasPrefix(name, "internal/") {
				t.Errorf("nothing says what %s may import", name)
			}
			continue
		}
		ruled++
		t.Run(name, func(t *testing.T) {
			for _, imported := range listed.Deps {
				own, ofProject := strings.CutPrefix(imported, project)
				if ofProject && !slices.Contains(rule.may, own) {
					t.Errorf("it imports %s", imported)
				}
				if strings.HasPrefix(imported, "github.com/pocketbase/") && !rule.pocketBase {
					t.Errorf("it imports %s", imported)
				}
			}
			if name == "hooks/session" || name == "hooks/session/sessiontest" {
				expectStandardLibrary(t, listed.Imports)
			}
		})
	}
	if ruled != len(rooms) {
		t.Errorf("%d of %d packages are there", ruled, len(rooms))
	}
}

func expectStandardLibrary(t *testing.T, imports []string) {
	t.Helper()
	for _, imported := range imports {
		first, _, _ := strings.Cut(imported, "/")
		if strings.Contains(first, ".") {
			t.Errorf("it imports %s", imported)
		}
	}
}
