package hooks

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/pocketbase/pocketbase/apis"
	"github.com/pocketbase/pocketbase/core"
)

// bindCollections refuses requests that create or change sessions or totals. Superusers could otherwise do
// so, since no API rule applies to them.
func bindCollections(app core.App) {
	refuse := func(e *core.RecordRequestEvent) error {
		return e.ForbiddenError("Sessions and totals are made by logins only. To end a login, delete its "+
			"session.", nil)
	}
	app.OnRecordCreateRequest("sessions", "login_totals").BindFunc(refuse)
	app.OnRecordUpdateRequest("sessions", "login_totals").BindFunc(refuse)
}

// protectCollections keeps admins and imports from changing or deleting the collections that the service
// needs. It runs after the migrations.
func protectCollections(e *core.ServeEvent) error {
	for _, name := range []string{"sessions", "pending_sessions", "login_stats", "login_totals", "plugins"} {
		collection, err := e.App.FindCollectionByNameOrId(name)
		if err != nil {
			return fmt.Errorf("the collection %s is missing; restore a backup: %w", name, err)
		}
		protectCollection(e.App, collection)
	}
	return nil
}

func protectCollection(app core.App, collection *core.Collection) {
	refusal := apis.NewForbiddenError("plugin-oauth needs the collection "+collection.Name+" to stay as "+
		"it is.", nil)
	// By id, since an update may change the name.
	app.OnCollectionDelete(collection.Id).BindFunc(func(*core.CollectionEvent) error { return refusal })
	app.OnCollectionUpdate(collection.Id).BindFunc(func(e *core.CollectionEvent) error {
		stored, err := e.App.FindCollectionByNameOrId(collection.Id)
		if err != nil {
			return err
		}
		// An import saves unchanged collections too. There is nothing to do then, and nothing to refuse.
		e.Collection.Updated = stored.Updated
		before, beforeErr := json.Marshal(stored)
		after, afterErr := json.Marshal(e.Collection)
		if beforeErr != nil || afterErr != nil || !bytes.Equal(before, after) {
			return refusal
		}
		return nil
	})
}
