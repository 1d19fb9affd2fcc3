package docs

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
)

// anchor is what GitHub makes of a heading, for a link to it.
func anchor(heading string) string {
	var b strings.Builder
	for _, r := range strings.ToLower(heading) {
		switch {
		case r == ' ':
			b.WriteByte('-')
		case r == '-' || r == '_' || unicode.IsLetter(r) || unicode.IsNumber(r):
			b.WriteRune(r)
		}
	}
	return b.String()
}

var (
	headings   = regexp.MustCompile(`(?m)^#{1,6} (.*)$`)
	linkTarget = regexp.MustCompile(`\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)\s]+)\)`)
	images     = regexp.MustCompile(`(?:src|srcset|href)="([^"]+)"`)
	linkText   = regexp.MustCompile(`\[([^\]]*)\]\([^)]*\)`)
)

// anchors returns what links may lead to within a page. A heading that stands twice gets a number.
func (p page) anchors() (all []string) {
	for _, match := range headings.FindAllStringSubmatch(p.prose(), -1) {
		name := anchor(linkText.ReplaceAllString(match[1], "$1"))
		numbered := name
		for n := 1; slices.Contains(all, numbered); n++ {
			numbered = fmt.Sprintf("%s-%d", name, n)
		}
		all = append(all, numbered)
	}
	return all
}

// links returns where the links and pictures of a page lead.
func (p page) links() (all []string) {
	for _, match := range linkTarget.FindAllStringSubmatch(p.prose(), -1) {
		all = append(all, match[2])
	}
	for _, match := range images.FindAllStringSubmatch(p.prose(), -1) {
		all = append(all, match[1])
	}
	return all
}

// onGitHub are links to what GitHub keeps beside the files. They lead out of the repository on a disk.
var onGitHub = []string{"README.md: ../../releases/latest", "docs/backups.md: ../../../releases"}

// Each link in each page leads to a file that is there, and to a heading that it has.
func TestLinks(t *testing.T) {
	t.Parallel()
	var seen []string
	for _, p := range pages(t) {
		for _, link := range p.links() {
			if strings.Contains(link, "://") || strings.HasPrefix(link, "mailto:") {
				continue
			}
			if name := p.path + ": " + link; slices.Contains(onGitHub, name) {
				seen = append(seen, name)
			} else if err := follow(p, link); err != nil {
				t.Errorf("%s: the link %s: %v", p.path, link, err)
			}
		}
	}
	for _, name := range onGitHub {
		if !slices.Contains(seen, name) {
			t.Errorf("%s is listed here, and not there any more", name)
		}
	}
}

// follow says why a link leads nowhere.
func follow(p page, link string) error {
	file, fragment, _ := strings.Cut(link, "#")
	target := p
	if file != "" {
		target.path = path.Join(path.Dir(p.path), file)
		if strings.HasPrefix(target.path, "..") {
			return fmt.Errorf("it leads out of the repository")
		}
		onDisk := filepath.Join("..", filepath.FromSlash(target.path))
		if _, err := os.Stat(onDisk); err != nil {
			return fmt.Errorf("there is no %s", target.path)
		}
		if fragment == "" {
			return nil
		}
		text, err := os.ReadFile(onDisk)
		if err != nil {
			return err
		}
		target.text = string(text)
	}
	if !slices.Contains(target.anchors(), fragment) {
		return fmt.Errorf("%s has no heading for #%s", target.path, fragment)
	}
	return nil
}

// The index of docs names each page in it.
func TestIndex(t *testing.T) {
	t.Parallel()
	listed := find(t, "docs/README.md").links()
	for _, p := range pages(t) {
		name, inDocs := strings.CutPrefix(p.path, "docs/")
		if inDocs && name != "README.md" && !slices.Contains(listed, name) {
			t.Errorf("docs/README.md does not list %s", name)
		}
	}
}
