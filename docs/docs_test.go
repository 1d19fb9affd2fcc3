// Package docs has the tests of the documentation: the README, the pages in this folder, and those beside the
// client and the examples.
package docs

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// page is a Markdown file.
type page struct {
	path string // from the root of the repository, with slashes
	text string
}

// pages returns all Markdown files of the repository.
func pages(t *testing.T) (all []page) {
	t.Helper()
	err := filepath.WalkDir("..", func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		hidden := strings.HasPrefix(entry.Name(), ".") && path != ".."
		if entry.IsDir() && (hidden || entry.Name() == "node_modules" || entry.Name() == "ci-output") {
			return fs.SkipDir
		}
		if entry.IsDir() || filepath.Ext(path) != ".md" {
			return nil
		}
		text, err := os.ReadFile(path)
		relative, _ := filepath.Rel("..", path)
		all = append(all, page{path: filepath.ToSlash(relative), text: string(text)})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// find returns the page with this path.
func find(t *testing.T, path string) page {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", filepath.FromSlash(path)))
	if err != nil {
		t.Fatal(err)
	}
	return page{path: path, text: string(text)}
}

// block is a fenced block of code.
type block struct {
	page     string
	language string
	code     string
}

// name is what a block is known by: its page, and how it begins.
func (b block) name() string {
	line, _, _ := strings.Cut(strings.TrimSpace(b.code), "\n")
	line, _, _ = strings.Cut(line, "  ") // a comment or a drawing goes on
	if begin := []rune(line); len(begin) > 40 {
		line = strings.TrimSpace(string(begin[:40]))
	}
	return b.page + ": " + line
}

// fenced finds blocks of code. Those in a list are indented.
var fenced = regexp.MustCompile("(?ms)^ *```(\\w*)\n(.*?)^ *```$")

func (p page) blocks() (all []block) {
	for _, match := range fenced.FindAllStringSubmatch(p.text, -1) {
		all = append(all, block{page: p.path, language: match[1], code: match[2]})
	}
	return all
}

// prose is the page without its blocks of code.
func (p page) prose() string { return fenced.ReplaceAllString(p.text, "\n\n") }
