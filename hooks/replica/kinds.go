package replica

import (
	"database/sql"
	"maps"
	"slices"
	"strings"

	"github.com/pocketbase/dbx"
	"github.com/pocketbase/pocketbase/core"
)

// kind is a sort of rows that all machines have: where they are in SQLite, and in etcd.
type kind struct {
	// prefix begins the keys of the rows. What follows is the value of the column id.
	prefix string
	table  string
	id     string

	// unique is a column that has a value of its own in each row; the key that begins with reserved stands
	// for that value. Blank: there is no such column.
	unique   string
	reserved string
	// foldsCase says that a value in capital letters is the same value.
	foldsCase bool

	// only is the one row of the table that is kept equal, and columns are those of its columns that are.
	// Blank and nil: all.
	only    string
	columns []string
}

var (
	pluginRows = kind{prefix: "p/", table: "plugins", id: "id", unique: "slug", reserved: "slug/"}
	adminRows  = kind{
		prefix: "u/", table: core.CollectionNameSuperusers, id: "id",
		unique: "email", reserved: "email/", foldsCase: true,
	}
	// mfaRows and otpRows are the sign-ins of admins between their password and their second factor, which
	// another machine may be asked for.
	mfaRows = kind{prefix: "m/", table: core.CollectionNameMFAs, id: "id"}
	otpRows = kind{prefix: "o/", table: core.CollectionNameOTPs, id: "id"}
	// optionRows is one row: the options of the collection of admins. The secrets that their sessions are
	// signed with are among them, and whether a second factor is asked for.
	optionRows = kind{
		prefix: "c/", table: "_collections", id: "name",
		only: core.CollectionNameSuperusers, columns: []string{"options"},
	}
	kinds = []kind{optionRows, adminRows, mfaRows, otpRows, pluginRows}
)

func (k kind) key(id string) string { return k.prefix + id }

// idOf reverses key.
func (k kind) idOf(key string) string { return strings.TrimPrefix(key, k.prefix) }

// reservation returns the key that stands for the unique value of a row, or "".
func (k kind) reservation(r row) string {
	value, found := r[k.unique]
	if k.unique == "" || !found || isBlank(value) {
		return ""
	}
	if k.foldsCase {
		value = foldCase(value)
	}
	return k.reserved + value[1:]
}

// foldCase turns capital letters into small ones, as SQLite's NOCASE does: those of ASCII only.
func foldCase(text string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'A' && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, text)
}

// presentColumns returns the columns that are kept equal, as the table has them in this version.
func (k kind) presentColumns(tx core.App) ([]string, error) {
	if k.columns != nil {
		return k.columns, nil
	}
	return tx.TableColumns(k.table)
}

// where is the condition that a row is the one of an id.
func (k kind) where(id string) dbx.HashExp { return dbx.HashExp{k.id: id} }

// read returns the row of an id, or nil if there is none.
func (k kind) read(tx core.App, id string) (row, error) {
	rows, err := k.query(tx, k.where(id))
	return rows[id], err
}

// readAll returns all rows by their ids.
func (k kind) readAll(tx core.App) (map[string]row, error) {
	if k.only != "" {
		return k.query(tx, k.where(k.only))
	}
	return k.query(tx, nil)
}

func (k kind) query(tx core.App, where dbx.Expression) (_ map[string]row, err error) {
	columns, err := k.presentColumns(tx)
	if err != nil {
		return nil, err
	}
	selected := []string{"[[" + k.id + "]]"}
	for _, column := range columns {
		// The sign makes an expression of the column, which has no type: the driver would turn the values of
		// some types into others.
		selected = append(selected, "+[["+column+"]]")
	}
	rows, err := tx.DB().Select(selected...).From(k.table).Where(where).Rows()
	if err != nil {
		return nil, err
	}
	defer func() {
		if closeErr := rows.Close(); err == nil {
			err = closeErr
		}
	}()
	found := map[string]row{}
	for rows.Next() {
		id, read, err := scan(rows.Rows, columns)
		if err != nil {
			return nil, err
		}
		found[id] = read
	}
	return found, rows.Err()
}

func scan(rows *sql.Rows, columns []string) (id string, read row, err error) {
	values := make([]any, len(columns))
	into := []any{&id}
	for i := range values {
		into = append(into, &values[i])
	}
	if err := rows.Scan(into...); err != nil {
		return "", nil, err
	}
	read = make(row, len(columns))
	for i, column := range columns {
		if read[column], err = encodeValue(values[i]); err != nil {
			return "", nil, err
		}
	}
	return id, read, nil
}

// write stores a row as etcd has it: in place of the one that there is, or as a new one. Columns that this
// version does not know are left out, and those that the row lacks stay as they are.
func (k kind) write(tx core.App, id string, r row) error {
	columns, err := k.presentColumns(tx)
	if err != nil {
		return err
	}
	values := dbx.Params{}
	for _, column := range columns {
		encoded, found := r[column]
		if !found {
			continue
		}
		if values[column], err = decodeValue(encoded); err != nil {
			return err
		}
	}
	result, err := tx.DB().Update(k.table, values, k.where(id)).Execute()
	if err != nil {
		return err
	}
	if updated, err := result.RowsAffected(); err != nil || updated > 0 || k.only != "" {
		return err
	}
	_, err = tx.DB().Insert(k.table, values).Execute()
	return err
}

func (k kind) delete(tx core.App, id string) error {
	_, err := tx.DB().Delete(k.table, k.where(id)).Execute()
	return err
}

// row is a row of SQLite, as it is in etcd: each column's value with its type. Columns that this version does
// not know are kept.
type row map[string]string

// unknown returns what a row has in columns that this version does not know.
func (r row) unknown(columns []string) row {
	rest := maps.Clone(r)
	maps.DeleteFunc(rest, func(column, _ string) bool { return slices.Contains(columns, column) })
	return rest
}

// differs reports whether a row of SQLite is another one than that of etcd. A column that etcd's does not
// have is one that was not known where that was written, and which a migration has filled here, or not.
func (r row) differs(stored row) bool {
	for column, value := range r {
		if known, found := stored[column]; found && known != value || !found && !isBlank(value) {
			return true
		}
	}
	return false
}
