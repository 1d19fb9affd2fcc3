package hooks

import (
	"encoding/json"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// ignored reports whether .dockerignore keeps a file out of what an image is built from. The last line that
// fits decides, and one that fits a folder fits all that is in it.
func ignored(lines []string, file string) (is bool) {
	for _, line := range lines {
		pattern, isException := strings.CutPrefix(line, "!")
		inAnyFolder, anywhere := strings.CutPrefix(pattern, "**/")
		for part := file; part != "."; part = path.Dir(part) {
			fits, _ := path.Match(pattern, part)
			if anywhere {
				fits, _ = path.Match(inAnyFolder, path.Base(part))
			}
			if fits {
				is = !isException
				break
			}
		}
	}
	return is
}

// An image is built from all that the program is made of, and from nothing that is secret.
func TestImageHasTheProgram(t *testing.T) {
	t.Parallel()
	content, err := os.ReadFile("../.dockerignore")
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Fields(string(content))
	list := exec.Command("go", "list", "-deps", "-json=Dir,Module,GoFiles,EmbedFiles", ".")
	list.Dir = ".."
	list.Env = append(os.Environ(), "GOOS=linux", "CGO_ENABLED=0")
	output, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	files := []string{"go.mod", "go.sum"}
	for packages := json.NewDecoder(strings.NewReader(string(output))); packages.More(); {
		var found struct {
			Dir                 string
			Module              *struct{ Main bool }
			GoFiles, EmbedFiles []string
		}
		if err := packages.Decode(&found); err != nil {
			t.Fatal(err)
		}
		folder, err := filepath.Rel(root, found.Dir)
		if found.Module == nil || !found.Module.Main || err != nil {
			continue
		}
		for _, name := range append(found.GoFiles, found.EmbedFiles...) {
			files = append(files, path.Join(filepath.ToSlash(folder), name))
		}
	}
	if len(files) < 100 {
		t.Errorf("the program is made of %d files", len(files))
	}
	for _, file := range files {
		if ignored(lines, file) {
			t.Errorf("%s is missing in the image", file)
		}
	}
	for _, file := range []string{".env", "localhost-key.pem", "pb_data/data.db", ".git/config"} {
		if !ignored(lines, file) {
			t.Errorf("%s would be in the image", file)
		}
	}
}

// Dependabot looks after each file that says which versions of others' code are used.
func TestDependabotKnowsAll(t *testing.T) {
	t.Parallel()
	content, err := os.ReadFile("../.github/dependabot.yml")
	if err != nil {
		t.Fatal(err)
	}
	ecosystems := map[string]string{"go.mod": "gomod", "package-lock.json": "npm", "Dockerfile": "docker"}
	found := 0
	err = filepath.WalkDir("..", func(file string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		others := []string{"node_modules", ".git", "ci-output"}
		if entry.IsDir() && slices.Contains(others, entry.Name()) {
			return fs.SkipDir
		}
		ecosystem := ecosystems[entry.Name()]
		if ecosystem == "" {
			return nil
		}
		found++
		_, after, _ := strings.Cut(string(content), "package-ecosystem: "+ecosystem)
		own, _, _ := strings.Cut(after, "package-ecosystem")
		folder := path.Clean("/" + strings.TrimPrefix(filepath.ToSlash(filepath.Dir(file)), ".."))
		fields := strings.FieldsFunc(own, func(r rune) bool { return strings.ContainsRune(" \n[],", r) })
		if !slices.Contains(fields, folder) {
			t.Errorf("%s is not looked after", file)
		}
		return nil
	})
	if err != nil || found < 6 {
		t.Errorf("%d files were found: %v", found, err)
	}
}

var (
	uses       = regexp.MustCompile(`(?m)uses: (\S+)`)
	isPinned   = regexp.MustCompile(`^\./|@[0-9a-f]{40}$`)
	jobs       = regexp.MustCompile(`(?m)^  (\w+):\n(?:(?: {4}.*)?\n)+`)
	checkout   = regexp.MustCompile(`actions/checkout@.*\n( {8,}.*\n)*? +persist-credentials: false\n`)
	isOwnCode  = regexp.MustCompile(`run: (bash|node|npm (ci|install|run)|go (run|test|generate)) `)
	imageBases = regexp.MustCompile(`(?m)^FROM (?:--\S+ )*(\S+)`)
)

// The code of others that a release is made with is named by its hash, and a job that may write runs none of
// the project's.
func TestReleaseIsPinned(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../.github/workflows/*")
	if err != nil || len(files) < 2 {
		t.Fatal(files, err)
	}
	var mayWrite []string
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		text := string(content)
		for _, action := range uses.FindAllStringSubmatch(text, -1) {
			if !isPinned.MatchString(action[1]) {
				t.Errorf("%s: %s has no hash", file, action[1])
			}
		}
		if strings.Count(text, "actions/checkout@") != len(checkout.FindAllString(text, -1)) {
			t.Errorf("%s: a checkout leaves its credentials", file)
		}
		above, _, _ := strings.Cut(text, "\njobs:\n")
		if !strings.Contains(above, "\npermissions:") || strings.Contains(above, ": write") {
			t.Errorf("%s: all jobs may write", file)
		}
		for _, job := range jobs.FindAllStringSubmatch(text, -1) {
			if !strings.Contains(job[0], ": write") {
				continue
			}
			mayWrite = append(mayWrite, job[1])
			if isOwnCode.MatchString(job[0]) {
				t.Errorf("%s: %s may write, and runs the project's code", file, job[1])
			}
		}
	}
	if want := []string{"publish", "npm"}; !slices.Equal(mayWrite, want) {
		t.Errorf("%v may write, not %v", mayWrite, want)
	}
	image, err := os.ReadFile("../Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	stages := imageBases.FindAllStringSubmatch(string(image), -1)
	for _, base := range stages {
		if base[1] != "scratch" && !strings.Contains(base[1], "@sha256:") {
			t.Errorf("%s has no digest", base[1])
		}
	}
	if len(stages) < 2 {
		t.Errorf("there are %d stages", len(stages))
	}
}
