package plugins

import (
	"fmt"
	"strings"

	"github.com/pocketbase/dbx"
	"github.com/pocketbase/pocketbase/core"
)

// Rekeying is a change of the encryption key.
type Rekeying struct {
	OldKey, NewKey string // of [EncryptionKeyLength] bytes each
}

// Rekey seals the client secrets of all records under a new key, all or none. It returns how many records
// there are. It fails, naming the plugins, if some open under neither key; those that are under the new key
// already stay as they are.
func Rekey(app core.App, change Rekeying) (int, error) {
	oldKey, newKey := encryptionKey(change.OldKey), encryptionKey(change.NewKey)
	var rows []dbx.NullStringMap
	err := app.RunInTransaction(func(tx core.App) error {
		if err := tx.DB().NewQuery("SELECT * FROM plugins").All(&rows); err != nil {
			return err
		}
		var unreadable []string
		for _, row := range rows {
			plugin := enteredIn(row)
			owner := plugin.secretOwner()
			secret, err := owner.open(oldKey, sealedIn(row))
			if err != nil {
				if _, err := owner.open(newKey, sealedIn(row)); err != nil {
					unreadable = append(unreadable, plugin.Slug)
				}
				continue
			}
			sealed, err := owner.seal(newKey, secret)
			if err != nil {
				return err
			}
			if err := storeSecret(tx, plugin.RecordID, sealed); err != nil {
				return err
			}
		}
		if len(unreadable) > 0 {
			return fmt.Errorf("ENCRYPTION_KEY does not open the client secrets of %s; enter them again in "+
				"the dashboard, "+
				"or delete these plugins. Nothing was changed", strings.Join(unreadable, ", "))
		}
		return nil
	})
	return len(rows), err
}
