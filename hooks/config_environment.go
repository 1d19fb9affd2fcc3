package hooks

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/hashicorp/go-envparse"
)

// environment is what the configuration is read from: the variables of this process, which win, and the file
// .env.
type environment struct {
	file  map[string]string
	lines []string // of the file
}

// readEnvironment reads dir/.env, a file of NAME=value lines. A missing file is an empty one.
func readEnvironment(dir string) (environment, error) {
	content, err := os.ReadFile(filepath.Join(dir, ".env"))
	if errors.Is(err, fs.ErrNotExist) {
		return environment{}, nil
	}
	if err != nil {
		return environment{}, fmt.Errorf(".env cannot be read: %w", err)
	}
	if bytes.HasPrefix(content, []byte("\xff\xfe")) || bytes.HasPrefix(content, []byte("\xfe\xff")) {
		return environment{}, errors.New(".env is saved as UTF-16; save it as UTF-8")
	}
	content = bytes.TrimPrefix(content, []byte("\ufeff"))
	env := environment{lines: strings.Split(string(content), "\n")}
	env.file, err = envparse.Parse(bytes.NewReader(content))
	if parseErr, ok := errors.AsType[*envparse.ParseError](err); ok {
		return environment{}, env.explain(parseErr.Line)
	}
	return env, err
}

// explain returns the error for a line that is not NAME=value.
func (e environment) explain(number int) error {
	if number > 0 && number <= len(e.lines) {
		name, _, _ := strings.Cut(strings.TrimSpace(e.lines[number-1]), "=")
		if r, found := firstInvisible(name); found {
			return fmt.Errorf(".env line %d has an invisible character (%U) before its =; delete it, or "+
				"type the line again",
				number, r)
		}
	}
	return fmt.Errorf(".env line %d is not NAME=value; put a value with quotes or # in it between single "+
		"quotes",
		number)
}

// get returns the value of a variable, or "".
func (e environment) get(name string) string {
	value, ok := os.LookupEnv(name)
	if !ok {
		value = e.file[name]
	}
	return strings.TrimSpace(value)
}
