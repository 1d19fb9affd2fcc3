package doctor

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"plugin-oauth/hooks/oauth"
)

// littleSpace and tooLittleSpace are the free bytes on the disk with the data folder that call for a warning,
// and for an error.
const littleSpace, tooLittleSpace = 100 << 20, 10 << 20

func (d *Doctor) checkPublicURL() []Finding {
	if oauth.InTheClear(d.options.PublicURL) {
		return []Finding{notEncrypted(setting{name: "PUBLIC_URL"})}
	}
	return nil
}

// checkDataDir tries to write to the data folder. If it is missing, serve will create it, so the nearest
// folder around it is tried instead.
func (d *Doctor) checkDataDir() (findings []Finding) {
	if d.options.DataDir == "" {
		return nil
	}
	folder := existingFolder(d.options.DataDir)
	if err := tryToWrite(folder); err != nil {
		f := Finding{
			Level: LevelError,
			What:  "The data folder " + d.options.DataDir + " is not writable.",
			Why:   "The service cannot start, or cannot take logins.",
			Fix:   "Choose another folder with --dir, or change its owner.",
		}
		if folder != d.options.DataDir {
			f.Level = LevelWarning
			f.What = "The data folder " + d.options.DataDir + " is missing, and cannot be made."
		}
		findings = append(findings, f)
	}
	if within := d.fleeting(folder); within != "" && d.options.InCluster {
		findings = append(findings, Finding{
			Level: LevelWarning,
			What:  "The data folder " + d.options.DataDir + " is gone with what it is in: " + within + ".",
			Why: "A restart empties it. The other machines fill it again, but if most of them start anew " +
				"at the same time, the plugins and admins are lost.",
			Fix: "Mount a volume there, or choose a folder on a disk with --dir.",
		})
	}
	bytes, known := d.freeSpace(folder)
	if !known || bytes >= littleSpace {
		return findings
	}
	level := LevelWarning
	if bytes < tooLittleSpace {
		level = LevelError
	}
	return append(findings, Finding{
		Level: level,
		What:  fmt.Sprintf("The disk with the data folder has only %d MB left.", bytes>>20),
		Why:   "When it is full, no login can begin.",
		Fix:   "Make room, or choose a folder on another disk with --dir.",
	})
}

// existingFolder returns a folder, or the nearest one around it that exists.
func existingFolder(folder string) string {
	for folder != filepath.Dir(folder) {
		if _, err := os.Stat(folder); err == nil {
			break
		}
		folder = filepath.Dir(folder)
	}
	return folder
}

func tryToWrite(folder string) error {
	file, err := os.CreateTemp(folder, "doctor-")
	if err != nil {
		return err
	}
	return errors.Join(file.Close(), os.Remove(file.Name()))
}
