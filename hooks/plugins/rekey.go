package plugins

import (
	"fmt"
	"slices"
	"strings"

	"github.com/pocketbase/dbx"
	"github.com/pocketbase/pocketbase/core"
)

// Rekeying is a change of encryption keys.
type Rekeying struct {
	// OldKey and NewKey have [EncryptionKeyLength] bytes each.
	OldKey, NewKey string
}

// Rekey seals the client secrets of all records under a new key, all or none. It returns how many records
// have one. It fails, naming the plugins, if some secrets open under neither key. Those that are sealed
// under the new key already stay as they are.
func Rekey(app core.App, change Rekeying) (int, error) {
	oldKey, newKey := encryptionKey(change.OldKey), encryptionKey(change.NewKey)
	var rows []dbx.NullStringMap
	err := app.RunInTransaction(func(tx core.App) error {
		if err := tx.DB().NewQuery("SELECT * FROM plugins").All(&rows); err != nil {
			return err
		}
		var unreadable []string
		rows = slices.DeleteFunc(rows, isPublic)
		for _, row := range rows {
			plugin := enteredIn(row)
			binding := plugin.binding()
			secret, err := binding.open(oldKey, sealedIn(row))
			if err != nil {
				if _, err := binding.open(newKey, sealedIn(row)); err != nil {
					unreadable = append(unreadable, plugin.Slug)
				}
				continue
			}
			sealed, err := binding.seal(newKey, secret)
			if err != nil {
				return err
			}
			if err := storeSecret(tx, plugin.RecordID, sealed); err != nil {
				return err
			}
		}
		if len(unreadable) > 0 {
			return fmt.Errorf("ENCRYPTION_KEY does not open the client secrets of %s; enter them again in "+
				"the dashboard, or delete these plugins. Nothing was changed", strings.Join(unreadable, ", "))
		}
		return nil
	})
	return len(rows), err
}

// isPublic reports whether a row is that of a public client, which has no secret.
func isPublic(row dbx.NullStringMap) bool {
	entered := enteredIn(row)
	plugin := entered.Complete(Defaults{})
	return plugin.IsPublic()
}
