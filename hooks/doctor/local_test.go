package doctor

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func TestDataDir(t *testing.T) {
	t.Parallel()
	self, provider := serveSelf(t), serveProvider(t, refusingCode)
	folder := t.TempDir()
	file, missing := filepath.Join(folder, "file"), filepath.Join(folder, "a", "b")
	inFile := filepath.Join(file, "pb_data")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	const fix = " Choose another folder with --dir, or change its owner."
	const room = " Make room, or choose a folder on another disk with --dir."
	free := func(bytes uint64) func(string) (uint64, bool) {
		return func(string) (uint64, bool) { return bytes, true }
	}
	inMemory := func(string) string { return "memory (tmpfs)" }
	for _, test := range []struct {
		name string
		edit func(s *setup)
		want string // blank: nothing
	}{
		{name: "not writable", edit: func(s *setup) { s.options.DataDir = file },
			want: "error : The data folder " + file + " is not writable." + fix},
		{name: "cannot be made", edit: func(s *setup) { s.options.DataDir = inFile },
			want: "warning : The data folder " + inFile + " is missing, and cannot be made." + fix},
		{name: "is made by serve", edit: func(s *setup) { s.options.DataDir = missing }},
		{name: "not known", edit: func(s *setup) { s.options.DataDir, s.freeSpace = "", free(0) }},
		{name: "little space", edit: func(s *setup) { s.freeSpace = free(100<<20 - 1) },
			want: "warning : The disk with the data folder has only 99 MB left." + room},
		{name: "no space", edit: func(s *setup) { s.freeSpace = free(10<<20 - 1) },
			want: "error : The disk with the data folder has only 9 MB left." + room},
		{name: "in memory", edit: func(s *setup) {
			s.options.DataDir, s.options.InCluster, s.fleeting = folder, true, inMemory
		}, want: "warning : The data folder " + folder + " is gone with what it is in: memory (tmpfs). " +
			"Mount a volume there, or choose a folder on a disk with --dir."},
		{name: "in memory, alone", edit: func(s *setup) { s.fleeting = inMemory }},
		{name: "space unknown", edit: func(s *setup) {
			s.freeSpace = func(string) (uint64, bool) { return 0, false }
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := newSetup(t, addresses{self: self, provider: provider})
			test.edit(s)
			var want []string
			if test.want != "" {
				want = []string{test.want}
			}
			expectFindings(t, s.check(t), want...)
			entries, err := filepath.Glob(filepath.Join(s.options.DataDir, "doctor-*"))
			if err != nil || len(entries) > 0 {
				t.Errorf("left behind: %v, %v", entries, err)
			}
			if _, err := os.Stat(filepath.Join(folder, "a")); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("the data folder was made: %v", err)
			}
		})
	}
}
